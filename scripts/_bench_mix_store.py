"""Stores of any size for benchmarks of mixing, written straight into the tables.

Labels, sizes and copies are as in a real corpus, and sources are spread over the whole store, which is the hardest
case for reading it. The texts are placeholders ("text 17"), because a mix reads labels and sizes only: `n_bytes` and
`n_words` are what a document would have, and there are no signatures. So `provenance check` finds fault with exactly
what `UNSOUND` lists, and with nothing else.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from provenance import __version__
from provenance.dedup.documents import EFFECTIVE_LICENCE_CLASS, REPRESENTATIVE_ORDER
from provenance.store.store import Store

#: Changed whenever `make_store` gives other documents, so that no file of an earlier version is used.
VERSION = 3
#: Checks that such a store fails.
UNSOUND = (
    "content: every size is that of its text",
    "content: every text with words has a signature with its number",
    "near_duplicate: every content_a is in signature",
    "near_duplicate: every content_b is in signature",
    "span: every text of a model is in the index; if not: provenance laundering --rescan",
)
#: Share in per mille, source, origin, generation, model, licence class, rank of evidence.
SOURCES = (
    (230, "crawl-2018", "human", 0, None, "unknown", 3),
    (200, "crawl-2024", "unknown", None, None, "unknown", 0),
    (130, "books", "human", 0, None, "public-domain", 4),
    (90, "encyclopedia", "human", 0, None, "share-alike", 4),
    (80, "forum", "human", 0, None, "permissive", 1),
    (60, "code", "mixed", None, None, "permissive", 1),
    (50, "assistant-a", "synthetic", 1, "model-a", "proprietary", 1),
    (40, "assistant-b", "synthetic", 1, "model-b", "proprietary", 1),
    (40, "rewrites", "synthetic", 2, "model-c", "permissive", 1),
    (30, "textbooks", "synthetic", 2, "model-d", "permissive", 4),
    (25, "loop", "synthetic", 3, "model-e", "permissive", 5),
    (15, "long-loop", "synthetic", 4, "model-e", "permissive", 5),
    (10, "old-loop", "synthetic", None, "model-f", "permissive", 1),
)


def stored(folder: Path, n_documents: int) -> Path:
    """Return the store of so many documents in a folder, made where it is not there."""
    path = folder / f"mix-v{VERSION}-{n_documents}.duckdb"
    if not path.exists():
        draft = path.with_suffix(".draft")
        for old in (draft, draft.with_name(f"{draft.name}.wal")):  # of a run that was killed
            old.unlink(missing_ok=True)
        make_store(draft, n_documents)
        draft.rename(path)
    return path


def make_store(path: Path, n_documents: int) -> None:
    """Make a store of so many documents."""
    with Store.create(path) as store:
        with store.transaction() as connection:
            connection.execute(text(_NUMBERS), {"n": n_documents})
            _make_sources(connection)
            for statement in (_MADE, _SETTLED, _CONTENT, _DOCUMENT, _JUDGED, _CLUSTER, _EDGE, _INGEST, _FILE):
                connection.execute(text(statement), {"version": __version__} if ":version" in statement else {})
            for name in ("numbers", "labels", "made", "settled"):
                connection.execute(text(f"DROP TABLE temp.{name}"))
        store.merge_log()


def _make_sources(connection: Connection) -> None:
    """Write the sources, their models and claims, and the temporary table `labels`: first per mille, label."""
    connection.execute(text(_LABELS))
    bound = 0
    names = ("name", "origin", "generation", "model", "licence_class", "rank")
    for per_mille, *values in SOURCES:
        row = dict(zip(names, values, strict=True))
        connection.execute(text(_LABEL), {**row, "low": bound, "high": bound + per_mille})
        bound += per_mille
    for statement in (_SOURCE, _MODEL, _CLAIM):
        connection.execute(text(statement))


_LABELS = """
    CREATE TEMP TABLE labels (low INTEGER, high INTEGER, name VARCHAR, origin VARCHAR, generation UINTEGER,
        model VARCHAR, licence_class VARCHAR, rank UTINYINT)
"""
_LABEL = "INSERT INTO labels VALUES (:low, :high, :name, :origin, :generation, :model, :licence_class, :rank)"
_SOURCE = """
    INSERT INTO source BY NAME SELECT name, origin, generation, model, licence_class,
        TIMESTAMP '2026-01-01' AS created_at FROM labels
"""
_MODEL = """
    INSERT INTO model BY NAME SELECT model AS name, min(generation) AS generation,
        TIMESTAMP '2026-01-01' AS created_at FROM labels WHERE model IS NOT NULL GROUP BY model
"""
_CLAIM = """
    INSERT INTO evidence BY NAME SELECT CAST(md5(name) AS UUID) AS evidence_id, 'source' AS subject_kind,
        name AS source, origin, generation, model, 'claim' AS method, rank, TIMESTAMP '2026-01-01' AS stated_at
    FROM labels
"""
# Of every 50 documents the first four are copies: of one text, or two of each of two. Which is 8 %.
_NUMBERS = """
    CREATE TEMP TABLE numbers AS
    SELECT i, CASE WHEN i % 50 >= 4 THEN NULL WHEN (i // 50) % 3 = 0 THEN i // 50 * 2
                   ELSE i // 50 * 2 + i % 50 // 2 END AS copies,
           hash(i) % 1000 AS label, hash(i + 1) % 1000003 / 1000003 AS u, (hash(i + 2) % 1000003 + 1) / 1000004 AS v,
           hash(i + 3) % 50000 = 0 AS is_a_library, hash(i + 4) % 50 = 0 AS is_judged
    FROM range(:n) t(i)
"""
# Sizes are lognormal (by Box and Muller), 300 words in the mean; one document in 50,000 has 100,000 to 600,000. One in
# 50 of the newer crawl was looked at by a person and is human.
_MADE = """
    CREATE TEMP TABLE made AS
    SELECT i, CAST(md5('document ' || i) AS UUID) AS document_id,
           CAST(substr(sha256('text ' || i), 1, 32) AS UUID) AS content_id, copies, name AS source,
           judged, CASE WHEN judged THEN 'human' ELSE origin END AS origin,
           CASE WHEN judged THEN 0 ELSE generation END AS generation, model, licence_class,
           CASE WHEN judged THEN 5 ELSE rank END AS evidence_rank,
           CAST(CASE WHEN is_a_library THEN 100000 + 500000 * u
                     ELSE least(50000, greatest(1, exp(5.3 + 0.9 * sqrt(-2 * ln(v)) * cos(6.283185307 * u)))) END
                AS UINTEGER) AS n_words
    FROM (SELECT *, is_judged AND name = 'crawl-2024' AS judged FROM numbers JOIN labels
          ON label >= low AND label < high)
    ORDER BY i
"""
_SETTLED = f"""
    CREATE TEMP TABLE settled AS
    SELECT document_id, cluster_id, {EFFECTIVE_LICENCE_CLASS} AS effective,
           row_number() OVER (PARTITION BY cluster_id ORDER BY {REPRESENTATIVE_ORDER}) = 1 AS chosen
    FROM (SELECT document_id, evidence_rank, generation, licence_class AS stated_licence_class, n_words,
                 NULL AS authored_at, min(content_id) OVER (PARTITION BY copies) AS cluster_id
          FROM made WHERE copies IS NOT NULL)
"""
_CONTENT = """
    INSERT INTO content BY NAME SELECT content_id, CAST(i AS UINTEGER) AS content_no, 6 * n_words AS n_bytes, n_words,
        'text ' || i AS text FROM made
"""
_DOCUMENT = """
    INSERT INTO document BY NAME SELECT document_id, content_id, source, 'd' || i AS external_id,
        coalesce(effective, licence_class) AS licence_class, licence_class AS stated_licence_class,
        6 * n_words AS n_bytes, n_words, origin, generation, model, evidence_rank,
        coalesce(cluster_id, content_id) AS cluster_id, coalesce(chosen, true) AS is_representative,
        CASE WHEN generation IS NOT NULL THEN origin <> 'human' END AS generation_is_bound,
        generation::DOUBLE AS mean_ancestry, CASE WHEN origin = 'human' THEN 1.0 END AS human_ancestry,
        CAST(md5('run') AS UUID) AS ingest_id FROM made LEFT JOIN settled USING (document_id)
"""
_JUDGED = """
    INSERT INTO evidence BY NAME SELECT CAST(md5('look ' || i) AS UUID) AS evidence_id, 'document' AS subject_kind,
        document_id, 'human' AS origin, 0 AS generation, 'review' AS method, 5 AS rank,
        TIMESTAMP '2026-02-01' AS stated_at FROM made WHERE judged
"""
_CLUSTER = """
    INSERT INTO "cluster" BY NAME SELECT content_id, cluster_id FROM made JOIN settled USING (document_id)
    QUALIFY count(*) OVER (PARTITION BY cluster_id) > 1
"""
_EDGE = """
    INSERT INTO near_duplicate BY NAME SELECT cluster_id AS content_a, content_id AS content_b, 'near' AS rule,
        0.9 AS score, 1 AS rule_version FROM "cluster" WHERE cluster_id <> content_id
"""
_INGEST = """
    INSERT INTO ingest BY NAME SELECT CAST(md5('run') AS UUID) AS ingest_id, 'books' AS source, 'ingest' AS kind,
        'finished' AS state, TIMESTAMP '2026-01-01' AS started_at, TIMESTAMP '2026-01-02' AS finished_at,
        :version AS code_version, 'bench' AS fingerprint, '{}' AS options, count(*) AS n_read, count(*) AS n_inserted,
        0 AS n_present, 0 AS n_quarantined, 0 AS n_amended, sum(6 * n_words) AS n_bytes, 86400 AS seconds FROM made
"""
_FILE = """
    INSERT INTO ingest_file BY NAME SELECT ingest_id, 0 AS place, 'bench.jsonl' AS file, 'jsonl' AS format, n_read,
        n_quarantined, n_bytes, finished_at FROM ingest
"""
