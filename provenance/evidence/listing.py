"""Claims as they stand in the store."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from provenance.evidence.subjects import find_subject
from provenance.store import views
from provenance.store.lookup import find_id
from provenance.store.store import Store, fetch


def list_claims(
    store: Store,
    *,
    document: str | None = None,
    source: str | None = None,
    ingest: str | None = None,
    author: str | None = None,
    limit: int | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """Return claims, the last first, and how many there are.

    Parameters
    ----------
    document, source, ingest : only claims about exactly this subject
    author : only claims of this author
    limit : so many are returned; None for all

    Raises
    ------
    UnknownName
        If there is no such subject.
    """
    c = views.claims.c
    with store.read() as connection:
        wanted: list[ColumnElement[bool]] = []
        if document is not None:
            wanted.append(c.document_id == UUID(find_id(connection, "document", document)))
        if ingest is not None:
            wanted.append(c.ingest_id == UUID(find_id(connection, "ingest", ingest)))
        if source is not None:
            wanted.append(c.source == find_subject(connection, "source", source))
        if author is not None:
            wanted.append(c.author == author)
        query = select(views.claims).where(*wanted)
        n = int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())
        rows = fetch(connection, query.order_by(c.stated_at.desc(), c.claim_id).limit(limit)).to_pylist()
    return rows, n
