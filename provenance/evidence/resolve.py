"""How claims become the one origin that `documents` shows: one rule, as SQL that anybody can read.

The claim with the highest rank counts. Among claims of equal rank the more specific subject counts (the document
itself before its ingest, the ingest before the source), then the later claim. A document whose claim is `unknown` has
evidence of rank 0. Resolved values are stored with the document; `provenance check` computes them again by this query.
"""

from __future__ import annotations

#: document_id -> origin, generation, model, evidence_rank as the claims give them.
RESOLVED = """
    SELECT document_id, origin, generation, model, CASE WHEN origin = 'unknown' THEN 0 ELSE rank END AS evidence_rank
    FROM (
        SELECT d.document_id, e.origin, e.generation, e.model, e.rank, e.stated_at, e.specificity, e.evidence_id
        FROM document d JOIN (SELECT *, 1 AS specificity FROM evidence WHERE subject_kind = 'source') e
          ON e.subject = d.source
        UNION ALL
        SELECT d.document_id, e.origin, e.generation, e.model, e.rank, e.stated_at, e.specificity, e.evidence_id
        FROM document d JOIN (SELECT *, 2 AS specificity FROM evidence WHERE subject_kind = 'ingest') e
          ON e.subject = d.ingest_id::VARCHAR
        UNION ALL
        SELECT d.document_id, e.origin, e.generation, e.model, e.rank, e.stated_at, e.specificity, e.evidence_id
        FROM document d JOIN (SELECT *, 3 AS specificity FROM evidence WHERE subject_kind = 'document') e
          ON e.subject = d.document_id::VARCHAR
    )
    QUALIFY row_number() OVER (
        PARTITION BY document_id ORDER BY rank DESC, specificity DESC, stated_at DESC, evidence_id
    ) = 1
"""
