"""A document that is there already and comes again with another description: what it says now is an amendment.

A record that says nothing of a field changes nothing. Within one run the first record of a document counts.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.documents import SETTLE_CLUSTERS
from provenance.ids import uuid_array
from provenance.store.store import staged

#: Columns of `document` that a later record of the same document may change.
AMENDABLE = ("uri", "author", "title", "authored_at", "collected_at", "licence", "metadata")

_DIFFERS = " OR ".join(f"(r.{name} IS NOT NULL AND r.{name} IS DISTINCT FROM d.{name})" for name in AMENDABLE)
_AMENDED = f"""
    CREATE OR REPLACE TEMP TABLE amended AS
    SELECT r.*, d.cluster_id FROM restated r JOIN document d USING (document_id)
    WHERE d.ingest_id <> r.ingest_id AND ({_DIFFERS})
"""
_KEEP_EACH = {
    name: f"""
    INSERT INTO amendment BY NAME
    SELECT a.document_id, a.ingest_id, '{name}' AS field, d.{name}::VARCHAR AS previous, a.{name}::VARCHAR AS value,
           a.stated_at
    FROM amended a JOIN document d USING (document_id)
    WHERE a.{name} IS NOT NULL AND a.{name} IS DISTINCT FROM d.{name}
    """
    for name in AMENDABLE
}
_SET = ", ".join(f"{name} = coalesce(a.{name}, document.{name})" for name in AMENDABLE)
_CHANGE = f"""
    UPDATE document SET {_SET},
           stated_licence_class = CASE WHEN a.licence IS NULL THEN document.stated_licence_class
                                       ELSE a.stated_licence_class END
    FROM amended a WHERE document.document_id = a.document_id
"""
_AFFECTED = "CREATE OR REPLACE TEMP TABLE affected AS SELECT DISTINCT cluster_id FROM amended"


class Amender:
    """Amends documents in one run of an ingest."""

    def __init__(self, *, ingest_id: UUID, stated_at: datetime) -> None:
        self._ingest_id = ingest_id
        self._stated_at = stated_at
        self._seen: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)  # halves of the ids that came before

    def amend(self, connection: Connection, present: pa.Table) -> int:
        """Amend documents that are there by what the records say now; return how many changed.

        Parameters
        ----------
        present : columns of `document` that records decide, one row a document, all of them in the store
        """
        restated = self._first_in_run(present)
        if not restated.num_rows:
            return 0
        n = restated.num_rows
        run = uuid_array(pa.repeat(pa.scalar(self._ingest_id.bytes, pa.binary(16)), n))
        stated_at = pa.repeat(pa.scalar(self._stated_at, pa.timestamp("us")), n)
        columns = restated.select(["document_id", "stated_licence_class", *AMENDABLE])
        with staged(
            connection, restated=columns.append_column("ingest_id", run).append_column("stated_at", stated_at)
        ) as raw:
            raw.execute(_AMENDED)
            (n_amended,) = raw.execute("SELECT count(*) FROM amended").fetchone()
            if n_amended:
                for statement in (*_KEEP_EACH.values(), _CHANGE, _AFFECTED, SETTLE_CLUSTERS):
                    raw.execute(statement)
                raw.execute("DROP TABLE temp.affected")
            raw.execute("DROP TABLE temp.amended")
        return int(n_amended)

    def _first_in_run(self, present: pa.Table) -> pa.Table:
        """Return the documents that no earlier batch of this run held, and remember all."""
        ids = present["document_id"].combine_chunks().storage
        halves = np.frombuffer(b"".join(ids.to_pylist()), dtype=np.uint64)[::2]
        place = np.minimum(np.searchsorted(self._seen, halves), max(0, self._seen.size - 1))
        is_new = self._seen[place] != halves if self._seen.size else np.ones(halves.size, dtype=np.bool_)
        self._seen = np.sort(np.r_[self._seen, halves[is_new]])
        return present.filter(pa.array(is_new))
