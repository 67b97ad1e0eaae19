"""Whole ids from their beginnings, as people type them: one rule for every command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from provenance.errors import AmbiguousId, UnknownName, WasTakenDown
from provenance.store.store import fetch

#: Digits with which an id begins at least.
LEAST_DIGITS = 8
_HEXADECIMAL = re.compile(rf"[0-9a-f]{{{LEAST_DIGITS},32}}")

# Ranges of ids, not beginnings of texts: a store of ten million documents answers at once.
_FIND = {
    "document": "SELECT document_id::VARCHAR AS id FROM document WHERE document_id BETWEEN :low AND :high LIMIT 4",
    "ingest": "SELECT ingest_id::VARCHAR AS id FROM ingest WHERE ingest_id BETWEEN :low AND :high LIMIT 4",
    "claim": "SELECT evidence_id::VARCHAR AS id FROM evidence WHERE evidence_id BETWEEN :low AND :high LIMIT 4",
    "cluster": """
        SELECT DISTINCT cluster_id::VARCHAR AS id FROM document
        WHERE cluster_id BETWEEN :low AND :high OR document_id BETWEEN :low AND :high LIMIT 4
    """,
}
_TAKEN_DOWN = """
    SELECT t.taken_down_at FROM tombstone s JOIN takedown t USING (takedown_id)
    WHERE s.document_id BETWEEN :low AND :high LIMIT 1
"""
#: What to say where there is no such id.
HINTS = {
    "document": f"Expected an id as in the view documents, or at least its first {LEAST_DIGITS} digits.",
    "ingest": "See: provenance ingests",
    "claim": "See: provenance claims",
    "cluster": "See them with: provenance clusters",
}


def find_id(connection: Connection, kind: str, text: str) -> str:
    """Return the whole id of a document, an ingest, a claim or a cluster from its id or the beginning of it.

    A cluster is found by the ids of its documents too.

    Raises
    ------
    UnknownName
        If there is none; `AmbiguousId` if several begin so, `WasTakenDown` if it was a document that was erased.
    """
    bounds = id_range(text)
    if bounds is None:
        raise UnknownName(kind, text, hint=HINTS[kind])
    found: Sequence[str] = fetch(connection, _FIND[kind], bounds)["id"].to_pylist()
    if len(found) > 1:
        raise AmbiguousId(kind, text, sorted(found))
    if found:
        return found[0]
    if kind in ("document", "cluster"):
        for taken_down_at in fetch(connection, _TAKEN_DOWN, bounds)["taken_down_at"].to_pylist():
            raise WasTakenDown("document", text, taken_down_at)
    raise UnknownName(kind, text, hint=HINTS[kind])


def id_range(text: str) -> dict[str, UUID] | None:
    """Return the lowest and the highest id that begins so, as `low` and `high`, or None where it is no id."""
    digits = text.strip().lower().replace("-", "")
    if not _HEXADECIMAL.fullmatch(digits):
        return None
    return {"low": UUID(digits.ljust(32, "0")), "high": UUID(digits.ljust(32, "f"))}
