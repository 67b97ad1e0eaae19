"""A store written anew, without the space that removed and changed rows still take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from provenance.errors import CompactFailed, StoreBusy
from provenance.store.connection import first_line, holder_of, memory_limit
from provenance.store.files import draft_of, publish
from provenance.store.store import Store

#: Setting that says that erased rows may still lie in the file: it has to be written anew.
PENDING = "rewrite_pending"
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'store' ORDER BY ALL"


@dataclass(frozen=True)
class CompactReport:
    """Sizes of the file before and after, and how long it took."""

    before_bytes: int
    after_bytes: int
    seconds: float


def compact(path: Path, *, wait_s: float = 10.0) -> CompactReport:
    """Write the store into a new file, compare the two row for row, and put the new one in its place.

    After a kill at any moment the old or the new file is there, and whole.

    Raises
    ------
    CompactFailed
        If the new file cannot be written or differs; the old one stays.
    StoreNotFound, NotAStore, StoreBusy, StoreRevisionMismatch
        If the store cannot be opened.
    """
    started = time.monotonic()
    Store.open(path, writable=True, wait_s=wait_s).close()  # waits for others, and merges a log that a kill left
    before = path.stat().st_size
    try:
        with draft_of(path, purpose="compact") as draft:
            _rewrite(path, draft)
            after = draft.stat().st_size
            draft.chmod(path.stat().st_mode)
            publish(draft, path)
    except duckdb.Error as error:
        holder = holder_of(str(error))
        if holder is not None:
            raise StoreBusy(path, holder, wait_s) from error
        raise CompactFailed(path, first_line(str(error))) from error
    except OSError as error:
        if isinstance(error, CompactFailed):
            raise
        raise CompactFailed(path, error.strerror or str(error)) from error
    return CompactReport(before, after, time.monotonic() - started)


def _rewrite(path: Path, draft: Path) -> None:
    # A connection of its own: those of a store are not allowed to reach a second file.
    config: dict[str, Any] = {"storage_compatibility_version": "v1.5.0", "memory_limit": memory_limit()}
    with duckdb.connect(str(draft), config=config) as connection:
        connection.execute(f"ATTACH {_literal(str(path))} AS store")  # for writing, so that nobody else can
        (name,) = connection.execute("SELECT current_database()").fetchall()[0]
        connection.execute(f"COPY FROM DATABASE store TO {_identifier(name)}")
        for (table,) in connection.execute(_TABLES).fetchall():
            old = _checksum(connection, f"store.{_identifier(table)}")
            if old != _checksum(connection, f"{_identifier(name)}.{_identifier(table)}"):
                raise CompactFailed(path, f"table {table} came out differently")
        # In the draft: so it is said no more in the very moment in which the new file takes its place.
        connection.execute("DELETE FROM setting WHERE name = ?", [PENDING])
        connection.execute("DETACH store")
        connection.execute("CHECKPOINT")


def _checksum(connection: duckdb.DuckDBPyConnection, table: str) -> Any:
    """Return the number of rows and a checksum that does not depend on their order."""
    return connection.execute(f"SELECT count(*), bit_xor(hash(t)), sum(hash(t)) FROM {table} t").fetchone()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
