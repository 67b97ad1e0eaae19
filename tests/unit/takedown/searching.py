"""Looking for bytes in the files of a store, and for words in all its tables and views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from provenance.store import compact as module
from provenance.store.store import Store

_V15: dict[str, Any] = {"storage_compatibility_version": "v1.5.0"}
#: Tables with a column of a compression of its own.
_PACKED = ("content", "document")
_RELATIONS = """
    SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' AND table_catalog = current_database()
    ORDER BY ALL
"""


def make_uncompressed(path: Path) -> None:
    """Write a store anew with every column as it is, so that its words stand in the file as they are."""
    new = path.with_name("new")
    with duckdb.connect(str(new), config=_V15) as database:
        database.execute("SET force_compression = 'uncompressed'")
        database.execute(f"ATTACH '{path}' AS source (READ_ONLY)")
        database.execute("COPY FROM DATABASE source TO new")
        for table in _PACKED:  # a column's own compression comes before the setting
            database.execute(f"DROP TABLE {table}")
            database.execute(f"CREATE TABLE {table} AS FROM source.{table}")
        database.execute("CHECKPOINT")
        database.execute("DETACH source")
        kinds = "SELECT DISTINCT compression FROM pragma_storage_info('content') WHERE segment_type = 'VARCHAR'"
        assert database.execute(kinds).fetchall() == [("Uncompressed",)]
    new.replace(path)


@contextmanager
def uncompressed_rewriting() -> Iterator[None]:
    """Let the file be written anew uncompressed inside the block too."""

    class Uncompressed:
        Error = duckdb.Error

        @staticmethod
        def connect(*arguments: Any, **options: Any) -> Any:
            connection = duckdb.connect(*arguments, **options)
            connection.execute("SET force_compression = 'uncompressed'")
            return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "duckdb", Uncompressed)
        yield


def in_files(folder: Path, words: Sequence[str]) -> set[str]:
    """Return which of the words stand, as UTF-8, in any file of a folder."""
    whole = b"".join(one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file())
    return {word for word in words if word.encode() in whole}


def in_tables(path: Path, words: Sequence[str]) -> set[tuple[str, str]]:
    """Return which of the words stand in which table or view: (table, word)."""
    with duckdb.connect(str(path), read_only=True) as database:
        names = [name for (name,) in database.execute(_RELATIONS).fetchall()]
        assert {"content", "documents", "tombstone", "taken_down", "quarantine"} <= set(names)
        query = "SELECT count(*) FROM {} t WHERE contains(t::VARCHAR, ?)"
        return {
            (name, word)
            for name in names
            for word in words
            if database.execute(query.format(name), [word]).fetchall() != [(0,)]
        }


def erase_naively(path: Path) -> None:
    """Delete documents and texts as anybody would: DELETE, CHECKPOINT, VACUUM."""
    with duckdb.connect(str(path)) as database:
        for table in ("document", "content", "quarantine", "amendment", "annotation", "evidence", "support"):
            database.execute(f"DELETE FROM {table}")
        database.execute("CHECKPOINT")
        database.execute("VACUUM")
        database.execute("CHECKPOINT")


def violations_of(path: Path) -> list[str]:
    """Return the violated checks of the store at a path."""
    from tests.factories import violations

    with Store.open(path) as store:
        return violations(store)
