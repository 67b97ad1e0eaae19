"""What claims, models and laundering say of documents, written into their rows: after every claim, and for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.documents import SETTLE_CLUSTERS
from provenance.evidence.resolve import resolved_of
from provenance.laundering.follow import TURNED, follow
from provenance.lineage.generations import settle_generations
from provenance.lineage.models import ensure_models
from provenance.store.store import registered

#: Documents that are resolved at a time: so many fit into the memory that a store may use.
_SLICE = 600_000

_NO_RELABELLED = """
    CREATE OR REPLACE TEMP TABLE relabelled AS
    SELECT document_id, cluster_id, origin, generation, model, evidence_rank, conflict, generation_is_bound,
           mean_ancestry, human_ancestry, rowid AS place
    FROM document LIMIT 0
"""
_CHOSEN = """
    CREATE OR REPLACE TEMP TABLE chosen AS
    SELECT document_id, source, ingest_id FROM document SEMI JOIN concerned USING (document_id)
    WHERE document_id BETWEEN ?::UUID AND ?::UUID
"""
_CHOSEN_SLICE = """
    CREATE OR REPLACE TEMP TABLE chosen AS
    SELECT document_id, source, ingest_id FROM document WHERE document_id BETWEEN ?::UUID AND ?::UUID
"""
_RELABEL = f"""
    INSERT INTO relabelled BY NAME
    SELECT r.*, d.cluster_id, d.rowid AS place FROM ({resolved_of("FROM chosen")}) r JOIN document d USING (document_id)
    WHERE (d.origin, d.generation, d.model, d.evidence_rank, d.conflict)
              IS DISTINCT FROM (r.origin, r.generation, r.model, r.evidence_rank, r.conflict)
       OR (d.generation_is_bound, d.mean_ancestry, d.human_ancestry)
              IS DISTINCT FROM (r.generation_is_bound, r.mean_ancestry, r.human_ancestry)
"""
_UPDATE = """
    UPDATE document SET
        origin = r.origin, generation = r.generation, model = r.model, evidence_rank = r.evidence_rank,
        conflict = r.conflict, generation_is_bound = r.generation_is_bound, mean_ancestry = r.mean_ancestry,
        human_ancestry = r.human_ancestry
    FROM (FROM relabelled WHERE place BETWEEN $low AND $high) r
    WHERE document.rowid = r.place AND document.rowid BETWEEN $low AND $high
"""
_AFFECTED = "CREATE OR REPLACE TEMP TABLE affected AS SELECT DISTINCT cluster_id FROM relabelled"
_SET_ASIDE = "CREATE OR REPLACE TEMP TABLE relabelled_first AS FROM relabelled"
_PUT_BACK = "INSERT INTO relabelled BY NAME FROM relabelled_first ANTI JOIN relabelled USING (document_id)"
_TEMPORARY = ("chosen", "relabelled", "relabelled_first", "turned", "affected")


@dataclass(frozen=True)
class Settled:
    """What became of documents when their claims were resolved.

    Attributes
    ----------
    n_changed : documents of which origin, generation, model, grade, conflict or ancestry is another now
    n_dependent : documents of models that were trained on these, of which generation or ancestry is another now
    """

    n_changed: int
    n_dependent: int


def settle(connection: Connection, documents: pa.Table | None = None) -> Settled:
    """Resolve documents anew from their claims, and everything that follows from them, in the caller's transaction.

    Only rows that change are written. Models trained on documents that changed get their generation and ancestry anew,
    then what these models wrote, and so on; every cluster concerned its representative and licence.

    Parameters
    ----------
    documents : table with the ids of those concerned as `document_id` (UUIDs); None for all

    Raises
    ------
    LineageCycle
        If a model would come to be trained on what it, or a model after it, wrote.
    """
    with registered(connection) as raw:
        _relabel(connection, documents)
        raw.execute(_SET_ASIDE)
        found = follow(connection, documents)
        if found is not None and found.num_rows:  # nobody turns by it: who is in conflict can still be laundered text
            _relabel(connection, found)
            raw.execute(_PUT_BACK)
        n_changed = _count(raw)
        if n_changed or documents is None:
            settle_generations(connection, everything=documents is None)
        n_dependent = _count(raw) - n_changed
        raw.execute(_AFFECTED)
        raw.execute(SETTLE_CLUSTERS)
        for table in _TEMPORARY:
            raw.execute(f"DROP TABLE IF EXISTS temp.{table}")
    return Settled(n_changed, n_dependent)


def _relabel(connection: Connection, documents: pa.Table | None) -> None:
    """Write what the claims say, and what that changes into the temporary tables `relabelled` and `turned`."""
    with registered(connection) as raw:
        raw.execute(_NO_RELABELLED)
        for _ in _slices(raw) if documents is None else _given(connection, documents):
            raw.execute(_RELABEL)
        raw.execute(TURNED)
        names = [row[0] for row in raw.execute("SELECT DISTINCT model FROM relabelled").fetchall()]
        ensure_models(connection, names)
        # By their places in the file, so that each block is written once; what this transaction inserted lies far off.
        for (block,) in raw.execute(f"SELECT DISTINCT place // {_SLICE} FROM relabelled ORDER BY ALL").fetchall():
            raw.execute(_UPDATE, {"low": block * _SLICE, "high": (block + 1) * _SLICE - 1})


def _given(connection: Connection, documents: pa.Table) -> Iterator[None]:
    """Choose the documents given, a range of ids at a time."""
    with registered(connection, given=documents) as raw:
        raw.execute("CREATE OR REPLACE TEMP TABLE concerned AS SELECT DISTINCT document_id FROM given")
    for bounds in _ranges(documents.num_rows):
        raw.execute(_CHOSEN, bounds)
        yield
    raw.execute("DROP TABLE temp.concerned")


def _slices(raw: Any) -> Iterator[None]:
    """Choose all documents, a range of ids at a time."""
    (n_documents,) = raw.execute("SELECT count(*) FROM document").fetchone()
    for bounds in _ranges(n_documents):
        raw.execute(_CHOSEN_SLICE, bounds)
        yield


def _ranges(n_documents: int) -> Iterator[list[str]]:
    """Yield the first and last id of ranges that hold so many of the documents each as can be resolved at a time."""
    n = min(256, n_documents // _SLICE + 1)
    for i in range(n):
        low, high = i * 256 // n, (i + 1) * 256 // n - 1
        yield [f"{low:02x}" + "0" * 30, f"{high:02x}" + "f" * 30]


def _count(raw: Any) -> int:
    return int(raw.execute("SELECT count(*) FROM relabelled").fetchone()[0])
