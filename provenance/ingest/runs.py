"""The rows of ingest runs: entered when a run begins, kept up to date by every batch, found again after a kill."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection, func, insert, select, text, update

from provenance import __version__
from provenance.ids import as_uuid, composite_digest, uuid_array
from provenance.ingest.inputs import Input, as_text
from provenance.ingest.prepare import FileCounts, FinishedFile
from provenance.ingest.write import Counts
from provenance.store import schema
from provenance.store.store import registered, utc_now

State = Literal["running", "stopped", "finished", "undone"]
#: States of a run that the same command goes on with.
UNFINISHED = ("running", "stopped")


def enter_run(connection: Connection, source: str, described: dict[str, Any], *, kind: str) -> UUID:
    """Return the id of the unfinished run of the same source and description, or of a new one."""
    table = schema.ingest
    fingerprint = _sorted_json({"source": source, **described})
    same = (table.c.fingerprint == fingerprint) & (table.c.kind == kind)
    unfinished = connection.execute(select(table.c.ingest_id).where(same, table.c.state.in_(UNFINISHED))).scalar()
    if unfinished is not None:
        again = {"state": "running", "started_at": utc_now()}
        connection.execute(update(table).where(table.c.ingest_id == unfinished).values(**again))
        return UUID(str(unfinished))
    n_before = connection.execute(select(func.count()).select_from(table).where(same)).scalar_one()
    ingest_id = as_uuid(composite_digest("ingest", kind, fingerprint, str(n_before)))
    row = {
        "ingest_id": ingest_id,
        "source": source,
        "kind": kind,
        "state": "running",
        "actor": actor(),
        "started_at": utc_now(),
        "code_version": __version__,
        "fingerprint": fingerprint,
        "options": described,
        **Counts().__dict__,
        "seconds": 0.0,
    }
    connection.execute(insert(table), [row])
    return ingest_id


def unread(connection: Connection, ingest_id: UUID, inputs: Sequence[Input]) -> tuple[list[Input | None], Counts]:
    """Return the inputs with None for those that the run has read to their end, and the counts of these.

    An input that has changed since is read again.
    """
    table = schema.ingest_file
    rows = connection.execute(select(table).where(table.c.ingest_id == ingest_id)).all()
    done: dict[tuple[Any, ...], Any] = {(row.file, row.size_bytes, row.stamp): row for row in rows}
    left: list[Input | None] = []
    counts = Counts()
    for one in inputs:
        row = done.get((as_text(one.name), one.size_bytes, one.stamp)) if one.stamp is not None else None
        left.append(one if row is None else None)
        if row is not None:
            n_valid = row.n_read - row.n_quarantined
            counts += Counts(row.n_read, 0, n_valid, row.n_quarantined, 0, row.n_bytes)
    for row in rows:  # of an input that is read again only the new reading counts
        if any(one is not None and as_text(one.name) == row.file for one in left):
            connection.execute(table.delete().where(table.c.ingest_id == ingest_id, table.c.place == row.place))
    return left, counts


def add_files(
    connection: Connection, ingest_id: UUID, finished: Sequence[FinishedFile], counts: dict[str, FileCounts]
) -> None:
    """Enter the inputs that were read to their end with what was read of them."""
    if not finished:
        return
    read = [counts.get(one.file, FileCounts()) for one in finished]
    rows = {
        "ingest_id": uuid_array([ingest_id.bytes] * len(finished)),
        "place": pa.array([one.place for one in finished], pa.uint32()),
        "file": pa.array([as_text(one.file) for one in finished]),
        "format": pa.array([one.format for one in finished]),
        "size_bytes": pa.array([one.size_bytes for one in finished], pa.int64()),
        "stamp": pa.array([one.stamp for one in finished], pa.string()),
        "sha256": pa.array([one.sha256 for one in finished], pa.string()),
        "n_read": pa.array([one.n_read for one in read], pa.int64()),
        "n_quarantined": pa.array([one.n_quarantined for one in read], pa.int64()),
        "n_bytes": pa.array([one.n_bytes for one in read], pa.int64()),
        "finished_at": pa.array([utc_now()] * len(finished), pa.timestamp("us")),
    }
    with registered(connection, finished=pa.table(rows)) as raw:
        raw.execute("INSERT INTO ingest_file BY NAME SELECT * FROM finished")


def settled(connection: Connection, ingest_id: UUID, counts: Counts) -> Counts:
    """Return the counts of a run that has read everything, with as many inserted as it entered in all its attempts.

    The counts of batches are those of one attempt: what an interrupted one had entered is there already for the next.
    """

    def entered(column: Any) -> int:
        table = column.table
        return int(
            connection.execute(select(func.count(column.distinct())).where(table.c.ingest_id == ingest_id)).scalar_one()
        )

    n_valid = counts.n_read - counts.n_quarantined
    # Fewer are valid where the file changed between the attempts.
    n_inserted = min(entered(schema.document.c.document_id), n_valid)
    n_amended = entered(schema.amendment.c.document_id)
    return replace(counts, n_inserted=n_inserted, n_present=n_valid - n_inserted, n_amended=n_amended)


def update_run(connection: Connection, ingest_id: UUID, counts: Counts, seconds: float, state: State) -> None:
    """Set the counts and the state of a run; called in the transaction of each batch."""
    connection.execute(
        text(
            """UPDATE ingest SET n_read = :n_read, n_inserted = :n_inserted, n_present = :n_present,
               n_quarantined = :n_quarantined, n_amended = :n_amended, n_bytes = :n_bytes, seconds = :seconds,
               state = :state,
               finished_at = CASE WHEN :state = 'finished' THEN (now() AT TIME ZONE 'UTC')::TIMESTAMP END
               WHERE ingest_id = :ingest_id"""
        ),
        {**counts.__dict__, "seconds": seconds, "state": state, "ingest_id": ingest_id},
    )


def started_at(connection: Connection, ingest_id: UUID) -> datetime:
    """Return when a run began, the last time."""
    when: datetime = connection.execute(
        select(schema.ingest.c.started_at).where(schema.ingest.c.ingest_id == ingest_id)
    ).scalar_one()
    return when


def actor() -> str:
    """Return who runs this program, and on which machine."""
    return f"{user()}@{socket.gethostname()}"


def user() -> str:
    """Return the name of the user who runs this program."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return "unknown"


def _sorted_json(options: dict[str, object]) -> str:
    return json.dumps(options, sort_keys=True, default=str)
