"""Claims by many hands with what supports them, ancestry, laundered documents, detectors and takedowns.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The subject of a claim was one text column: ids as text cost 36 bytes and a cast at every join.
EVIDENCE = """
    CREATE TABLE evidence (
        evidence_id UUID NOT NULL,
        subject_kind VARCHAR NOT NULL,
        source VARCHAR,
        ingest_id UUID,
        document_id UUID,
        origin VARCHAR NOT NULL,
        generation UINTEGER,
        model VARCHAR,
        method VARCHAR NOT NULL,
        rank UTINYINT NOT NULL,
        confidence DOUBLE,
        author VARCHAR,
        stated_at TIMESTAMP NOT NULL,
        note VARCHAR,
        support_digest VARCHAR,
        support_uri VARCHAR,
        retracts UUID
    )
"""
OLD_EVIDENCE = """
    INSERT INTO evidence BY NAME
    SELECT * EXCLUDE (subject),
           CASE WHEN subject_kind = 'source' THEN subject END AS source,
           CASE WHEN subject_kind = 'ingest' THEN subject::UUID END AS ingest_id,
           CASE WHEN subject_kind = 'document' THEN subject::UUID END AS document_id
    FROM old_evidence
"""

TABLES = (
    """
    CREATE TABLE support (
        digest VARCHAR NOT NULL,
        name VARCHAR NOT NULL,
        kind VARCHAR NOT NULL,
        n_bytes BIGINT NOT NULL,
        bytes BLOB NOT NULL,
        created_at TIMESTAMP NOT NULL,
        PRIMARY KEY (digest)
    )
    """,
    """
    CREATE TABLE attestation (
        attestation_id UUID NOT NULL,
        source VARCHAR NOT NULL,
        signer VARCHAR NOT NULL,
        signed_on DATE NOT NULL,
        expires_on DATE,
        terms VARCHAR,
        statement_digest VARCHAR NOT NULL,
        signature_digest VARCHAR,
        public_key_digest VARCHAR,
        is_verified BOOLEAN NOT NULL,
        evidence_id UUID NOT NULL,
        PRIMARY KEY (attestation_id)
    )
    """,
    """
    CREATE TABLE detector (
        name VARCHAR NOT NULL,
        version VARCHAR NOT NULL,
        digest VARCHAR NOT NULL,
        threshold DOUBLE NOT NULL,
        report JSON NOT NULL,
        weights BLOB,
        created_at TIMESTAMP NOT NULL,
        PRIMARY KEY (name, version)
    )
    """,
    """
    CREATE TABLE detector_score (
        detector VARCHAR NOT NULL,
        version VARCHAR NOT NULL,
        content_id UUID NOT NULL,
        score DOUBLE NOT NULL
    )
    """,
    """
    CREATE TABLE laundering (
        document_id UUID NOT NULL,
        synthetic_id UUID NOT NULL,
        kind VARCHAR NOT NULL,
        score DOUBLE NOT NULL,
        n_words UINTEGER,
        verdict VARCHAR NOT NULL,
        ground VARCHAR NOT NULL,
        found_at TIMESTAMP NOT NULL
    )
    """,
    """
    CREATE TABLE takedown (
        takedown_id UUID NOT NULL,
        selection JSON NOT NULL,
        reason VARCHAR NOT NULL,
        actor VARCHAR NOT NULL,
        taken_down_at TIMESTAMP NOT NULL,
        touched JSON NOT NULL,
        PRIMARY KEY (takedown_id)
    )
    """,
    """
    CREATE TABLE tombstone (
        takedown_id UUID NOT NULL,
        document_id UUID NOT NULL,
        content_id UUID NOT NULL,
        source VARCHAR NOT NULL,
        origin VARCHAR NOT NULL,
        n_words UINTEGER NOT NULL,
        with_text BOOLEAN NOT NULL
    )
    """,
    """
    CREATE TABLE export (
        export_id UUID NOT NULL,
        training_set VARCHAR NOT NULL,
        format VARCHAR NOT NULL,
        path VARCHAR NOT NULL,
        host VARCHAR NOT NULL,
        digest VARCHAR,
        exported_at TIMESTAMP NOT NULL,
        PRIMARY KEY (export_id)
    )
    """,
)

# Without DEFAULT: DuckDB 1.5.5 would change a setting for it, and settings are locked while a store is open.
COLUMNS = (
    "ALTER TABLE document ADD COLUMN conflict VARCHAR",
    "ALTER TABLE document ADD COLUMN generation_is_bound BOOLEAN",
    "ALTER TABLE document ADD COLUMN mean_ancestry DOUBLE",
    "ALTER TABLE document ADD COLUMN human_ancestry DOUBLE",
    "ALTER TABLE model ADD COLUMN generation_is_bound BOOLEAN",
    "ALTER TABLE model ADD COLUMN mean_ancestry DOUBLE",
    "ALTER TABLE model ADD COLUMN human_ancestry DOUBLE",
)

#: Views that are made anew, and new ones: name -> (what a row is, SELECT, column -> meaning)
VIEWS: dict[str, tuple[str, str, dict[str, str]]] = {
    "documents": (
        "One row per document: a text as it occurred in one source, with its resolved origin.",
        """
        SELECT d.document_id, d.content_id, d.source, d.external_id, d.uri, d.origin, d.generation,
               d.generation_is_bound, d.mean_ancestry, d.human_ancestry, d.model, d.conflict,
               d.licence, d.licence_class, d.author, d.title, d.authored_at, d.collected_at,
               d.n_bytes, d.n_words, d.cluster_id, d.is_representative,
               CASE d.evidence_rank WHEN 0 THEN 'none' WHEN 1 THEN 'declared' WHEN 2 THEN 'detector'
                    WHEN 3 THEN 'dated' WHEN 4 THEN 'attested' WHEN 5 THEN 'curated' END AS evidence_grade,
               d.evidence_rank, d.metadata, c.text
        FROM document d LEFT JOIN content c ON c.content_id = d.content_id
        """,
        {
            "document_id": "first 128 bits of SHA-256 over source, external id and content",
            "content_id": "first 128 bits of SHA-256 of the UTF-8 text; the same text has the same id in every source",
            "source": "name of the source that the document came from",
            "external_id": "the document's id in its source, where it has one",
            "uri": "where the document was found",
            "origin": "who wrote it, as resolved from the evidence: human, synthetic, mixed or unknown; unknown while "
            "the evidence is in conflict",
            "generation": "model generations between the text and people: 0 human, 1 or more a model's; NULL unknown",
            "generation_is_bound": "true where the generation is only a lower bound: its model, or one before it, is "
            "not ours, or was trained on text of unknown generation",
            "mean_ancestry": "expected number of model steps between the text and people, by weight of tokens; NULL "
            "unknown",
            "human_ancestry": "share of human text, 0 to 1, in what stands behind it; 1 for human text, NULL unknown",
            "model": "the model that wrote it, NULL for people and where unknown",
            "conflict": "why the evidence contradicts itself: claims or laundering; NULL where it does not. A document "
            "in conflict counts as unknown",
            "licence": "SPDX licence expression as claimed",
            "licence_class": "class of the licence: the most restrictive one stated for this text or a copy of it; "
            "unknown where nobody states one for this document",
            "author": "author as claimed by the source",
            "title": "title as claimed by the source",
            "authored_at": "when it was written or published, as claimed; a year or month stands for its first day",
            "collected_at": "when the source collected it, as recorded by the source",
            "n_bytes": "length of the text in bytes of UTF-8",
            "n_words": "number of tokens: runs of letters, marks and digits (see README, Near-duplicates)",
            "cluster_id": "smallest content id among this text and its verified near-duplicates",
            "is_representative": "true for the one document of its cluster that a mix uses",
            "evidence_grade": "grade of the evidence: none, declared, detector, dated, attested or curated",
            "evidence_rank": "the grade as a number 0-5: use this one to compare",
            "metadata": "everything else that the record said, as JSON",
            "text": "the text itself",
        },
    ),
    "claims": (
        "One row per claim about the origin of a document, a source or a whole ingest; none is ever changed.",
        """
        SELECT e.evidence_id AS claim_id, e.subject_kind, e.source, e.ingest_id, e.document_id, e.origin, e.generation,
               e.model, e.method,
               CASE e.rank WHEN 0 THEN 'none' WHEN 1 THEN 'declared' WHEN 2 THEN 'detector' WHEN 3 THEN 'dated'
                    WHEN 4 THEN 'attested' WHEN 5 THEN 'curated' END AS grade,
               e.rank, e.confidence, e.author, e.stated_at, e.note, e.support_digest, e.support_uri, e.retracts,
               e.evidence_id IN (SELECT retracts FROM evidence WHERE retracts IS NOT NULL) AS is_retracted
        FROM evidence e
        """,
        {
            "claim_id": "id of the claim",
            "subject_kind": "what it is about: source, ingest or document",
            "source": "the source that it is about",
            "ingest_id": "the ingest that it is about",
            "document_id": "the document that it is about",
            "origin": "human, synthetic, mixed or unknown, as claimed",
            "generation": "generation as claimed; NULL not said",
            "model": "the model as claimed; NULL for people and where not said",
            "method": "on what ground",
            "grade": "grade of the evidence: none, declared, detector, dated, attested or curated",
            "rank": "the grade as a number 0-5",
            "confidence": "0 to 1, as its author or a detector gave it; NULL not said",
            "author": "who claimed it",
            "stated_at": "when (UTC)",
            "note": "particulars",
            "support_digest": "SHA-256 of the bytes that support it, which are kept in the table support",
            "support_uri": "where what supports it can be found",
            "retracts": "the claim that this one takes back",
            "is_retracted": "whether a later claim takes this one back: it counts no more",
        },
    ),
    "laundered": (
        "One row per document that was found to be, or to hold, text of a model, and the output that it resembles.",
        """
        SELECT l.document_id, l.synthetic_id, s.model, l.kind, l.score, l.n_words, l.verdict, l.ground, l.found_at
        FROM laundering l LEFT JOIN document s ON s.document_id = l.synthetic_id
        """,
        {
            "document_id": "the document that is claimed to be by people, or of unknown origin",
            "synthetic_id": "the model's output that it resembles",
            "model": "that model",
            "kind": "same text, near-duplicate, containment or shared span",
            "score": "Jaccard similarity, or share of the document's words in common",
            "n_words": "words in common, where they were counted",
            "verdict": "conflict: out of the human quota; or memorisation: the model repeats the document",
            "ground": "the exception that makes it memorisation; none for a conflict",
            "found_at": "when (UTC)",
        },
    ),
    "takedowns": (
        "One row per takedown: who asked for what to be erased, and what it touched.",
        """
        SELECT t.takedown_id, t.selection, t.reason, t.actor, t.taken_down_at, t.touched,
               coalesce(s.n_documents, 0) AS n_documents
        FROM takedown t
        LEFT JOIN (SELECT takedown_id, count(*) AS n_documents FROM tombstone GROUP BY ALL) s USING (takedown_id)
        """,
        {
            "takedown_id": "id of the takedown",
            "selection": "what was asked for, as JSON",
            "reason": "why",
            "actor": "user and machine",
            "taken_down_at": "when (UTC)",
            "touched": "what hung on it, with counts, as JSON",
            "n_documents": "documents erased",
        },
    ),
    "taken_down": (
        "One row per document that was taken down: only its ids and what they count for are left.",
        """
        SELECT s.document_id, s.content_id, s.source, s.origin, s.n_words, s.with_text, s.takedown_id, t.taken_down_at,
               t.reason
        FROM tombstone s LEFT JOIN takedown t USING (takedown_id)
        """,
        {
            "document_id": "id of the document that was erased; an ingest refuses it",
            "content_id": "id of its text: first 128 bits of SHA-256 of the UTF-8 text",
            "source": "the source that it came from",
            "origin": "its origin as resolved when it was erased",
            "n_words": "how many tokens its text had",
            "with_text": "whether the text itself is refused too, whatever source it comes from; false where copies "
            "of it were kept",
            "takedown_id": "the takedown that erased it",
            "taken_down_at": "when (UTC)",
            "reason": "why",
        },
    ),
    "training_sets": (
        "One row per training set: an ordered, immutable list of draws.",
        """
        SELECT t.name, t.digest, t.created_at, t.budget_unit, t.n_documents, t.n_words, t.n_bytes, t.n_tokens,
               t.human_share, coalesce(g.n, 0) AS n_taken_down, t.spec
        FROM training_set t
        LEFT JOIN (
            SELECT training_set, count(DISTINCT document_id) AS n
            FROM training_set_item SEMI JOIN tombstone USING (document_id) GROUP BY ALL
        ) g ON g.training_set = t.name
        """,
        {
            "name": "name of the training set",
            "digest": "SHA-256 over the ordered draws",
            "created_at": "when it was made (UTC)",
            "budget_unit": "what budget and quotas are counted in: words, tokens, documents or bytes",
            "n_documents": "number of draws; a document drawn twice counts twice",
            "n_words": "sum of their words",
            "n_bytes": "sum of their bytes of UTF-8",
            "n_tokens": "sum of their tokens, where a tokenizer was named",
            "human_share": "share of human text in the budget's unit, as drawn",
            "n_taken_down": "documents in it that were taken down since: their text is gone, and models that were "
            "trained on it have seen it",
            "spec": "the specification that it was made from, as JSON",
        },
    ),
}


def upgrade() -> None:
    """Make the tables, move the claims, and make the views."""
    run = op.get_bind().exec_driver_sql
    run("ALTER TABLE evidence RENAME TO old_evidence")
    run(EVIDENCE)
    run(OLD_EVIDENCE)
    run("DROP TABLE old_evidence")
    for statement in (*TABLES, *COLUMNS):
        run(statement)
    for name, (meaning, query, columns) in VIEWS.items():
        run(f"CREATE OR REPLACE VIEW {name} AS {query}")
        run(f"COMMENT ON VIEW {name} IS {_literal(meaning)}")
        for column, text in columns.items():
            run(f"COMMENT ON COLUMN {name}.{column} IS {_literal(text)}")


def downgrade() -> None:
    """Refuse: what the new tables say has no place in the old ones."""
    raise RuntimeError("0003 cannot be taken back; use a backup made before it")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
