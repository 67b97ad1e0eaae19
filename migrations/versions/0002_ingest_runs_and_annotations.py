"""Ingest runs with their files, amendments, annotations, and an index of spans.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# DuckDB cannot alter a CHECK: the table is made anew.
INGEST = """
    CREATE TABLE ingest (
        ingest_id UUID NOT NULL,
        source VARCHAR NOT NULL,
        kind VARCHAR NOT NULL,
        state VARCHAR NOT NULL,
        actor VARCHAR,
        started_at TIMESTAMP NOT NULL,
        finished_at TIMESTAMP,
        code_version VARCHAR NOT NULL,
        fingerprint VARCHAR NOT NULL,
        options JSON NOT NULL,
        n_read BIGINT NOT NULL,
        n_inserted BIGINT NOT NULL,
        n_present BIGINT NOT NULL,
        n_quarantined BIGINT NOT NULL,
        n_amended BIGINT NOT NULL,
        n_bytes BIGINT NOT NULL,
        seconds DOUBLE NOT NULL,
        PRIMARY KEY (ingest_id),
        CHECK (kind IN ('ingest', 'retry')),
        CHECK (state IN ('running', 'stopped', 'finished', 'undone'))
    )
"""
OLD_INGESTS = """
    INSERT INTO ingest BY NAME
    SELECT *, 'ingest' AS kind, 0 AS n_amended FROM old_ingest
"""

TABLES = (
    """
    CREATE TABLE ingest_file (
        ingest_id UUID NOT NULL,
        place UINTEGER NOT NULL,
        file VARCHAR NOT NULL,
        format VARCHAR NOT NULL,
        size_bytes BIGINT,
        stamp VARCHAR,
        sha256 VARCHAR,
        n_read BIGINT NOT NULL,
        n_quarantined BIGINT NOT NULL,
        n_bytes BIGINT NOT NULL,
        finished_at TIMESTAMP NOT NULL
    )
    """,
    """
    CREATE TABLE amendment (
        document_id UUID NOT NULL,
        ingest_id UUID NOT NULL,
        field VARCHAR NOT NULL,
        previous VARCHAR,
        value VARCHAR NOT NULL,
        stated_at TIMESTAMP NOT NULL
    )
    """,
    """
    CREATE TABLE attribute (
        name VARCHAR NOT NULL,
        kind VARCHAR NOT NULL,
        tool VARCHAR,
        note VARCHAR,
        created_at TIMESTAMP NOT NULL,
        PRIMARY KEY (name),
        CHECK (kind IN ('number', 'text', 'boolean'))
    )
    """,
    """
    CREATE TABLE annotation (
        document_id UUID NOT NULL,
        attribute VARCHAR NOT NULL,
        number DOUBLE,
        text VARCHAR,
        boolean BOOLEAN,
        annotated_at TIMESTAMP NOT NULL
    )
    """,
    """
    CREATE TABLE span (
        hash UBIGINT NOT NULL,
        content_no UINTEGER NOT NULL
    )
    """,
)

COLUMNS = (
    "ALTER TABLE document ADD COLUMN stated_licence_class VARCHAR",
    "UPDATE document SET stated_licence_class = licence_class",
    "ALTER TABLE signature ADD COLUMN normal_hash UBIGINT",
    "ALTER TABLE quarantine ADD COLUMN format VARCHAR",
    "ALTER TABLE quarantine ADD COLUMN context BLOB",
    "UPDATE quarantine SET format = 'jsonl'",
)

#: name -> (what a row is, SELECT, column -> meaning)
VIEWS: dict[str, tuple[str, str, dict[str, str]]] = {
    "ingests": (
        "One row per ingest run: who brought which records in, when, and what became of them.",
        """
        SELECT i.ingest_id, i.source, i.kind, i.state, i.actor, i.code_version, i.started_at, i.finished_at, i.seconds,
               coalesce(f.n_files, 0) AS n_files, i.n_read, i.n_inserted, i.n_present, i.n_quarantined, i.n_amended,
               i.n_bytes, i.options
        FROM ingest i
        LEFT JOIN (SELECT ingest_id, count(*) AS n_files FROM ingest_file GROUP BY ALL) f USING (ingest_id)
        """,
        {
            "ingest_id": "id of the run",
            "source": "source that its documents belong to",
            "kind": "ingest, or retry of quarantined records",
            "state": "running (or killed), stopped (too many records were quarantined), finished or undone",
            "actor": "user and machine that ran it",
            "code_version": "version of the program",
            "started_at": "when it began, the last time (UTC)",
            "finished_at": "when it ended (UTC); NULL when unfinished",
            "seconds": "how long it took",
            "n_files": "files that it read to their end",
            "n_read": "records read: n_inserted + n_present + n_quarantined",
            "n_inserted": "documents that it added",
            "n_present": "records whose document was there already",
            "n_quarantined": "records that it refused",
            "n_amended": "documents that were there and whose description it changed",
            "n_bytes": "bytes read, without compression",
            "options": "how it was run, as JSON",
        },
    ),
    "ingest_files": (
        "One row per file that an ingest run read to its end.",
        """
        SELECT ingest_id, place, file, format, size_bytes, sha256, n_read, n_quarantined, n_bytes, finished_at
        FROM ingest_file
        """,
        {
            "ingest_id": "the run",
            "place": "place of the file in the run, from 0",
            "file": "its name as given",
            "format": "format that it was read as",
            "size_bytes": "size as it lay there; NULL where nothing told",
            "sha256": "SHA-256 of its bytes in hexadecimal; NULL for a dataset",
            "n_read": "records read from it",
            "n_quarantined": "records of it that were refused",
            "n_bytes": "bytes read from it, without compression",
            "finished_at": "when its last record was stored (UTC)",
        },
    ),
    "amendments": (
        "One row per description of a document that a later ingest of the same document changed.",
        "SELECT document_id, ingest_id, field, previous, value, stated_at FROM amendment",
        {
            "document_id": "the document",
            "ingest_id": "the run that brought the change",
            "field": "which column of documents",
            "previous": "the value before; NULL where there was none",
            "value": "the value since",
            "stated_at": "when (UTC)",
        },
    ),
    "annotations": (
        "One row per score or label that a tool gave a document after it was ingested.",
        """
        SELECT n.document_id, n.attribute, a.kind, n.number, n.text, n.boolean, a.tool, n.annotated_at
        FROM annotation n JOIN attribute a ON a.name = n.attribute
        """,
        {
            "document_id": "the document",
            "attribute": "name of the score or label",
            "kind": "number, text or boolean: which of the three columns holds the value",
            "number": "the value of a number",
            "text": "the value of a text",
            "boolean": "the value of a boolean",
            "tool": "the tool that gave it",
            "annotated_at": "when (UTC)",
        },
    ),
    # The program makes this one anew with a column more for every attribute that comes.
    "attributes": (
        "One row per annotated document, one column per attribute; the columns grow with every new attribute (see the "
        "view annotations for who gave a value and when).",
        "SELECT document_id FROM annotation GROUP BY document_id",
        {"document_id": "the document"},
    ),
}
COMMENTS = {
    "documents.licence_class": "class of the licence: the most restrictive one stated for this text or a copy of it; "
    "unknown where nobody states one for this document",
    "quarantined.ingest": "id of the ingest that refused it first",
}


def upgrade() -> None:
    """Make the tables, fill what can be filled, and make the views."""
    run = op.get_bind().exec_driver_sql
    run("ALTER TABLE ingest RENAME TO old_ingest")
    run(INGEST)
    run(OLD_INGESTS)
    run("DROP TABLE old_ingest")
    for statement in (*TABLES, *COLUMNS):
        run(statement)
    for name, (meaning, query, columns) in VIEWS.items():
        run(f"CREATE VIEW {name} AS {query}")
        run(f"COMMENT ON VIEW {name} IS {_literal(meaning)}")
        for column, text in columns.items():
            run(f"COMMENT ON COLUMN {name}.{column} IS {_literal(text)}")
    for column, text in COMMENTS.items():
        run(f"COMMENT ON COLUMN {column} IS {_literal(text)}")


def downgrade() -> None:
    """Refuse: what the new tables say has no place in the old ones."""
    raise RuntimeError("0002 cannot be taken back; use a backup made before it")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
