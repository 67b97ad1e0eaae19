"""Claims about origin: appended, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import pyarrow as pa
from sqlalchemy import Connection

from provenance import __version__
from provenance.ids import composite_digest, uuid_array
from provenance.records import RANK_DECLARED, Claim
from provenance.store.store import registered

#: What a claim can be about, from the most general to the most specific.
SubjectKind = Literal["source", "ingest", "document"]


class StatedClaim(NamedTuple):
    """A claim about one subject.

    Attributes
    ----------
    kind : what the subject is
    subject : name of a source, or id of an ingest or document as text
    claim : what is claimed
    method : how it is known, in a few words
    note : particulars
    """

    kind: SubjectKind
    subject: str
    claim: Claim
    method: str
    note: str | None = None


def state_claims(connection: Connection, stated: Sequence[StatedClaim], *, stated_at: datetime) -> None:
    """Append claims, all of grade `declared`."""
    if not stated:
        return
    ids = [
        composite_digest(
            one.kind, one.subject, one.claim.origin, str(one.claim.generation), one.claim.model, one.method
        )
        for one in stated
    ]
    rows = pa.table(
        {
            "evidence_id": uuid_array(ids),
            "subject_kind": pa.array([one.kind for one in stated]),
            "subject": pa.array([one.subject for one in stated]),
            "origin": pa.array([one.claim.origin for one in stated]),
            "generation": pa.array([one.claim.generation for one in stated], pa.uint32()),
            "model": pa.array([one.claim.model for one in stated], pa.string()),
            "method": pa.array([one.method for one in stated]),
            "rank": pa.array([RANK_DECLARED] * len(stated), pa.uint8()),
            "author": pa.repeat(f"corpus-provenance {__version__}", len(stated)),
            "stated_at": pa.array([stated_at] * len(stated), pa.timestamp("us")),
            "note": pa.array([one.note for one in stated], pa.string()),
        }
    )
    with registered(connection, stated=rows) as raw:
        raw.execute("INSERT INTO evidence BY NAME SELECT * FROM stated")
