"""The runs of the past: found by the beginning of their id, listed, and shown with all that is known of them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, String, cast, func, select

from provenance.errors import UnknownName
from provenance.ingest.errors import AmbiguousRun, RunTakenBack
from provenance.store import schema
from provenance.store.store import Store, fetch

#: Characters of an id that people see.
SHORT = 8

_HEXADECIMAL = re.compile(r"[0-9a-f]{1,32}")
_WHOLE = func.replace(cast(schema.ingest.c.ingest_id, String), "-", "")
_RUNS = """
    SELECT * FROM ingests WHERE :source IS NULL OR source = :source ORDER BY started_at DESC, ingest_id LIMIT :limit
"""
_COUNT = "SELECT count(*) AS n FROM ingests WHERE :source IS NULL OR source = :source"
_RUN = "SELECT * FROM ingests WHERE ingest_id::VARCHAR = :run"
_FILES = "SELECT * EXCLUDE (ingest_id) FROM ingest_files WHERE ingest_id::VARCHAR = :run ORDER BY place"
_PRESENT = """
    SELECT (SELECT count(*) FROM document WHERE ingest_id::VARCHAR = :run) AS documents,
           (SELECT count(*) FROM quarantine WHERE ingest_id::VARCHAR = :run AND part = 0) AS quarantined,
           (SELECT count(*) FROM amendment WHERE ingest_id::VARCHAR = :run) AS amendments
"""


@dataclass(frozen=True)
class FoundRun:
    """A run of an ingest as far as others need it.

    Attributes
    ----------
    options : how it was run
    """

    ingest_id: UUID
    source: str
    kind: str
    state: str
    started_at: datetime
    options: dict[str, Any]

    @property
    def short(self) -> str:
        """The beginning of the id."""
        return short(self.ingest_id)


@dataclass(frozen=True)
class Runs:
    """Some runs as rows of the view `ingests`, and how many there are in all."""

    rows: list[dict[str, Any]]
    n_runs: int


def short(ingest_id: object) -> str:
    """Return the beginning of the id of a run, as it is shown and understood."""
    return str(ingest_id)[:SHORT]


def find_run(connection: Connection, prefix: str) -> FoundRun:
    """Return the run whose id begins so.

    Raises
    ------
    UnknownName
        If there is none.
    AmbiguousRun
        If there are several.
    """
    wanted = prefix.strip().lower().replace("-", "")
    table = schema.ingest.c
    columns = (table.ingest_id, table.source, table.kind, table.state, table.started_at, table.options)
    found: list[Any] = []
    if _HEXADECIMAL.fullmatch(wanted):
        found = list(connection.execute(select(*columns).where(_WHOLE.startswith(wanted)).limit(5)).all())
    if not found:
        raise UnknownName("ingest run", prefix, hint="See: provenance ingests")
    if len(found) > 1:
        raise AmbiguousRun(prefix, [str(row.ingest_id) for row in found])
    (row,) = found
    return FoundRun(UUID(str(row.ingest_id)), row.source, row.kind, row.state, row.started_at, row.options)


def require_not_undone(connection: Connection, ingest_id: UUID) -> None:
    """Raise `RunTakenBack` if a run has been undone; for a run that let go of the file while it went on."""
    table = schema.ingest.c
    row: Any = connection.execute(select(table.state, table.source).where(table.ingest_id == ingest_id)).one()
    if row.state == "undone":
        raise RunTakenBack(short(ingest_id), row.source)


def list_runs(store: Store, *, source: str | None = None, limit: int = 20) -> Runs:
    """Return the runs of a source, or of all, the newest first."""
    rows = store.fetch(_RUNS, {"source": source, "limit": limit}).to_pylist()
    return Runs([_plain(row) for row in rows], store.fetch(_COUNT, {"source": source})["n"][0].as_py())


def show_run(store: Store, prefix: str) -> dict[str, Any]:
    """Return all that is known of one run: its row of the view `ingests`, its `files`, and what is left of it now."""
    with store.read() as connection:
        wanted = {"run": str(find_run(connection, prefix).ingest_id)}
        (row,) = fetch(connection, _RUN, wanted).to_pylist()
        files = fetch(connection, _FILES, wanted).to_pylist()
        (present,) = fetch(connection, _PRESENT, wanted).to_pylist()
    return {**_plain(row), "files": files, "in_store": present}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    options = row["options"]
    return {**row, "options": json.loads(options) if isinstance(options, str) else options}
