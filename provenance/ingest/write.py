"""One batch into the store, inside one transaction: what is new goes in, what is there stays, clusters follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, func, select

from provenance.dedup.documents import MOVE_DOCUMENTS, SETTLE_CLUSTERS, moved
from provenance.dedup.incremental import Contents, add_contents
from provenance.dedup.parameters import DedupParameters
from provenance.evidence.claims import BY_INGEST, BY_SOURCE, StatedClaim, state_claims
from provenance.evidence.dated import withdraw_outdated
from provenance.evidence.resolve import ANCESTRY, GENERATION
from provenance.evidence.settle import settle
from provenance.ids import composite_digest, uuid_array
from provenance.ingest.amend import Amender
from provenance.ingest.errors import TakenDownMeanwhile
from provenance.ingest.history import short
from provenance.ingest.inputs import as_text
from provenance.ingest.prepare import Batch
from provenance.ingest.readers.base import Ground
from provenance.ingest.sources import require_source
from provenance.ingest.tombstones import Tombstones, count_tombstones, read_tombstones
from provenance.laundering.follow import compare_ingested
from provenance.licences import licence_class
from provenance.lineage.models import ensure_models
from provenance.lineage.parents import add_parents
from provenance.store import schema
from provenance.store.store import Store, fetch_ids, staged

_PRESENT_DOCUMENTS = "SELECT i.row FROM incoming i WHERE i.document_id IN (SELECT document_id FROM document)"
_PRESENT_CONTENTS = "SELECT i.row FROM incoming i WHERE i.content_id IN (SELECT content_id FROM content)"
_NEXT_NUMBER = "SELECT coalesce(max(content_no) + 1, 0) FROM content"
_PLACE_DOCUMENTS = f"""
    CREATE OR REPLACE TEMP TABLE placed AS
    SELECT i.* REPLACE ({GENERATION.format(claimed="i.generation").strip()} AS generation),
           {ANCESTRY.format(claimed="i.generation").strip()},
           i.stated_licence_class AS licence_class, coalesce(c.cluster_id, i.content_id) AS cluster_id,
           CASE WHEN i.origin = 'unknown' THEN 0 ELSE 1 END AS evidence_rank,
           count(*) OVER (PARTITION BY coalesce(c.cluster_id, i.content_id)) = 1 AS is_representative
    FROM incoming i LEFT JOIN cluster c USING (content_id) LEFT JOIN model m ON m.name = i.model
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
_COMPARED = """
    SELECT DISTINCT document_id FROM laundering WHERE document_id IN (SELECT parent_id FROM incoming)
       OR synthetic_id IN (SELECT document_id FROM incoming)
"""

_BY_THE_RECORD = Ground("declared by the record")


@dataclass(frozen=True)
class Counts:
    """What became of the records of a batch or a run: n_read = n_inserted + n_present + n_quarantined.

    `n_amended` documents are among those present: their description was changed.
    """

    n_read: int = 0
    n_inserted: int = 0
    n_present: int = 0
    n_quarantined: int = 0
    n_amended: int = 0
    n_bytes: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: value + getattr(other, name) for name, value in self.__dict__.items()})


class BatchWriter:
    """Writes the batches of one ingest."""

    def __init__(
        self,
        store: Store,
        *,
        ingest_id: UUID,
        source: str,
        stated_at: datetime,
        tombstones: Tombstones | None = None,
    ) -> None:
        self.store = store
        self._tombstones = tombstones or Tombstones()
        self.ingest_id = ingest_id
        self.source = source
        self.stated_at = stated_at
        self.parameters: DedupParameters = store.dedup
        self._amender = Amender(ingest_id=ingest_id, stated_at=stated_at)

    def write(self, connection: Connection, batch: Batch) -> Counts:
        """Write a batch and return what became of its records in this attempt; see `settled`.

        Raises
        ------
        TakenDownMeanwhile
            If something in it was taken down after the run began.
        LineageCycle
            If a document of it would stand among its own ancestors.
        """
        self._refuse_what_is_taken_down(connection, batch)
        fresh, present = self._split(connection, batch.documents)
        fresh = self._with_defaults(connection, fresh)
        regrouped = self._add_contents(connection, batch, fresh)
        self._add_documents(connection, fresh, regrouped)
        n_amended = self._amender.amend(connection, present) if present.num_rows else 0
        amended = present.select(["document_id"]).slice(0, present.num_rows if n_amended else 0)
        self._add_claims(connection, batch, fresh)
        outdated = withdraw_outdated(connection, amended) if amended.num_rows else amended
        linked = self._add_parents(connection, batch)
        found = self._compare_with_outputs(connection, batch, fresh)
        self._settle(connection, fresh, pa.concat_tables([linked, found, outdated]))
        self._add_refused(connection, batch)
        n_quarantined = len(batch.refused_at)
        return Counts(
            n_read=batch.n_read,
            n_inserted=fresh.num_rows,
            n_present=batch.n_read - n_quarantined - fresh.num_rows,
            n_quarantined=n_quarantined,
            n_amended=n_amended,
            n_bytes=batch.n_bytes,
        )

    def _refuse_what_is_taken_down(self, connection: Connection, batch: Batch) -> None:
        """Raise if a takedown that came in between two batches concerns this one: it was made without knowing it."""
        if count_tombstones(connection) == self._tombstones.n:
            return
        now = read_tombstones(connection)
        documents = batch.documents["document_id"].combine_chunks().storage.to_pylist()
        if not (now.documents.isdisjoint(documents) and now.texts.isdisjoint(batch.content_ids)):
            raise TakenDownMeanwhile(short(self.ingest_id), self.source)

    def _split(self, connection: Connection, documents: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return the documents that the store lacks, and those that it has."""
        n = documents.num_rows
        keys = pa.table({"row": np.arange(n), "document_id": documents["document_id"]})
        with staged(connection, incoming=keys) as raw:
            rows = raw.execute(_PRESENT_DOCUMENTS).to_arrow_table()["row"].to_numpy()
        if not rows.size:
            return documents, documents.slice(0, 0)
        present = np.zeros(n, dtype=bool)
        present[rows] = True
        return documents.filter(pa.array(~present)), documents.filter(pa.array(present))

    def _with_defaults(self, connection: Connection, fresh: pa.Table) -> pa.Table:
        """Return new documents with what their source says of all where they say nothing.

        Not so those that are there: silence of a record must not replace what an earlier one said.
        """
        known = require_source(connection, self.source)
        silent = pc.is_null(fresh["licence"])
        fills = {"uri": (pc.is_null(fresh["uri"]), known.uri), "licence": (silent, known.licence)}
        if known.licence is not None:
            fills["stated_licence_class"] = (silent, licence_class(known.licence))
        for name, (where, value) in fills.items():
            if value is not None:
                filled = pc.if_else(where, pa.scalar(value), fresh[name])
                fresh = fresh.set_column(fresh.column_names.index(name), name, filled)
        return fresh

    def _add_contents(self, connection: Connection, batch: Batch, fresh: pa.Table) -> dict[bytes, bytes]:
        """Insert the contents that the store lacks; return content id -> cluster id where clusters were looked at."""
        if not fresh.num_rows:
            return {}
        needed = set(fresh["content_id"].combine_chunks().storage.to_pylist())
        keys = pa.table({"row": np.arange(batch.contents.num_rows), "content_id": batch.contents["content_id"]})
        with staged(connection, incoming=keys) as raw:
            present = set(raw.execute(_PRESENT_CONTENTS).to_arrow_table()["row"].to_pylist())
            (first_number,) = raw.execute(_NEXT_NUMBER).fetchone()
        rows = [i for i, one in enumerate(batch.content_ids) if i not in present and one in needed]
        if not rows:
            return {}
        is_all = len(rows) == batch.contents.num_rows
        taken = batch.contents if is_all else batch.contents.take(pa.array(rows, pa.int64()))
        numbers = np.arange(first_number, first_number + len(rows), dtype=np.uint32)
        self.store.append(connection, "content", taken.append_column("content_no", pa.array(numbers)))
        features = batch.features if is_all else batch.features.take(np.array(rows))
        contents = Contents(numbers, [batch.content_ids[row] for row in rows], features)
        return add_contents(connection, contents, self.parameters)

    def _add_documents(self, connection: Connection, fresh: pa.Table, regrouped: dict[bytes, bytes]) -> None:
        """Insert documents, move those whose cluster changed, and choose representatives anew where needed."""
        if not fresh.num_rows:
            return
        by_ingest = uuid_array(pa.repeat(pa.scalar(self.ingest_id.bytes, pa.binary(16)), fresh.num_rows))
        with staged(connection, incoming=fresh.append_column("ingest_id", by_ingest), moved=moved(regrouped)) as raw:
            if regrouped:
                raw.execute(MOVE_DOCUMENTS)
            for statement in (_PLACE_DOCUMENTS, _CROWDED, _INSERT_DOCUMENTS, SETTLE_CLUSTERS):
                raw.execute(statement)
            raw.execute("DROP TABLE temp.placed")
            raw.execute("DROP TABLE temp.affected")

    def _add_claims(self, connection: Connection, batch: Batch, fresh: pa.Table) -> None:
        ensure_models(connection, fresh["model"].unique().to_pylist())
        if not batch.claims:
            return
        entered = {str(one) for one in fresh["document_id"].to_pylist()}
        state_claims(
            connection,
            [
                StatedClaim("document", subject, claim, ground.method, ground.note)
                for subject, claim, ground in ((*one[:2], one[2] or _BY_THE_RECORD) for one in batch.claims)
                if subject in entered
            ],
            stated_at=self.stated_at,
        )

    def _compare_with_outputs(self, connection: Connection, batch: Batch, fresh: pa.Table) -> pa.Table:
        """Look for laundered text; return the documents, new and old, for which that changed anything."""
        documents = fresh.select(["content_id", "origin"])
        spans = batch.features.spans
        return compare_ingested(connection, documents, batch.contents, spans, self.parameters, ingest_id=self.ingest_id)

    def _settle(self, connection: Connection, fresh: pa.Table, found: pa.Table) -> None:
        """Resolve what laundered text changed, and new documents of whose source or ingest more is claimed."""
        about = schema.evidence.c
        concerns = (about.source == self.source) | (about.ingest_id == self.ingest_id)
        others = about.method.not_in((BY_SOURCE, BY_INGEST)) | about.retracts.is_not(None)
        said = select(func.count()).where(concerns, others)
        if fresh.num_rows and connection.execute(said).scalar_one():
            found = pa.concat_tables([found, fresh.select(["document_id"])])
        if found.num_rows:
            settle(connection, found)

    def _add_parents(self, connection: Connection, batch: Batch) -> pa.Table:
        """Insert parents; return the documents, compared with outputs before, that turn out to be prompts of these."""
        if not batch.parents:
            return pa.table({"document_id": pa.array([], pa.uuid())})
        add_parents(connection, batch.parents)
        pairs = {
            "document_id": uuid_array([document for document, _, _ in batch.parents]),
            "parent_id": uuid_array([parent for _, parent, _ in batch.parents]),
        }
        with staged(connection, incoming=pa.table(pairs)):
            return fetch_ids(connection, _COMPARED)

    def _add_refused(self, connection: Connection, batch: Batch) -> None:
        """Keep refused records; the same record of the same file is kept once, however often it is ingested."""
        if not batch.refused:
            return
        records = [refused.record for refused in batch.refused]
        ids = [
            composite_digest(self.source, refused.file, one.place, str(one.part), one.reason, one.raw)
            for refused, one in zip(batch.refused, records, strict=True)
        ]
        rows = {
            "quarantine_id": uuid_array(ids),
            "ingest_id": uuid_array([self.ingest_id.bytes] * len(ids)),
            "source": pa.repeat(self.source, len(ids)),
            "file": pa.array([as_text(refused.file) for refused in batch.refused]),
            "place": pa.array([one.place for one in records]),
            "part": pa.array([one.part for one in records], pa.uint32()),
            "reason": pa.array([one.reason for one in records]),
            "detail": pa.array([one.detail for one in records], pa.string()),
            "raw": pa.array([one.raw for one in records], pa.binary()),
            "n_bytes": pa.array([len(one.raw) for one in records], pa.int64()),
            "format": pa.array([refused.format for refused in batch.refused]),
            "context": pa.array([refused.context for refused in batch.refused], pa.binary()),
        }
        with staged(connection, refused=pa.table(rows)) as raw:
            raw.execute(_NEW_QUARANTINE)
