"""What becomes of the fields of a record: claims, licences, dates, parents, metadata; and what one text is twice."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import NameTaken, UnknownName
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.sources import Source, add_source
from provenance.lineage.models import Model, register_model
from provenance.records import Claim
from provenance.store.store import Store
from tests.factories import count, ingest, ingest_paths, prose, prose_records, rows, violations, write_lines

SYNTHETIC = {"origin": "synthetic", "generation": 2, "model": "gpt-x"}


CLAIMS: tuple[tuple[dict[str, Any], dict[str, Any], tuple[Any, ...]], ...] = (
    ({"origin": "human"}, {}, ("human", 0, None, 1)),
    ({"origin": "unknown"}, {}, ("unknown", None, None, 0)),
    (SYNTHETIC, {}, ("synthetic", 2, "gpt-x", 1)),
    ({"origin": "synthetic"}, {}, ("synthetic", None, None, 1)),
    # a record that says more, or otherwise
    ({"origin": "human"}, {"origin": "synthetic"}, ("synthetic", None, None, 1)),
    ({"origin": "human"}, {"origin": "synthetic", "generation": 3, "model": "m"}, ("synthetic", 3, "m", 1)),
    ({"origin": "unknown"}, {"origin": "human"}, ("human", 0, None, 1)),
    ({"origin": "human"}, {"origin": "unknown"}, ("unknown", None, None, 0)),
    (SYNTHETIC, {"origin": "human"}, ("human", 0, None, 1)),
    (SYNTHETIC, {"generation": 5}, ("synthetic", 5, "gpt-x", 1)),
    (SYNTHETIC, {"model": "other"}, ("synthetic", 2, "other", 1)),
    (SYNTHETIC, {"origin": "mixed"}, ("mixed", None, None, 1)),
    (SYNTHETIC, {"origin": "synthetic"}, ("synthetic", 2, "gpt-x", 1)),
    ({"origin": "synthetic"}, {"generation": 1}, ("synthetic", 1, None, 1)),
    ({"origin": "human"}, {"origin": None, "generation": None, "model": ""}, ("human", 0, None, 1)),
    ({"origin": "human"}, {"generation": 0}, ("human", 0, None, 1)),
)


def test_claims(store: Store) -> None:
    """What the ingest says, what the record says, what the document has: origin, generation, model, evidence rank."""
    for i, (claim, record, _) in enumerate(CLAIMS):
        ingest(store, [{"text": f"some words {i}", **record}], source=f"source {i}", **claim)
    for i, (claim, record, expected) in enumerate(CLAIMS):
        (row,) = rows(store, "SELECT * FROM documents WHERE source = :source", source=f"source {i}")
        found = (row["origin"], row["generation"], row["model"], row["evidence_rank"])
        assert found == expected, (claim, record)
        assert row["evidence_grade"] == ("declared" if expected[3] else "none")
    assert violations(store) == [], "the claims in `evidence` say the same"
    named = {case[2][2] for case in CLAIMS} | {case[0].get("model") for case in CLAIMS}
    assert {row["name"] for row in rows(store, "SELECT name FROM model")} == named - {None}


def test_an_ingest_may_differ_from_its_source(store: Store) -> None:
    ingest(store, [{"text": "by people"}], name="a")
    ingest(store, [{"text": "by a model"}], name="b", **SYNTHETIC)
    ingest(store, [{"text": "by nobody knows"}], name="c", origin="unknown")
    ingest(store, [{"text": "by people again"}], name="d", origin=None)
    found = {row["text"]: (row["origin"], row["generation"]) for row in rows(store, "SELECT * FROM documents")}
    assert found == {
        "by people": ("human", 0), "by a model": ("synthetic", 2), "by nobody knows": ("unknown", None),
        "by people again": ("human", 0),
    }  # fmt: skip
    kinds = rows(store, "SELECT subject_kind, count(*) AS n FROM evidence GROUP BY ALL ORDER BY ALL")
    assert kinds == [{"subject_kind": "ingest", "n": 2}, {"subject_kind": "source", "n": 1}]
    assert violations(store) == []


def test_the_same_text_twice_with_other_claims_keeps_the_first(store: Store) -> None:
    """One source, one id, one text: one document. What is said later does not change what was entered."""
    ingest(store, [{"text": "x y", "id": "1"}, {"text": "x y", "id": "1", "origin": "unknown"}])
    ingest(store, [{"text": "x y", "id": "1", "origin": "unknown"}], name="later")
    (row,) = rows(store, "SELECT origin FROM documents")
    assert row["origin"] == "human"
    assert violations(store) == []


DATES = (
    (1790, "1790-01-01"), ("1790", "1790-01-01"), ("1790-01", "1790-01-01"), ("1790-01-08", "1790-01-08"),
    ("17900108", "1790-01-08"), ("2020-02-29T23:30:00", "2020-02-29T23:30"),
    ("2020-01-01 10:00", "2020-01-01T10:00"),
    ("2020-01-01T01:00:00+02:00", "2019-12-31T23:00"), ("2020-01-01T00:00:00Z", "2020-01-01"),
    ("2020-01-01T00:00:00.123456", "2020-01-01T00:00:00.123456"), ("0001-01-01", "0001-01-01"),
    ("9999-12-31", "9999-12-31"), (7, "0007-01-01"), ("2020-W01-3", "2020-01-01"), (None, None), ("", None),
)  # fmt: skip


def test_dates(store: Store) -> None:
    ingest(store, [{"text": "x", "id": i, "date": given, "collected_at": given} for i, (given, _) in enumerate(DATES)])
    found = {int(row["external_id"]): row for row in rows(store, "SELECT * FROM documents")}
    for i, (given, expected) in enumerate(DATES):
        moment = None if expected is None else datetime.fromisoformat(expected)
        assert found[i]["authored_at"] == found[i]["collected_at"] == moment, given


FIELDS: tuple[tuple[dict[str, Any], str, Any, Any], ...] = (
    ({"url": "u"}, "uri", "u", None),
    ({"uri": "u"}, "uri", "u", None),
    ({"uri": "u", "url": "v"}, "uri", "u", {"url": "v"}),
    ({"url": "v", "uri": "u"}, "uri", "v", {"uri": "u"}),
    ({"uri": "", "url": "v"}, "uri", "v", None),
    ({"license": "MIT"}, "licence", "MIT", None),
    ({"licence": "MIT", "license": "CC0-1.0"}, "licence", "MIT", {"license": "CC0-1.0"}),
    (
        {"authored_at": "1790", "date": "1850"},
        "authored_at",
        datetime.fromisoformat("1790-01-01"),
        {"date": "1850"},
    ),
    ({"title": "T", "author": "A"}, "title", "T", None),
    ({"metadata": {"a": 1}}, "title", None, {"a": 1}),
    ({"metadata": {"a": 1}, "b": 2}, "title", None, {"a": 1, "b": 2}),
    ({"metadata": {"a": 1}, "a": 2}, "title", None, {"a": 2, "metadata": {"a": 1}}),
    ({"metadata": "words"}, "title", None, {"metadata": "words"}),
    ({"metadata": {}}, "title", None, None),
    ({"metadata": None, "x": None}, "title", None, {"x": None}),
    ({"b": [1, {"c": "é"}], "a": 1.5, "t": True}, "title", None, {"a": 1.5, "b": [1, {"c": "é"}], "t": True}),
    ({"x": "NUL \0 is fine here"}, "title", None, {"x": "NUL \0 is fine here"}),
    ({"x": 'it\'s "quoted" \\ :named ? $1 %s'}, "title", None, {"x": 'it\'s "quoted" \\ :named ? $1 %s'}),
)


def test_fields(store: Store) -> None:
    """The record, a column and its value, the metadata."""
    ingest(store, [{"text": "x", "id": i, **case[0]} for i, case in enumerate(FIELDS)])
    found = {int(row["external_id"]): row for row in rows(store, "SELECT * FROM documents")}
    for i, (record, column, expected, metadata) in enumerate(FIELDS):
        assert found[i][column] == expected, record
        kept = found[i]["metadata"]
        assert (None if kept is None else json.loads(kept)) == metadata, record


def test_licences(store: Store) -> None:
    ingest(
        store, [{"text": "a", "licence": "GPL-3.0-only"}, {"text": "b"}, {"text": "c", "license": "odd"}], licence="MIT"
    )
    found = {row["text"]: (row["licence"], row["licence_class"]) for row in rows(store, "SELECT * FROM documents")}
    assert found == {"a": ("GPL-3.0-only", "share-alike"), "b": ("MIT", "permissive"), "c": ("odd", "unknown")}


def test_the_source_gives_licence_and_uri(store: Store) -> None:
    add_source(store, Source("books", Claim.make("human"), "CC0-1.0", "https://example.org"))
    ingest(store, [{"text": "a"}, {"text": "b", "url": "https://example.org/b"}], origin=None)
    ingest(store, [{"text": "c"}], origin=None, licence="MIT", name="other")
    found = {row["text"]: (row["licence"], row["uri"]) for row in rows(store, "SELECT * FROM documents")}
    assert found == {
        "a": ("CC0-1.0", "https://example.org"), "b": ("CC0-1.0", "https://example.org/b"),
        "c": ("MIT", "https://example.org"),
    }  # fmt: skip


def test_other_names_of_text_and_id(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"body": "words", "key": 7, "text": "other", "id": "mine"}])
    ingest_paths(store, path, options=IngestOptions(mapping=FieldMapping(text="body", id="key")))
    (row,) = rows(store, "SELECT * FROM documents")
    assert (row["text"], row["external_id"]) == ("words", "7")
    assert json.loads(row["metadata"]) == {"text": "other", "id": "mine"}


@pytest.mark.parametrize("field", ["title", "author", "uri"])
def test_the_text_may_be_a_field_with_a_column(store: Store, tmp_path: Path, field: str) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{field: "the words themselves"}])
    ingest_paths(store, path, options=IngestOptions(mapping=FieldMapping(text=field)))
    (row,) = rows(store, "SELECT * FROM documents")
    assert (row["text"], row["metadata"]) == ("the words themselves", None)


def test_parents(store: Store) -> None:
    ingest(store, prose_records(3))
    ids = [str(row["document_id"]) for row in rows(store, "SELECT document_id FROM documents ORDER BY external_id")]
    records = [
        {"text": "from a prompt", "id": "a", "parent": ids[0]},
        {"text": "from two", "id": "b", "parent": [ids[0], {"document_id": ids[1], "relation": "translation"}]},
        {"text": "from one, said twice", "id": "c", "parent": [ids[2], ids[2]]},
        {"text": "from nothing", "id": "d", "parent": []},
    ]
    for _ in range(2):
        ingest(store, [dict(record) for record in records], source="outputs", **SYNTHETIC)
    found = rows(
        store,
        """SELECT d.external_id, l.parent_id, l.relation, l.model FROM lineage l JOIN documents d USING (document_id)
           WHERE l.parent_id IS NOT NULL ORDER BY ALL""",
    )
    assert [(row["external_id"], str(row["parent_id"]), row["relation"]) for row in found] == sorted(
        [("a", ids[0], "prompt"), ("b", ids[0], "prompt"), ("b", ids[1], "translation"), ("c", ids[2], "prompt")]
    )
    assert count(store, "parent") == 4
    assert violations(store) == []


def test_the_same_text_in_two_sources(store: Store) -> None:
    text = prose(1)
    ingest(store, [{"text": text, "id": "1"}], source="a")
    ingest(store, [{"text": text, "id": "1"}, {"text": text, "id": "2"}, {"text": text}], source="b", origin="unknown")
    assert (count(store, "document"), count(store, "content"), count(store, "signature")) == (4, 1, 1)
    (cluster,) = rows(store, "SELECT * FROM clusters")
    assert (cluster["n_documents"], cluster["n_contents"], cluster["sources"]) == (4, 1, ["a", "b"])
    (chosen,) = rows(store, "SELECT source FROM documents WHERE is_representative")
    assert chosen == {"source": "a"}, "human beats unknown"
    assert violations(store) == []


BETTER: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"origin": "human"}, {"origin": "unknown"}),
    ({"origin": "human"}, {"origin": "mixed"}),  # not synthetic: the same text of a model would be laundered
    ({"origin": "synthetic", "generation": 1}, {"origin": "synthetic", "generation": 2}),
    ({"origin": "synthetic", "generation": 9}, {"origin": "synthetic"}),
    ({"licence": "CC0-1.0"}, {"licence": "MIT"}),
    ({"licence": "CC-BY-NC-4.0"}, {"licence": "LicenseRef-x"}),
    ({"licence": "LicenseRef-x"}, {}),
    ({"date": "1790"}, {"date": "1850"}),
    ({"date": "1990"}, {}),
)


@pytest.mark.parametrize("turned", [False, True])
def test_the_representative_is_chosen_by_provenance(store: Store, turned: bool) -> None:
    records = [
        [{"text": prose(i), "id": f"better {i}", **better}, {"text": prose(i), "id": f"worse {i}", **worse}]
        for i, (better, worse) in enumerate(BETTER)
    ]
    for place in (1, 0) if turned else (0, 1):
        ingest(store, [pair[place] for pair in records], name=str(place))
    chosen = {row["external_id"] for row in rows(store, "SELECT external_id FROM documents WHERE is_representative")}
    assert chosen == {f"better {i}" for i in range(len(BETTER))}


def test_the_longer_text_represents(store: Store) -> None:
    words = prose(1, n_words=200)
    ingest(store, [{"text": words, "id": "short"}, {"text": words + " more", "id": "long"}])
    assert rows(store, "SELECT external_id FROM documents WHERE is_representative") == [{"external_id": "long"}]


def test_models_are_registered_once(store: Store) -> None:
    with pytest.raises(UnknownName, match="training set"):
        register_model(store, Model("m", "digest", "ngram", "none"))
    with store.transaction() as connection:
        connection.exec_driver_sql(
            """INSERT INTO training_set
               VALUES ('set', 'd', TIMESTAMP '2026-01-01', '{}', '{}', 'words', 0, 0, 0, NULL, 1.0)"""
        )
    model = Model("m", "digest", "ngram", "set", {"order": 3, "path": Path("x")})
    assert register_model(store, model)
    assert not register_model(store, model)
    with pytest.raises(NameTaken, match="digest"):
        register_model(store, Model("m", "another", "ngram", "set"))
    ingest(store, [{"text": "made by it"}], origin="synthetic", generation=1, model="m")
    assert rows(store, "SELECT model, training_set FROM lineage") == [{"model": "m", "training_set": "set"}]
    assert violations(store) == []
