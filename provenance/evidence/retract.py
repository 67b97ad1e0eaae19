"""Retractions: claims that take others back, one by one or all that have something in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection

from provenance.errors import UnknownName
from provenance.evidence.errors import AlreadyRetracted, NothingToRetract, NotRetractable
from provenance.evidence.settle import Settled, settle
from provenance.evidence.subjects import find_subject
from provenance.evidence.words import require_author, require_text
from provenance.ids import uuid_array
from provenance.store.lookup import find_id
from provenance.store.store import Store, fetch, fetch_ids, registered, staged, utc_now

_STANDING = """
    SELECT evidence_id::VARCHAR AS id, retracts IS NOT NULL AS is_retraction,
           evidence_id IN (SELECT retracts FROM evidence WHERE retracts IS NOT NULL) AS is_retracted
    FROM evidence SEMI JOIN named ON named.id = evidence_id
"""
_CHOOSE_NAMED = "CREATE OR REPLACE TEMP TABLE chosen_claim AS FROM evidence SEMI JOIN named ON named.id = evidence_id"
# Sources and ingests with all that is claimed of the documents in them.
_CHOOSE = """
    CREATE OR REPLACE TEMP TABLE chosen_claim AS
    FROM evidence
    WHERE retracts IS NULL AND evidence_id NOT IN (SELECT retracts FROM evidence WHERE retracts IS NOT NULL)
      AND ($author IS NULL OR author = $author) AND ($method IS NULL OR method = $method)
      AND ($since IS NULL OR stated_at >= $since) AND ($before IS NULL OR stated_at < $before)
      AND ($source IS NULL OR source = $source OR ingest_id IN (SELECT ingest_id FROM ingest WHERE source = $source)
           OR document_id IN (SELECT document_id FROM document WHERE source = $source))
      AND ($ingest IS NULL OR ingest_id = $ingest::UUID
           OR document_id IN (SELECT document_id FROM document WHERE ingest_id = $ingest::UUID))
"""
_GROUPS = """
    SELECT author, method, subject_kind, origin, count(*) AS n_claims, min(stated_at) AS first_at,
           max(stated_at) AS last_at
    FROM chosen_claim GROUP BY ALL ORDER BY n_claims DESC, author, method, subject_kind, origin
"""
_DOCUMENTS = """
    SELECT document_id FROM document SEMI JOIN chosen_claim USING (document_id)
    UNION SELECT document_id FROM document
          WHERE ingest_id IN (SELECT ingest_id FROM chosen_claim WHERE subject_kind = 'ingest')
    UNION SELECT document_id FROM document
          WHERE source IN (SELECT source FROM chosen_claim WHERE subject_kind = 'source')
"""
_TAKE_BACK = """
    INSERT INTO evidence BY NAME
    SELECT uuid() AS evidence_id, subject_kind, source, ingest_id, document_id, 'unknown' AS origin, method, rank,
           $author AS author, $now AS stated_at, $note AS note, evidence_id AS retracts
    FROM chosen_claim
"""
_KNOWN = {
    "author": "SELECT DISTINCT author AS name FROM evidence WHERE retracts IS NULL ORDER BY ALL",
    "method": "SELECT DISTINCT method AS name FROM evidence WHERE retracts IS NULL ORDER BY ALL",
}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Claims that have something in common; those that were taken back, and retractions, are none of them.

    Attributes
    ----------
    author, method : of whom, and on what ground
    source : about this source, its runs and its documents
    ingest : about this run and its documents
    since, before : stated then or later, and earlier; UTC without a zone
    """

    author: str | None = None
    method: str | None = None
    source: str | None = None
    ingest: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True)
class Chosen:
    """Claims that a choice stands for.

    Attributes
    ----------
    groups : author, method, subject_kind, origin, n_claims, first_at, last_at of those that have these in common
    n_claims : how many there are
    n_documents : documents that they are about
    """

    groups: list[dict[str, Any]]
    n_claims: int
    n_documents: int


@dataclass(frozen=True)
class Retracted(Chosen):
    """Claims that were taken back, and what became of the documents and of what depends on them."""

    settled: Settled


def retract(store: Store, *claims: str, author: str, note: str | None = None) -> Retracted:
    """Take claims back: append for each one that says so. All of them, or none.

    Parameters
    ----------
    claims : ids of the claims, or at least their first 8 digits
    author : who takes them back
    note : why

    Raises
    ------
    UnknownName
        If there is no such claim.
    AlreadyRetracted, NotRetractable
        If one was taken back before, or is a retraction itself.
    InvalidStatement
        If author or note are no text that can be stored.
    LineageCycle
        If a model would come to be trained on what it wrote.
    """
    with store.transaction() as connection:
        named = _named(connection, claims)
        with staged(connection, named=named) as raw:
            for one in fetch(connection, _STANDING).to_pylist():
                if one["is_retraction"]:
                    raise NotRetractable(one["id"])
                if one["is_retracted"]:
                    raise AlreadyRetracted(one["id"])
            raw.execute(_CHOOSE_NAMED)
        return _take_back(connection, author, note)


def retract_all(store: Store, choice: Choice, *, author: str, note: str | None = None) -> Retracted:
    """Take all claims back that have something in common, in one transaction.

    Raises
    ------
    UnknownName
        If there is no such source or run, or nothing was ever claimed by this author or method.
    NothingToRetract
        If no such claim still counts.
    InvalidStatement, LineageCycle
        As `retract`.
    """
    with store.transaction() as connection:
        _choose(connection, choice)
        return _take_back(connection, author, note)


def look(store: Store, choice: Choice) -> Chosen:
    """Return what `retract_all` would take back; changes nothing. It raises what that would raise."""
    with store.read() as connection:
        _choose(connection, choice)
        return _described(connection)


def _named(connection: Connection, claims: Sequence[str]) -> pa.Table:
    ids = dict.fromkeys(find_id(connection, "claim", one) for one in claims)
    return pa.table({"id": uuid_array([UUID(one).bytes for one in ids])})


def _choose(connection: Connection, choice: Choice) -> None:
    """Make the temporary table `chosen_claim`: the rows of `evidence` that a choice stands for."""
    given = {**choice.__dict__}
    for kind, value in (("author", choice.author), ("method", choice.method)):
        require_text(kind, value)
        known = fetch(connection, _KNOWN[kind])["name"].to_pylist() if value is not None else []
        if value is not None and value not in known:
            raise UnknownName(f"claim by {kind}", value, known, hint="See: provenance claims")
    if choice.source is not None:
        find_subject(connection, "source", choice.source)
    if choice.ingest is not None:
        given["ingest"] = find_subject(connection, "ingest", choice.ingest)
    with registered(connection) as raw:
        raw.execute(_CHOOSE, given)
        if not raw.execute("SELECT count(*) FROM chosen_claim").fetchone()[0]:
            raise NothingToRetract({name: value for name, value in choice.__dict__.items() if value is not None})


def _described(connection: Connection) -> Chosen:
    groups = fetch(connection, _GROUPS).to_pylist()
    n_documents = fetch(connection, f"SELECT count(*) AS n FROM ({_DOCUMENTS})")["n"][0].as_py()
    return Chosen(groups, sum(one["n_claims"] for one in groups), n_documents)


def _take_back(connection: Connection, author: str, note: str | None) -> Retracted:
    """Take back the claims of `chosen_claim`, and drop that table."""
    require_text("note", note)
    name = require_author(author)
    chosen = _described(connection)
    documents = append_retractions(connection, author=name, note=note or "taken back")
    return Retracted(**chosen.__dict__, settled=settle(connection, documents))


def append_retractions(connection: Connection, *, author: str, note: str) -> pa.Table:
    """Append retractions of all claims in the temporary table `chosen_claim`, and drop it, in the caller's transaction.

    Parameters
    ----------
    author, note : who takes them back, and why; checked before

    Returns
    -------
    column document_id : the documents concerned, which the caller has to settle
    """
    documents = fetch_ids(connection, _DOCUMENTS)
    with registered(connection) as raw:
        raw.execute(_TAKE_BACK, {"author": author, "now": utc_now(), "note": note})
        raw.execute("DROP TABLE temp.chosen_claim")
    return documents
