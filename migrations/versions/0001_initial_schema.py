"""Tables and views of the first release.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE setting (
        name VARCHAR NOT NULL,
        value JSON NOT NULL,
        PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE source (
        name VARCHAR NOT NULL,
        origin VARCHAR NOT NULL,
        generation UINTEGER,
        model VARCHAR,
        licence VARCHAR,
        licence_class VARCHAR NOT NULL,
        uri VARCHAR,
        note VARCHAR,
        created_at TIMESTAMP NOT NULL,
        PRIMARY KEY (name),
        CHECK (origin IN ('human', 'synthetic', 'mixed', 'unknown'))
    )
    """,
    """
    CREATE TABLE ingest (
        ingest_id UUID NOT NULL,
        source VARCHAR NOT NULL,
        state VARCHAR NOT NULL,
        started_at TIMESTAMP NOT NULL,
        finished_at TIMESTAMP,
        code_version VARCHAR NOT NULL,
        fingerprint VARCHAR NOT NULL,
        options JSON NOT NULL,
        n_read BIGINT NOT NULL,
        n_inserted BIGINT NOT NULL,
        n_present BIGINT NOT NULL,
        n_quarantined BIGINT NOT NULL,
        n_bytes BIGINT NOT NULL,
        seconds DOUBLE NOT NULL,
        PRIMARY KEY (ingest_id),
        CHECK (state IN ('running', 'finished'))
    )
    """,
    """
    CREATE TABLE content (
        content_id UUID NOT NULL,
        content_no UINTEGER NOT NULL,
        n_bytes BIGINT NOT NULL,
        n_words UINTEGER NOT NULL,
        text VARCHAR NOT NULL USING COMPRESSION zstd
    )
    """,
    """
    CREATE TABLE document (
        document_id UUID NOT NULL,
        content_id UUID NOT NULL,
        source VARCHAR NOT NULL,
        external_id VARCHAR,
        uri VARCHAR,
        author VARCHAR,
        title VARCHAR,
        authored_at TIMESTAMP,
        collected_at TIMESTAMP,
        licence VARCHAR,
        licence_class VARCHAR NOT NULL,
        n_bytes BIGINT NOT NULL,
        n_words UINTEGER NOT NULL,
        origin VARCHAR NOT NULL,
        generation UINTEGER,
        model VARCHAR,
        evidence_rank UTINYINT NOT NULL,
        cluster_id UUID NOT NULL,
        is_representative BOOLEAN NOT NULL,
        ingest_id UUID NOT NULL,
        metadata JSON USING COMPRESSION zstd
    )
    """,
    """
    CREATE TABLE signature (
        content_id UUID NOT NULL,
        content_no UINTEGER NOT NULL,
        rule_version USMALLINT NOT NULL,
        hashvalues UINTEGER[] NOT NULL
    )
    """,
    """
    CREATE TABLE band (
        key UINTEGER NOT NULL,
        content_no UINTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE near_duplicate (
        content_a UUID NOT NULL,
        content_b UUID NOT NULL,
        rule VARCHAR NOT NULL,
        score DOUBLE NOT NULL,
        rule_version USMALLINT NOT NULL
    )
    """,
    """
    CREATE TABLE cluster (
        cluster_id UUID NOT NULL,
        content_id UUID NOT NULL
    )
    """,
    """
    CREATE TABLE model (
        name VARCHAR NOT NULL,
        revision VARCHAR,
        digest VARCHAR,
        learner VARCHAR,
        training_set VARCHAR,
        generation UINTEGER,
        parameters JSON,
        code_version VARCHAR,
        path VARCHAR,
        created_at TIMESTAMP NOT NULL,
        PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE parent (
        document_id UUID NOT NULL,
        parent_id UUID NOT NULL,
        relation VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE evidence (
        evidence_id UUID NOT NULL,
        subject_kind VARCHAR NOT NULL,
        subject VARCHAR NOT NULL,
        origin VARCHAR NOT NULL,
        generation UINTEGER,
        model VARCHAR,
        method VARCHAR NOT NULL,
        rank UTINYINT NOT NULL,
        confidence DOUBLE,
        author VARCHAR,
        stated_at TIMESTAMP NOT NULL,
        note VARCHAR
    )
    """,
    """
    CREATE TABLE quarantine (
        quarantine_id UUID NOT NULL,
        ingest_id UUID NOT NULL,
        source VARCHAR NOT NULL,
        file VARCHAR NOT NULL,
        place VARCHAR NOT NULL,
        part UINTEGER NOT NULL,
        reason VARCHAR NOT NULL,
        detail VARCHAR,
        raw BLOB NOT NULL,
        n_bytes BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE tokenizer (
        name VARCHAR NOT NULL,
        digest VARCHAR NOT NULL,
        definition VARCHAR NOT NULL,
        vocab_size UINTEGER NOT NULL,
        created_at TIMESTAMP NOT NULL,
        PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE token_count (
        tokenizer VARCHAR NOT NULL,
        content_id UUID NOT NULL,
        n_tokens UINTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE training_set (
        name VARCHAR NOT NULL,
        digest VARCHAR NOT NULL,
        created_at TIMESTAMP NOT NULL,
        spec JSON NOT NULL,
        manifest JSON NOT NULL,
        budget_unit VARCHAR NOT NULL,
        n_documents BIGINT NOT NULL,
        n_words BIGINT NOT NULL,
        n_bytes BIGINT NOT NULL,
        n_tokens BIGINT,
        human_share DOUBLE NOT NULL,
        PRIMARY KEY (name)
    )
    """,
    """
    CREATE TABLE training_set_item (
        training_set VARCHAR NOT NULL,
        position BIGINT NOT NULL,
        document_id UUID NOT NULL,
        repeat UINTEGER NOT NULL,
        n_words UINTEGER NOT NULL,
        n_bytes BIGINT NOT NULL,
        n_tokens UINTEGER,
        origin VARCHAR NOT NULL,
        generation UINTEGER,
        evidence_rank UTINYINT NOT NULL,
        model VARCHAR,
        source VARCHAR NOT NULL,
        licence_class VARCHAR NOT NULL,
        cluster_id UUID NOT NULL,
        stratum VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE training_run (
        run_id UUID NOT NULL,
        experiment VARCHAR NOT NULL,
        arm VARCHAR NOT NULL,
        seed BIGINT NOT NULL,
        generation UINTEGER NOT NULL,
        state VARCHAR NOT NULL,
        training_set VARCHAR,
        model VARCHAR,
        config JSON NOT NULL,
        started_at TIMESTAMP NOT NULL,
        finished_at TIMESTAMP,
        seconds JSON,
        PRIMARY KEY (run_id)
    )
    """,
    """
    CREATE TABLE metric (
        run_id UUID NOT NULL,
        metric VARCHAR NOT NULL,
        value DOUBLE NOT NULL
    )
    """,
)

#: name -> (what a row is, SELECT, column -> meaning)
VIEWS: dict[str, tuple[str, str, dict[str, str]]] = {
    "documents": (
        "One row per document: a text as it occurred in one source, with its resolved origin.",
        """
        SELECT d.document_id, d.content_id, d.source, d.external_id, d.uri, d.origin, d.generation, d.model,
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
            "origin": "who wrote it, as resolved from the evidence: human, synthetic, mixed or unknown",
            "generation": "model generations between the text and people: 0 human, 1 or more a model's; NULL unknown",
            "model": "the model that wrote it, NULL for people and where unknown",
            "licence": "SPDX licence expression as claimed",
            "licence_class": "public-domain, permissive, share-alike, non-commercial, proprietary or unknown",
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
    "composition": (
        "How many documents, words and bytes there are by source, origin, generation, model and licence class.",
        """
        SELECT source, origin, generation, model, licence_class, count(*) AS n_documents,
               sum(n_words)::BIGINT AS n_words, sum(n_bytes)::BIGINT AS n_bytes,
               count(*) FILTER (is_representative) AS n_representatives
        FROM document GROUP BY ALL
        """,
        {
            "source": "name of the source",
            "origin": "human, synthetic, mixed or unknown",
            "generation": "model generations between the text and people; NULL unknown",
            "model": "the model that wrote it; NULL for people and where unknown",
            "licence_class": "class of the licence",
            "n_documents": "number of documents",
            "n_words": "sum of their words",
            "n_bytes": "sum of their bytes of UTF-8",
            "n_representatives": "how many of them represent their cluster",
        },
    ),
    "training_sets": (
        "One row per training set: an ordered, immutable list of draws.",
        """
        SELECT name, digest, created_at, budget_unit, n_documents, n_words, n_bytes, n_tokens, human_share, spec
        FROM training_set
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
            "spec": "the specification that it was made from, as JSON",
        },
    ),
    "training_set_documents": (
        "One row per draw of a training set, with the labels that the document had when it was drawn.",
        """
        SELECT training_set, position, document_id, repeat, n_words, n_bytes, n_tokens, origin, generation,
               evidence_rank, model, source, licence_class, cluster_id, stratum
        FROM training_set_item
        """,
        {
            "training_set": "name of the training set",
            "position": "place in the order, from 0",
            "document_id": "the document drawn",
            "repeat": "0 for its first draw in this set, 1 for the second, ...",
            "n_words": "words of the document",
            "n_bytes": "bytes of the document",
            "n_tokens": "tokens of the document, where a tokenizer was named",
            "origin": "origin as drawn",
            "generation": "generation as drawn",
            "evidence_rank": "rank of the evidence for the origin as drawn",
            "model": "model as drawn",
            "source": "source of the document",
            "licence_class": "licence class as drawn",
            "cluster_id": "cluster as drawn",
            "stratum": "the stratum of the allocation that it was drawn from",
        },
    ),
    "runs": (
        "One row per metric of every generation of every arm of every experiment of the training loop.",
        """
        SELECT r.experiment, r.arm, r.seed, r.generation, m.metric, m.value
        FROM training_run r JOIN metric m USING (run_id)
        """,
        {
            "experiment": "name of the experiment",
            "arm": "name of the arm, such as replace, quota or human",
            "seed": "seed of the repetition",
            "generation": "generation of the model that was measured; 0 was trained on human text",
            "metric": "name of the metric",
            "value": "its value",
        },
    ),
    "quarantined": (
        "One row per record that an ingest refused (a record larger than the limit is kept in several parts).",
        """
        SELECT ingest_id AS ingest, source, file, place, part, reason, detail, n_bytes, raw FROM quarantine
        """,
        {
            "ingest": "id of the ingest that refused it first",
            "source": "name of the source",
            "file": "file that it stands in",
            "place": "line or row in the file, from 1",
            "part": "0, or the number of the part where the record was kept in several",
            "reason": "why it was refused, in one of a few fixed phrases",
            "detail": "what exactly was wrong",
            "n_bytes": "length of this part in bytes",
            "raw": "the bytes as they stood in the file",
        },
    ),
    "clusters": (
        "One row per cluster of two documents or more that are the same or near-duplicates.",
        """
        SELECT cluster_id, count(*) AS n_documents, count(DISTINCT content_id) AS n_contents,
               any_value(document_id) FILTER (is_representative) AS representative,
               list_sort(list(DISTINCT source)) AS sources, list_sort(list(DISTINCT origin)) AS origins,
               list_sort(list(DISTINCT model) FILTER (model IS NOT NULL)) AS models
        FROM document GROUP BY cluster_id HAVING count(*) > 1
        """,
        {
            "cluster_id": "smallest content id of the cluster",
            "n_documents": "documents in the cluster",
            "n_contents": "distinct texts in the cluster",
            "representative": "the document that a mix uses for the cluster",
            "sources": "sources that it occurs in",
            "origins": "origins of its documents",
            "models": "models that wrote one of its documents; NULL when none did",
        },
    ),
    "lineage": (
        "One row per document and parent: what it was made from, by which model, trained on which set.",
        """
        SELECT d.document_id, d.origin, d.generation, d.model, m.training_set, p.parent_id, p.relation
        FROM document d LEFT JOIN model m ON m.name = d.model LEFT JOIN parent p ON p.document_id = d.document_id
        """,
        {
            "document_id": "the document",
            "origin": "its origin",
            "generation": "its generation",
            "model": "the model that wrote it",
            "training_set": "the training set of that model, where it is one of ours",
            "parent_id": "a document that it was derived from",
            "relation": "how: prompt, paraphrase, translation or edit",
        },
    ),
}


def upgrade() -> None:
    """Create the tables, then the views with a comment on each and on each of their columns."""
    run = op.get_bind().exec_driver_sql  # as it stands: no part of it is a bound parameter
    for table in TABLES:
        run(table)
    for name, (meaning, query, columns) in VIEWS.items():
        run(f"CREATE VIEW {name} AS {query}")
        run(f"COMMENT ON VIEW {name} IS {_literal(meaning)}")
        for column, text in columns.items():
            run(f"COMMENT ON COLUMN {name}.{column} IS {_literal(text)}")


def downgrade() -> None:
    """Refuse: there is nothing before the first revision."""
    raise RuntimeError("0001 is the first revision; remove the file instead")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
