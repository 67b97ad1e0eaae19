"""What is known of documents before somebody judges them: whether they are there, and the claims that hold for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection

from provenance.ids import uuid_array
from provenance.records import RANK_CURATED
from provenance.store.store import fetch, staged

_PRESENT = "SELECT document_id::VARCHAR AS id FROM document SEMI JOIN chosen USING (document_id)"
#: Claims about documents, about their ingests and their sources that were not taken back.
_CLAIMS = """
    WITH d AS (SELECT document_id, source, ingest_id FROM document SEMI JOIN chosen USING (document_id)),
    standing AS NOT MATERIALIZED (  -- or every claim of the store would be written down to find a few
        FROM claims WHERE retracts IS NULL AND NOT is_retracted
    )
    SELECT of::VARCHAR AS document, claim_id::VARCHAR AS claim_id, subject_kind, origin, generation, model, grade, rank,
           method, confidence, author, stated_at, note
    FROM (
        SELECT d.document_id AS of, c.* FROM d JOIN standing c ON c.document_id = d.document_id
        UNION ALL
        SELECT d.document_id, c.* FROM d JOIN standing c ON c.ingest_id = d.ingest_id
        UNION ALL
        SELECT d.document_id, c.* FROM d JOIN standing c ON c.subject_kind = 'source' AND c.source = d.source
    )
    ORDER BY document, rank DESC, stated_at DESC, claim_id
"""

Claims = list[dict[str, Any]]


class Standing(NamedTuple):
    """A judgement that is in the store and was not taken back."""

    claim_id: UUID
    origin: str
    judge: str
    stated_at: datetime


def ids_of(documents: Iterable[str]) -> pa.Table:
    """Return ids given as text as a table with the column document_id."""
    return pa.table({"document_id": uuid_array([UUID(one).bytes for one in documents])})


def present(connection: Connection, documents: Iterable[str]) -> set[str]:
    """Return which documents are in the store."""
    with staged(connection, chosen=ids_of(documents)):
        return set(fetch(connection, _PRESENT)["id"].to_pylist())


def claims_on(connection: Connection, documents: Sequence[str]) -> dict[str, Claims]:
    """Return the claims that hold for documents, those of the best grade first."""
    found: dict[str, Claims] = {one: [] for one in documents}
    with staged(connection, chosen=ids_of(found)):
        for row in fetch(connection, _CLAIMS).to_pylist():
            found[row.pop("document")].append(row)
    return found


def judgements_in(claims: Sequence[Mapping[str, Any]]) -> list[Standing]:
    """Return those of a document's claims that are a person's judgement of it, the first first."""
    found = [
        Standing(UUID(one["claim_id"]), one["origin"], one["author"], one["stated_at"])
        for one in claims
        if one["subject_kind"] == "document" and one["rank"] == RANK_CURATED
    ]
    return sorted(found, key=lambda one: (one.stated_at, one.claim_id))


def particulars_in(claims: Sequence[Mapping[str, Any]], origin: str) -> dict[str, Any]:
    """Return generation and model as the best of a document's claims of an origin gives them.

    Whoever says `synthetic` takes nothing of that back.
    """
    if origin not in ("synthetic", "mixed"):
        return {}
    saying = [
        one for one in claims
        if one["origin"] == origin and (one["model"] is not None or one["generation"] is not None)
    ]  # fmt: skip
    if not saying:
        return {}
    best = max(saying, key=lambda one: (one["rank"], one["stated_at"], one["claim_id"]))
    return {name: best[name] for name in ("generation", "model")}
