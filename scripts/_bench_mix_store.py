"""Stores of any size for benchmarks of mixing, written straight into the tables.

Labels and sizes are as in a real corpus; the texts are placeholders, because a mix reads labels and sizes only, and
`n_words` is what a document would have. `provenance check` therefore finds fault with such a store.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from provenance.store.store import Store

#: Share in per mille, source, origin, generation, model, licence class, rank of evidence.
_SOURCES = (
    (220, "crawl-2018", "human", "0", None, "unknown", 3),
    (190, "crawl-2024", "unknown", "NULL", None, "unknown", 0),
    (120, "books", "human", "0", None, "public-domain", 4),
    (90, "encyclopedia", "human", "0", None, "share-alike", 4),
    (70, "forum", "human", "0", None, "permissive", 1),
    (60, "code", "mixed", "NULL", None, "permissive", 1),
    (60, "assistant-a", "synthetic", "1", "model-a", "proprietary", 1),
    (50, "assistant-b", "synthetic", "1", "model-b", "proprietary", 1),
    (45, "rewrites", "synthetic", "2", "model-c", "permissive", 1),
    (40, "textbooks", "synthetic", "2", "model-d", "permissive", 4),
    (30, "loop", "synthetic", "3", "model-e", "permissive", 5),
    (25, "old-loop", "synthetic", "NULL", "model-f", "permissive", 1),
)
#: Every so many documents two follow each other in one near-duplicate cluster: 8 % in all.
_PER_CLUSTER = 25


def make_store(path: Path, n_documents: int) -> None:
    """Make a store of so many documents, of which the second of every cluster of two is no representative."""
    Store.create(path).close()
    with Store.open(path, writable=True) as store, store.transaction() as connection:
        connection.execute(text(f"CREATE TEMP TABLE made AS {_rows(n_documents)}"))
        connection.execute(text(_SOURCE_ROWS))
        connection.execute(text(_CONTENT_ROWS))
        connection.execute(text(_DOCUMENT_ROWS))
        connection.execute(text("DROP TABLE made"))


def _rows(n: int) -> str:
    names = ("source", "origin", "generation", "model", "licence_class", "evidence_rank")
    bound, branches = 0, dict.fromkeys(names, "")
    for per_mille, *values in _SOURCES:
        bound += per_mille
        for name, value in zip(names, values, strict=True):
            quoted = "NULL" if value is None else value if name == "generation" else f"'{value}'"
            branches[name] += f" WHEN u < {bound} THEN {quoted}"
    columns = ", ".join(f"CASE{cases} END AS {name}" for name, cases in branches.items())
    return f"""
        SELECT i, CAST(md5('d' || i) AS UUID) AS document_id, CAST(md5('c' || i) AS UUID) AS content_id,
               CAST(md5('c' || CASE WHEN i % {_PER_CLUSTER} = 1 THEN i - 1 ELSE i END) AS UUID) AS cluster_id,
               i % {_PER_CLUSTER} <> 1 AS is_representative,
               CAST(least(20000, greatest(1, exp(5.2 + 0.9 * sqrt(-2 * ln(v)) * cos(6.283185307 * w)))) AS UINTEGER)
                   AS n_words, {columns}
        FROM (SELECT i, hash(i) % 1000 AS u, (hash(i + 7) % 1000003 + 1) / 1000004 AS v,
                     (hash(i + 13) % 1000003) / 1000003 AS w FROM range({n}) t(i))
    """


_SOURCE_ROWS = """
    INSERT INTO source BY NAME SELECT source AS name, any_value(origin) AS origin, any_value(generation) AS generation,
        any_value(model) AS model, any_value(licence_class) AS licence_class, TIMESTAMP '2026-01-01' AS created_at
        FROM made GROUP BY source
"""
_CONTENT_ROWS = """
    INSERT INTO content BY NAME SELECT content_id, CAST(i AS UINTEGER) AS content_no, 6 * n_words AS n_bytes, n_words,
        'text ' || i AS text FROM made
"""
_DOCUMENT_ROWS = """
    INSERT INTO document BY NAME SELECT document_id, content_id, source, 'd' || i AS external_id, licence_class,
        6 * n_words AS n_bytes, n_words, origin, generation, model, evidence_rank, cluster_id, is_representative,
        CAST(md5('run') AS UUID) AS ingest_id FROM made
"""
