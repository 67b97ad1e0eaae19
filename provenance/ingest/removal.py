"""Documents leave the store, with everything that was derived from them alone.

The store is afterwards as if they had never come: contents that no other document has go with their signatures,
buckets and edges; clusters that they held together fall apart; every cluster concerned gets its representative and its
licence class anew. Only the runs that brought them remember how many went. All of it is one transaction of a few
statements, whatever the number of documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.documents import MOVE_DOCUMENTS, SETTLE_CLUSTERS, moved
from provenance.dedup.incremental import remove_contents
from provenance.dedup.parameters import DedupParameters
from provenance.errors import UnknownName
from provenance.evidence.settle import settle
from provenance.ids import uuid_array
from provenance.ingest.errors import DocumentsAreParents, DocumentsInUse
from provenance.laundering.follow import compare_again
from provenance.laundering.index import unindex
from provenance.laundering.judge import ORIGINALS
from provenance.laundering.roles import IS_OUTPUT, OF_LOST_ORIGINALS
from provenance.store.store import Store, fetch_ids, registered

#: Contents that are taken out of the buckets at a time: the buckets of so many are held in memory.
_CONTENTS = 200_000

_UNKNOWN = "SELECT document_id::VARCHAR FROM doomed ANTI JOIN document USING (document_id) ORDER BY ALL LIMIT 1"
_USED = """
    SELECT training_set, count(DISTINCT document_id) AS n FROM training_set_item SEMI JOIN doomed USING (document_id)
    GROUP BY ALL ORDER BY ALL
"""
_N_USED = "SELECT count(DISTINCT document_id) FROM training_set_item SEMI JOIN doomed USING (document_id)"
_ORPHANS = """
    CREATE TEMP TABLE orphan AS
    SELECT p.document_id, p.parent_id FROM parent p JOIN doomed d ON d.document_id = p.parent_id
    WHERE p.document_id NOT IN (SELECT document_id FROM doomed)
"""
_CHILDREN = """
    SELECT source, count(DISTINCT document_id) AS n FROM orphan JOIN document USING (document_id)
    GROUP BY ALL ORDER BY ALL
"""
_N_PARENTS = "SELECT count(DISTINCT parent_id) FROM orphan"

_AFFECTED = """
    CREATE TEMP TABLE affected AS SELECT DISTINCT cluster_id FROM document SEMI JOIN doomed USING (document_id)
"""
_N_CLUSTERS = """
    SELECT count(*) FROM (
        SELECT cluster_id FROM document SEMI JOIN affected USING (cluster_id) GROUP BY ALL HAVING count(*) > 1
    )
"""
_LOST_CONTENTS = """
    CREATE TEMP TABLE lost_content AS
    SELECT content_id FROM document SEMI JOIN doomed USING (document_id)
    EXCEPT
    SELECT content_id FROM document ANTI JOIN doomed USING (document_id)
"""
_NOTE_IN_RUNS = """
    UPDATE ingest SET options = json_merge_patch(
        options, json_object('n_removed', coalesce((options->>'n_removed')::BIGINT, 0) + r.n)
    )
    FROM (SELECT ingest_id, count(*) AS n FROM document SEMI JOIN doomed USING (document_id) GROUP BY ALL) r
    WHERE ingest.ingest_id = r.ingest_id
"""
_ALIKE = """
    SELECT DISTINCT document_id FROM laundering
    WHERE document_id NOT IN (SELECT document_id FROM doomed) AND synthetic_id IN (
        SELECT document_id FROM doomed
        UNION ALL SELECT synthetic_id FROM laundering SEMI JOIN doomed USING (document_id)
    )
"""
_FORGET_OUTPUTS = "DELETE FROM laundering WHERE synthetic_id IN (SELECT document_id FROM doomed)"
_OUTPUTS = f"""
    SELECT content_id FROM document SEMI JOIN doomed USING (document_id)
    WHERE {IS_OUTPUT} AND content_id NOT IN (SELECT content_id FROM lost_content)
"""
_DELETE = (
    """DELETE FROM parent WHERE document_id IN (SELECT document_id FROM doomed)
       OR parent_id IN (SELECT document_id FROM doomed)""",
    "DELETE FROM annotation WHERE document_id IN (SELECT document_id FROM doomed)",
    "DELETE FROM amendment WHERE document_id IN (SELECT document_id FROM doomed)",
    """DELETE FROM evidence
       WHERE subject_kind = 'document' AND document_id IN (SELECT document_id FROM doomed)""",
    f"""DELETE FROM laundering WHERE document_id IN (SELECT document_id FROM doomed)
          AND NOT ({OF_LOST_ORIGINALS} AND document_id IN (FROM ({ORIGINALS})))""",
    "DELETE FROM token_count WHERE content_id IN (SELECT content_id FROM lost_content)",
    "DELETE FROM detector_score WHERE content_id IN (SELECT content_id FROM lost_content)",
    "DELETE FROM document WHERE document_id IN (SELECT document_id FROM doomed)",
)
# From the largest id on: the smallest are the anchors of their buckets, and while they stay nobody takes their place.
_LOST_IDS = "SELECT content_id::BLOB AS content_id FROM lost_content ORDER BY lost_content.content_id DESC"
_DELETE_CONTENTS = "DELETE FROM content WHERE content_id IN (SELECT content_id FROM lost_content)"
_AFFECTED_TOO = "INSERT INTO affected SELECT cluster_id FROM moved EXCEPT SELECT cluster_id FROM affected"
_DELETE_MODELS = """
    DELETE FROM model WHERE digest IS NULL AND training_set IS NULL AND name NOT IN (
        SELECT model FROM document WHERE model IS NOT NULL
        UNION SELECT model FROM source WHERE model IS NOT NULL
        UNION SELECT model FROM evidence WHERE model IS NOT NULL
        UNION SELECT model FROM training_set_item WHERE model IS NOT NULL
        UNION SELECT model FROM training_run WHERE model IS NOT NULL
    ) RETURNING name
"""

_SOURCE_IS_THERE = "SELECT count(*) FROM source WHERE name = ?"
_DELETE_SOURCE = (
    """DELETE FROM evidence WHERE subject_kind = 'ingest'
       AND ingest_id IN (SELECT ingest_id FROM ingest WHERE source = ?)""",
    "UPDATE ingest SET state = 'undone' WHERE source = ? AND state <> 'undone'",
    "DELETE FROM evidence WHERE subject_kind = 'source' AND source = ?",
    "DELETE FROM source WHERE name = ?",
)


@dataclass(frozen=True)
class Removed:
    """What left the store.

    Attributes
    ----------
    n_documents : documents
    n_contents : texts that no document has any more
    n_clusters : clusters of several documents that lost some or all of them
    """

    n_documents: int
    n_contents: int
    n_clusters: int


@dataclass(frozen=True)
class RemovedSource(Removed):
    """What left the store with a source.

    Attributes
    ----------
    n_quarantined : refused records
    models : names that nothing bears any more
    """

    n_quarantined: int
    models: tuple[str, ...]


def remove(store: Store, ids: Sequence[str]) -> Removed:
    """Remove documents by their ids.

    Raises
    ------
    UnknownName
        If there is no such document.
    DocumentsInUse, DocumentsAreParents
        As `remove_documents`.
    """
    digests = []
    for one in ids:
        try:
            digests.append(UUID(one).bytes)
        except ValueError as error:
            raise UnknownName("document", one, hint="Expected an id as in the view documents.") from error
    with store.transaction() as connection:
        removed = remove_documents(connection, digests, store.dedup)
        drop_bare_models(connection)
    return removed


def remove_documents(connection: Connection, ids: Sequence[bytes] | pa.Array, parameters: DedupParameters) -> Removed:
    """Remove documents inside a transaction; models that only they named stay, see `drop_bare_models`.

    Parameters
    ----------
    ids : document ids of 16 bytes
    parameters : of the store's near-duplicate search

    Raises
    ------
    UnknownName
        If a document is not there.
    DocumentsInUse
        If a training set has drawn one of them.
    DocumentsAreParents
        If a document that stays was made from one of them.
    """
    with registered(connection, given=pa.table({"document_id": uuid_array(ids)})) as raw:
        raw.execute("CREATE TEMP TABLE doomed AS SELECT DISTINCT document_id FROM given")
    unknown = raw.execute(_UNKNOWN).fetchone()
    if unknown is not None:
        raise UnknownName("document", unknown[0], hint="Nothing was changed.")
    return remove_doomed(connection, parameters)


def remove_doomed(connection: Connection, parameters: DedupParameters) -> Removed:
    """Remove the documents of the temporary table `doomed` (document_id), and that table; see `remove_documents`."""
    raw = _raw(connection)
    _refuse_where_used(raw)
    _refuse_where_parents(raw)
    alike = fetch_ids(connection, _ALIKE)
    raw.execute(_FORGET_OUTPUTS)
    removed = erase_doomed(connection, parameters)
    if alike.num_rows:  # what was taken for laundered text of these is so no more
        compare_again(connection, alike, parameters)
        settle(connection, alike)
    return removed


def erase_doomed(connection: Connection, parameters: DedupParameters) -> Removed:
    """Remove the documents of `doomed`, and that table, also those that training sets drew or others were made from."""
    raw = _raw(connection)
    for statement in (_AFFECTED, _LOST_CONTENTS):
        raw.execute(statement)
    outputs = fetch_ids(connection, _OUTPUTS)
    removed = Removed(
        _count(raw, "SELECT count(*) FROM doomed"),
        _count(raw, "SELECT count(*) FROM lost_content"),
        _count(raw, _N_CLUSTERS),
    )
    for statement in (_NOTE_IN_RUNS, *_DELETE):
        raw.execute(statement)
    regrouped = _remove_lost_contents(connection, parameters)
    with registered(connection, regrouped=moved(regrouped)):
        raw.execute("CREATE TEMP TABLE moved AS SELECT * FROM regrouped")
    for statement in (MOVE_DOCUMENTS, _AFFECTED_TOO, SETTLE_CLUSTERS):
        raw.execute(statement)
    for table in ("moved", "affected", "lost_content", "doomed"):
        raw.execute(f"DROP TABLE temp.{table}")
    if parameters.containment is None and outputs.num_rows:
        unindex(connection, outputs)
    return removed


def remove_source(store: Store, name: str) -> RemovedSource:
    """Remove a source with all its documents and refused records; its runs count as undone.

    Raises
    ------
    UnknownName
        If there is none of that name.
    DocumentsInUse, DocumentsAreParents
        As `remove_documents`.
    """
    with store.transaction() as connection, registered(connection) as raw:
        if not raw.execute(_SOURCE_IS_THERE, [name]).fetchone()[0]:
            known = [row[0] for row in raw.execute("SELECT name FROM source").fetchall()]
            raise UnknownName("source", name, known, hint="See: provenance stats")
        raw.execute("CREATE TEMP TABLE doomed AS SELECT document_id FROM document WHERE source = ?", [name])
        removed = remove_doomed(connection, store.dedup)
        refused = raw.execute("DELETE FROM quarantine WHERE source = ? RETURNING part", [name]).fetchall()
        for statement in _DELETE_SOURCE:
            raw.execute(statement, [name])
        models = drop_bare_models(connection)
    n_quarantined = sum(part == 0 for (part,) in refused)
    return RemovedSource(**removed.__dict__, n_quarantined=n_quarantined, models=models)


def drop_bare_models(connection: Connection) -> tuple[str, ...]:
    """Delete models known by name alone that nothing bears any more, and return their names."""
    return tuple(sorted(name for (name,) in _raw(connection).execute(_DELETE_MODELS).fetchall()))


def _refuse_where_used(raw: Any) -> None:
    used = dict(raw.execute(_USED).fetchall())
    if used:
        raise DocumentsInUse(_count(raw, _N_USED), used)


def _refuse_where_parents(raw: Any) -> None:
    raw.execute(_ORPHANS)
    children = dict(raw.execute(_CHILDREN).fetchall())
    if children:
        raise DocumentsAreParents(_count(raw, _N_PARENTS), children)
    raw.execute("DROP TABLE temp.orphan")


def _remove_lost_contents(connection: Connection, parameters: DedupParameters) -> dict[bytes, bytes]:
    """Take the contents of `lost_content` out of everything; return content id -> cluster id of those regrouped."""
    raw = _raw(connection)
    ids: list[bytes] = raw.execute(_LOST_IDS).to_arrow_table()["content_id"].to_pylist()
    regrouped: dict[bytes, bytes] = {}
    for first in range(0, len(ids), _CONTENTS):
        regrouped |= remove_contents(connection, ids[first : first + _CONTENTS], parameters)
    raw.execute(_DELETE_CONTENTS)
    for one in ids:
        regrouped.pop(one, None)
    return regrouped


def _raw(connection: Connection) -> Any:
    with registered(connection) as raw:
        return raw


def _count(raw: Any, query: str) -> int:
    return int(raw.execute(query).fetchone()[0])
