"""The view `attributes` as people use it: typed, described, there from the beginning, and in any DuckDB client."""

from __future__ import annotations

import duckdb

from provenance.annotations.annotate import annotate
from provenance.store.documentation import describe_views
from provenance.store.store import Store
from tests.unit.annotate.conftest import ids, write


def attributes_view(store):
    return next(view for view in describe_views(store) if view.name == "attributes")


def test_it_is_there_before_the_first_annotation(store):
    assert [(c.name, c.kind, c.meaning) for c in attributes_view(store).columns] == [
        ("document_id", "UUID", "the document")
    ]
    assert store.sql("SELECT count(*) FROM documents JOIN attributes USING (document_id)").rows() == [(0,)]


def test_it_grows_and_describes_itself(store, tmp_path):
    before = attributes_view(store).meaning
    records = [{"id": "b", "quality": 0.9, "select": True}, {"id": "e", "quality": 0.1, "topic": "sea"}]
    annotate(store, [write(tmp_path / "1.jsonl", records)], key="external_id", tool="a 'tool'", note="100% ?, :x")
    annotate(store, [write(tmp_path / "2.jsonl", [{"id": "c", "late": 1}])], key="external_id")
    view = attributes_view(store)
    assert view.meaning == before != ""
    assert [(c.name, c.kind, c.meaning) for c in view.columns] == [
        ("document_id", "UUID", "the document"),
        ("late", "DOUBLE", "number"),
        ("quality", "DOUBLE", "number by a 'tool': 100% ?, :x"),
        ("select", "BOOLEAN", "boolean by a 'tool': 100% ?, :x"),
        ("topic", "VARCHAR", "text by a 'tool': 100% ?, :x"),
    ]
    query = 'SELECT external_id, "select", topic FROM documents JOIN attributes USING (document_id) WHERE quality > 0.8'
    assert store.sql(query).rows() == [("b", True, None)]
    everything = "SELECT count(*), count(late) FROM documents LEFT JOIN attributes USING (document_id)"
    assert store.sql(everything).rows() == [(7, 1)]


def test_it_needs_nothing_of_ours_and_stays_when_the_store_is_migrated(store, tmp_path):
    known = ids(store)
    annotate(store, [write(tmp_path / "1.jsonl", [{"id": "b", "quality": 0.9}])], key="external_id")
    store.close()
    Store.migrate(store.path)
    with duckdb.connect(str(store.path), read_only=True) as database:
        rows = database.execute("SELECT document_id::VARCHAR, quality FROM attributes").fetchall()
    assert rows == [(known["books/b"], 0.9)]
