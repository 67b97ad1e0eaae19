"""A dry run says what the ingest then does, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.cli.previewing import print_preview
from provenance.errors import FieldMissing, UnknownFormat, UnknownSource, UnreadableFile
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.pipeline import IngestOptions, ingest_files
from provenance.ingest.preview import SHOWN_CHARACTERS, preview
from provenance.ingest.sources import Source, add_source
from provenance.records import Claim
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import json_lines, prose, prose_records, write_lines, write_parquet

HUMAN = Claim.make("human", generation=None, model=None)

LINES: Sequence[Mapping[str, Any] | bytes] = (
    {"id": 1, "body": "A text.\nTwo lines.", "by": "Ann", "date": "2019-03", "tags": ["a"], "meta": {"place": "Rome"}},
    b"no json",
    {"id": 2, "body": ""},
    {"id": 3, "body": "More text.", "origin": "synthetic", "generation": 2, "model": "m", "licence": "CC BY-SA 4.0"},
    {"id": 4, "body": prose(1, n_words=200), "url": "https://example.com/4", "license": "mit"},
    {"id": 5, "body": 7},
    {"id": 6, "body": "Last text."},
)  # fmt: skip
MAPPING = FieldMapping(text="body", author="by", title="meta.place")
OPTIONS = IngestOptions(mapping=MAPPING, max_quarantined=1.0)


def test_it_says_what_the_ingest_does(store: Store, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl.gz", LINES)
    found = preview(store, [file], source="s", claim=HUMAN, licence="CC0-1.0", options=OPTIONS, n_shown=4)
    assert store.fetch("SELECT count(*) AS n FROM documents")["n"][0].as_py() == 0
    assert store.fetch("SELECT count(*) AS n FROM source")["n"][0].as_py() == 0
    report = ingest_files(store, [file], source="s", claim=HUMAN, licence="CC0-1.0", options=OPTIONS)
    assert (found.n_read, found.n_valid) == (report.counts.n_read, report.counts.n_inserted) == (7, 4)
    assert {reason: one.n_records for reason, one in found.reasons.items()} == report.reasons
    assert found.is_whole and found.is_new_source and not found.warnings

    stored = {row["external_id"]: row for row in store.fetch("FROM documents").to_pylist()}
    assert [record["external_id"] for record in found.records] == ["1", "3", "4", "6"]
    for record in found.records:
        row = stored[record["external_id"]]
        shown = {name: value for name, value in record.items() if name not in ("file", "place")}
        assert {name: str(value) for name, value in shown.items()} == {name: str(row[name]) for name in shown}
    assert [(one["file"], one["place"]) for one in found.records[:2]] == [(str(file), "line 1"), (str(file), "line 4")]

    quarantined = store.fetch("SELECT reason, min_by(place, place) AS place FROM quarantined GROUP BY ALL").to_pylist()
    assert {one["reason"]: one["place"] for one in quarantined} == {
        reason: one.place for reason, one in found.reasons.items()
    }


def test_what_becomes_of_the_fields(store: Store, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", LINES)
    found = preview(store, [file], source="s", claim=HUMAN, options=OPTIONS)
    assert found.columns == {
        "id": "external_id", "body": "text", "by": "author", "date": "authored_at", "meta.place": "title",
        "origin": "origin", "generation": "generation", "model": "model", "licence": "licence", "url": "uri",
        "license": "licence",
    }  # fmt: skip
    assert found.metadata_fields == ("tags", "meta")
    assert found.absent == {}

    other = IngestOptions(mapping=FieldMapping(text="body", author="writer"))
    found = preview(store, [file], source="s", claim=HUMAN, options=other)
    assert found.absent == {"writer": "author"}
    assert "by" in found.metadata_fields
    (warning,) = found.warnings
    assert "'writer'" in warning and "body, by, date" in warning


@pytest.mark.parametrize("is_writable", [True, False])
def test_nothing_is_written(make_store: Maker, tmp_path: Path, is_writable: bool) -> None:
    made = make_store("s.duckdb")
    add_source(made, Source("known", HUMAN, "CC-BY-4.0", "https://example.com"))
    made.close()
    before = sha256((tmp_path / "s.duckdb").read_bytes()).hexdigest()
    file = write_lines(tmp_path / "a.jsonl", prose_records(5))
    with Store.open(tmp_path / "s.duckdb", writable=is_writable) as store:
        found = preview(store, [file], source="known")
        assert (found.n_valid, found.is_new_source) == (5, False)
        assert found.records[0]["licence"] == "CC-BY-4.0"
        assert found.records[0]["uri"] == "https://example.com"
        assert preview(store, [file], source="new", claim=HUMAN).is_new_source
        with pytest.raises(UnknownSource, match="Did you mean 'known'"):
            preview(store, [file], source="knwn")
    assert sha256((tmp_path / "s.duckdb").read_bytes()).hexdigest() == before


_lines = st.lists(
    st.sampled_from([b'{"text": "good"}', b"{}", b"no json", b"", b'{"text": ""}', b'{"text": "' + b"x" * 300 + b'"}'])
)


@given(lines=_lines, n_most=st.integers(1, 12), chunk_bytes=st.sampled_from([1, 16, 1 << 20]))
def test_the_first_records_are_those_of_a_shorter_file(
    make_store: Maker, tmp_path: Path, lines: list[bytes], n_most: int, chunk_bytes: int
) -> None:
    options = IngestOptions(max_record_bytes=100, chunk_bytes=chunk_bytes)
    records = [i for i, line in enumerate(lines) if line]
    n_lines = records[n_most - 1] + 1 if len(records) >= n_most else len(lines)
    whole = write_lines(tmp_path / "whole.jsonl", lines)
    short = write_lines(tmp_path / "short.jsonl", lines[:n_lines])
    with _opened(make_store, tmp_path) as store:
        found = preview(store, [whole], source="s", claim=HUMAN, options=options, max_records=n_most)
        expected = preview(store, [short], source="s", claim=HUMAN, options=options)
    assert found.n_read == expected.n_read == min(n_most, len(records))
    assert found.n_valid == expected.n_valid
    assert {reason: (one.n_records, one.place) for reason, one in found.reasons.items()} == {
        reason: (one.n_records, one.place) for reason, one in expected.reasons.items()
    }
    assert [one["place"] for one in found.records] == [one["place"] for one in expected.records]
    assert found.is_whole == (len(records) <= n_most)
    assert expected.is_whole


def _opened(make_store: Maker, tmp_path: Path) -> Store:
    path = tmp_path / "examples.duckdb"
    if not path.exists():
        make_store(path.name).close()
    return Store.open(path)


def test_every_input_has_its_share(store: Store, tmp_path: Path) -> None:
    files = [write_lines(tmp_path / f"{i}.jsonl", prose_records(n)) for i, n in enumerate((50, 3, 50))]
    found = preview(store, files, source="s", claim=HUMAN, max_records=30)
    assert [(one.n_read, one.is_whole) for one in found.files] == [(10, False), (3, True), (17, False)]
    assert not found.is_whole
    found = preview(store, files, source="s", claim=HUMAN, max_records=2)
    assert [one.n_read for one in found.files] == [1, 1]
    assert found.n_files_left == 1
    found = preview(store, files, source="s", claim=HUMAN)
    assert (found.n_read, found.is_whole) == (103, True)


def test_an_input_that_is_damaged_midway(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_lines(tmp_path / "a.jsonl.gz", prose_records(500))
    file.write_bytes(file.read_bytes()[:-2000])
    later = write_lines(tmp_path / "b.jsonl", prose_records(5))
    found = preview(store, [file, later], source="s", claim=HUMAN, max_records=1000)
    assert isinstance(found.error, UnreadableFile)
    assert 0 < found.n_valid < 500
    assert found.n_files_left == 1
    assert not found.is_whole
    with pytest.raises(UnreadableFile):
        print_preview(found)
    assert "Record 1" in capsys.readouterr().out


def test_inputs_that_cannot_be_read_at_all(store: Store, tmp_path: Path) -> None:
    parquet = write_parquet(tmp_path / "a.parquet", {"body": ["x"]})
    with pytest.raises(FieldMissing, match="It has: body"):
        preview(store, [parquet], source="s", claim=HUMAN)
    with pytest.raises(UnreadableFile):
        preview(store, [tmp_path / "missing.jsonl"], source="s", claim=HUMAN)
    odd = tmp_path / "a.odd"
    odd.write_bytes(b"\0\1\2")
    with pytest.raises(UnknownFormat):
        preview(store, [odd], source="s", claim=HUMAN)
    odd.write_bytes(json_lines(prose_records(2)))
    named = preview(store, [odd], source="s", claim=HUMAN, options=IngestOptions(format_name="jsonl"))
    assert named.n_valid == 2


def test_a_warning_where_the_ingest_would_stop(store: Store, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", [*prose_records(985), *[{"id": "x"}] * 15])
    found = preview(store, [file], source="s", claim=HUMAN)
    assert found.warnings == [
        "1.5% of these records would be quarantined: an ingest stops above 1.0% (--max-quarantined)."
    ]
    assert not preview(store, [file], source="s", claim=HUMAN, options=IngestOptions(max_quarantined=0.02)).warnings


def test_printed(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = {"id": "\x1b[31m", "text": "word " * 1000, "metadata": {"k": [1]}}
    file = write_lines(tmp_path / "a.jsonl", [long, b"no json", *prose_records(20)])
    found = preview(store, [file], source="s", claim=HUMAN, max_records=10)
    print_preview(found)
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "s (new): 10 records read = 9 valid + 1 that would be quarantined. Nothing was written." in shown.out
    assert "These are the first records only." in shown.out
    assert "\x1b" not in shown.out
    assert max(map(len, shown.out.splitlines())) < SHOWN_CHARACTERS + 40
    assert "Record 3" in shown.out and "Record 4" not in shown.out

    print_preview(found, as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert (data["n_read"], data["n_valid"], data["n_quarantined"], data["is_whole"]) == (10, 9, 1, False)
    assert data["records"][0]["metadata"] == {"k": [1]}
    assert len(data["records"][0]["text"]) == SHOWN_CHARACTERS
    assert data["records"][0]["text"].endswith("…")
    assert data["reasons"]["bad JSON"]["place"] == "line 2"
    assert data["columns"] == {"id": "external_id", "text": "text", "metadata": "metadata"}
