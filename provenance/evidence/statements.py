"""Claims as people and their tools state them, and retractions: checked, appended, and followed to every consequence.

What is given together is stated together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection, select

from provenance.evidence.claims import StatedClaim, SubjectKind, state_claims
from provenance.evidence.errors import (
    AlreadyRetracted,
    ContradictoryEvidence,
    FromTheFuture,
    InvalidStatement,
    NotRetractable,
)
from provenance.evidence.grades import DATED, DECLARED, DETECTED, rank_of
from provenance.evidence.settle import Settled, settle
from provenance.evidence.subjects import documents_of, find_id, find_subject
from provenance.evidence.support import keep_support, read_support
from provenance.lineage.models import ensure_models
from provenance.records import Claim
from provenance.store import schema
from provenance.store.store import Store, utc_now


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A claim as somebody states it.

    Attributes
    ----------
    kind : what it is about
    subject : id of a document or ingest, or at least its first 8 digits; name of a source
    author : who claims it
    origin, generation, model : what is claimed
    method : on what ground, one of `grades.METHODS`
    grade : of the evidence; None for that of the method
    confidence : 0 to 1
    at : when it was claimed, UTC without a zone; None for now
    note : particulars
    support : file whose bytes are kept, or address, that supports it
    """

    kind: SubjectKind
    subject: str
    author: str
    origin: str
    generation: int | None = None
    model: str | None = None
    method: str = DECLARED
    grade: str | None = None
    confidence: float | None = None
    at: datetime | None = None
    note: str | None = None
    support: str | None = None


@dataclass(frozen=True)
class Stated:
    """Claims that were stated.

    Attributes
    ----------
    ids : of the claims, in the order given
    n_documents : documents that they are about
    settled : what became of these and of what depends on them
    """

    ids: tuple[UUID, ...]
    n_documents: int
    settled: Settled


def state(store: Store, statements: Sequence[Statement]) -> Stated:
    """State claims in one transaction.

    Raises
    ------
    UnknownName, UnknownOrigin, UnknownMethod, UnknownGrade
        If a subject, origin, method or grade does not exist.
    GradeOfAnotherMethod, ContradictoryClaim, ContradictoryEvidence
        If a claim contradicts itself, or two claims of one author each other.
    InvalidStatement, FromTheFuture, SupportUnreadable
        If a confidence, author, time or file cannot be.
    LineageCycle
        If a model would come to be trained on what it wrote.
    """
    with store.transaction() as connection:
        return state_in(connection, statements)


def state_in(connection: Connection, statements: Sequence[Statement]) -> Stated:
    """State claims in the caller's transaction; see `state`."""
    claims = [checked(connection, one) for one in statements]
    _refuse_contradictions(claims)
    ensure_models(connection, [claim.claim.model for claim, _ in claims])
    now = utc_now()
    ids: list[UUID] = []
    for (claim, _), one in zip(claims, statements, strict=True):
        ids += state_claims(connection, [claim], stated_at=one.at or now)
    return _stated(connection, ids, [claim for claim, _ in claims])


def checked(connection: Connection, one: Statement) -> tuple[StatedClaim, str]:
    """Return a statement as a claim with the whole name of its subject, or raise what is wrong with it."""
    claim = Claim.make(one.origin, generation=one.generation, model=one.model)
    rank = rank_of(one.method, one.grade)
    if one.method == DETECTED and one.origin != "synthetic":
        raise ContradictoryEvidence(
            f"A detector claims {one.origin!r}. What a detector does not recognise may still be a model's: it can say "
            "'synthetic' or nothing."
        )
    if one.method == DATED and one.origin != "human":
        raise ContradictoryEvidence(f"An early date speaks for people, not for origin {one.origin!r}.")
    if not one.author.strip() or not one.author.isprintable():
        raise InvalidStatement(f"{one.author!r} is no author: expected the name of a person or tool.")
    if one.confidence is not None and not 0 <= one.confidence <= 1:
        raise InvalidStatement(f"Confidence {one.confidence} is not between 0 and 1.")
    if one.at is not None and one.at > utc_now():
        raise FromTheFuture("The time of the claim", one.at, utc_now())
    subject = find_subject(connection, one.kind, one.subject)
    digest, uri = _support(connection, one.support)
    stated = StatedClaim(
        one.kind, subject, claim, one.method, note=one.note, rank=rank, author=one.author.strip(),
        confidence=one.confidence, support_digest=digest, support_uri=uri,
    )  # fmt: skip
    return stated, subject


def retract(store: Store, claim: str, *, author: str, note: str | None = None) -> Stated:
    """Take a claim back: append a claim that says so.

    Parameters
    ----------
    claim : id of the claim, or at least its first 8 digits

    Raises
    ------
    UnknownName
        If there is no such claim.
    AlreadyRetracted, NotRetractable
        If it was taken back before, or is a retraction itself.
    LineageCycle
        If a model would come to be trained on what it wrote.
    """
    table = schema.evidence
    with store.transaction() as connection:
        whole = UUID(find_id(connection, "claim", claim))
        found = connection.execute(select(table).where(table.c.evidence_id == whole)).one()
        if found.retracts is not None:
            raise NotRetractable(str(whole))
        if connection.execute(select(table.c.evidence_id).where(table.c.retracts == whole)).first() is not None:
            raise AlreadyRetracted(str(whole))
        subject = str({"source": found.source, "ingest": found.ingest_id}.get(found.subject_kind, found.document_id))
        taken_back = StatedClaim(
            found.subject_kind, subject, Claim("unknown"), found.method, note=note or "taken back", rank=found.rank,
            author=author, retracts=whole,
        )  # fmt: skip
        ids = state_claims(connection, [taken_back], stated_at=utc_now())
        return _stated(connection, ids, [taken_back])


def _stated(connection: Connection, ids: Sequence[UUID], claims: Sequence[StatedClaim]) -> Stated:
    subjects = dict.fromkeys((one.kind, one.subject) for one in claims)
    concerned = pa.concat_tables([documents_of(connection, kind, subject) for kind, subject in subjects])
    return Stated(tuple(ids), concerned.num_rows, settle(connection, concerned))


def _support(connection: Connection, support: str | None) -> tuple[str | None, str | None]:
    """Return the digest of a file that is kept, or an address."""
    if support is None:
        return None, None
    if "://" in support:
        return None, support
    path = Path(support)
    return keep_support(connection, path.name, read_support(path)), None


def _refuse_contradictions(claims: Sequence[tuple[StatedClaim, str]]) -> None:
    """Refuse two claims of one author and grade about the same subject that name different origins."""
    said: dict[tuple[str, str, str | None, int], str] = {}
    for claim, subject in claims:
        before = said.setdefault((claim.kind, subject, claim.author, claim.rank), claim.claim.origin)
        if before != claim.claim.origin:
            raise ContradictoryEvidence(
                f"{claim.author} claims of {claim.kind} {subject} that it is {before!r} and that it is "
                f"{claim.claim.origin!r}, by evidence of the same grade. Nothing was stated."
            )
