"""Where training sets were exported to: kept in the store, so that a takedown can say where texts still lie."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import insert, select

from provenance.errors import ProvenanceError
from provenance.export.files import manifest_path
from provenance.mix.training_set import TrainingSet
from provenance.store import schema
from provenance.store.store import Store, utc_now


def record_export(store: Store, training_set: TrainingSet, *, kind: str, target: Path) -> UUID:
    """Enter a finished export, and return its id.

    Parameters
    ----------
    store : open for writing
    kind : the format
    target : the file or folder that was written

    Raises
    ------
    StoreReadOnly
        If the store was opened for reading.
    """
    export_id = uuid4()
    row = {"export_id": export_id, **_facts(training_set, kind, target), "exported_at": utc_now()}
    with store.transaction() as connection:
        connection.execute(insert(schema.export), [row])
    return export_id


def record_once(store: Store, training_set: TrainingSet, *, kind: str, target: Path) -> None:
    """Enter an export unless this very one is entered: for what is found again by a program that was killed.

    Parameters
    ----------
    store, kind, target : as for `record_export`
    """
    column = schema.export.c
    same = [column[name] == value for name, value in _facts(training_set, kind, target).items()]
    if not store.fetch(select(column.export_id).where(*same).limit(1)).num_rows:
        record_export(store, training_set, kind=kind, target=target)


def try_to_record(path: Path, training_set: TrainingSet, *, kind: str, target: Path, wait_s: float) -> str | None:
    """Enter a finished export in the store at `path`, and return None, or why that cannot be done.

    The export is there either way: a store that may only be read, or that somebody holds, is no reason to lose it.
    """
    try:
        with Store.open(path, writable=True, wait_s=wait_s) as store:
            record_export(store, training_set, kind=kind, target=target)
    except ProvenanceError as error:
        return str(error)
    return None


def _facts(training_set: TrainingSet, kind: str, target: Path) -> dict[str, str]:
    return {
        "training_set": training_set.name,
        "format": kind,
        "path": str(target.resolve()),
        "host": socket.gethostname(),
        "digest": _digest(target) or training_set.digest,
    }


def _digest(target: Path) -> str | None:
    """Return the digest of the manifest of an export, which it says itself."""
    for file in (manifest_path(target), target / "manifest.json", target):
        if file.suffix == ".json" and file.is_file():
            with suppress(OSError, ValueError, AttributeError):
                found = json.loads(file.read_text("utf-8")).get("digest")
                if isinstance(found, str):
                    return found
    return None
