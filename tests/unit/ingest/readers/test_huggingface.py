"""Datasets of the library `datasets`: local folders of every kind, names, failures, and the command line."""

from __future__ import annotations

import json
import pickle
import socket
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import FieldMissing, MissingExtra, UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.readers import huggingface, reader_for
from provenance.ingest.readers.base import ReadOptions
from provenance.ingest.readers.huggingface import HuggingFaceReader
from provenance.store.store import Store
from tests.factories import broken_text, count, prose, provenance, read_chunks, write_lines, write_parquet
from tests.strategies import unicode_texts

datasets = pytest.importorskip("datasets")

READER = HuggingFaceReader()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with datasets of every local kind."""
    datasets.disable_progress_bars()
    root = tmp_path_factory.mktemp("datasets")
    for kind in ("lines", "parquet", "csv", "text"):
        (root / kind).mkdir()
    write_lines(root / "lines" / "train.jsonl", [{"text": prose(i), "n": i} for i in range(700)])
    write_lines(root / "lines" / "test.jsonl", [{"text": prose(1000), "n": 0}])
    for shard in range(2):
        write_parquet(root / "parquet" / f"train-{shard:05d}-of-00002.parquet", {"text": [f"p{shard}", f"q{shard}"]})
    (root / "csv" / "a.csv").write_text("text,n\nx,1\ny,2\n")
    (root / "text" / "a.txt").write_text("x\ny\n")
    plain = datasets.Dataset.from_dict({"text": [prose(i) for i in range(9)]})
    plain.save_to_disk(root / "saved", num_shards=3)
    one = datasets.Dataset.from_dict({"text": ["b1", "b2"], "n": [1, 2]})
    two = datasets.Dataset.from_dict({"text": ["a1"], "n": [3]})
    datasets.DatasetDict({"b": one, "a": two}).save_to_disk(root / "splits")
    return root


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Refuse every connection and return the list of those that were tried."""
    tried: list[object] = []

    def refused(*arguments: object, **_more: object) -> None:
        tried.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    yield tried
    assert tried == []


def read(name: Path | str, **options: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """Return places and records of a dataset; blocks go through pickle, as between processes."""
    chosen, places, records = ReadOptions(**options), [], []
    for block in READER.blocks(Input(f"datasets:{name}"), chosen):
        chunk = READER.parse(pickle.loads(pickle.dumps(block)), chosen)  # noqa: S301 - our own bytes
        places += chunk.places
        records += chunk.records
    return places, records


def saved(path: Path, columns: dict[str, Any], features: dict[str, Any] | None = None) -> Path:
    made = datasets.Dataset.from_dict(columns, features=features and datasets.Features(features))
    made.save_to_disk(path)
    return path


# ---------------------------------------------------------------- what is read


def test_all_splits_of_a_folder_are_read_in_order_without_network(folders: Path, no_network: list[object]) -> None:
    places, records = read(folders / "lines")
    assert places == [*(f"train row {i}" for i in range(1, 701)), "test row 1"]
    assert records[699] == {"text": prose(699), "n": 699, "split": "train"}
    assert records[700] == {"text": prose(1000), "n": 0, "split": "test"}
    assert read(folders / "lines") == (places, records)
    assert read(f"{folders}/lines?split=test") == (places[700:], records[700:])


@pytest.mark.parametrize(
    ("kind", "texts"), [("parquet", ["p0", "q0", "p1", "q1"]), ("csv", ["x", "y"]), ("text", ["x", "y"])]
)
def test_files_of_every_kind(folders: Path, kind: str, texts: list[str], no_network: list[object]) -> None:
    places, records = read(folders / kind)
    assert [record["text"] for record in records] == texts
    assert places == [f"train row {i + 1}" for i in range(len(texts))]


def test_saved_datasets(folders: Path, no_network: list[object]) -> None:
    places, records = read(folders / "saved")
    assert places == [f"row {i}" for i in range(1, 10)]
    assert records == [{"text": prose(i)} for i in range(9)]
    places, records = read(folders / "splits")
    assert places == ["b row 1", "b row 2", "a row 1"]
    assert records[2] == {"text": "a1", "n": 3, "split": "a"}
    assert read(f"{folders}/splits?split=a") == (places[2:], records[2:])


def test_a_folder_may_have_a_question_mark(tmp_path: Path) -> None:
    assert read(saved(tmp_path / "why?split=x", {"text": ["a"]}))[1] == [{"text": "a"}]


def test_values_of_many_types(tmp_path: Path) -> None:
    columns = {
        "text": ["a", "b"],
        "label": [0, 1],
        "grid": [[[1, 2], [3, 4]]] * 2,
        "image": [None, {"bytes": b"abc", "path": "p.png"}],
        "when": [datetime(2020, 1, 2)] * 2,  # noqa: DTZ001 - as the library stores it
        "nested": [{"a": [{"b": "é"}]}, None],
    }
    features = {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["neg", "pos"]),
        "grid": datasets.Array2D((2, 2), "int32"),
        "image": datasets.Image(),
        "when": datasets.Value("timestamp[s]"),
        "nested": {"a": [{"b": datasets.Value("string")}]},
    }
    _, (first, second) = read(saved(tmp_path / "rich", columns, features))
    assert first["grid"] == [[1, 2], [3, 4]]
    assert (first["image"], first["nested"]) == (None, {"a": [{"b": "é"}]})
    assert second["label"] == 1
    assert second["when"] == columns["when"][1]
    assert (second["image"]["path"], second["image"]["size_bytes"]) == ("p.png", 3)
    assert second["image"]["sha256"].startswith("ba7816bf")


def test_mixed_types_of_json_come_back_as_they_stood(tmp_path: Path) -> None:
    lines = [{"text": "a", "m": 1}, {"text": "b", "m": {"k": [1, "x"]}}, {"text": 3, "m": None}]
    write_lines(tmp_path / "train.jsonl", lines)
    assert read(tmp_path)[1] == [{**line, "split": "train"} for line in lines]


def test_a_column_named_split_is_kept(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", [{"text": "a", "split": "mine"}])
    assert read(tmp_path) == (["train row 1"], [{"text": "a", "split": "mine"}])


def test_nested_metadata_with_a_split_is_kept(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", [{"text": "a", "metadata": {"split": "mine"}}])
    assert read(tmp_path)[1] == [{"text": "a", "metadata": {"split": "mine"}}]


def test_a_value_that_python_cannot_take_is_refused(tmp_path: Path) -> None:
    table = pa.table({"text": broken_text(b"good", b"\xff", b"fine")})
    datasets.Dataset(table).save_to_disk(tmp_path / "bad")
    (chunk,) = read_chunks(READER, f"datasets:{tmp_path}/bad")
    assert chunk.places == ["row 1", "row 3"]
    assert [(one.place, one.reason, one.n_before) for one in chunk.refused] == [("row 2", "invalid UTF-8", 1)]


def test_blocks_hold_no_more_than_their_rows(folders: Path) -> None:
    blocks = list(READER.blocks(Input(f"datasets:{folders}/lines"), ReadOptions()))
    assert [block.n_records for block in blocks] == [512, 188, 1]
    assert len(pickle.dumps(blocks[2])) < 4000


def test_the_stamp_tells_versions_apart(tmp_path: Path) -> None:
    stamps = []
    for i in range(2):
        (tmp_path / f"{i}").mkdir()
        write_lines(tmp_path / f"{i}" / "train.jsonl", [{"text": prose(i)}])
        for name in (f"{i}", f"saved{i}"):
            if name.startswith("saved"):
                saved(tmp_path / name, {"text": [prose(i)]})
            file = Input(f"datasets:{tmp_path}/{name}")
            assert file.stamp is None
            list(READER.blocks(file, ReadOptions()))
            stamps.append(file.stamp)
    assert None not in stamps
    assert len(set(stamps)) == 4


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "splits?spilt=a",
            r"'spilt' is no parameter. Did you mean 'split'\? Expected some of: config, split, revision",
        ),
        ("splits?split=a&split=b", "split stands twice"),
        ("splits?split=", "split has no value"),
        ("splits?split=z", "there is no split 'z'. Expected one of: b, a"),
        ("splits?config=c", "has no configs"),
        ("saved?split=z", "It is a single table: leave out split"),
        ("lines?split=z", "there is no split 'z'. Expected one of: train, test"),
        ("lines?config=z", "'z' not found. Available: .'default'.."),
        ("lines?revision=main", "no revisions"),
        ("lines/train.jsonl", "is a file"),
        ("nothing", "there is no folder"),
    ],
)
def test_a_name_that_does_not_fit_is_one_line(folders: Path, name: str, message: str, no_network: list[object]) -> None:
    with pytest.raises(UnreadableFile, match=message) as caught:
        read(folders / name)
    assert "\n" not in str(caught.value)


def test_names_that_stand_for_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "a.jsonl", [{"text": "never read"}])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnreadableFile, match="json is a format"):
        read("json")
    with pytest.raises(UnreadableFile, match="it has no name"):
        read("?split=train")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError("Dataset 'a/b' doesn't exist on the Hub.\nMore"), "Dataset 'a/b' doesn't exist on the Hub."),
        (ConnectionError("Couldn't reach 'a/b' on the Hub\n(details)"), "Couldn't reach 'a/b' on the Hub"),
        (ValueError("Config name is missing.\nPick one: ['x']\nExample of usage: z"), "missing. Pick one: ['x']"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_failures_of_the_hub_are_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception, message: str) -> None:
    asked = []

    def failing(*arguments: object, **more: object) -> None:
        asked.append((arguments, more))
        raise error

    monkeypatch.setattr(datasets, "load_dataset_builder", failing)
    with pytest.raises(UnreadableFile) as caught:
        read("a/b?config=c&revision=r%2F1")
    assert f"({message})" in str(caught.value) or f"{message})" in str(caught.value)
    assert asked == [(("a/b",), {"name": "c", "revision": "r/1"})]


def test_the_rows_before_a_failure_are_read(tmp_path: Path) -> None:
    write_lines(tmp_path / "train-0.jsonl", [{"text": f"t{i}"} for i in range(600)])
    write_lines(tmp_path / "train-1.jsonl", [b'{"text": broken'])
    blocks = READER.blocks(Input(f"datasets:{tmp_path}"), ReadOptions())
    assert next(blocks).n_records == 512
    with pytest.raises(UnreadableFile, match=r"train failed after row 512 \(JSON parse error") as caught:
        list(blocks)
    assert "\n" not in str(caught.value)


def test_a_damaged_table_is_reported(tmp_path: Path) -> None:
    folder = saved(tmp_path / "saved", {"text": ["a"] * 50})
    (file,) = folder.glob("*.arrow")
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(UnreadableFile, match="it cannot be opened"):
        read(folder)


def test_a_missing_column_is_reported_before_reading(folders: Path) -> None:
    with pytest.raises(FieldMissing, match="It has: text, n") as caught:
        next(READER.blocks(Input(f"datasets:{folders}/lines"), ReadOptions(fields=("body",))))
    assert caught.value.fields == ("text", "n")


def test_unknown_columns_are_found_in_the_first_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    table = datasets.IterableDataset.from_generator(lambda: iter([{"a": "x"}]))
    assert table.features is None
    monkeypatch.setattr(huggingface, "_opened", lambda _: ({"train": table}, None))
    with pytest.raises(FieldMissing, match="It has: a"):
        read("some/name")
    assert read("some/name", fields=("a",))[1] == [{"a": "x", "split": "train"}]


def test_without_the_library_its_extra_is_named(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"corpus-provenance\[hf\]"):
        read(folders / "saved")


# ---------------------------------------------------------------- any table

_VALUES = st.one_of(st.none(), unicode_texts)
_COLUMNS: tuple[st.SearchStrategy[Any], ...] = (
    _VALUES,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.binary(max_size=4),
    st.none() | st.lists(_VALUES, max_size=2),
    st.none() | st.fixed_dictionaries({"a": _VALUES, "b": st.lists(st.floats(), max_size=2)}),
    st.none(),
    st.none() | st.datetimes(),
)


@settings(max_examples=20)
@given(data=st.data())
def test_any_table_is_read_whole_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, 9), "rows")
    kinds = data.draw(st.lists(st.sampled_from(_COLUMNS), max_size=3), "columns")
    columns = {f"c{i}": data.draw(st.lists(kind, min_size=n, max_size=n)) for i, kind in enumerate(kinds)}
    columns["text"] = data.draw(st.lists(_VALUES, min_size=n, max_size=n))
    folder = tmp_path_factory.mktemp("any") / "saved"
    datasets.disable_progress_bars()
    datasets.Dataset(pa.table(columns)).save_to_disk(folder, num_shards=data.draw(st.integers(1, n), "shards"))
    outcomes = []
    for n_rows in (512, data.draw(st.integers(1, 4), "cut")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(huggingface, "_ROWS", n_rows)
            chunks = list(read_chunks(READER, f"datasets:{folder}"))
        records = [record for chunk in chunks for record in chunk.records]
        assert len(records) + sum(len(chunk.refused) for chunk in chunks) == n
        places = [place for chunk in chunks for place in chunk.places]
        raws = [chunk.raw(i) for chunk in chunks for i in range(len(chunk.records))]
        outcomes.append((places, raws))
    assert outcomes[0] == outcomes[1]
    assert [record["text"] for record in records] == columns["text"]


# ---------------------------------------------------------------- the command line


def ingested(store: Path, *arguments: object) -> dict[str, Any]:
    answer = provenance("--store", store, "ingest", *arguments, "--source", "hf", "--origin", "human", "--json")
    assert answer.code == 0, answer.err
    report: dict[str, Any] = json.loads(answer.out)
    return report


def test_a_dataset_is_ingested_once(tmp_path: Path, folders: Path) -> None:
    path = tmp_path / "s.duckdb"
    Store.create(path).close()
    assert isinstance(reader_for(Input(f"datasets:{folders}/saved")), HuggingFaceReader)
    answer = provenance(
        "--store", path, "ingest", f"datasets:{folders}/lines", "--source", "hf", "--dry-run", "--origin", "human"
    )
    assert answer.code == 0, answer.err
    assert prose(0)[:20] in answer.out
    with Store.open(path) as store:
        assert count(store, "documents") == 0
    first = ingested(path, f"datasets:{folders}/lines", "--jobs", "2")
    assert (first["n_read"], first["n_inserted"]) == (701, 701)
    again = ingested(path, f"datasets:{folders}/lines", "--jobs", "1")
    assert (again["n_inserted"], again["n_quarantined"]) == (0, 0)
    with Store.open(path) as store:
        found = store.fetch("SELECT metadata->>'split' AS split, count(*) AS n FROM documents GROUP BY 1 ORDER BY 1")
        assert found.to_pylist() == [{"split": "test", "n": 1}, {"split": "train", "n": 700}]
        stamps = store.fetch("SELECT stamp, sha256 FROM ingest_file").to_pylist()
    assert all(row["stamp"] and row["sha256"] is None for row in stamps)


def test_the_text_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    Store.create(path).close()
    folder = saved(tmp_path / "saved", {"body": [prose(1), None]})
    answer = provenance("--store", path, "ingest", folder, "--source", "hf", "--origin", "human", "--jobs", "1")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "has no field 'text'. It has: body." in answer.err
    report = ingested(path, folder, "--text-field", "body", "--jobs", "1", "--max-quarantined", "1")
    assert (report["n_inserted"], report["n_quarantined"]) == (1, 1)
