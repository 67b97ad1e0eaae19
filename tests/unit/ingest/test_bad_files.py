"""Files that cannot be read: one clear line, what could be read before is stored, and the mended file completes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.errors import (
    ContradictoryClaim,
    FieldMissing,
    NothingToRead,
    SourceExists,
    UnknownFormat,
    UnknownSource,
    UnreadableFile,
)
from provenance.ingest import pipeline
from provenance.ingest.inputs import Input
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.readers import parquet as parquet_reader
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import INVALID_UTF8, WRONG_TYPE
from provenance.ingest.sources import Source, add_source
from provenance.records import Claim
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import (
    broken_text,
    compressed,
    count,
    dump,
    ingest_paths,
    json_lines,
    prose_records,
    rows,
    texts,
    violations,
    write_lines,
    write_parquet,
)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize(("share", "chunk_bytes"), [(0.3, 1 << 14), (0.99, 8 << 20)])
def test_truncated(make_store: Maker, tmp_path: Path, suffix: str, share: float, chunk_bytes: int) -> None:
    n = 2000
    records = prose_records(n, n_words=40)
    path = tmp_path / f"cut.jsonl{suffix}"
    whole = compressed(json_lines(records), path)
    path.write_bytes(whole[: int(len(whole) * share)])
    options = IngestOptions(chunk_bytes=chunk_bytes)
    store = make_store("cut.duckdb")
    with pytest.raises(UnreadableFile, match="damaged or cut off after line") as caught:
        ingest_paths(store, path, options=options)
    assert str(caught.value).count(str(path)) == 1
    assert "\n" not in str(caught.value)
    n_before = count(store, "document")
    assert f"after line {n_before}." in str(caught.value)
    assert texts(store) == sorted(record["text"] for record in records[:n_before])
    # zstd packs 128 kB at a time, gzip less
    assert abs(n_before - share * len(records)) < 0.02 * len(records) + (0 if suffix == ".gz" else 600)
    (run,) = rows(store, "SELECT * FROM ingest")
    assert (run["state"], run["finished_at"]) == ("running", None)
    assert count(store, "quarantine") == 0

    path.write_bytes(whole)
    report = ingest_paths(store, path, options=options)
    assert (report.counts.n_read, report.counts.n_inserted, report.counts.n_present) == (n, n, 0)
    assert str(report.ingest_id) == str(run["ingest_id"]), "the same run goes on"
    undisturbed = make_store("whole.duckdb")
    ingest_paths(undisturbed, path, options=options)
    assert dump(store) == dump(undisturbed)
    assert violations(store) == []


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_cut_off_at_any_length(store: Store, tmp_path: Path, suffix: str) -> None:
    """No prefix of a compressed file is taken for the whole, not even the empty one."""
    path = tmp_path / f"cut.jsonl{suffix}"
    whole = compressed(json_lines(prose_records(3)), path)
    for length in (*range(0, 24, 3), *range(24, len(whole), 97), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableFile):
            ingest_paths(store, path)
    assert count(store, "quarantine") == 0
    path.write_bytes(whole)
    assert ingest_paths(store, path).counts.n_read == 3


def test_damaged_in_the_middle(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "hole.jsonl.zst"
    records = prose_records(20_000, n_words=20)
    whole = bytearray(compressed(json_lines(records), path))
    middle = len(whole) // 2
    whole[middle : middle + 64] = bytes(64)
    path.write_bytes(whole)
    with pytest.raises(UnreadableFile, match="zstd stream is damaged"):
        ingest_paths(store, path)
    n = count(store, "document")
    assert 0 < n < 20_000
    assert set(texts(store)) <= {record["text"] for record in records}


def test_a_vanished_file(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="No such file or directory"):
        ingest_paths(store, tmp_path / "none.jsonl")
    assert count(store, "ingest") == count(store, "source") == 0, "nothing was begun"


@pytest.mark.parametrize("name", ["second.jsonl", "second.parquet"])
def test_a_file_that_vanishes_midway(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    first = write_lines(tmp_path / "first.jsonl", prose_records(10))
    second = tmp_path / name
    if name.endswith("parquet"):
        write_parquet(second, {"text": [one["text"] for one in prose_records(5, start=100)]})
    else:
        write_lines(second, prose_records(5, start=100))
    kept = second.read_bytes()
    real = pipeline.reader_for

    def vanishing(file: Input, format_name: str | None) -> object:
        reader = real(file, format_name)
        if file.path == second:
            second.unlink()
        return reader

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "reader_for", vanishing)
        with pytest.raises(UnreadableFile, match=name):
            ingest_paths(store, first, second)
    assert count(store, "document") == 10
    second.write_bytes(kept)
    counts = ingest_paths(store, first, second).counts
    assert (counts.n_read, counts.n_inserted) == (15, 15)
    assert violations(store) == []


def test_a_file_that_fails_while_it_is_read(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the device failed is stored."""
    path = write_parquet(tmp_path / "x.parquet", {"text": [one["text"] for one in prose_records(30)]})
    monkeypatch.setattr(parquet_reader, "_ROWS", 10)
    real = pq.ParquetFile.iter_batches

    def failing(self: object, **options: object) -> Iterator[pa.RecordBatch]:
        for i, batch in enumerate(real(self, **options)):
            if i == 2:
                raise OSError(5, "Input/output error")
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", failing)
    with pytest.raises(UnreadableFile, match=r"after row 20 \(Input/output error\)"):
        ingest_paths(store, path)
    assert count(store, "document") == 20


def test_a_folder_without_files(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "x.jsonl"
    (folder / "empty").mkdir(parents=True)
    (folder / ".hidden.jsonl").write_bytes(b'{"text":"a"}')
    with pytest.raises(NothingToRead, match="stands for no file"):
        ingest_paths(store, folder)
    assert count(store, "ingest") == count(store, "source") == 0, "nothing was begun"


def test_a_folder(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    paths = [folder / name for name in ("a.jsonl", "b.jsonl", "below/c.jsonl.gz")]
    for i, path in enumerate(reversed(paths)):
        write_lines(path, prose_records(2, start=2 * i))
    assert ingest_paths(store, folder).counts.n_inserted == 6
    files = rows(store, "SELECT file, n_read FROM ingest_file ORDER BY place")
    assert files == [{"file": str(path), "n_read": 2} for path in paths]
    (folder / "note.unknown").write_text("what is this")
    with pytest.raises(UnknownFormat, match=r"note\.unknown"):
        ingest_paths(store, folder)
    assert count(store, "ingest") == 1


@pytest.mark.parametrize("name", ["x.unknown", "x", "x.gz", "jsonl", "x.jsonl.br"])
def test_unknown_format(store: Store, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'{"text":"a"}\n')
    with pytest.raises(UnknownFormat, match=r"Parquet .*JSON Lines"):
        ingest_paths(store, path)
    assert count(store, "ingest") == 0


def test_one_bad_file_among_good_ones_stops_before_anything_is_read(store: Store, tmp_path: Path) -> None:
    good = write_lines(tmp_path / "good.jsonl", prose_records(2))
    with pytest.raises(UnreadableFile):
        ingest_paths(store, good, tmp_path / "none.jsonl")
    assert count(store, "document") == 0


# ---------------------------------------------------------------- Parquet


def test_parquet(store: Store, tmp_path: Path) -> None:
    texts_ = [one["text"] for one in prose_records(10_000, n_words=6)]
    path = write_parquet(tmp_path / "x.parquet", {"text": texts_, "id": list(range(10_000))}, row_group_size=1000)
    report = ingest_paths(store, path)
    assert report.counts.n_inserted == 10_000
    assert texts(store) == sorted(texts_)
    assert ingest_paths(store, path).counts.n_present == 10_000


def test_parquet_without_the_name(store: Store, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "part-0000", {"text": ["a b"]})
    assert ingest_paths(store, path).counts.n_inserted == 1


def test_parquet_without_the_field(store: Store, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"body": ["a"], "title": ["b"]})
    with pytest.raises(FieldMissing, match="It has: body, title") as caught:
        ingest_paths(store, path)
    assert "--text-field" in str(caught.value)
    assert ingest_paths(store, path, options=IngestOptions(mapping=FieldMapping(text="body"))).counts.n_inserted == 1


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no Parquet at all", b"PAR1" + bytes(100) + b"PAR1", b"PAR1" * 3])
def test_what_is_no_parquet(store: Store, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    with pytest.raises(UnreadableFile, match="no Parquet after row 0") as caught:
        ingest_paths(store, path)
    assert "\n" not in str(caught.value)


def test_truncated_parquet(store: Store, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"text": [one["text"] for one in prose_records(100)]})
    whole = path.read_bytes()
    for length in range(0, len(whole), len(whole) // 9):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableFile):
            ingest_paths(store, path)
    path.write_bytes(whole)
    assert ingest_paths(store, path).counts.n_inserted == 100


def test_parquet_with_a_hole(store: Store, tmp_path: Path) -> None:
    chance = Random(1)
    values = [f"{chance.random()} {chance.random()} {chance.random()}" for _ in range(30_000)]
    path = write_parquet(tmp_path / "x.parquet", {"text": values}, row_group_size=5000, use_dictionary=False)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    with pytest.raises(UnreadableFile, match=r"after row \d+"):
        ingest_paths(store, path)
    n = count(store, "document")
    assert 0 < n < 30_000
    assert texts(store) == sorted(values[:n])
    path.write_bytes(whole)
    assert ingest_paths(store, path).counts.n_inserted == 30_000


def test_parquet_with_two_columns_of_a_name(store: Store, tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["text", "x", "x"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(UnreadableFile, match="two columns named 'x'"):
        ingest_paths(store, tmp_path / "x.parquet")


def invalid() -> list[tuple[str, pa.Array]]:
    """Return columns whose second value nobody can read."""
    text = broken_text(b"fine", b"\xff\xfe broken", b"fine too")
    large = text.view(pa.binary()).cast(pa.large_binary()).view(pa.large_string())
    return [
        ("text", text),
        ("large text", large),
        ("dictionary", pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), text)),
        ("struct", pa.StructArray.from_arrays([text], ["inner"])),
        ("list", pa.ListArray.from_arrays([0, 1, 2, 3], text)),
        ("map", pa.MapArray.from_arrays([0, 1, 2, 3], pa.array(["k", "k", "k"]), text)),
    ]


@pytest.mark.parametrize(("kind", "column"), invalid(), ids=[kind for kind, _ in invalid()])
def test_parquet_with_invalid_utf8(store: Store, tmp_path: Path, kind: str, column: pa.Array) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"text": ["one a", "two b", "three c"], "extra": column})
    report = ingest_paths(store, path)
    assert report.reasons == {INVALID_UTF8: 1}
    assert texts(store) == ["one a", "three c"]
    (row,) = rows(store, "SELECT * FROM quarantined")
    assert (row["place"], row["detail"]) == ("row 2", "column 'extra'")
    assert rb"\\xff\\xfe broken" in row["raw"], "the bytes are kept, as Python writes them"
    assert b"two b" in row["raw"], "and so is the rest of the row"


def test_parquet_with_invalid_utf8_in_the_text(store: Store, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"text": broken_text(b"a b", b"\xe9", b"c d"), "id": [1, 2, 3]})
    assert ingest_paths(store, path).reasons == {INVALID_UTF8: 1}
    assert rows(store, "SELECT raw FROM quarantined") == [{"raw": rb'{"text":"b' + rb"'\\xe9'" + rb'","id":2}'}]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 2**62], pa.timestamp("us")),
        pa.array([0, 2**30], pa.date32()),
        pa.array([0, 2**62], pa.duration("s")),
    ],
    ids=["timestamp", "date", "duration"],
)
def test_parquet_with_times_that_python_lacks(store: Store, tmp_path: Path, column: pa.Array) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"text": ["one", "two"], "when": column})
    assert ingest_paths(store, path).reasons == {WRONG_TYPE: 1}
    (row,) = rows(store, "SELECT raw FROM quarantined")
    assert str(column.cast(pa.int64() if column.type != pa.date32() else pa.int32())[1].as_py()).encode() in row["raw"]


@pytest.mark.parametrize(
    "column", [pa.array([b"a"]), pa.array([1]), pa.array([["a"]]), pa.array([{"a": "b"}]), pa.array([True])], ids=str
)
def test_parquet_text_of_another_type(store: Store, tmp_path: Path, column: pa.Array) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"text": column})
    assert ingest_paths(store, path).reasons == {WRONG_TYPE: 1}


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_parquet_text_types(store: Store, tmp_path: Path, kind: pa.DataType) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"text": pa.array(["a b", None, "c é"], pa.string()).cast(kind)})
    assert ingest_paths(store, path).counts.n_quarantined == 1
    assert texts(store) == ["a b", "c é"]


# ---------------------------------------------------------------- sources and claims


def test_an_unknown_source_needs_an_origin(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", prose_records(1))
    add_source(store, Source("books", Claim.make("human")))
    with pytest.raises(UnknownSource, match="Did you mean 'books'"):
        ingest_paths(store, path, source="boks", origin=None)
    assert count(store, "ingest") == 0
    assert ingest_paths(store, path, origin=None).counts.n_inserted == 1


def test_a_source_keeps_what_it_was_declared_with(store: Store) -> None:
    source = Source("books", Claim.make("human"), "MIT", "https://example.org", "note")
    assert add_source(store, source)
    assert not add_source(store, source)
    for other in (
        Source("books", Claim.make("unknown"), "MIT", "https://example.org", "note"),
        Source("books", Claim.make("human"), None, "https://example.org", "note"),
        Source("books", Claim.make("human"), "MIT", None, "note"),
        Source("books", Claim.make("human"), "MIT", "https://example.org", None),
    ):
        with pytest.raises(SourceExists, match="choose another name"):
            add_source(store, other)
    assert count(store, "source") == count(store, "evidence") == 1


def test_a_contradictory_claim_never_reaches_the_store() -> None:
    with pytest.raises(ContradictoryClaim):
        Claim.make("human", generation=2)


def test_every_reader_says_what_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"")
    assert reader_for(Input(str(path))).formats
    assert os.listdir(tmp_path) == ["x.jsonl"]
