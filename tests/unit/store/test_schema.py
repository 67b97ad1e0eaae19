"""The schema that the migrations make is the one that the program describes, and it is documented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import create_engine, select

from provenance.store import schema
from provenance.store.documentation import describe_views
from provenance.store.store import Store
from provenance.store.views import VIEW_COLUMNS
from tests.factories import ingest, prose_records

PROMISED = (
    "documents", "composition", "training_sets", "training_set_documents", "runs", "quarantined", "clusters", "lineage",
    "ingests", "ingest_files", "amendments", "annotations", "attributes",
    "claims", "laundered", "takedowns", "taken_down",
)  # fmt: skip

_COLUMNS = """
    SELECT table_name, column_index, column_name, data_type, is_nullable, column_default FROM duckdb_columns()
    WHERE schema_name = 'main' AND table_name <> 'alembic_version'
      AND table_name IN (SELECT table_name FROM duckdb_tables())
"""
_CONSTRAINTS = """
    SELECT table_name, constraint_type, constraint_text, constraint_column_names FROM duckdb_constraints()
    WHERE schema_name = 'main' AND table_name <> 'alembic_version'
"""


def described(database: Any, query: str) -> set[tuple[Any, ...]]:
    return {tuple(str(value) for value in row) for row in database.execute(query).fetchall()}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a store made by the migrations and a database made by `create_all`."""
    folder = tmp_path_factory.mktemp("schema")
    migrated, created = folder / "migrated.duckdb", folder / "created.duckdb"
    Store.create(migrated).close()
    engine = create_engine(f"duckdb:///{created}")
    schema.metadata.create_all(engine)
    engine.dispose()
    return migrated, created


@pytest.mark.parametrize("query", [_COLUMNS, _CONSTRAINTS], ids=["columns", "constraints"])
def test_migrations_make_what_the_schema_describes(both: tuple[Path, Path], query: str) -> None:
    found = []
    for path in both:
        with duckdb.connect(str(path), read_only=True) as database:
            found.append(described(database, query))
    assert found[0] == found[1]
    assert found[0]


def test_text_is_compressed_with_zstd(tmp_path: Path) -> None:
    with Store.create(tmp_path / "s.duckdb") as store:
        ingest(store, [{**one, "note": one["text"]} for one in prose_records(3000)])
    with duckdb.connect(str(tmp_path / "s.duckdb"), read_only=True) as database:
        kinds = {
            (table, column): database.execute(
                """SELECT DISTINCT compression FROM pragma_storage_info(?)
                   WHERE column_name = ? AND segment_type <> 'VALIDITY'""",
                [table, column],
            ).fetchall()
            for table, column in (("content", "text"), ("document", "metadata"))
        }
    assert kinds == {("content", "text"): [("ZSTD",)], ("document", "metadata"): [("ZSTD",)]}


def test_big_tables_have_no_keys() -> None:
    big = ("content", "document", "signature", "band", "near_duplicate", "cluster", "training_set_item", "token_count")
    for name in big:
        assert not schema.metadata.tables[name].primary_key.columns


def test_views_are_the_promised_ones(store: Store) -> None:
    assert sorted(view.name for view in describe_views(store)) == sorted(PROMISED)


def test_every_view_and_column_has_a_comment(store: Store) -> None:
    for view in describe_views(store):
        assert view.meaning, view.name
        assert view.columns
        for column in view.columns:
            assert column.meaning, f"{view.name}.{column.name}"
            assert column.kind


@pytest.mark.parametrize("view", VIEW_COLUMNS)
def test_selectables_have_the_columns_of_the_views(store: Store, view: str) -> None:
    columns = store.fetch(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = :view ORDER BY column_index", {"view": view}
    )
    assert tuple(columns["column_name"].to_pylist()) == VIEW_COLUMNS[view]


def test_documents_is_a_selectable(store: Store) -> None:
    ingest(store, prose_records(5))
    ingest(store, prose_records(2, start=5), source="outputs", origin="synthetic", generation=1, model="gpt-x")
    documents = store.documents
    human = select(documents.c.external_id, documents.c.n_words).where(documents.c.origin == "human")
    assert sorted(store.fetch(human)["external_id"].to_pylist()) == [f"r{i}" for i in range(5)]
    made = select(documents).where(documents.c.model == "gpt-x", documents.c.generation >= 1)
    found = store.fetch(made)
    assert found.num_rows == 2
    assert found.column_names == list(VIEW_COLUMNS["documents"])


def test_any_duckdb_client_can_read_the_views(store: Store) -> None:
    """No function of ours is needed."""
    ingest(store, prose_records(3))
    store.close()
    with duckdb.connect(str(store.path), read_only=True) as database:
        for view in PROMISED:
            database.execute(f"SELECT * FROM {view}").fetchall()
        (grade,) = database.execute("SELECT DISTINCT evidence_grade FROM documents").fetchall()
    assert grade == ("declared",)
