"""Claims as people and their tools state them: checked, appended, and followed to every consequence; `retract` too.

What is given together is stated together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from provenance.errors import ProvenanceError, UnknownName
from provenance.evidence.claims import StatedClaim, SubjectKind, state_claims
from provenance.evidence.errors import ContradictoryEvidence, FromTheFuture, InvalidStatement
from provenance.evidence.grades import DATED, DECLARED, DETECTED, rank_of
from provenance.evidence.retract import retract
from provenance.evidence.settle import Settled, settle
from provenance.evidence.subjects import documents_of, find_subjects
from provenance.evidence.support import Supports
from provenance.evidence.words import require_author, require_name, require_text
from provenance.lineage.models import ensure_models
from provenance.records import Claim
from provenance.store.store import Store, utc_now

__all__ = ["Stated", "Statement", "check_all", "enter", "retract", "state", "state_in"]


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
    claims, wrong = check_all(connection, statements)
    if wrong:
        raise wrong[min(wrong)]
    return enter(connection, claims)


def enter(connection: Connection, claims: Sequence[StatedClaim]) -> Stated:
    """Append claims that were checked, in the caller's transaction, and follow them to every consequence."""
    ensure_models(connection, [one.claim.model for one in claims])
    ids = state_claims(connection, claims, stated_at=utc_now())
    concerned = documents_of(connection, ((one.kind, one.subject) for one in claims))
    return Stated(tuple(ids), concerned.num_rows, settle(connection, concerned))


def check_all(
    connection: Connection, statements: Sequence[Statement]
) -> tuple[list[StatedClaim], dict[int, ProvenanceError]]:
    """Return statements as claims about subjects that are there, and by its place what is wrong with each other one.

    Files that support them are kept in the store.
    """
    now = utc_now()
    subjects = find_subjects(connection, [(one.kind, one.subject) for one in statements])
    supports = Supports(connection)
    claims: list[StatedClaim] = []
    wrong: dict[int, ProvenanceError] = {}
    said: dict[tuple[object, ...], Claim] = {}
    for place, one in enumerate(statements):
        try:
            subject = subjects[one.kind, one.subject]
            claim = _checked(one, now=now)
            if isinstance(subject, UnknownName):
                raise subject
            claim = claim._replace(subject=subject)
            digest, uri = supports.find(one.support)
            _refuse_contradiction(claim, said)
            claims.append(claim._replace(support_digest=digest, support_uri=uri))
        except ProvenanceError as error:
            wrong[place] = error
    return claims, wrong


def _checked(one: Statement, *, now: datetime) -> StatedClaim:
    """Return a statement as a claim, its subject as it stands, or raise what is wrong with it by itself."""
    for name in ("author", "note", "model", "support", "subject"):
        require_text(name, getattr(one, name))
    claim = Claim.make(one.origin, generation=one.generation, model=one.model)
    rank = rank_of(one.method, one.grade)
    if one.method == DETECTED and one.origin != "synthetic":
        raise ContradictoryEvidence(
            f"A detector claims {one.origin!r}. What a detector does not recognise may still be a model's: it can say "
            "'synthetic' or nothing."
        )
    if one.method == DATED and one.origin != "human":
        raise ContradictoryEvidence(f"An early date speaks for people, not for origin {one.origin!r}.")
    author = require_author(one.author)
    if one.model is not None:
        require_name("model", one.model, "the name of a model")
    if one.confidence is not None and not 0 <= one.confidence <= 1:
        raise InvalidStatement(f"Confidence {one.confidence} is not between 0 and 1.")
    if one.at is not None and one.at > now:
        raise FromTheFuture("The time of the claim", one.at, now)
    return StatedClaim(
        one.kind, one.subject, claim, one.method, note=one.note, rank=rank, author=author, confidence=one.confidence,
        at=one.at,
    )  # fmt: skip


def _refuse_contradiction(one: StatedClaim, said: dict[tuple[object, ...], Claim]) -> None:
    """Refuse a claim that differs from one of the same author, grade and time about the same subject."""
    before = said.setdefault((one.kind, one.subject, one.author, one.rank, one.at), one.claim)
    if before != one.claim:
        raise ContradictoryEvidence(
            f"{one.author} claims of {one.kind} {one.subject} that it is {_words(before)} and that it is "
            f"{_words(one.claim)}, by evidence of the same grade."
        )


def _words(claim: Claim) -> str:
    generation = "" if claim.generation is None or claim.origin == "human" else f", generation {claim.generation}"
    return f"{claim.origin!r}{generation}{'' if claim.model is None else f', by {claim.model!r}'}"
