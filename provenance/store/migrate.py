"""The schema revision of a store: compared on opening, changed only on request."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import duckdb
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from provenance.errors import NotAStore, StoreRevisionMismatch


@cache
def migrations_folder() -> Path:
    """Return the folder of the revisions: inside the installed package, or beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


@cache
def head_revision() -> str:
    """Return the revision that this version of the program works with.

    Read from the file names (`NNNN_what_changed.py`), which is quicker than loading Alembic at every command.
    """
    return max(name.name.split("_")[0] for name in (migrations_folder() / "versions").glob("[0-9]*_*.py"))


# Asked without bound values, for the first of which DuckDB imports pandas where that is installed: .2 s a command.
_REVISION = "SELECT version_num FROM main.alembic_version"


def store_revision(connection: Connection, path: Path) -> str:
    """Return the revision that the store says it has.

    Raises
    ------
    NotAStore
        If the database has no revision: it is somebody else's DuckDB file.
    """
    try:
        revision = connection.exec_driver_sql(_REVISION).scalar()
    except DBAPIError as error:
        if not isinstance(error.orig, duckdb.CatalogException | duckdb.BinderException):
            raise
        raise NotAStore(path, "it is a DuckDB file without our tables") from error
    if revision is None:
        raise NotAStore(path, "its schema was never finished")
    return str(revision)


def require_head(connection: Connection, path: Path) -> None:
    """Raise `StoreRevisionMismatch` unless the store has the revision that this program works with."""
    found = store_revision(connection, path)
    if found != head_revision():
        raise StoreRevisionMismatch(path, found, head_revision(), newer=found > head_revision())


def upgrade(connection: Connection) -> None:
    """Run every revision that the store does not have yet, each in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
