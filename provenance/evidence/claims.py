"""Claims about origin: appended, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID, uuid4

import pyarrow as pa
from sqlalchemy import Connection

from provenance import __version__
from provenance.evidence.words import PROGRAM
from provenance.ids import composite_digest, uuid_array
from provenance.records import RANK_DECLARED, Claim
from provenance.store.store import registered

#: What a claim can be about, from the most general to the most specific.
SubjectKind = Literal["source", "ingest", "document"]

#: Methods of what this program declares of a source and of a run: the labels with which documents enter follow from it.
BY_SOURCE, BY_INGEST = "declared at source add", "declared at ingest"

#: Column of the table `evidence` that holds a subject of a kind.
SUBJECT_COLUMN: dict[str, str] = {"source": "source", "ingest": "ingest_id", "document": "document_id"}


class StatedClaim(NamedTuple):
    """A claim about one subject.

    Attributes
    ----------
    kind : what the subject is
    subject : name of a source, or id of an ingest or document as text
    claim : what is claimed
    method : how it is known, in a few words
    note : particulars
    rank : rank of its grade, 0 to 5
    author : who claims it; None for this program
    confidence : 0 to 1
    support_digest, support_uri : bytes in the table `support`, or a place, that support it
    retracts : the claim that it takes back
    at : when it was claimed; None for the time at which all are stated
    """

    kind: SubjectKind
    subject: str
    claim: Claim
    method: str
    note: str | None = None
    rank: int = RANK_DECLARED
    author: str | None = None
    confidence: float | None = None
    support_digest: str | None = None
    support_uri: str | None = None
    retracts: UUID | None = None
    at: datetime | None = None


def state_claims(connection: Connection, stated: Sequence[StatedClaim], *, stated_at: datetime) -> list[UUID]:
    """Append claims and return their ids.

    Notes
    -----
    What this program itself declares has an id that follows from its content, so that stores can be merged; what
    people and tools claim can be claimed again later and gets an id of its own.
    """
    if not stated:
        return []
    ids = [_claim_id(one) for one in stated]
    subjects = {kind: [one.subject if one.kind == kind else None for one in stated] for kind in SUBJECT_COLUMN}
    rows = pa.table(
        {
            "evidence_id": uuid_array(ids),
            "subject_kind": pa.array([one.kind for one in stated]),
            "source": pa.array(subjects["source"], pa.string()),
            "ingest_id": _uuids(subjects["ingest"]),
            "document_id": _uuids(subjects["document"]),
            "origin": pa.array([one.claim.origin for one in stated]),
            "generation": pa.array([one.claim.generation for one in stated], pa.uint32()),
            "model": pa.array([one.claim.model for one in stated], pa.string()),
            "method": pa.array([one.method for one in stated]),
            "rank": pa.array([one.rank for one in stated], pa.uint8()),
            "confidence": pa.array([one.confidence for one in stated], pa.float64()),
            "author": pa.array([one.author or f"{PROGRAM} {__version__}" for one in stated]),
            "stated_at": pa.array([one.at or stated_at for one in stated], pa.timestamp("us")),
            "note": pa.array([one.note for one in stated], pa.string()),
            "support_digest": pa.array([one.support_digest for one in stated], pa.string()),
            "support_uri": pa.array([one.support_uri for one in stated], pa.string()),
            "retracts": uuid_array([one.retracts.bytes if one.retracts else None for one in stated]),
        }
    )
    with registered(connection, stated=rows) as raw:
        raw.execute("INSERT INTO evidence BY NAME SELECT * FROM stated")
    return [UUID(bytes=one) for one in ids]


def _claim_id(one: StatedClaim) -> bytes:
    if one.author is not None:
        return uuid4().bytes
    claim = one.claim
    return composite_digest(one.kind, one.subject, claim.origin, str(claim.generation), claim.model, one.method)


def _uuids(texts: Sequence[str | None]) -> pa.Array:
    return uuid_array([None if text is None else UUID(text).bytes for text in texts])
