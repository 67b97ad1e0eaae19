"""`migrate`: brings an older store to the revision of the program, and does nothing else to anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.errors import NotAStore, StoreNotFound, StoreRevisionMismatch
from provenance.store import migrate
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import count, dump, ingest, prose_records, provenance, rows, violations

NEXT = '''
"""A column more.

Revision ID: {revision}
Revises: {before}
"""

from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql("CREATE TABLE later_{revision} (a INTEGER)")
    {then}
'''


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a program that is two revisions ahead; return the folder of its migrations."""
    real = migrate.migrations_folder()
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text((real / "env.py").read_text())
    for version in (real / "versions").glob("[0-9]*.py"):
        (folder / "versions" / version.name).write_text(version.read_text())
    before = migrate.head_revision()
    for revision in ("9001", "9002"):
        text = NEXT.format(revision=revision, before=before, then="")
        (folder / "versions" / f"{revision}_more.py").write_text(text)
        before = revision
    monkeypatch.setattr(migrate, "migrations_folder", lambda: folder)
    monkeypatch.setattr(migrate, "head_revision", migrate.head_revision.__wrapped__)
    return folder


def filled(make_store: Maker) -> Path:
    store = make_store("old.duckdb")
    ingest(store, prose_records(4))
    store.close()
    return store.path


def test_head_is_the_newest_file() -> None:
    names = sorted(path.name for path in (migrate.migrations_folder() / "versions").glob("[0-9]*_*.py"))
    assert migrate.head_revision() == names[-1].split("_")[0]


def test_at_head_nothing_happens(make_store: Maker) -> None:
    path = filled(make_store)
    assert Store.migrate(path) == (migrate.head_revision(), migrate.head_revision())
    answer = provenance("--store", path, "migrate")
    assert (answer.code, answer.out) == (0, "")
    assert "already at revision" in answer.err


def test_an_older_store_is_refused_then_upgraded_then_used(make_store: Maker, request: pytest.FixtureRequest) -> None:
    path = filled(make_store)
    old = migrate.head_revision()
    with Store.open(path) as store:
        before = dump(store)
    request.getfixturevalue("later")
    with pytest.raises(StoreRevisionMismatch, match="migrate"):
        Store.open(path)
    refused = provenance("--store", path, "stats")
    assert refused.code == 1
    assert f"provenance --store {path} migrate" in refused.err
    answer = provenance("--store", path, "migrate")
    assert (answer.code, answer.out) == (0, "")
    assert f"{old} → revision 9002" in answer.err
    with Store.open(path, writable=True) as store:
        assert dump(store) == before
        assert count(store, "later_9001") == count(store, "later_9002") == 0
        ingest(store, prose_records(6), name="more")
        assert count(store, "document") == 6
        assert violations(store) == []


def test_a_revision_that_fails_is_undone(make_store: Maker, request: pytest.FixtureRequest) -> None:
    path = filled(make_store)
    folder: Path = request.getfixturevalue("later")
    broken = NEXT.format(revision="9002", before="9001", then='op.get_bind().exec_driver_sql("SELECT nonsense")')
    (folder / "versions" / "9002_more.py").write_text(broken)
    with pytest.raises(Exception, match="nonsense"):
        Store.migrate(path)
    (folder / "versions" / "9002_more.py").unlink()
    with Store.open(path) as store:  # 9001 is whole, nothing of 9002 is there
        names = {row["table_name"] for row in rows(store, "SELECT table_name FROM duckdb_tables()")}
        assert "later_9001" in names
        assert "later_9002" not in names


def test_a_newer_store_is_left_alone(make_store: Maker, later: Path) -> None:
    store = Store.create(later / "new.duckdb")
    store.close()
    before = store.path.read_bytes()
    for version in (later / "versions").glob("900*"):
        version.unlink()
    with pytest.raises(StoreRevisionMismatch, match="upgrade corpus-provenance"):
        Store.migrate(store.path)
    assert store.path.read_bytes() == before


def test_migrate_needs_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        Store.migrate(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(NotAStore):
        Store.migrate(tmp_path / "empty")


def test_migrations_do_not_import_the_program() -> None:
    for path in (migrate.migrations_folder() / "versions").glob("*.py"):
        assert "import provenance" not in path.read_text()
        assert "from provenance" not in path.read_text()
