"""What a claim is about, as people name it."""

from __future__ import annotations

import re
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection

from provenance.errors import UnknownName
from provenance.evidence.claims import SubjectKind
from provenance.store.store import fetch, fetch_ids

#: Digits with which the name of a document or run begins at least.
_LEAST = 8
_HEXADECIMAL = re.compile(rf"[0-9a-f]{{{_LEAST},32}}")

# Ranges of ids, not beginnings of texts: a store of ten million documents answers at once.
_FIND = {
    "document": "SELECT document_id::VARCHAR AS id FROM document WHERE document_id BETWEEN :low AND :high LIMIT 3",
    "ingest": "SELECT ingest_id::VARCHAR AS id FROM ingest WHERE ingest_id BETWEEN :low AND :high LIMIT 3",
    "claim": "SELECT evidence_id::VARCHAR AS id FROM evidence WHERE evidence_id BETWEEN :low AND :high LIMIT 3",
}
_SOURCES = "SELECT name FROM source ORDER BY name"
_DOCUMENTS = {
    "document": "SELECT document_id FROM document WHERE document_id = CAST(:subject AS UUID)",
    "ingest": "SELECT document_id FROM document WHERE ingest_id = CAST(:subject AS UUID)",
    "source": "SELECT document_id FROM document WHERE source = :subject",
}
_HINTS = {
    "document": "Expected an id as in the view documents, or at least its first 8 digits.",
    "ingest": "See: provenance ingests",
    "claim": "See: provenance claims",
}


def find_id(connection: Connection, kind: str, text: str) -> str:
    """Return the whole id of a document, an ingest or a claim from its id or the beginning of it.

    Raises
    ------
    UnknownName
        If there is none, or several begin so.
    """
    digits = text.lower().replace("-", "")
    if not _HEXADECIMAL.fullmatch(digits):
        raise UnknownName(kind, text, hint=_HINTS[kind])
    bounds = {"low": UUID(digits.ljust(32, "0")), "high": UUID(digits.ljust(32, "f"))}
    found: list[str] = fetch(connection, _FIND[kind], bounds)["id"].to_pylist()
    if not found:
        raise UnknownName(kind, text, hint=_HINTS[kind])
    if len(found) > 1:
        raise UnknownName(kind, text, hint=f"Several begin so: {', '.join(sorted(found))}. Give more digits.")
    return found[0]


def find_subject(connection: Connection, kind: SubjectKind, text: str) -> str:
    """Return the id, or the name of the source, that a claim is about.

    Raises
    ------
    UnknownName
        If there is no such document, ingest or source.
    """
    if kind != "source":
        return find_id(connection, kind, text)
    known = fetch(connection, _SOURCES)["name"].to_pylist()
    if text not in known:
        raise UnknownName("source", text, known, hint="See: provenance stats")
    return text


def documents_of(connection: Connection, kind: SubjectKind, subject: str) -> pa.Table:
    """Return the ids of the documents that a subject holds, as the column `document_id`."""
    return fetch_ids(connection, _DOCUMENTS[kind], {"subject": subject})
