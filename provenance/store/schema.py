"""The tables, described once for every query; Alembic alone creates and changes them (see migrations/).

Big tables (`content`, `document`, `signature`, `band`, ... ) carry no keys and no indexes: DuckDB's indexes cost
memory and block ALTER, and a lakehouse has none. Their uniqueness comes from one writer and anti-joins, and
`provenance check` proves it. Small tables keep their constraints.
"""

from __future__ import annotations

from typing import Any

from duckdb_sqlalchemy.datatypes import UBigInteger, UInteger, USmallInteger, UTinyInteger
from sqlalchemy import (
    ARRAY,
    JSON,
    UUID,
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy import DateTime as Timestamp
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CheckConstraint, CreateColumn

metadata = MetaData()


@compiles(CreateColumn, "duckdb")
def _with_compression(element: CreateColumn, compiler: Any, **options: Any) -> str:
    ddl: str = compiler.visit_create_column(element, **options)
    compression = element.element.info.get("compression")
    return f"{ddl} USING COMPRESSION {compression}" if ddl and compression else ddl


def _zstd(name: str, kind: Any = Text, **options: Any) -> Column[Any]:
    return Column(name, kind, info={"compression": "zstd"}, **options)


def _id(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, UUID(as_uuid=True), nullable=nullable)


def _name_key() -> Column[Any]:
    return Column("name", String, primary_key=True)


_ORIGIN_WORDS = "origin IN ('human', 'synthetic', 'mixed', 'unknown')"

setting = Table("setting", metadata, _name_key(), Column("value", JSON, nullable=False))

source = Table(
    "source",
    metadata,
    _name_key(),
    Column("origin", String, nullable=False),
    Column("generation", UInteger),
    Column("model", String),
    Column("licence", String),
    Column("licence_class", String, nullable=False),
    Column("uri", String),
    Column("note", String),
    Column("created_at", Timestamp, nullable=False),
    CheckConstraint(_ORIGIN_WORDS),
)

ingest = Table(
    "ingest",
    metadata,
    Column("ingest_id", UUID(as_uuid=True), primary_key=True),
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False),
    Column("actor", String),
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    Column("code_version", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("options", JSON, nullable=False),
    Column("n_read", BigInteger, nullable=False),
    Column("n_inserted", BigInteger, nullable=False),
    Column("n_present", BigInteger, nullable=False),
    Column("n_quarantined", BigInteger, nullable=False),
    Column("n_amended", BigInteger, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    CheckConstraint("kind IN ('ingest', 'retry')"),
    CheckConstraint("state IN ('running', 'stopped', 'finished', 'undone')"),
)

ingest_file = Table(
    "ingest_file",
    metadata,
    _id("ingest_id"),
    Column("place", UInteger, nullable=False),
    Column("file", String, nullable=False),
    Column("format", String, nullable=False),
    Column("size_bytes", BigInteger),
    Column("stamp", String),
    Column("sha256", String),
    Column("n_read", BigInteger, nullable=False),
    Column("n_quarantined", BigInteger, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("finished_at", Timestamp, nullable=False),
)

amendment = Table(
    "amendment",
    metadata,
    _id("document_id"),
    _id("ingest_id"),
    Column("field", String, nullable=False),
    Column("previous", String),
    Column("value", String, nullable=False),
    Column("stated_at", Timestamp, nullable=False),
)

content = Table(
    "content",
    metadata,
    _id("content_id"),
    Column("content_no", UInteger, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("n_words", UInteger, nullable=False),
    _zstd("text", nullable=False),
)

document = Table(
    "document",
    metadata,
    _id("document_id"),
    _id("content_id"),
    Column("source", String, nullable=False),
    Column("external_id", String),
    Column("uri", String),
    Column("author", String),
    Column("title", String),
    Column("authored_at", Timestamp),
    Column("collected_at", Timestamp),
    Column("licence", String),
    Column("licence_class", String, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("n_words", UInteger, nullable=False),
    Column("origin", String, nullable=False),
    Column("generation", UInteger),
    Column("model", String),
    Column("evidence_rank", UTinyInteger, nullable=False),
    _id("cluster_id"),
    Column("is_representative", Boolean, nullable=False),
    _id("ingest_id"),
    _zstd("metadata", JSON),
    Column("stated_licence_class", String),
    Column("conflict", String),
    Column("generation_is_bound", Boolean),
    Column("mean_ancestry", Double),
    Column("human_ancestry", Double),
)

signature = Table(
    "signature",
    metadata,
    _id("content_id"),
    Column("content_no", UInteger, nullable=False),
    Column("rule_version", USmallInteger, nullable=False),
    Column("hashvalues", ARRAY(UInteger), nullable=False),
    Column("normal_hash", UBigInteger),
)

band = Table(
    "band",
    metadata,
    Column("key", UInteger, nullable=False),
    Column("content_no", UInteger, nullable=False),
)

span = Table(
    "span",
    metadata,
    Column("hash", UBigInteger, nullable=False),
    Column("content_no", UInteger, nullable=False),
)

near_duplicate = Table(
    "near_duplicate",
    metadata,
    _id("content_a"),
    _id("content_b"),
    Column("rule", String, nullable=False),
    Column("score", Double, nullable=False),
    Column("rule_version", USmallInteger, nullable=False),
)

cluster = Table("cluster", metadata, _id("cluster_id"), _id("content_id"))

model = Table(
    "model",
    metadata,
    _name_key(),
    Column("revision", String),
    Column("digest", String),
    Column("learner", String),
    Column("training_set", String),
    Column("generation", UInteger),
    Column("parameters", JSON),
    Column("code_version", String),
    Column("path", String),
    Column("created_at", Timestamp, nullable=False),
    Column("generation_is_bound", Boolean),
    Column("mean_ancestry", Double),
    Column("human_ancestry", Double),
)

parent = Table(
    "parent",
    metadata,
    _id("document_id"),
    _id("parent_id"),
    Column("relation", String, nullable=False),
)

evidence = Table(
    "evidence",
    metadata,
    _id("evidence_id"),
    Column("subject_kind", String, nullable=False),
    Column("source", String),
    _id("ingest_id", nullable=True),
    _id("document_id", nullable=True),
    Column("origin", String, nullable=False),
    Column("generation", UInteger),
    Column("model", String),
    Column("method", String, nullable=False),
    Column("rank", UTinyInteger, nullable=False),
    Column("confidence", Double),
    Column("author", String),
    Column("stated_at", Timestamp, nullable=False),
    Column("note", String),
    Column("support_digest", String),
    Column("support_uri", String),
    _id("retracts", nullable=True),
)

support = Table(
    "support",
    metadata,
    Column("digest", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)

attestation = Table(
    "attestation",
    metadata,
    Column("attestation_id", UUID(as_uuid=True), primary_key=True),
    Column("source", String, nullable=False),
    Column("signer", String, nullable=False),
    Column("signed_on", Date, nullable=False),
    Column("expires_on", Date),
    Column("terms", String),
    Column("statement_digest", String, nullable=False),
    Column("signature_digest", String),
    Column("public_key_digest", String),
    Column("is_verified", Boolean, nullable=False),
    _id("evidence_id"),
)

detector = Table(
    "detector",
    metadata,
    Column("name", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("report", JSON, nullable=False),
    Column("weights", LargeBinary),
    Column("created_at", Timestamp, nullable=False),
)

detector_score = Table(
    "detector_score",
    metadata,
    Column("detector", String, nullable=False),
    Column("version", String, nullable=False),
    _id("content_id"),
    Column("score", Double, nullable=False),
)

laundering = Table(
    "laundering",
    metadata,
    _id("document_id"),
    _id("synthetic_id"),
    Column("kind", String, nullable=False),
    Column("score", Double, nullable=False),
    Column("n_words", UInteger),
    Column("verdict", String, nullable=False),
    Column("ground", String, nullable=False),
    Column("found_at", Timestamp, nullable=False),
)

takedown = Table(
    "takedown",
    metadata,
    Column("takedown_id", UUID(as_uuid=True), primary_key=True),
    Column("selection", JSON, nullable=False),
    Column("reason", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("taken_down_at", Timestamp, nullable=False),
    Column("touched", JSON, nullable=False),
)

tombstone = Table(
    "tombstone",
    metadata,
    _id("takedown_id"),
    _id("document_id"),
    _id("content_id"),
    Column("source", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("n_words", UInteger, nullable=False),
    Column("with_text", Boolean, nullable=False),
)

export = Table(
    "export",
    metadata,
    Column("export_id", UUID(as_uuid=True), primary_key=True),
    Column("training_set", String, nullable=False),
    Column("format", String, nullable=False),
    Column("path", String, nullable=False),
    Column("host", String, nullable=False),
    Column("digest", String),
    Column("exported_at", Timestamp, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    _id("quarantine_id"),
    _id("ingest_id"),
    Column("source", String, nullable=False),
    Column("file", String, nullable=False),
    Column("place", String, nullable=False),
    Column("part", UInteger, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", String),
    Column("raw", LargeBinary, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("format", String),
    Column("context", LargeBinary),
)

attribute = Table(
    "attribute",
    metadata,
    _name_key(),
    Column("kind", String, nullable=False),
    Column("tool", String),
    Column("note", String),
    Column("created_at", Timestamp, nullable=False),
    CheckConstraint("kind IN ('number', 'text', 'boolean')"),
)

annotation = Table(
    "annotation",
    metadata,
    _id("document_id"),
    Column("attribute", String, nullable=False),
    Column("number", Double),
    Column("text", String),
    Column("boolean", Boolean),
    Column("annotated_at", Timestamp, nullable=False),
)

tokenizer = Table(
    "tokenizer",
    metadata,
    _name_key(),
    Column("digest", String, nullable=False),
    Column("definition", Text, nullable=False),
    Column("vocab_size", UInteger, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)

token_count = Table(
    "token_count",
    metadata,
    Column("tokenizer", String, nullable=False),
    _id("content_id"),
    Column("n_tokens", UInteger, nullable=False),
)

training_set = Table(
    "training_set",
    metadata,
    _name_key(),
    Column("digest", String, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("budget_unit", String, nullable=False),
    Column("n_documents", BigInteger, nullable=False),
    Column("n_words", BigInteger, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("n_tokens", BigInteger),
    Column("human_share", Double, nullable=False),
)

training_set_item = Table(
    "training_set_item",
    metadata,
    Column("training_set", String, nullable=False),
    Column("position", BigInteger, nullable=False),
    _id("document_id"),
    Column("repeat", UInteger, nullable=False),
    Column("n_words", UInteger, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("n_tokens", UInteger),
    Column("origin", String, nullable=False),
    Column("generation", UInteger),
    Column("evidence_rank", UTinyInteger, nullable=False),
    Column("model", String),
    Column("source", String, nullable=False),
    Column("licence_class", String, nullable=False),
    _id("cluster_id"),
    Column("stratum", String, nullable=False),
)

training_run = Table(
    "training_run",
    metadata,
    Column("run_id", UUID(as_uuid=True), primary_key=True),
    Column("experiment", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("generation", UInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("training_set", String),
    Column("model", String),
    Column("config", JSON, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    Column("seconds", JSON),
)

metric = Table(
    "metric",
    metadata,
    _id("run_id"),
    Column("metric", String, nullable=False),
    Column("value", Double, nullable=False),
)
