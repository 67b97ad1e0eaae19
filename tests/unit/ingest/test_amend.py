"""A corrected file ingested again amends what the store says of its documents, and keeps what it said before."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from provenance.ingest import tasks
from provenance.ingest.readers import records as records_reader
from provenance.ingest.sources import Source, add_source
from provenance.records import Claim
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import (
    count,
    dump,
    ingest,
    ingest_paths,
    prose,
    prose_records,
    provenance,
    rows,
    violations,
    write_lines,
)

BEFORE = {
    "author": "Anon", "date": "1790", "collected_at": "2020-01-01", "licence": "MIT", "title": "A speech",
    "uri": "https://example.org/1", "year": 1790,
}  # fmt: skip
AFTER = {
    "author": "Washington", "date": "1791-10-25", "collected_at": "2021-02-03T04:05:06+01:00",
    "licence": "GPL-3.0-only", "title": "Third address", "uri": "https://example.org/3", "year": 1791,
}  # fmt: skip
#: field of a record -> column, previous value and value as the amendment keeps them, and the column's new value
FIELDS: dict[str, tuple[str, str, str, Any]] = {
    "author": ("author", "Anon", "Washington", "Washington"),
    "date": ("authored_at", "1790-01-01 00:00:00", "1791-10-25 00:00:00", datetime.fromisoformat("1791-10-25")),
    "collected_at": (
        "collected_at",
        "2020-01-01 00:00:00",
        "2021-02-03 03:05:06",
        datetime.fromisoformat("2021-02-03T03:05:06"),
    ),
    "licence": ("licence", "MIT", "GPL-3.0-only", "GPL-3.0-only"),
    "title": ("title", "A speech", "Third address", "Third address"),
    "uri": ("uri", "https://example.org/1", "https://example.org/3", "https://example.org/3"),
    "year": ("metadata", '{"year":1790}', '{"year":1791}', '{"year":1791}'),
}


def record(**fields: Any) -> dict[str, Any]:
    return {"id": "speech", "text": prose(1), **fields}


def document(store: Store, external_id: str = "speech") -> dict[str, Any]:
    (row,) = rows(store, "SELECT * FROM document WHERE external_id = :id", id=external_id)
    return row


def amendments(store: Store) -> list[dict[str, Any]]:
    return rows(store, "SELECT * FROM amendment ORDER BY stated_at, field")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "TASK_RECORDS", 1)
    monkeypatch.setattr(records_reader, "_RECORDS", 1)


@pytest.mark.parametrize("field", FIELDS)
def test_one_field(store: Store, field: str) -> None:
    """Only that field changes, and the amendment tells from what and by which run."""
    column, previous, value, stored = FIELDS[field]
    ingest(store, [record(**BEFORE), *prose_records(3)])
    before = document(store)
    report = ingest(store, [record(**{field: AFTER[field]}), *prose_records(3)])
    counts = report.counts
    assert (counts.n_read, counts.n_inserted, counts.n_present, counts.n_amended) == (4, 0, 4, 1)
    after = document(store)
    assert after[column] == stored
    assert {name for name in after if after[name] != before[name]} == {column} | (
        {"licence_class", "stated_licence_class"} if field == "licence" else set()
    )
    (row,) = amendments(store)
    (run,) = rows(store, "SELECT * FROM ingest ORDER BY started_at DESC LIMIT 1")
    assert row == {
        "document_id": after["document_id"],
        "ingest_id": run["ingest_id"],
        "field": column,
        "previous": previous,
        "value": value,
        "stated_at": run["started_at"],
    }
    assert str(run["ingest_id"]) == str(report.ingest_id)
    assert run["n_amended"] == 1
    assert str(after["ingest_id"]) != str(report.ingest_id), "who brought the document in stays"
    assert violations(store) == []


def test_all_fields_at_once_and_again(store: Store) -> None:
    ingest(store, [record(**BEFORE)])
    assert ingest(store, [record(**AFTER)]).counts.n_amended == 1, "one document, whatever the number of fields"
    found = {row["field"]: (row["previous"], row["value"]) for row in amendments(store)}
    assert found == {column: (previous, value) for column, previous, value, _ in FIELDS.values()}
    before = dump(store, without=["ingest"])
    assert ingest(store, [record(**AFTER)]).counts.n_amended == 0
    assert dump(store, without=["ingest"]) == before
    assert ingest(store, [record(**BEFORE)]).counts.n_amended == 1, "and back"
    back = [(row["previous"], row["value"]) for row in amendments(store)[len(FIELDS) :]]
    assert sorted(back) == sorted((value, previous) for _, previous, value, _ in FIELDS.values())
    assert violations(store) == []


@pytest.mark.parametrize(
    "silent", [{}, dict.fromkeys(AFTER), {"author": "", "licence": "", "date": None, "metadata": {}}], ids=str
)
def test_what_is_missing_changes_nothing(store: Store, silent: dict[str, Any]) -> None:
    ingest(store, [record(**BEFORE)])
    before = dump(store, without=["ingest"])
    silent = {name: value for name, value in silent.items() if name != "year"}
    assert ingest(store, [record(**silent)]).counts.n_amended == 0
    assert dump(store, without=["ingest"]) == before


def test_what_was_missing_is_filled_in(store: Store) -> None:
    ingest(store, [record()])
    assert ingest(store, [record(author="Washington")]).counts.n_amended == 1
    (row,) = amendments(store)
    assert (row["field"], row["previous"], row["value"]) == ("author", None, "Washington")


def test_the_same_file_twice_amends_nothing(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [record(**BEFORE), record(**AFTER), *prose_records(5)])
    assert ingest_paths(store, path).counts.n_inserted == 6
    before = dump(store, without=["ingest", "ingest_file"])
    for _ in range(2):
        counts = ingest_paths(store, path).counts
        assert (counts.n_present, counts.n_amended) == (7, 0)
    assert dump(store, without=["ingest", "ingest_file"]) == before
    assert document(store)["author"] == "Anon"


@pytest.mark.parametrize("in_batches", [True, False])
def test_the_first_record_of_a_run_counts(make_store: Maker, request: pytest.FixtureRequest, in_batches: bool) -> None:
    """Whether the second one comes in the same batch or in a later one, and whether the first one says anything new."""
    if in_batches:
        request.getfixturevalue("small_batches")
    store = make_store()
    ingest(store, [record(author="Anon"), {**record(author="Anon"), "id": "other"}, *prose_records(2)])
    run = [
        record(author="Washington"),
        {**record(author="Anon"), "id": "other"},
        {"id": "new", "text": prose(7), "author": "Adams"},
        *prose_records(2),
        record(author="Jefferson", title="Mine"),
        {**record(author="Jefferson"), "id": "other"},
        {"id": "new", "text": prose(7), "author": "Jefferson"},
    ]
    counts = ingest(store, run).counts
    assert (counts.n_inserted, counts.n_present, counts.n_amended) == (1, 7, 1)
    assert [document(store, one)["author"] for one in ("speech", "other", "new")] == ["Washington", "Anon", "Adams"]
    assert document(store)["title"] is None
    assert [row["value"] for row in amendments(store)] == ["Washington"]
    assert ingest(store, [record(author="Jefferson")]).counts.n_amended == 1, "in the next run it may say so"


def test_other_documents_are_left_alone(store: Store) -> None:
    """The same text under another id or from another source is another document."""
    ingest(store, [record(**BEFORE), {**record(**BEFORE), "id": "twin"}])
    ingest(store, [record(**BEFORE)], source="other")
    ingest(store, [record(author="Washington")])
    authors = rows(store, "SELECT source, external_id, author FROM document ORDER BY ALL")
    assert [row["author"] for row in authors] == ["Washington", "Anon", "Anon"]


def test_origin_and_parents_are_no_description(store: Store) -> None:
    """What a document is is decided by claims, which a run does not take back."""
    ingest(store, [record(**BEFORE)])
    claims = count(store, "evidence")
    counts = ingest(store, [record(origin="synthetic", generation=1, model="m")]).counts
    assert (counts.n_present, counts.n_amended) == (1, 0)
    assert (document(store)["origin"], count(store, "evidence")) == ("human", claims)
    assert violations(store) == []


def test_a_licence_of_the_source_replaces_none_of_a_record(store: Store) -> None:
    """Silence about licence and address in the corrected file is silence, also where the source has some for others."""
    add_source(store, Source("books", Claim.make("human"), "CC0-1.0", "https://example.org/books"))
    own = {"licence": "CC-BY-NC-4.0", "uri": "https://example.org/1"}
    ingest(store, [record(**own), {**record(), "id": "silent"}])
    assert ingest(store, [record(author="Washington"), {**record(), "id": "silent"}]).counts.n_amended == 1
    assert [row["field"] for row in amendments(store)] == ["author"]
    found = document(store)
    assert (found["licence"], found["licence_class"], found["uri"]) == (
        "CC-BY-NC-4.0", "non-commercial", "https://example.org/1",
    )  # fmt: skip
    silent = document(store, "silent")
    assert (silent["licence"], silent["uri"]) == ("CC0-1.0", "https://example.org/books")
    assert violations(store) == []


def test_a_licence_of_the_command_is_said_of_every_record_without_one(store: Store) -> None:
    ingest(store, [record(), {**record(licence="MIT"), "id": "own"}])
    again = [record(), {**record(licence="MIT"), "id": "own"}]
    assert ingest(store, again, licence="CC-BY-4.0").counts.n_amended == 1
    assert [document(store, one)["licence"] for one in ("speech", "own")] == ["CC-BY-4.0", "MIT"]


@pytest.mark.usefixtures("small_batches")
def test_a_licence_changes_its_cluster(store: Store) -> None:
    """The class that counts changes for every copy, and with it which one stands for the cluster."""
    text = prose(1, n_words=300)
    copies = [text, text.replace(text.split()[150], "edited"), text + " more"]
    ingest(store, [{"id": str(i), "text": one, "licence": "MIT"} for i, one in enumerate(copies)])
    (chosen,) = rows(store, "SELECT external_id FROM document WHERE is_representative")
    first = chosen["external_id"]
    assert classes(store) == ["permissive"] * 3
    assert ingest(store, [{"id": first, "text": copies[int(first)], "licence": "CC-BY-NC-4.0"}]).counts.n_amended == 1
    assert classes(store) == ["non-commercial"] * 3
    (chosen,) = rows(store, "SELECT external_id, stated_licence_class FROM document WHERE is_representative")
    assert chosen["external_id"] != first and chosen["stated_licence_class"] == "permissive"
    assert violations(store) == []
    ingest(store, [{"id": first, "text": copies[int(first)], "licence": "CC0-1.0"}])
    assert classes(store) == ["permissive"] * 3
    (chosen,) = rows(store, "SELECT external_id FROM document WHERE is_representative")
    assert chosen["external_id"] == first
    assert [(row["previous"], row["value"]) for row in amendments(store)] == [
        ("MIT", "CC-BY-NC-4.0"), ("CC-BY-NC-4.0", "CC0-1.0"),
    ]  # fmt: skip
    assert violations(store) == []


def classes(store: Store) -> list[str]:
    return [row["licence_class"] for row in rows(store, "SELECT licence_class FROM document ORDER BY external_id")]


def test_a_date_changes_who_stands_for_the_cluster(store: Store) -> None:
    pair = [{"id": "a", "text": prose(1), "date": "1790"}, {"id": "b", "text": prose(1), "date": "1800"}]
    ingest(store, pair)
    assert document(store, "a")["is_representative"]
    ingest(store, [{**pair[1], "date": "1780"}])
    assert document(store, "b")["is_representative"] and not document(store, "a")["is_representative"]
    assert violations(store) == []


def test_command(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    assert provenance("--store", store, "init").code == 0
    path = tmp_path / "x.jsonl"
    command = ("--store", store, "ingest", path, "--source", "s", "--origin", "human")
    write_lines(path, [record(**BEFORE), *prose_records(2)])
    assert "amended" not in provenance(*command).err
    write_lines(path, [record(**AFTER), *prose_records(2)])
    assert "3 records read = 0 inserted + 3 already there (1 amended) + 0 quarantined" in provenance(*command).err
    assert json.loads(provenance(*command, "--json").out)["n_amended"] == 0
