"""What a person sees of a document before judging it: its text, its claims, and what it resembles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provenance.curation.errors import DocumentGone, JudgedMeanwhile
from provenance.curation.known import claims_on, judgements_in
from provenance.store.store import Store, fetch

#: Neighbours that are shown.
_NEIGHBOURS = 5

_DOCUMENT = """
    SELECT document_id::VARCHAR AS document_id, source, external_id, uri, title, author, authored_at, collected_at,
           licence, n_words, origin, evidence_grade, generation, model, conflict, text
    FROM documents WHERE document_id = CAST(:document AS UUID)
"""
_NEAREST = """
    WITH own AS (SELECT content_id FROM document WHERE document_id = CAST(:document AS UUID)),
    alike AS (  -- one condition a scan: with OR every pair would be looked at for every column
        SELECT content_b AS content_id, rule, score FROM near_duplicate WHERE content_a = (FROM own)
        UNION ALL
        SELECT content_a, rule, score FROM near_duplicate WHERE content_b = (FROM own)
    ),
    resembling AS (
        SELECT document_id, 'same text' AS kind, 1.0 AS score
        FROM document WHERE content_id = (FROM own) AND document_id <> CAST(:document AS UUID)
        UNION ALL
        SELECT synthetic_id, 'laundering: ' || kind, score FROM laundering WHERE document_id = CAST(:document AS UUID)
        UNION ALL
        SELECT document_id, 'laundering: ' || kind, score FROM laundering WHERE synthetic_id = CAST(:document AS UUID)
        UNION ALL
        SELECT d.document_id, rule, score FROM alike JOIN document d USING (content_id)
    ),
    best AS (
        SELECT document_id, string_agg(DISTINCT kind, ', ' ORDER BY kind) AS kind, max(score) AS score
        FROM resembling GROUP BY document_id ORDER BY score DESC, document_id LIMIT :limit
    )
    SELECT document_id::VARCHAR AS document_id, source, origin, model, authored_at, kind, score, text
    FROM best JOIN document USING (document_id) JOIN (SELECT content_id, text FROM content) USING (content_id)
    ORDER BY score DESC, document_id
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
        claims = claims_on(connection, [document])[document]
        for one in judgements_in(claims):
            raise JudgedMeanwhile(document, one.judge, one.origin, one.stated_at)
        neighbours = fetch(connection, _NEAREST, {"document": document, "limit": _NEIGHBOURS}).to_pylist()
        return Viewed(rows[0], claims, neighbours)
