"""The views as SQLAlchemy selectables, for composing queries; their definitions stand in the migrations.

Views are the promise to people who write SQL, so their columns are listed here and a test compares the list with
the database.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Double, String, Subquery, Table, case, column, select
from sqlalchemy import table as lightweight_table
from sqlalchemy.sql.expression import TableClause

from provenance.records import GRADES
from provenance.store import schema

#: view -> the columns it has
VIEW_COLUMNS: dict[str, tuple[str, ...]] = {}


def _view(name: str, base: Table, *columns: str) -> TableClause:
    VIEW_COLUMNS[name] = columns
    known = {**_EXTRA, **{c.name: c.type for c in base.columns}}
    return lightweight_table(name, *(column(c, known[c]) for c in columns))


_EXTRA = {
    "evidence_grade": String(),
    "text": schema.content.c.text.type,
    "n_documents": schema.training_set.c.n_documents.type,
    "n_representatives": schema.training_set.c.n_documents.type,
    "is_representative": Boolean(),
    "human_share": Double(),
    "n_files": schema.training_set.c.n_documents.type,
    "kind": String(),
    "tool": String(),
    "claim_id": schema.evidence.c.evidence_id.type,
    "grade": String(),
    "is_retracted": Boolean(),
    "model": String(),
    "n_taken_down": schema.training_set.c.n_documents.type,
    "taken_down_at": schema.takedown.c.taken_down_at.type,
    "reason": String(),
}

documents = _view(
    "documents", schema.document,
    "document_id", "content_id", "source", "external_id", "uri", "origin", "generation", "generation_is_bound",
    "mean_ancestry", "human_ancestry", "model", "conflict", "licence", "licence_class", "author", "title",
    "authored_at", "collected_at", "n_bytes", "n_words", "cluster_id", "is_representative", "evidence_grade",
    "evidence_rank", "metadata", "text",
)  # fmt: skip


def documents_without_text() -> Subquery:
    """Return what has the columns of the documents view but `text`, which the view joins at some cost."""
    own = schema.document.c
    grade = case(*((own.evidence_rank == rank, grade) for rank, grade in enumerate(GRADES)))
    computed = {"evidence_grade": grade.label("evidence_grade")}
    return select(
        *(computed[c] if c in computed else own[c] for c in VIEW_COLUMNS["documents"] if c != "text")
    ).subquery("documents")


composition = _view(
    "composition", schema.document,
    "source", "origin", "generation", "model", "licence_class", "n_documents", "n_words", "n_bytes",
    "n_representatives",
)  # fmt: skip

training_sets = _view(
    "training_sets", schema.training_set,
    "name", "digest", "created_at", "budget_unit", "n_documents", "n_words", "n_bytes", "n_tokens", "human_share",
    "n_taken_down", "spec",
)  # fmt: skip

training_set_documents = _view(
    "training_set_documents", schema.training_set_item,
    "training_set", "position", "document_id", "repeat", "n_words", "n_bytes", "n_tokens", "origin", "generation",
    "evidence_rank", "model", "source", "licence_class", "cluster_id", "stratum",
)  # fmt: skip

ingests = _view(
    "ingests", schema.ingest,
    "ingest_id", "source", "kind", "state", "actor", "code_version", "started_at", "finished_at", "seconds", "n_files",
    "n_read", "n_inserted", "n_present", "n_quarantined", "n_amended", "n_bytes", "options",
)  # fmt: skip

ingest_files = _view(
    "ingest_files", schema.ingest_file,
    "ingest_id", "place", "file", "format", "size_bytes", "sha256", "n_read", "n_quarantined", "n_bytes", "finished_at",
)  # fmt: skip

amendments = _view(
    "amendments", schema.amendment, "document_id", "ingest_id", "field", "previous", "value", "stated_at"
)

annotation_values = _view(
    "annotations", schema.annotation,
    "document_id", "attribute", "kind", "number", "text", "boolean", "tool", "annotated_at",
)  # fmt: skip

claims = _view(
    "claims", schema.evidence,
    "claim_id", "subject_kind", "source", "ingest_id", "document_id", "origin", "generation", "model", "method",
    "grade", "rank", "confidence", "author", "stated_at", "note", "support_digest", "support_uri", "retracts",
    "is_retracted",
)  # fmt: skip

laundered = _view(
    "laundered", schema.laundering,
    "document_id", "synthetic_id", "model", "kind", "score", "n_words", "verdict", "ground", "found_at",
)  # fmt: skip

takedowns = _view(
    "takedowns", schema.takedown,
    "takedown_id", "selection", "reason", "actor", "taken_down_at", "touched", "n_documents",
)  # fmt: skip

taken_down = _view(
    "taken_down", schema.tombstone,
    "document_id", "content_id", "source", "origin", "n_words", "with_text", "takedown_id", "taken_down_at", "reason",
)  # fmt: skip
