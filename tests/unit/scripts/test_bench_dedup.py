"""The benchmark of deduplication judges by a truth that holds, and its small sizes run."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import _bench_commands as bench
import _bench_dedup_growth as grown
import _bench_dedup_judge as judged
import _bench_dedup_planted as made
import bench_dedup
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.dedup.parameters import DedupParameters
from tests.factories import prose, provenance

# ---------------------------------------------------------------- planted documents


@pytest.fixture(scope="module")
def records() -> list[dict[str, str]]:
    whole = b"".join(bytes(block) for block in made.lines(0, 6000, seed=5))
    return [orjson.loads(line) for line in whole.splitlines()]


def test_a_document_is_a_function_of_its_number(records: list[dict[str, str]]) -> None:
    assert [record["id"] for record in records] == [str(number) for number in range(6000)]
    for number in (0, 1, 17, 999, 5999):
        assert made.text_of(number, seed=5) == records[number]["text"]
    (block,) = made.lines(2000, 2010, seed=5)
    assert [orjson.loads(line) for line in bytes(block).splitlines()] == records[2000:2010]
    assert made.text_of(17, seed=6) != records[17]["text"]
    assert 560 < np.mean([len(record["text"].encode()) for record in records]) < 680


def test_a_tenth_are_copies_of_documents_at_any_distance() -> None:
    found = made.planted(0, 50_000, seed=5)
    assert found.copies.size / 50_000 == pytest.approx(made.COPY_FRAC, abs=0.01)
    assert (found.originals < found.copies).all() and not np.isin(found.originals, found.copies).any()
    assert np.quantile(found.originals / found.copies, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.03)
    assert np.bincount(found.levels) / found.levels.size == pytest.approx([1 / 5] * 5, abs=0.03)
    part = made.planted(40_000, 50_000, seed=5)
    late = found.copies >= 40_000
    assert (part.copies == found.copies[late]).all() and (part.originals == found.originals[late]).all()


def test_copies_are_as_similar_as_planted_and_others_are_not(records: list[dict[str, str]]) -> None:
    found = made.planted(0, len(records), seed=5)
    for level, wanted in enumerate(made.LEVELS):
        at = np.flatnonzero(found.levels == level)[:25]
        pairs = [(records[found.copies[i]]["text"], records[found.originals[i]]["text"]) for i in at]
        assert np.median([judged.similarity(*pair) for pair in pairs]) == pytest.approx(wanted, abs=0.02)
    alone = sorted(set(range(400)) - {*found.copies.tolist(), *found.originals.tolist()})
    assert max(judged.similarity(records[a]["text"], records[b]["text"]) for a, b in combinations(alone[:25], 2)) < 0.2


def test_shards_and_their_size_as_parquet_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "SHARD_DOCS", 400)
    shards = made.make_shards(tmp_path, n_documents=1000, seed=5)
    assert [shard.name for shard in shards] == [
        "000000000-000000400.jsonl", "000000400-000000800.jsonl", "000000800-000001000.jsonl",
    ]  # fmt: skip
    lines = [line for shard in shards for line in shard.read_bytes().splitlines()]
    assert [orjson.loads(line)["id"] for line in lines] == [str(number) for number in range(1000)]
    before = shards[0].stat().st_mtime_ns
    assert made.make_shards(tmp_path, n_documents=800, seed=5) == shards[:2]
    assert shards[0].stat().st_mtime_ns == before
    same = tmp_path / "same.parquet"
    texts = pa.table({"text": [orjson.loads(line)["text"] for line in shards[0].read_bytes().splitlines()]})
    pq.write_table(texts, same, compression="zstd", compression_level=3)
    assert bench.parquet_bytes(shards[0]) == same.stat().st_size
    shards[0].write_bytes(b"")
    assert bench.parquet_bytes(shards[0]) == same.stat().st_size


# ---------------------------------------------------------------- the prediction


def test_who_needs_no_more_than_to_meet_is_found_as_the_banding_formula_says() -> None:
    anything = DedupParameters(threshold=0.01)
    for similarity in (0.05, 0.3, 0.55, 0.7, 0.9, 0.99):
        found = judged.chances(similarity, anything)
        assert found.to_meet == pytest.approx(1 - (1 - similarity**8) ** 14)
        assert found.to_be_found == pytest.approx(found.to_meet, abs=1e-12)
    assert judged.chances(0.0, DedupParameters()) == judged.Chances(0.0, 0.0, 0.0)
    assert judged.chances(1.0, DedupParameters()).to_be_found == pytest.approx(1.0)


@pytest.mark.parametrize("similarity", [0.5, 0.65, 0.8])
def test_the_prediction_is_what_chance_gives(similarity: float) -> None:
    parameters = DedupParameters(n_bands=5, rows_per_band=4, threshold=0.7)
    equal = np.random.default_rng(1).random((200_000, 5, 4)) < similarity
    meets, passes = equal.all(axis=2).any(axis=1), equal.sum(axis=(1, 2)) >= 14
    predicted = judged.chances(similarity, parameters)
    found = [meets.mean(), passes.mean(), (meets & passes).mean()]
    assert [predicted.to_meet, predicted.to_pass, predicted.to_be_found] == pytest.approx(found, abs=0.005)


def test_judgement_of_edges() -> None:
    n = 4000
    planted = made.planted(0, n, seed=5)
    pairs = list(zip(planted.copies.tolist(), planted.originals.tolist(), strict=True))

    def judgement(edges: list[tuple[int, int]]) -> judged.Judgement:
        table = pa.table({"a": [str(a) for a, _ in edges], "b": [str(b) for _, b in edges]})
        return judged.judge(table, n_documents=n, seed=5, n_sample=5)

    every = judgement([(b, a) for a, b in pairs])
    assert [level.recall for level in every.levels] == [1.0] * 5
    assert sum(level.n_pairs for level in every.levels) == len(pairs) == every.n_edges
    assert (every.precision, every.n_unrelated) == (1.0, 0)
    assert not every.levels[0].is_near_prediction and every.levels[4].is_near_prediction
    first_level = [pair for pair, level in zip(pairs, planted.levels, strict=True) if level == 0]
    siblings = [(a, c) for (a, b), (c, d) in combinations(pairs, 2) if b == d]
    strangers = [(pairs[0][0], pairs[1][0])] if pairs[0][1] != pairs[1][1] else []
    some = judgement([*first_level, *siblings, *strangers])
    assert [level.recall for level in some.levels] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert some.levels[0].similarity == pytest.approx(0.55, abs=0.03)
    assert siblings and strangers and some.n_unrelated == 1
    assert judgement([]).precision == 1.0


# ---------------------------------------------------------------- runs


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    out = capsys.readouterr().out
    assert "nan" not in out
    return out


def test_planted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = here / "kept.duckdb"
    bench_dedup.main(["planted", "--documents", "3000", "--jobs", "1", "--sample", "20", "--store", str(store)])
    out = shown(capsys)
    assert "3,000 documents" in out and store.exists()
    assert "wanted recall near the prediction at every level: reached" in out
    assert "wanted precision >= 0.999: reached" in out
    levels = [line.split() for line in out.splitlines() if line.startswith("0.")]
    assert [float(row[0]) for row in levels] == list(made.LEVELS)
    assert levels[0][-1] < levels[4][-1] == "1.0000"
    assert bench.query(store, "SELECT count(*) AS n FROM document")["n"].to_pylist() == [3000]


def test_copies_of_one_template(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench_dedup.main(["bucket", "--documents", "400", "--jobs", "1"])
    out = shown(capsys)
    assert "wanted all copies in one cluster: reached (100, 200, 400)" in out
    assert "wanted linear" in out and "wanted linear memory" in out
    rows = [line.split() for line in out.splitlines() if line[:1].isdigit()]
    assert [row[0] for row in rows] == ["100", "200", "400"]
    # Every copy meets at most the eight anchors of each of the fourteen bands, and of the bucket of its normal form.
    assert all(int(row[4].replace(",", "")) <= int(row[0]) * 8 * 15 for row in rows)
    texts = [one["text"] for one in grown.templated(50)]
    assert len(set(texts)) == 50
    assert min(judged.similarity(texts[0], other) for other in texts[1:]) > 0.8


@pytest.mark.slow
def test_a_further_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "kept.duckdb"
    first = made.make_shard(tmp_path, 0, 300, seed=1)
    for arguments in (["init"], bench.ingest_arguments([first], jobs=1)):
        assert provenance("--store", store, *arguments).code == 0
    monkeypatch.setattr(bench, "warm_up", lambda directory: None)
    bench_dedup.main(["incremental", str(store), "--documents", "200", "--jobs", "1"])
    out = shown(capsys)
    row = next(line.split() for line in out.splitlines() if line.startswith("300 "))
    assert 0 < float(row[2]) < float(row[1]) and float(row[3]) > 50
    assert "not measured" in out
    numbers = bench.query(store, "SELECT external_id FROM document")["external_id"].to_pylist()
    assert sorted(map(int, numbers)) == list(range(500))
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.name, "kept.duckdb"]


# ---------------------------------------------------------------- tools


def test_memory_is_that_of_a_process_and_its_children(tmp_path: Path) -> None:
    hungry = "import time; block = b'x' * {size}; time.sleep(1.2)"
    alone = bench.run([sys.executable, "-c", hungry.format(size=80_000_000)])
    assert 80e6 < alone.peak_bytes < 130e6 and alone.seconds > 1.2 > alone.cpu_seconds > 0
    parent = tmp_path / "parent.py"
    child = f"[{sys.executable!r}, '-c', {hungry.format(size=80_000_000)!r}]"
    parent.write_text(
        f"import subprocess; block = b'x' * 60_000_000; subprocess.run({child}, check=True); print('end')"
    )
    both = bench.run([sys.executable, parent])
    assert 140e6 < both.peak_bytes < 220e6
    assert both.out == b"end\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what processes share")
def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    sharing = tmp_path / "sharing.py"
    sharing.write_text(
        "import mmap, os, time\n"
        "block = mmap.mmap(-1, 100_000_000)\n"
        "child = os.fork()\n"
        "for at in range(0, len(block), mmap.PAGESIZE):\n"
        "    block[at]\n"
        "time.sleep(1.5)\n"
        "child and os.waitpid(child, 0)\n"
    )
    assert 100e6 < bench.run([sys.executable, sharing]).peak_bytes < 140e6


def test_a_failing_command_stops_the_benchmark_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"failed with status 3$"):
        bench.run([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(SystemExit, match=r"failed with status 1: .*no store at"):
        bench.provenance(tmp_path / "nowhere.duckdb", "stats")


def test_growth_and_lines_through_measurements() -> None:
    assert grown.growth(7 + 1, 7 + 2, 7 + 4) == pytest.approx(2)
    assert grown.growth(7 + 1, 7 + 4, 7 + 16) == pytest.approx(4)
    assert grown.growth(7, 7.1, 9) is grown.growth(7, 6, 9) is None

    def increment(n_before: int, seconds: float) -> grown.Increment:
        return grown.Increment(n_before, 50_000, seconds, seconds / 2, 1)

    increments = [increment(1_000_000, 3.0), increment(3_000_000, 4.0)]
    assert grown.seconds_at(increments, 10_000_000) == pytest.approx(7.5)
    assert grown.seconds_at(increments[:1], 10_000_000) == 3.0


def test_edges_join_documents_of_the_same_text_too(here: Path) -> None:
    store = here / "kept.duckdb"
    bench.init(store)
    text = prose(1)
    near = text.replace(text.split()[30], "other")
    lines = [{"id": "a", "text": text}, {"id": "b", "text": text}, {"id": "c", "text": near}, {"id": "d", "text": "d"}]
    file = bench.write_lines(here / "lines.jsonl", lines)
    bench.ingest(store, [file], jobs=1)
    file.unlink()
    found = {(frozenset((row["a"], row["b"])), row["rule"]) for row in bench.edges(store).to_pylist()}
    assert found == {(frozenset("ab"), "exact"), (frozenset("ac"), "near"), (frozenset("bc"), "near")}
