"""What a person sees of a document before judging it: its text, its claims, and what it resembles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection

from provenance.curation.errors import DocumentGone, JudgedMeanwhile
from provenance.curation.judging import standing
from provenance.ids import uuid_array
from provenance.store.store import Store, fetch, staged

#: Neighbours that are shown.
_NEIGHBOURS = 5

_DOCUMENT = """
    SELECT document_id::VARCHAR AS document_id, source, external_id, uri, title, author, authored_at, collected_at,
           licence, n_words, origin, evidence_grade, generation, model, conflict, text
    FROM documents WHERE document_id = CAST(:document AS UUID)
"""
#: Claims about documents, about their ingests and their sources that were not taken back.
CLAIMS = """
    WITH d AS (FROM document SEMI JOIN chosen USING (document_id)),
    standing AS (FROM claims WHERE retracts IS NULL AND NOT is_retracted)
    SELECT d.document_id::VARCHAR AS document, c.claim_id::VARCHAR AS claim_id, c.subject_kind, c.origin, c.generation,
           c.model, c.grade, c.rank, c.method, c.confidence, c.author, c.stated_at, c.note
    FROM (
        SELECT d.document_id AS of, c.* FROM d JOIN standing c ON c.document_id = d.document_id
        UNION ALL
        SELECT d.document_id, c.* FROM d JOIN standing c ON c.ingest_id = d.ingest_id
        UNION ALL
        SELECT d.document_id, c.* FROM d JOIN standing c ON c.subject_kind = 'source' AND c.source = d.source
    ) c JOIN d ON d.document_id = c.of
    ORDER BY document, c.rank DESC, c.stated_at DESC, claim_id
"""
_NEAREST = """
    WITH own AS (FROM document WHERE document_id = CAST(:document AS UUID)),
    resembling AS (
        SELECT d.document_id, 'same text' AS kind, 1.0 AS score
        FROM document d JOIN own ON d.content_id = own.content_id AND d.document_id <> own.document_id
        UNION ALL
        SELECT synthetic_id, 'laundering: ' || kind, score FROM laundering JOIN own USING (document_id)
        UNION ALL
        SELECT l.document_id, 'laundering: ' || kind, score
        FROM laundering l JOIN own ON l.synthetic_id = own.document_id
        UNION ALL
        SELECT d.document_id, n.rule, n.score
        FROM near_duplicate n JOIN own ON own.content_id IN (n.content_a, n.content_b)
        JOIN document d ON d.content_id = CASE WHEN n.content_a = own.content_id THEN n.content_b ELSE n.content_a END
    ),
    best AS (
        SELECT document_id, string_agg(DISTINCT kind, ', ' ORDER BY kind) AS kind, max(score) AS score
        FROM resembling GROUP BY document_id ORDER BY score DESC, document_id LIMIT :limit
    )
    SELECT d.document_id::VARCHAR AS document_id, d.source, d.origin, d.model, d.authored_at, b.kind, b.score, d.text
    FROM best b JOIN documents d USING (document_id) ORDER BY b.score DESC, document_id
"""


@dataclass(frozen=True)
class Viewed:
    """A document as it is shown.

    Attributes
    ----------
    document : its columns and its text
    claims : those that hold for it, the best first
    neighbours : documents that it resembles, the nearest first, with kind, score and text
    """

    document: dict[str, Any]
    claims: list[dict[str, Any]]
    neighbours: list[dict[str, Any]]


def view_document(store: Store, document: str) -> Viewed:
    """Return a document that nobody has judged yet.

    Raises
    ------
    DocumentGone
        If it is no longer there.
    JudgedMeanwhile
        If somebody has judged it.
    """
    with store.read() as connection:
        rows = fetch(connection, _DOCUMENT, {"document": document}).to_pylist()
        if not rows:
            raise DocumentGone(document)
        for one in standing(connection, [document]).get(document, ()):
            raise JudgedMeanwhile(document, one.judge, one.origin, one.stated_at)
        neighbours = fetch(connection, _NEAREST, {"document": document, "limit": _NEIGHBOURS}).to_pylist()
        return Viewed(rows[0], claims_on(connection, [rows[0]["document_id"]])[document], neighbours)


def claims_on(connection: Connection, documents: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the claims that hold for documents, those of the best grade first."""
    ids = pa.table({"document_id": uuid_array([UUID(one).bytes for one in documents])})
    found: dict[str, list[dict[str, Any]]] = {one: [] for one in documents}
    with staged(connection, chosen=ids):
        for row in fetch(connection, CLAIMS).to_pylist():
            found[row.pop("document")].append(row)
    return found
