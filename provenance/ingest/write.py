"""One batch into the store, inside one transaction: what is new goes in, what is there stays, clusters follow."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, func, select, text

from provenance.dedup.incremental import Contents, add_contents
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.representative import CHOOSE_REPRESENTATIVES
from provenance.evidence.claims import state_claims
from provenance.ids import composite_digest, uuid_array
from provenance.ingest.prepare import Batch
from provenance.lineage.models import ensure_models
from provenance.store import schema
from provenance.store.store import Store, staged

_PRESENT_DOCUMENTS = "SELECT i.row FROM incoming i WHERE i.document_id IN (SELECT document_id FROM document)"
_PRESENT_CONTENTS = "SELECT i.row FROM incoming i WHERE i.content_id IN (SELECT content_id FROM content)"
_NEXT_NUMBER = "SELECT coalesce(max(content_no) + 1, 0) FROM content"
_MOVE_DOCUMENTS = """
    UPDATE document SET cluster_id = m.cluster_id FROM moved m
    WHERE document.content_id = m.content_id AND document.cluster_id <> m.cluster_id
"""
_PLACE_DOCUMENTS = """
    CREATE OR REPLACE TEMP TABLE placed AS
    SELECT i.*, coalesce(c.cluster_id, i.content_id) AS cluster_id,
           CASE WHEN i.origin = 'unknown' THEN 0 ELSE 1 END AS evidence_rank,
           count(*) OVER (PARTITION BY coalesce(c.cluster_id, i.content_id)) = 1 AS is_representative
    FROM incoming i LEFT JOIN cluster c USING (content_id)
"""
# Almost every document is alone in its cluster: those are entered as its representative and need no second look.
_CROWDED = """
    CREATE OR REPLACE TEMP TABLE affected AS
    SELECT cluster_id FROM placed WHERE NOT is_representative
    UNION SELECT cluster_id FROM document WHERE cluster_id IN (SELECT cluster_id FROM placed)
    UNION SELECT cluster_id FROM moved
"""
_INSERT_DOCUMENTS = """
    INSERT INTO document BY NAME
    SELECT p.* REPLACE (p.is_representative AND a.cluster_id IS NULL AS is_representative)
    FROM placed p LEFT JOIN affected a USING (cluster_id)
"""
_NEW_QUARANTINE = """
    INSERT INTO quarantine BY NAME
    SELECT DISTINCT ON (r.quarantine_id) r.* FROM refused r
    WHERE r.quarantine_id NOT IN (SELECT quarantine_id FROM quarantine)
"""
_NEW_PARENTS = """
    INSERT INTO parent BY NAME
    SELECT DISTINCT p.* FROM incoming p ANTI JOIN parent USING (document_id, parent_id, relation)
"""


@dataclass(frozen=True)
class Counts:
    """What became of the records of a batch or a run: n_read = n_inserted + n_present + n_quarantined."""

    n_read: int = 0
    n_inserted: int = 0
    n_present: int = 0
    n_quarantined: int = 0
    n_bytes: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.n_read + other.n_read,
            self.n_inserted + other.n_inserted,
            self.n_present + other.n_present,
            self.n_quarantined + other.n_quarantined,
            self.n_bytes + other.n_bytes,
        )


class BatchWriter:
    """Writes the batches of one ingest."""

    def __init__(self, store: Store, *, ingest_id: UUID, source: str, stated_at: datetime) -> None:
        self.store = store
        self.ingest_id = ingest_id
        self.source = source
        self.stated_at = stated_at
        self.parameters: DedupParameters = store.dedup

    def write(self, connection: Connection, batch: Batch) -> Counts:
        """Write a batch and return what became of its records in this attempt; see `settled`."""
        fresh = self._new_documents(connection, batch.documents)
        regrouped = self._add_contents(connection, batch, fresh)
        self._add_documents(connection, fresh, regrouped)
        self._add_claims(connection, batch, fresh)
        self._add_parents(connection, batch)
        self._add_refused(connection, batch)
        n_quarantined = sum(refused.part == 0 for _, refused in batch.refused)
        return Counts(
            n_read=batch.n_read,
            n_inserted=fresh.num_rows,
            n_present=batch.n_read - n_quarantined - fresh.num_rows,
            n_quarantined=n_quarantined,
            n_bytes=batch.n_input_bytes,
        )

    def _new_documents(self, connection: Connection, documents: pa.Table) -> pa.Table:
        """Return the documents that the store lacks."""
        n = documents.num_rows
        keys = pa.table({"row": np.arange(n), "document_id": documents["document_id"]})
        with staged(connection, incoming=keys) as raw:
            present = raw.execute(_PRESENT_DOCUMENTS).to_arrow_table()
        absent = np.ones(n, dtype=bool)
        absent[present["row"].to_numpy()] = False
        return documents.filter(pa.array(absent))

    def _add_contents(self, connection: Connection, batch: Batch, fresh: pa.Table) -> dict[bytes, bytes]:
        """Insert the contents that the store lacks; return content id -> cluster id where clusters were looked at."""
        needed = set(fresh["content_id"].combine_chunks().storage.to_pylist()) if fresh.num_rows else set()
        keys = pa.table({"row": np.arange(batch.contents.num_rows), "content_id": batch.contents["content_id"]})
        with staged(connection, incoming=keys) as raw:
            present = set(raw.execute(_PRESENT_CONTENTS).to_arrow_table()["row"].to_pylist())
            (first_number,) = raw.execute(_NEXT_NUMBER).fetchone()
        rows = [i for i, one in enumerate(batch.content_ids) if i not in present and one in needed]
        if not rows:
            return {}
        taken = batch.contents.take(pa.array(rows, pa.int64()))
        numbers = np.arange(first_number, first_number + len(rows), dtype=np.uint32)
        self.store.append(connection, "content", taken.append_column("content_no", pa.array(numbers)))
        signed = np.flatnonzero(taken["n_words"].to_numpy() > 0)
        if not signed.size:
            return {}
        contents = Contents(
            numbers[signed],
            [batch.content_ids[rows[i]] for i in signed],
            batch.signatures[np.array(rows)[signed]],
        )
        return add_contents(connection, contents, self.parameters)

    def _add_documents(self, connection: Connection, fresh: pa.Table, regrouped: dict[bytes, bytes]) -> None:
        """Insert documents, move those whose cluster changed, and choose representatives anew where needed."""
        if not fresh.num_rows:
            return
        by_ingest = pa.array([self.ingest_id.bytes] * fresh.num_rows, pa.binary(16))
        incoming = fresh.append_column("ingest_id", uuid_array(by_ingest))
        moved = {"content_id": uuid_array(list(regrouped)), "cluster_id": uuid_array(list(regrouped.values()))}
        with staged(connection, incoming=incoming, moved=pa.table(moved)) as raw:
            if regrouped:
                raw.execute(_MOVE_DOCUMENTS)
            for statement in (_PLACE_DOCUMENTS, _CROWDED, _INSERT_DOCUMENTS, CHOOSE_REPRESENTATIVES):
                raw.execute(statement)
            raw.execute("DROP TABLE temp.placed")
            raw.execute("DROP TABLE temp.affected")

    def _add_claims(self, connection: Connection, batch: Batch, fresh: pa.Table) -> None:
        ensure_models(connection, fresh["model"].unique().to_pylist())
        if not batch.own_claims:
            return
        entered = {str(one) for one in fresh["document_id"].to_pylist()}
        own = [(subject, claim) for subject, claim in batch.own_claims if subject in entered]
        subjects, claims = [subject for subject, _ in own], [claim for _, claim in own]
        method = "declared by the record"
        state_claims(connection, "document", subjects, claims, method=method, stated_at=self.stated_at)

    def _add_parents(self, connection: Connection, batch: Batch) -> None:
        if not batch.parents:
            return
        rows = {
            "document_id": uuid_array([document for document, _, _ in batch.parents]),
            "parent_id": uuid_array([parent for _, parent, _ in batch.parents]),
            "relation": pa.array([relation for _, _, relation in batch.parents]),
        }
        with staged(connection, incoming=pa.table(rows)) as raw:
            raw.execute(_NEW_PARENTS)

    def _add_refused(self, connection: Connection, batch: Batch) -> None:
        """Keep refused records; the same record of the same file is kept once, however often it is ingested."""
        if not batch.refused:
            return
        ids = [
            composite_digest(self.source, file, one.place, str(one.part), one.reason, one.raw)
            for file, one in batch.refused
        ]
        rows = {
            "quarantine_id": uuid_array(ids),
            "ingest_id": uuid_array([self.ingest_id.bytes] * len(ids)),
            "source": pa.array([self.source] * len(ids)),
            "file": pa.array([file for file, _ in batch.refused]),
            "place": pa.array([one.place for _, one in batch.refused]),
            "part": pa.array([one.part for _, one in batch.refused], pa.uint32()),
            "reason": pa.array([one.reason for _, one in batch.refused]),
            "detail": pa.array([one.detail for _, one in batch.refused], pa.string()),
            "raw": pa.array([one.raw for _, one in batch.refused], pa.binary()),
            "n_bytes": pa.array([len(one.raw) for _, one in batch.refused], pa.int64()),
        }
        with staged(connection, refused=pa.table(rows)) as raw:
            raw.execute(_NEW_QUARANTINE)


def settled(connection: Connection, ingest_id: UUID, counts: Counts) -> Counts:
    """Return the counts of a run that has read everything, with as many inserted as it entered in all its attempts.

    The counts of batches are those of one attempt: what an interrupted one had entered is there already for the next.
    """
    n_there = connection.execute(
        select(func.count()).select_from(schema.document).where(schema.document.c.ingest_id == ingest_id)
    ).scalar_one()
    n_valid = counts.n_read - counts.n_quarantined
    n_inserted = min(n_there, n_valid)  # fewer are valid where the file changed between the attempts
    return replace(counts, n_inserted=n_inserted, n_present=n_valid - n_inserted)


def update_run(connection: Connection, ingest_id: UUID, counts: Counts, seconds: float, state: str) -> None:
    """Set the counts of an ingest's row; called in the transaction of each batch."""
    connection.execute(
        text(
            """UPDATE ingest SET n_read = :n_read, n_inserted = :n_inserted, n_present = :n_present,
               n_quarantined = :n_quarantined, n_bytes = :n_bytes, seconds = :seconds, state = :state,
               finished_at = CASE WHEN :state = 'finished' THEN (now() AT TIME ZONE 'UTC')::TIMESTAMP END
               WHERE ingest_id = :ingest_id"""
        ),
        {**counts.__dict__, "seconds": seconds, "state": state, "ingest_id": ingest_id},
    )


def options_json(options: dict[str, object]) -> str:
    """Return options as JSON with sorted keys, for comparing runs."""
    return json.dumps(options, sort_keys=True, default=str)
