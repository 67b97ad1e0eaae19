"""A store written anew, without the space that removed and changed rows still take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from provenance.errors import CompactFailed, StoreBusy
from provenance.store.connection import first_line, holder_of, memory_limit
from provenance.store.files import copy_rights, draft_of, only_for_me, publish, real_file, spill_folder
from provenance.store.store import Store

#: Setting that says that erased rows may still lie in the file: it has to be written anew.
PENDING = "rewrite_pending"
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'store' ORDER BY ALL"


@dataclass(frozen=True)
class CompactReport:
    """What became of the file.

    Attributes
    ----------
    before_bytes, after_bytes : its sizes
    seconds : how long it took
    other_names : hard links to the old file, under which it still is what it was
    """

    before_bytes: int
    after_bytes: int
    seconds: float
    other_names: int = 0


def compact(path: Path, *, wait_s: float = 10.0) -> CompactReport:
    """Write the store into a new file, compare the two row for row, and put the new one in its place.

    After a kill at any moment the old or the new file is there, and whole. The old one is held until the new one has
    its name, so that nobody writes into a file that is about to go. Behind a symbolic link the file is replaced and not
    the link.

    Raises
    ------
    CompactFailed
        If the new file cannot be written or differs; the old one stays.
    StoreNotFound, NotAStore, StoreBusy, StoreRevisionMismatch
        If the store cannot be opened.
    """
    started = time.monotonic()
    Store.open(path, writable=True, wait_s=wait_s).close()  # waits for others, and checks that it is one of ours
    file = real_file(path)
    before = file.stat()
    try:
        with draft_of(file, purpose="compact") as draft:
            _rewrite(file, draft)
    except duckdb.Error as error:
        holder = holder_of(str(error))
        if holder is not None:
            raise StoreBusy(path, holder, wait_s) from error
        raise CompactFailed(path, first_line(str(error))) from error
    except OSError as error:
        if isinstance(error, CompactFailed):
            raise
        raise CompactFailed(path, error.strerror or str(error)) from error
    return CompactReport(before.st_size, file.stat().st_size, time.monotonic() - started, before.st_nlink - 1)


def _rewrite(file: Path, draft: Path) -> None:
    """Write the store into the draft, and give that the name of the store."""
    # A connection of its own: those of a store are not allowed to reach a second file.
    config: dict[str, Any] = {"memory_limit": memory_limit(), "temp_directory": str(spill_folder(draft))}
    with duckdb.connect(config=config) as connection:
        connection.execute(f"ATTACH {_literal(str(file))} AS store")  # for writing, so that nobody else can
        connection.execute("CHECKPOINT store")  # a log that a kill left would be read into the new file once more
        with only_for_me():
            connection.execute(f"ATTACH {_literal(str(draft))} AS new (STORAGE_VERSION 'v1.5.0')")
        connection.execute("COPY FROM DATABASE store TO new")
        for (table,) in connection.execute(_TABLES).fetchall():
            if _checksum(connection, f"store.{_identifier(table)}") != _checksum(
                connection, f"new.{_identifier(table)}"
            ):
                raise CompactFailed(file, f"table {table} came out differently")
        # In the draft: so it is said no more in the very moment in which the new file takes its place.
        connection.execute("DELETE FROM new.setting WHERE name = ?", [PENDING])
        connection.execute("CHECKPOINT new")
        connection.execute("DETACH new")
        copy_rights(file, draft)
        publish(draft, file)


def _checksum(connection: duckdb.DuckDBPyConnection, table: str) -> Any:
    """Return the number of rows and a checksum that does not depend on their order."""
    return connection.execute(f"SELECT count(*), bit_xor(hash(t)), sum(hash(t)) FROM {table} t").fetchone()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
