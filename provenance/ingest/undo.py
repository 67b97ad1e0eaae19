"""A run of an ingest is taken back: the store is afterwards as if it had never been, but for the run's own row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.documents import SETTLE_CLUSTERS
from provenance.evidence.dated import withdraw_outdated
from provenance.evidence.settle import settle
from provenance.ids import uuid_array
from provenance.ingest.amend import AMENDABLE
from provenance.ingest.errors import AlreadyUndone
from provenance.ingest.history import FoundRun, find_run
from provenance.ingest.removal import Removed, drop_bare_models, remove_doomed
from provenance.ingest.sources import Source, require_source
from provenance.licences import licence_class
from provenance.records import Claim
from provenance.store.store import Store, fetch_ids, registered, staged

# A retry of refused records belongs to the run that had refused them.
_RETRIES = "SELECT ingest_id FROM ingest WHERE kind = 'retry' AND state <> 'undone' AND (options->>'retry_of') = ?"
_DOOMED = "CREATE TEMP TABLE doomed AS SELECT document_id FROM document SEMI JOIN undone USING (ingest_id)"
_CLAIMS = """
    DELETE FROM evidence WHERE subject_kind = 'ingest' AND ingest_id IN (SELECT ingest_id FROM undone)
"""
_QUARANTINE = "DELETE FROM quarantine WHERE ingest_id IN (SELECT ingest_id FROM undone) RETURNING file, part"
_STATE = "UPDATE ingest SET state = 'undone' WHERE ingest_id IN (SELECT ingest_id FROM undone)"

# All amendments of the fields that the run amended, in the order in which they were made, and what was there before.
_CHAIN = """
    CREATE TEMP TABLE chain AS
    SELECT a.*, a.rowid AS place, a.ingest_id IN (SELECT ingest_id FROM undone) AS is_own,
           first_value(previous) OVER (PARTITION BY document_id, field ORDER BY a.rowid) AS original
    FROM amendment a
    SEMI JOIN (SELECT document_id, field FROM amendment SEMI JOIN undone USING (ingest_id)) w USING (document_id, field)
"""
# Those of other runs, each now after the one before it; one that changes nothing any more is none.
_MENDED = """
    CREATE TEMP TABLE mended AS
    SELECT * FROM (
        SELECT document_id, ingest_id, field, value, stated_at, place,
               lag(value, 1, original) OVER (PARTITION BY document_id, field ORDER BY place) AS previous
        FROM chain WHERE NOT is_own
    ) WHERE value IS DISTINCT FROM previous
"""
_FINAL = """
    CREATE TEMP TABLE final AS
    SELECT document_id, field,
           CASE WHEN bool_and(is_own) THEN any_value(original)
                ELSE arg_max(value, place) FILTER (NOT is_own) END AS value,
           coalesce(max(place) FILTER (NOT is_own) > max(place) FILTER (is_own), false) AS is_later
    FROM chain GROUP BY ALL
"""
_N_RESTORED = "SELECT count(DISTINCT document_id) FILTER (NOT is_later), count(*) FILTER (is_later) FROM final"
_RESTORE_AMENDMENTS = (
    """DELETE FROM amendment a USING chain c
       WHERE a.document_id = c.document_id AND a.field = c.field""",
    """INSERT INTO amendment BY NAME
       SELECT document_id, ingest_id, field, previous, value, stated_at FROM mended ORDER BY place""",
)
_RESTORE_FIELD = {
    name: f"""
    UPDATE document SET {name} = f.value FROM (SELECT document_id, value FROM final WHERE field = '{name}') f
    WHERE document.document_id = f.document_id
    """
    for name in AMENDABLE
}
_LICENCES = "SELECT DISTINCT value FROM final WHERE field = 'licence'"
_RESTORE_CLASSES = """
    UPDATE document SET stated_licence_class = f.class
    FROM (SELECT f.document_id, k.class FROM final f JOIN known k ON k.licence IS NOT DISTINCT FROM f.value
          WHERE f.field = 'licence') f
    WHERE document.document_id = f.document_id
"""
_AFFECTED = "CREATE TEMP TABLE affected AS SELECT DISTINCT cluster_id FROM document SEMI JOIN final USING (document_id)"

_LEFT_OF_SOURCE = """
    SELECT (SELECT count(*) FROM document WHERE source = $name)
           + (SELECT count(*) FROM quarantine WHERE source = $name)
           + (SELECT count(*) FROM ingest WHERE source = $name AND state <> 'undone')
"""
_DELETE_SOURCE = (
    "DELETE FROM evidence WHERE subject_kind = 'source' AND source = ?",
    "DELETE FROM source WHERE name = ?",
)
# Which runs may have met documents or refused records of this one. Rows of runs stand in the order of their beginning;
# one that began earlier may have ended later.
_LATER = """
    SELECT i.ingest_id, i.started_at, i.n_present, i.n_quarantined
    FROM ingest i,
         (SELECT min(o.rowid) AS place, min(started_at) AS began FROM ingest o SEMI JOIN undone USING (ingest_id))
    WHERE i.source = $source AND i.state <> 'undone' AND (i.rowid > place OR coalesce(i.finished_at >= began, true))
      AND ((i.n_present > 0 AND $with_documents)
           OR (i.n_quarantined > 0 AND list_has_any((i.options->'files')::VARCHAR[], $refused::VARCHAR[])))
    ORDER BY i.started_at
"""


@dataclass(frozen=True)
class LaterRun:
    """A run that may have found records of an undone one in the store, and so did not enter them itself."""

    ingest_id: UUID
    started_at: datetime
    n_present: int
    n_quarantined: int


@dataclass(frozen=True)
class Undone:
    """What taking back a run did.

    Attributes
    ----------
    run : the run
    retries : retries of its refused records, taken back with it
    removed : what left the store
    n_restored : documents of other runs that have their former description again
    n_kept : amendments by later runs that were kept, on top of the former description
    n_quarantined : refused records that are forgotten
    source_removed : whether the source went too, because the run had made it and nothing else is in it
    models : names that nothing bears any more
    later : runs that met records of this one; their files ought to be ingested again
    """

    run: FoundRun
    retries: tuple[UUID, ...]
    removed: Removed
    n_restored: int
    n_kept: int
    n_quarantined: int
    source_removed: bool
    models: tuple[str, ...]
    later: tuple[LaterRun, ...]

    @property
    def n_released(self) -> int:
        """How many records a retry had taken out of the quarantine that are now neither there nor documents."""
        return self.removed.n_documents if self.run.kind == "retry" else 0


def undo_ingest(store: Store, run: str) -> Undone:
    """Take back a run: its documents, amendments, claims and refused records.

    Parameters
    ----------
    run : id of the run or the beginning of it

    Raises
    ------
    UnknownName, AmbiguousRun
        If there is no such run, or there are several.
    AlreadyUndone
        If it has been taken back already.
    DocumentsInUse
        If a training set has drawn one of its documents.
    DocumentsAreParents
        If a document that stays was made from one of its documents.
    """
    with store.transaction() as connection, registered(connection) as raw:
        found = find_run(connection, run)
        if found.state == "undone":
            raise AlreadyUndone(found.short, found.source)
        retries = [row[0] for row in raw.execute(_RETRIES, [str(found.ingest_id)]).fetchall()]
        ids = [found.ingest_id.bytes, *(one.bytes for one in retries)]
        with staged(connection, undone=pa.table({"ingest_id": uuid_array(ids)})):
            raw.execute(_DOOMED)
            removed = remove_doomed(connection, store.dedup)
            n_restored, n_kept = _restore_descriptions(connection)
            refused = raw.execute(_QUARANTINE).fetchall()
            for statement in (_CLAIMS, _STATE):
                raw.execute(statement)
            later = _later(
                raw, found.source, removed.n_documents + n_restored + n_kept > 0, {one[0] for one in refused}
            )
        source_removed = _remove_own_source(connection, found)
        models = drop_bare_models(connection)
    n_quarantined = sum(part == 0 for _, part in refused)
    return Undone(found, tuple(retries), removed, n_restored, n_kept, n_quarantined, source_removed, models, later)


def _restore_descriptions(connection: Connection) -> tuple[int, int]:
    """Give documents of other runs back what the runs in `undone` changed; return how many, and the fields kept."""
    with registered(connection) as raw:
        for statement in (_CHAIN, _MENDED, _FINAL):
            raw.execute(statement)
        n_restored, n_kept = raw.execute(_N_RESTORED).fetchone()
        licences = [value for (value,) in raw.execute(_LICENCES).fetchall()]
    if n_restored or n_kept:
        classes = [licence_class(one) for one in licences]
        known = {"licence": pa.array(licences, pa.string()), "class": pa.array(classes, pa.string())}
        with staged(connection, known=pa.table(known)):
            for statement in (*_RESTORE_AMENDMENTS, *_RESTORE_FIELD.values(), _RESTORE_CLASSES, _AFFECTED):
                raw.execute(statement)
        raw.execute(SETTLE_CLUSTERS)
        raw.execute("DROP TABLE temp.affected")
        outdated = withdraw_outdated(connection, fetch_ids(connection, "SELECT DISTINCT document_id FROM final"))
        if outdated.num_rows:
            settle(connection, outdated)
    for table in ("chain", "mended", "final"):
        raw.execute(f"DROP TABLE temp.{table}")
    return int(n_restored), int(n_kept)


def _later(raw: Any, source: str, with_documents: bool, files: set[str]) -> tuple[LaterRun, ...]:
    rows = raw.execute(
        _LATER, {"source": source, "with_documents": with_documents, "refused": sorted(files)}
    ).fetchall()
    return tuple(LaterRun(*row) for row in rows)


def _remove_own_source(connection: Connection, run: FoundRun) -> bool:
    """Remove the run's source if nothing is in it any more and it is one that the run makes on the fly."""
    stored = require_source(connection, run.source)
    said = run.options.get("claim")
    claim = None if said is None else Claim(said["origin"], said["generation"], said["model"])
    if claim is None or Source(run.source, claim, run.options.get("licence")) != stored:
        return False
    with registered(connection) as raw:
        (n_left,) = raw.execute(_LEFT_OF_SOURCE, {"name": run.source}).fetchone()
        if n_left:
            return False
        for statement in _DELETE_SOURCE:
            raw.execute(statement, [run.source])
    return True


def as_dict(undone: Undone) -> dict[str, Any]:
    """Return what taking back a run did as plain values for JSON."""
    found = asdict(undone)
    run = found.pop("run")
    return {"ingest": run["ingest_id"], "source": run["source"], **found.pop("removed"), **found,
            "n_released": undone.n_released}  # fmt: skip
