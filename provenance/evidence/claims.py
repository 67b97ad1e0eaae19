"""Claims about origin: appended, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import pyarrow as pa
from sqlalchemy import Connection

from provenance import __version__
from provenance.ids import composite_digest, uuid_array
from provenance.records import RANK_DECLARED, Claim
from provenance.store.store import registered

#: What a claim can be about, from the most general to the most specific.
SubjectKind = Literal["source", "ingest", "document"]


def state_claim(
    connection: Connection, kind: SubjectKind, subject: str, claim: Claim, *, method: str, stated_at: datetime
) -> None:
    """Append one claim of grade `declared` about a source, an ingest or a document."""
    state_claims(connection, kind, [subject], [claim], method=method, stated_at=stated_at)


def state_claims(
    connection: Connection,
    kind: SubjectKind,
    subjects: Sequence[str],
    claims: Sequence[Claim],
    *,
    method: str,
    stated_at: datetime,
) -> None:
    """Append one claim of grade `declared` about each subject.

    Parameters
    ----------
    subjects : source names, or ids of ingests or documents as text
    """
    if not subjects:
        return
    ids = [
        composite_digest(kind, subject, claim.origin, str(claim.generation), claim.model, method)
        for subject, claim in zip(subjects, claims, strict=True)
    ]
    n = len(subjects)
    rows = pa.table(
        {
            "evidence_id": uuid_array(ids),
            "subject_kind": pa.array([kind] * n),
            "subject": pa.array(list(subjects)),
            "origin": pa.array([claim.origin for claim in claims]),
            "generation": pa.array([claim.generation for claim in claims], pa.uint32()),
            "model": pa.array([claim.model for claim in claims], pa.string()),
            "method": pa.array([method] * n),
            "rank": pa.array([RANK_DECLARED] * n, pa.uint8()),
            "author": pa.array([f"corpus-provenance {__version__}"] * n),
            "stated_at": pa.array([stated_at] * n, pa.timestamp("us")),
        }
    )
    with registered(connection, stated=rows) as raw:
        raw.execute("INSERT INTO evidence BY NAME SELECT * FROM stated")
