"""A consistent copy of a store, verified before it gets its name."""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import duckdb
from sqlalchemy.exc import DBAPIError

from provenance.errors import BackupFailed, NotAStore, StoreDamaged
from provenance.store.connection import first_line
from provenance.store.files import draft_of, publish
from provenance.store.schema import metadata
from provenance.store.store import Store

_PIECE_BYTES = 4 << 20
#: What stands behind the checksum at the beginning of every file of DuckDB.
_MAGIC = b"DUCK"


@dataclass(frozen=True)
class BackupReport:
    """What was copied."""

    size_bytes: int
    sha256: str
    seconds: float


def backup(path: Path, target: Path, *, wait_s: float = 10.0) -> BackupReport:
    """Copy the store at `path` to `target`, read the copy again, and count its rows against the store's.

    The store is held while it is copied, so that the copy is that of one moment.

    Raises
    ------
    BackupFailed
        If there is a file at `target`, it cannot be written, or the copy is not the same; nothing is left behind.
    StoreNotFound, NotAStore, StoreBusy, StoreRevisionMismatch
        If the store cannot be opened.
    """
    started = time.monotonic()
    if target.exists():
        raise BackupFailed(target, "there is a file of that name already")
    if not target.parent.is_dir():
        raise BackupFailed(target, f"there is no folder {target.parent}")
    with Store.open(path, writable=True, wait_s=wait_s) as store:
        counts = row_counts(store)
        store.merge_log()
        try:
            with draft_of(target, purpose="backup") as draft:
                digest = _copy(path, draft)
                if _digest(draft) != digest:
                    raise BackupFailed(target, "the copy does not read back as it was written")
                with Store.open(draft) as copy:
                    if row_counts(copy) != counts or copy.setting("store_id") != store.setting("store_id"):
                        raise BackupFailed(target, "the copy does not hold the same rows")
                size_bytes = draft.stat().st_size
                publish(draft, target)
        except (NotAStore, StoreDamaged) as error:
            raise BackupFailed(target, f"the copy cannot be opened ({error})") from error
        except DBAPIError as error:
            raise BackupFailed(target, first_line(str(error.orig))) from error
        except OSError as error:
            if isinstance(error, BackupFailed):
                raise
            raise BackupFailed(target, error.strerror or str(error)) from error
    return BackupReport(size_bytes, digest, time.monotonic() - started)


def row_counts(store: Store) -> dict[str, int]:
    """Return the number of rows of every table."""
    query = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS n FROM \"{name}\"" for name in metadata.tables)
    return {row["name"]: row["n"] for row in store.fetch(query).to_pylist()}


def copies_beside(path: Path, store_id: str) -> list[Path]:
    """Return the other files in the folder of a store that are the same store as it was at another time."""
    return sorted(one for one in path.parent.iterdir() if one != path and _store_id_of(one) == store_id)


def _store_id_of(path: Path) -> str | None:
    """Return the id of the store in a file, or None where there is none, or it cannot be read."""
    try:
        with path.open("rb") as file:
            if file.read(12)[8:] != _MAGIC:
                return None
        with duckdb.connect(str(path), read_only=True, config={"enable_external_access": False}) as database:
            row = database.execute("SELECT value->>'$' FROM setting WHERE name = 'store_id'").fetchone()
    except (OSError, duckdb.Error):
        return None
    return None if row is None else str(row[0])


def _copy(source: Path, target: Path) -> str:
    digest = sha256()
    with source.open("rb") as original, target.open("xb") as copy:
        while piece := original.read(_PIECE_BYTES):
            digest.update(piece)
            copy.write(piece)
    return digest.hexdigest()


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
