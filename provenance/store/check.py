"""Integrity by query: what keys and constraints would promise, counted, and stored results computed again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection

from provenance.dedup.clusters import components
from provenance.dedup.documents import EFFECTIVE_LICENCE_CLASS, REPRESENTATIVE_ORDER
from provenance.evidence.dated import OUTDATED
from provenance.evidence.resolve import RESOLVED
from provenance.ids import as_uuid, id_bytes, id_values
from provenance.laundering.roles import IS_OUTPUT, MEMORISATION, MIN_WORDS, OF_LOST_ORIGINALS, PENDING
from provenance.lineage.errors import LineageCycle
from provenance.lineage.generations import ancestries, stored_ancestries
from provenance.store.store import Store, fetch, registered


@dataclass(frozen=True)
class Finding:
    """One check and what it found.

    Attributes
    ----------
    check : what ought to hold
    n_violations : how often it does not
    examples : up to three of the rows concerned
    """

    check: str
    n_violations: int
    examples: tuple[str, ...]


def _duplicates(table: str, *columns: str) -> tuple[str, str]:
    key = ", ".join(columns)
    query = f"SELECT {columns[0]}::VARCHAR FROM {table} GROUP BY {key} HAVING count(*) > 1"
    return f"{table}: every {' and '.join(columns)} occurs once", query


def _dangling(table: str, column: str, target: str, target_column: str) -> tuple[str, str]:
    query = f"""
        SELECT DISTINCT {column}::VARCHAR FROM {table}
        WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT {target_column} FROM {target})
    """
    return f"{table}: every {column} is in {target}", query


_CHECKS: tuple[tuple[str, str], ...] = (
    _duplicates("document", "document_id"),
    _duplicates("content", "content_id"),
    _duplicates("content", "content_no"),
    _duplicates("signature", "content_id"),
    _duplicates("band", "key", "content_no"),
    _duplicates("near_duplicate", "content_a", "content_b", "rule"),
    _duplicates("cluster", "content_id"),
    _duplicates("evidence", "evidence_id"),
    _duplicates("quarantine", "quarantine_id"),
    _duplicates("token_count", "content_id", "tokenizer"),
    _duplicates("training_set_item", "position", "training_set"),
    _duplicates("metric", "metric", "run_id"),
    _duplicates("annotation", "document_id", "attribute"),
    _dangling("document", "content_id", "content", "content_id"),
    _dangling("document", "source", "source", "name"),
    _dangling("document", "ingest_id", "ingest", "ingest_id"),
    _dangling("document", "model", "model", "name"),
    _dangling("content", "content_id", "document", "content_id"),
    _dangling("signature", "content_id", "content", "content_id"),
    _dangling("band", "content_no", "signature", "content_no"),
    _dangling("near_duplicate", "content_a", "signature", "content_id"),
    _dangling("near_duplicate", "content_b", "signature", "content_id"),
    _dangling("cluster", "content_id", "content", "content_id"),
    _dangling("parent", "document_id", "document", "document_id"),
    _dangling("parent", "parent_id", "document", "document_id"),
    _dangling("quarantine", "ingest_id", "ingest", "ingest_id"),
    _dangling("ingest_file", "ingest_id", "ingest", "ingest_id"),
    _dangling("amendment", "document_id", "document", "document_id"),
    _dangling("amendment", "ingest_id", "ingest", "ingest_id"),
    _dangling("model", "training_set", "training_set", "name"),
    _dangling("token_count", "content_id", "content", "content_id"),
    _dangling("token_count", "tokenizer", "tokenizer", "name"),
    _dangling("training_set_item", "training_set", "training_set", "name"),
    (
        "training_set_item: every document_id is in document, or was taken down",
        """SELECT DISTINCT document_id::VARCHAR FROM training_set_item
           WHERE document_id NOT IN (SELECT document_id FROM document UNION ALL SELECT document_id FROM tombstone)""",
    ),
    _dangling("evidence", "document_id", "document", "document_id"),
    _dangling("evidence", "ingest_id", "ingest", "ingest_id"),
    _dangling("evidence", "source", "source", "name"),
    _dangling("evidence", "retracts", "evidence", "evidence_id"),
    _dangling("evidence", "support_digest", "support", "digest"),
    (
        "evidence: no claim is taken back twice, and no retraction is",
        """SELECT retracts::VARCHAR FROM evidence WHERE retracts IS NOT NULL GROUP BY ALL HAVING count(*) > 1
           UNION ALL SELECT evidence_id::VARCHAR FROM evidence
           WHERE retracts IS NOT NULL AND evidence_id IN (SELECT retracts FROM evidence WHERE retracts IS NOT NULL)""",
    ),
    ("evidence: what dates claim rests on the dates that documents have", OUTDATED),
    ("support: every digest is the SHA-256 of the bytes", "SELECT digest FROM support WHERE digest <> sha256(bytes)"),
    _dangling("attestation", "statement_digest", "support", "digest"),
    _duplicates("tombstone", "document_id"),
    _dangling("tombstone", "takedown_id", "takedown", "takedown_id"),
    (
        "tombstone: no document that was taken down is there",
        "SELECT document_id::VARCHAR FROM document WHERE document_id IN (SELECT document_id FROM tombstone)",
    ),
    (
        "tombstone: no text that was taken down is there",
        """SELECT content_id::VARCHAR FROM content
           WHERE content_id IN (SELECT content_id FROM tombstone WHERE with_text)""",
    ),
    (
        "takedown: the file was written anew since; if not: provenance takedown --finish",
        "SELECT value::VARCHAR FROM setting WHERE name = 'rewrite_pending'",
    ),
    _dangling("span", "content_no", "signature", "content_no"),
    (
        "span: every text of a model is in the index; if not: provenance laundering --rescan",
        f"""SELECT content_id::VARCHAR FROM content WHERE n_words >= {MIN_WORDS}
              AND content_id IN (SELECT content_id FROM document WHERE {IS_OUTPUT})
              AND content_no NOT IN (SELECT content_no FROM span)""",
    ),
    _duplicates("laundering", "document_id", "synthetic_id"),
    (
        "laundering: every document is there, or is an original that was taken down",
        f"""SELECT document_id::VARCHAR FROM laundering
            WHERE document_id NOT IN (SELECT document_id FROM document)
              AND NOT (verdict = '{MEMORISATION}' AND {OF_LOST_ORIGINALS})""",
    ),
    (
        "laundering: every likeness is to a model's text, or to one that was taken down",
        f"""SELECT synthetic_id::VARCHAR FROM laundering
            WHERE synthetic_id NOT IN (SELECT document_id FROM document WHERE {IS_OUTPUT}
                                       UNION ALL SELECT document_id FROM tombstone)""",
    ),
    (
        "laundering: everything was compared with every model's text; if not: provenance laundering --rescan",
        f"SELECT value::VARCHAR FROM setting WHERE name = '{PENDING}'",
    ),
    _dangling("training_run", "training_set", "training_set", "name"),
    _dangling("training_run", "model", "model", "name"),
    _dangling("metric", "run_id", "training_run", "run_id"),
    _dangling("annotation", "document_id", "document", "document_id"),
    _dangling("annotation", "attribute", "attribute", "name"),
    (
        "content: every id is the SHA-256 of its text",
        "SELECT content_id::VARCHAR FROM content WHERE replace(content_id::VARCHAR, '-', '') <> sha256(text)[:32]",
    ),
    (
        "content: every size is that of its text",
        "SELECT content_id::VARCHAR FROM content WHERE n_bytes <> strlen(text)",
    ),
    (
        "content: every text with words has a signature with its number",
        """SELECT content_id::VARCHAR FROM content c LEFT JOIN signature s USING (content_id)
           WHERE s.content_no <> c.content_no OR (s.content_no IS NULL AND c.n_words > 0)""",
    ),
    (
        "document: sizes are those of the content",
        """SELECT document_id::VARCHAR FROM document d JOIN content c USING (content_id)
           WHERE d.n_bytes <> c.n_bytes OR d.n_words <> c.n_words""",
    ),
    (
        "document: origin, generation, model, evidence and conflict are what the claims say",
        """SELECT d.document_id::VARCHAR FROM document d LEFT JOIN resolved r USING (document_id)
           WHERE (d.origin, d.evidence_rank) IS DISTINCT FROM (r.origin, r.evidence_rank)
              OR (d.generation, d.model, d.conflict) IS DISTINCT FROM (r.generation, r.model, r.conflict)""",
    ),
    (
        "document: ancestry is that of its origin and model",
        """SELECT d.document_id::VARCHAR FROM document d JOIN resolved r USING (document_id)
           WHERE (d.generation_is_bound, d.mean_ancestry, d.human_ancestry)
                 IS DISTINCT FROM (r.generation_is_bound, r.mean_ancestry, r.human_ancestry)""",
    ),
    (
        "document: generation fits the origin",
        """SELECT document_id::VARCHAR FROM document
           WHERE (origin = 'human' AND generation IS DISTINCT FROM 0) OR (origin = 'unknown' AND generation IS NOT NULL)
              OR (origin IN ('synthetic', 'mixed') AND generation = 0)""",
    ),
    (
        "document: the cluster is that of the content",
        """SELECT document_id::VARCHAR FROM document d LEFT JOIN cluster c USING (content_id)
           WHERE d.cluster_id <> coalesce(c.cluster_id, d.content_id)""",
    ),
    (
        "document: every cluster has one representative, the one that the rule gives",
        f"""SELECT document_id::VARCHAR FROM document
           QUALIFY is_representative
                   <> (row_number() OVER (PARTITION BY cluster_id ORDER BY {REPRESENTATIVE_ORDER}) = 1)""",
    ),
    (
        "document: the licence class is the most restrictive one stated in its cluster",
        f"""SELECT document_id::VARCHAR FROM document
           QUALIFY licence_class IS DISTINCT FROM {EFFECTIVE_LICENCE_CLASS}""",
    ),
    (
        "annotation: the value is in the column of its kind and in no other",
        """SELECT document_id::VARCHAR FROM annotation n JOIN attribute a ON a.name = n.attribute
           WHERE (n.number IS NOT NULL, n.text IS NOT NULL, n.boolean IS NOT NULL)
                 <> (a.kind = 'number', a.kind = 'text', a.kind = 'boolean') OR NOT isfinite(n.number)""",
    ),
    (
        "near_duplicate: content_a is the smaller id",
        "SELECT content_a::VARCHAR FROM near_duplicate WHERE content_a >= content_b",
    ),
    (
        "ingest: read = inserted + present + quarantined",
        "SELECT ingest_id::VARCHAR FROM ingest WHERE n_read <> n_inserted + n_present + n_quarantined",
    ),
    (
        "ingest: every document that a finished run inserted is there",
        """SELECT i.ingest_id::VARCHAR FROM ingest i
           LEFT JOIN (SELECT ingest_id, count(*) AS n FROM document GROUP BY ALL) d USING (ingest_id)
           WHERE i.state = 'finished'
             AND i.n_inserted > coalesce(d.n, 0) + coalesce((i.options->>'n_removed')::BIGINT, 0)""",
    ),
    (
        "ingest: nothing is left of an undone run",
        """SELECT ingest_id::VARCHAR FROM ingest WHERE state = 'undone' AND ingest_id IN (
               SELECT ingest_id FROM document
               UNION SELECT ingest_id FROM quarantine UNION SELECT ingest_id FROM amendment
           )""",
    ),
    (
        "ingest: the counts of a finished run are those of its files",
        """SELECT i.ingest_id::VARCHAR FROM ingest i
           JOIN (SELECT ingest_id, sum(n_read) AS r, sum(n_quarantined) AS q, sum(n_bytes) AS b FROM ingest_file
                 GROUP BY ALL) f USING (ingest_id)
           WHERE i.state = 'finished' AND (i.n_read, i.n_quarantined, i.n_bytes) IS DISTINCT FROM (f.r, f.q, f.b)""",
    ),
    (
        "training_set: counts are those of its items",
        """SELECT t.name FROM training_set t
           LEFT JOIN (SELECT training_set, count(*) AS n, sum(n_words) AS w, sum(n_bytes) AS b, max(position) AS last
                      FROM training_set_item GROUP BY ALL) i ON i.training_set = t.name
           WHERE t.n_documents <> coalesce(i.n, 0) OR t.n_words <> coalesce(i.w, 0) OR t.n_bytes <> coalesce(i.b, 0)
              OR coalesce(i.last, -1) <> t.n_documents - 1""",
    ),
)


def check_store(store: Store) -> Iterator[Finding]:
    """Run every check on one snapshot and yield what each found."""
    with store.read() as connection:
        with registered(connection) as raw:
            raw.execute(f"CREATE OR REPLACE TEMP TABLE resolved AS {RESOLVED}")  # once, for the checks that read it
        for meaning, query in _CHECKS:
            rows = fetch(connection, query)
            examples = tuple(str(one) for one in rows.column(0).slice(0, 3).to_pylist())
            yield Finding(meaning, rows.num_rows, examples)
        yield _check_clusters(connection)
        yield _check_models(connection)


def _blobs(connection: Connection, first: str, second: str, table: str) -> tuple[Any, Any]:
    rows = fetch(connection, f"SELECT {first}::BLOB AS a, {second}::BLOB AS b FROM {table}")
    return id_values(rows["a"]), id_values(rows["b"])


def _check_models(connection: Connection) -> Finding:
    """Compare generation and ancestry of our models with those that their training sets give."""
    stored = stored_ancestries(connection)
    try:
        expected = ancestries(connection)
        wrong = [name for name, one in stored.items() if one != expected[name]]
    except LineageCycle as error:
        wrong = [str(error)]
    return Finding("model: generation and ancestry are those of the training set", len(wrong), tuple(wrong[:3]))


def _check_clusters(connection: Connection) -> Finding:
    """Compare the stored clusters with the connected components of the stored edges."""
    first, second = _blobs(connection, "content_a", "content_b", "near_duplicate")
    nodes = np.union1d(first, second)
    expected = dict(zip(id_bytes(nodes), id_bytes(components(nodes, first, second)), strict=True))
    contents, clusters = _blobs(connection, "content_id", "cluster_id", "cluster")
    stored = dict(zip(id_bytes(contents), id_bytes(clusters), strict=True))
    wrong = [str(as_uuid(node)) for node in {**stored, **expected} if stored.get(node) != expected.get(node)]
    return Finding("cluster: clusters are the connected components of near_duplicate", len(wrong), tuple(wrong[:3]))
