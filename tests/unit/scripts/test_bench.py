"""The benchmarks compare like with like: same documents, same words, same task."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import _bench
import orjson
import pytest
from _bench_documents import EXACT_FRAC, NEAR_FRAC, documents, make_file

from provenance.dedup.tokens import shingle_hashes, tokens
from provenance.demo.corpus import read_corpus

SCRIPTS = Path(_bench.__file__).parent


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return list(documents(n_bytes=4_000_000, seed=5))


def test_peers_see_the_words_and_shingles_that_we_see() -> None:
    for document in itertools.islice(read_corpus(), 0, None, 60):
        words = _bench.words(document["text"])
        assert words == tokens(document["text"])
        assert len(_bench.shingles(words)) == len(shingle_hashes(document["text"]))
    assert _bench.shingles(["only", "three", "words"]) == ["only three words"]


def test_documents_are_deterministic_and_of_the_size_asked_for(lines: list[bytes]) -> None:
    again = documents(n_bytes=4_000_000, seed=5)
    assert all(line == other for line, other in zip(lines[:500], again, strict=False))
    assert next(documents(n_bytes=10_000, seed=6)) != lines[0]
    assert 4_000_000 <= sum(map(len, lines)) < 4_010_000
    assert 1_800 < sum(map(len, lines)) / len(lines) < 2_200


def test_documents_hold_the_copies_that_they_say(lines: list[bytes]) -> None:
    records = [orjson.loads(line) for line in lines]
    texts = {record["id"]: record["text"] for record in records}
    copies = [record for record in records if record["copy_of"] is not None]
    exact = [record for record in copies if record["text"] == texts[record["copy_of"]]]
    assert len(copies) / len(records) == pytest.approx(EXACT_FRAC + NEAR_FRAC, abs=0.03)
    assert len(exact) / len(records) == pytest.approx(EXACT_FRAC, abs=0.015)
    originals = [record["text"] for record in records if record["copy_of"] is None]
    assert len(set(originals)) == len(originals)
    for record in copies[:30]:
        one, other = set(shingle_hashes(record["text"])), set(shingle_hashes(texts[record["copy_of"]]))
        assert len(one & other) / len(one | other) > 0.7


def test_a_made_file_is_kept(tmp_path: Path) -> None:
    path = make_file(tmp_path / "documents.jsonl", n_bytes=20_000, seed=1)
    size = path.stat().st_size
    assert size >= 20_000
    assert make_file(path, n_bytes=90_000, seed=1).stat().st_size == size
    assert list(_bench.read_texts(path)) == [orjson.loads(line)["text"] for line in path.read_bytes().splitlines()]
    assert [file.name for file in tmp_path.iterdir()] == ["documents.jsonl"]


@pytest.mark.parametrize("name", sorted(_bench.PEERS))
def test_every_peer_finds_a_planted_copy_and_nothing_else(name: str) -> None:
    texts = [document["text"] for document in itertools.islice(read_corpus(), 12)]
    found = _bench.run_peer(name, [*texts, texts[3]], n_docs=100)
    assert (found.n_docs, found.n_duplicates) == (13, 1)
    assert found.n_words == sum(len(tokens(text)) for text in [*texts, texts[3]])
    assert found.n_bytes == sum(len(text.encode()) for text in [*texts, texts[3]])
    assert found.seconds > 0


def test_table_and_verdict_compare_rates_not_times() -> None:
    ours = _bench.Measurement(contender="ours", seconds=10.0, n_docs=1000, n_bytes=2_000_000, n_words=300)
    peer = _bench.Measurement(contender="slow", seconds=5.0, n_docs=50, n_bytes=100_000, n_words=15, n_duplicates=5)
    table = _bench.table([ours, peer]).splitlines()
    assert "10.0 times as fast" in table[2] and "10.0%" in table[2]
    assert _bench.verdict([ours, peer], wanted={"slow": 10}).splitlines()[0].endswith("reached")
    assert _bench.verdict([ours, peer], wanted={"slow": 11}).splitlines()[0].endswith("NOT reached")
    assert "NOT the same" not in _bench.verdict([ours, peer], wanted={})
    same_size = _bench.Measurement(contender="liar", seconds=1, n_docs=1000, n_bytes=2_000_000, n_words=299)
    assert "NOT the same: liar" in _bench.verdict([ours, same_size], wanted={})


def test_peak_memory_is_that_of_the_process(tmp_path: Path) -> None:
    # A child's peak starts with what its parent had when it was forked, so the parent has to be a small one, too.
    start = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import _bench\n"
    hungry = tmp_path / "hungry.py"
    hungry.write_text(
        f"{start}block = b'x' * 300_000_000\n"
        "_bench.report(_bench.Measurement(contender='c', seconds=1, n_docs=1, n_bytes=1, n_words=1))\n"
    )
    launcher = tmp_path / "launcher.py"
    launcher.write_text(f"{start}print(_bench.in_process([{str(hungry)!r}]).peak_bytes)\n")
    command = [
        sys.executable,
        "-c",
        f"import subprocess as s; s.run([{sys.executable!r}, {str(launcher)!r}], check=True)",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 300e6 < int(shown) < 450e6


def test_a_failing_contender_stops_the_benchmark(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit, match="status 3"):
        _bench.in_process([broken])


@pytest.mark.slow
def test_signatures_benchmark_runs() -> None:
    command = [sys.executable, SCRIPTS / "bench_signatures.py", "--docs", "40"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in ("ours", *_bench.PEERS):
        assert f"\n{name} " in shown
    assert "words seen" in shown and "NOT the same" not in shown


@pytest.mark.slow
def test_ingest_benchmark_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [sys.executable, SCRIPTS / "bench_ingest.py", "--size-mb", "1"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    contenders = [line.split("  ")[0] for line in shown.splitlines()[2:4]]
    assert contenders == ["ingest --jobs 2", "ingest --jobs 1"]
    assert "times)" in shown and "a store of at most" in shown and "words seen" in shown
    made = tmp_path / "corpus-provenance-bench"
    assert sorted(path.name for path in made.iterdir()) == [
        "documents-v1-1mb-seed1.jsonl",
        "documents-v1-1mb-seed1.parquet-bytes",
    ]
    assert json.loads((made / "documents-v1-1mb-seed1.jsonl").read_bytes().splitlines()[0])["copy_of"] is None
