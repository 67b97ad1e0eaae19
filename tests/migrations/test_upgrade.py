"""A store of every released revision is brought to the present one, and then used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from provenance.dedup.rebuild import rebuild
from provenance.errors import StoreRevisionMismatch
from provenance.mix.verify import verify
from provenance.store import migrate
from provenance.store.documentation import describe_views
from provenance.store.store import Store
from tests.factories import count, dump, ingest, rows, violations

ASSETS = Path(__file__).parent / "assets"
_SCHEMA = (
    """SELECT table_name, column_index, column_name, data_type, is_nullable, column_default, comment
       FROM duckdb_columns() WHERE schema_name = 'main'""",
    "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() WHERE schema_name = 'main'",
    "SELECT view_name, comment, sql FROM duckdb_views() WHERE NOT internal",
)


@pytest.fixture(params=sorted(path.name for path in ASSETS.iterdir()))
def old_store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the file of a store with an old revision."""
    asset = ASSETS / request.param
    path = tmp_path / "old.duckdb"
    with duckdb.connect(str(path), config={"storage_compatibility_version": "v1.5.0"}) as database:
        database.execute((asset / "schema.sql").read_text())
        for file in sorted(asset.glob("*.parquet")):
            database.execute(f"INSERT INTO \"{file.stem}\" BY NAME SELECT * FROM '{file}'")
    return path


def described(path: Path) -> list[set[tuple[Any, ...]]]:
    with duckdb.connect(str(path), read_only=True) as database:
        return [set(database.execute(query).fetchall()) for query in _SCHEMA]


def test_an_old_store_is_refused_with_the_command_to_run(old_store: Path) -> None:
    with pytest.raises(StoreRevisionMismatch, match="migrate"):
        Store.open(old_store)


def test_the_schema_is_that_of_a_new_store(old_store: Path, tmp_path: Path) -> None:
    before = old_store_revision(old_store)
    assert Store.migrate(old_store) == (before, migrate.head_revision())
    Store.create(tmp_path / "new.duckdb").close()
    columns, constraints, views = described(old_store)
    new_columns, new_constraints, new_views = described(tmp_path / "new.duckdb")
    assert columns == new_columns
    assert constraints == new_constraints
    assert views == new_views
    assert Store.migrate(old_store) == (migrate.head_revision(), migrate.head_revision())


def old_store_revision(path: Path) -> str:
    with duckdb.connect(str(path), read_only=True) as database:
        (found,) = database.execute("SELECT version_num FROM alembic_version").fetchall()
        return str(found[0])


def test_it_is_whole_and_can_be_used(old_store: Path) -> None:
    Store.migrate(old_store)
    with Store.open(old_store, writable=True) as store:
        assert violations(store) == []
        assert count(store, "document") == 28
        assert verify(store, "first").violations == ()
        (run,) = rows(store, "SELECT * FROM ingests WHERE source = 'crawl'")
        assert (run["state"], run["n_read"], run["n_quarantined"]) == ("finished", 12, 2)
        (copied,) = rows(store, "SELECT text, cluster_id FROM documents WHERE external_id = 'h3'")
        ingest(store, [{"id": "late", "text": copied["text"].upper()}], source="late")
        (late,) = rows(store, "SELECT cluster_id FROM documents WHERE external_id = 'late'")
        (now,) = rows(store, "SELECT cluster_id FROM documents WHERE external_id = 'h3'")
        assert late["cluster_id"] == now["cluster_id"]
        for view in describe_views(store):
            store.sql(f"SELECT count(*) FROM {view.name}").rows()
        assert violations(store) == []


def test_a_rebuild_gives_what_a_new_store_would_have(old_store: Path, tmp_path: Path) -> None:
    """The first release kept no hash of the normal form, and nothing at all of texts without words."""
    Store.migrate(old_store)
    with Store.open(old_store, writable=True) as store:
        rebuild(store, store.dedup)
        assert violations(store) == []
        rules = {row["rule"] for row in rows(store, "SELECT DISTINCT rule FROM near_duplicate")}
        assert rules == {"near"}
        assert count(store, "signature") == count(store, "content")
        assert rows(store, "SELECT count(*) AS n FROM signature WHERE normal_hash IS NULL") == [{"n": 0}]


#: Revision -> a late statement of the one that follows it, which is a transaction of its own.
LAST_STATEMENT = {"0001": "CREATE VIEW amendments", "0002": "CREATE OR REPLACE VIEW takedowns"}


def test_an_error_in_the_middle_leaves_the_old_store(old_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = described(old_store)
    with monkeypatch.context() as patch:
        patch.setattr(
            "sqlalchemy.engine.Connection.exec_driver_sql", failing_at(LAST_STATEMENT[old_store_revision(old_store)])
        )
        with pytest.raises(RuntimeError, match="in the middle"):
            Store.migrate(old_store)
    assert described(old_store) == before
    Store.migrate(old_store)
    with Store.open(old_store) as store:
        assert violations(store) == []
        assert dump(store)["document"]


def failing_at(begin: str) -> Any:
    from sqlalchemy.engine import Connection

    run = Connection.exec_driver_sql

    def execute(self: Connection, statement: str, *arguments: Any, **options: Any) -> Any:
        if statement.lstrip().startswith(begin):
            raise RuntimeError("in the middle")
        return run(self, statement, *arguments, **options)

    return execute
