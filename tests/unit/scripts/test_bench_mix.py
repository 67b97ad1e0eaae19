"""The benchmark of mixing: its stores are sound but for their texts, and what it prints is what it measured."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import _bench
import _bench_commands as bench
import _bench_mix_store as made
import bench_mix
import pytest

from provenance.store.check import check_store
from provenance.store.store import Store
from tests.factories import rows

N = 20_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of the benchmark."""
    return made.stored(tmp_path_factory.mktemp("mix"), N)


def test_a_store_has_no_other_faults_than_its_texts(path: Path) -> None:
    with Store.open(path) as store:
        faults = {found.check for found in check_store(store) if found.n_violations}
    assert faults == set(made.UNSOUND)


def test_what_a_store_holds(path: Path) -> None:
    with Store.open(path) as store:
        documents = rows(store, "SELECT * FROM document")
    n = Counter(one["source"] for one in documents)
    assert len(documents) == len({one["document_id"] for one in documents}) == N
    assert sum(share for share, *_ in made.SOURCES) == 1000
    for per_mille, source, origin, generation, model, _, rank in made.SOURCES:
        assert n[source] / N == pytest.approx(per_mille / 1000, abs=0.01)
        own = [one for one in documents if one["source"] == source]
        labels = Counter((one["origin"], one["generation"], one["model"], one["evidence_rank"]) for one in own)
        assert labels.most_common(1)[0][0] == (origin, generation, model, rank)
    judged = [one for one in documents if one["evidence_rank"] == 5 and one["source"] == "crawl-2024"]
    assert {one["origin"] for one in judged} == {"human"}
    assert len(judged) / n["crawl-2024"] == pytest.approx(0.02, abs=0.007)
    words = sorted(one["n_words"] for one in documents)
    assert sum(words) / N == pytest.approx(305, rel=0.1)
    assert words[N // 2] == pytest.approx(200, rel=0.1)
    assert all(one["n_bytes"] == 6 * one["n_words"] for one in documents)
    sizes = Counter(one["cluster_id"] for one in documents)
    assert set(sizes.values()) == {1, 2, 4}
    assert sum(size for size in sizes.values() if size > 1) == N * 8 // 100


def test_a_store_is_made_once_and_a_killed_draft_is_no_store(path: Path) -> None:
    kept = path.stat().st_mtime_ns
    assert made.stored(path.parent, N) == path
    assert path.stat().st_mtime_ns == kept
    draft = path.parent / f"mix-v{made.VERSION}-500.draft"
    draft.write_bytes(b"half")
    assert made.stored(path.parent, 500) == draft.with_suffix(".duckdb")
    assert sorted(one.name for one in path.parent.iterdir()) == sorted(
        f"mix-v{made.VERSION}-{n}.duckdb" for n in (500, N)
    )


def test_a_run(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, dict[str, Any]] = {}

    def run(command: Sequence[str | Path], *, quiet: bool = False) -> bench.Run:
        if "--step" not in command:  # the command stats
            return bench.Run(0.25, 0.0, 0, b"")
        capsys.readouterr()  # what the report began with
        bench_mix.main([str(one) for one in command[2:]])
        out = capsys.readouterr().out
        seen[str(command[3])] = json.loads(out)
        return bench.Run(0.0, 0.0, 0, out.encode())

    monkeypatch.setattr(_bench, "cache_dir", lambda: path.parent)
    monkeypatch.setattr(bench, "run", run)
    bench_mix.main(["--documents", str(N), "--repeats", "1"])
    out = capsys.readouterr().out
    assert list(seen) == ["make", "stats", "verify", "open", "peer"]
    assert f"{N:,}" in out and f"{N // 10:,} documents" in out and "0.25 s" in out
    assert "wanted" not in out, "one small store says nothing of what is wanted"
    assert seen["make"]["documents"] >= bench_mix.HUMAN_SHARE
    assert seen["peer"]["documents"] == pytest.approx(bench_mix.HUMAN_SHARE, abs=0.05)
    assert all(one["seconds"] > 0 and one["peak_bytes"] > 50e6 for one in seen.values())
    assert path.exists() and not [one for one in path.parent.iterdir() if one.is_dir()]
    with Store.open(path) as store:
        assert not rows(store, "SELECT name FROM training_set"), "the sets are made in a copy"


def measured(seconds: float, **more: Any) -> dict[str, Any]:
    return {"seconds": seconds, "peak_bytes": 1_000_000_000, **more}


def test_the_report() -> None:
    ours, peer = measured(9, documents=0.75, words=0.7), measured(5, documents=0.4999, words=0.8)
    seen = {
        n: {
            **{step: measured(n / 1e7) for step in ("stats", "command", "open")},
            "make": {**ours, "seconds": 12 * n / 1e7},
            "verify": measured(13 * (n / 1e7) ** 2),
            "peer": peer,
        }
        for n in (bench_mix.MILLION, 3 * bench_mix.MILLION, bench_mix.FULL_DOCUMENTS)
    }
    seen[bench_mix.FULL_DOCUMENTS]["make"]["peak_bytes"] = 3_100_000_000
    seen[bench_mix.FULL_DOCUMENTS]["command"] = measured(1.5)
    said = bench_mix.report(seen)
    lines = said.splitlines()
    assert "10,000,000  1.00 s   1.50 s  12.00 s  13.00 s  1.00 s         3.10 GB" in said
    assert next(line for line in lines if line.startswith("ours")).split()[-3:] == ["75.0000%", "70.0000%", "yes"]
    assert next(line for line in lines if line.startswith("interleave")).split()[-1] == "NO"
    verdicts = {line.removeprefix("wanted ").split(":")[0]: line for line in lines if line.startswith("wanted")}
    reached = {title: "NOT reached" not in line for title, line in verdicts.items()}
    assert reached == {
        "stats in 1 s": True,
        "make in 15 s": True,
        "verify in 10 s": False,
        "open in 2 s": True,
        "the command provenance stats in 1 s": False,
        "make in 3 GB": False,
        "make of 10,000,000 at most 1.2 times as long a document as of 3,000,000": True,
        "verify of 10,000,000 at most 1.2 times as long a document as of 3,000,000": False,
    }
    assert verdicts["verify of 10,000,000 at most 1.2 times as long a document as of 3,000,000"].endswith(
        "(3.33 times)"
    )
    small = {n: found for n, found in seen.items() if n < bench_mix.FULL_DOCUMENTS}
    assert bench_mix.report(small).count("wanted") == len(bench_mix.GROWING)
    assert all(a != "" or b != "" for a, b in pairwise(said.splitlines()))
