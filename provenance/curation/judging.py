"""Stating what a person judged, and taking it back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection

from provenance.curation.errors import DocumentGone, InvalidJudge, JudgedMeanwhile, NothingToUndo
from provenance.curation.queue import RANK_CURATED
from provenance.evidence.claims import StatedClaim, state_claims
from provenance.evidence.grades import JUDGED
from provenance.evidence.settle import settle
from provenance.ids import uuid_array
from provenance.records import Claim
from provenance.store.store import Store, fetch, staged, utc_now

#: What a person can say, and the origin that it stands for.
WORDS = {"human": "human", "synthetic": "synthetic", "mixed": "mixed", "cannot tell": "unknown"}

_PRESENT = "SELECT document_id::VARCHAR AS id FROM document SEMI JOIN chosen USING (document_id)"
_JUDGED = """
    SELECT claim_id, document_id::VARCHAR AS id, origin, author, stated_at
    FROM claims SEMI JOIN chosen USING (document_id)
    WHERE subject_kind = 'document' AND rank = 5 AND retracts IS NULL AND NOT is_retracted
    ORDER BY stated_at, claim_id
"""
#: Generation and model as the best claim of an origin gives them: whoever says `synthetic` takes nothing of it back.
_PARTICULARS = """
    WITH d AS (FROM document SEMI JOIN chosen USING (document_id)),
    c AS (
        FROM claims WHERE origin IN ('synthetic', 'mixed') AND retracts IS NULL AND NOT is_retracted
            AND (model IS NOT NULL OR generation IS NOT NULL)
    ),
    said AS (
        SELECT d.document_id, c.* EXCLUDE (document_id) FROM d JOIN c ON c.document_id = d.document_id
        UNION ALL BY NAME
        SELECT d.document_id, c.* EXCLUDE (document_id) FROM d JOIN c ON c.ingest_id = d.ingest_id
        UNION ALL BY NAME
        SELECT d.document_id, c.* EXCLUDE (document_id)
        FROM d JOIN c ON c.subject_kind = 'source' AND c.source = d.source
    )
    SELECT document_id::VARCHAR AS id, origin,
           arg_max({generation: generation, model: model}, (rank, stated_at, claim_id)) AS said
    FROM said GROUP BY ALL
"""
_IS_STANDING = "SELECT count(*) AS n FROM evidence WHERE retracts = CAST(:claim AS UUID)"


class Judgement(NamedTuple):
    """What somebody said of a document.

    Attributes
    ----------
    document_id : its id as text
    origin : what it stands for; `unknown` where the judge cannot tell
    judge : who said it
    note : particulars
    """

    document_id: str
    origin: str
    judge: str
    note: str | None = None


class Standing(NamedTuple):
    """A judgement that is in the store and was not taken back."""

    claim_id: UUID
    origin: str
    judge: str
    stated_at: datetime


def require_judge(judge: str) -> str:
    """Return the name of a judge, or raise `InvalidJudge`."""
    if not judge.strip() or len(judge) > 200 or not judge.isprintable():
        raise InvalidJudge(judge)
    return judge.strip()


def judge_document(store: Store, judgement: Judgement) -> UUID:
    """State a judgement in a transaction of its own and return the id of the claim.

    Raises
    ------
    DocumentGone
        If the document is no longer there.
    JudgedMeanwhile
        If it has been judged.
    """
    with store.transaction() as connection:
        document = judgement.document_id
        if document not in present(connection, [document]):
            raise DocumentGone(document)
        for one in standing(connection, [document]).get(document, ()):
            raise JudgedMeanwhile(document, one.judge, one.origin, one.stated_at)
        [claim_id] = state_judgements(connection, [judgement])
    return claim_id


def take_back(store: Store, judgement: Judgement, claim_id: UUID) -> None:
    """Retract a judgement in a transaction of its own.

    Raises
    ------
    NothingToUndo
        If it was retracted already, or its document is gone.
    """
    with store.transaction() as connection:
        is_taken_back = fetch(connection, _IS_STANDING, {"claim": str(claim_id)})["n"][0].as_py() > 0
        if is_taken_back or not present(connection, [judgement.document_id]):
            raise NothingToUndo(judgement.document_id)
        retraction = StatedClaim(
            "document", judgement.document_id, Claim("unknown"), JUDGED, note="taken back", rank=RANK_CURATED,
            author=judgement.judge, retracts=claim_id,
        )  # fmt: skip
        state_claims(connection, [retraction], stated_at=utc_now())
        settle(connection, _ids([judgement.document_id]))


def state_judgements(connection: Connection, judgements: Sequence[Judgement]) -> list[UUID]:
    """State judgements of different documents inside a transaction, and settle what follows from them."""
    if not judgements:
        return []
    documents = [one.document_id for one in judgements]
    with staged(connection, chosen=_ids(documents)):
        rows = fetch(connection, _PARTICULARS).to_pylist()
    particulars: dict[tuple[str, str], Any] = {(row["id"], row["origin"]): row["said"] for row in rows}
    stated = [
        StatedClaim(
            "document", one.document_id, Claim.make(one.origin, **particulars.get((one.document_id, one.origin), {})),
            JUDGED, note=one.note or None, rank=RANK_CURATED, author=one.judge,
        )
        for one in judgements
    ]  # fmt: skip
    claims = state_claims(connection, stated, stated_at=utc_now())
    settle(connection, _ids(documents))
    return claims


def present(connection: Connection, documents: Iterable[str]) -> set[str]:
    """Return which documents are in the store."""
    with staged(connection, chosen=_ids(documents)):
        return set(fetch(connection, _PRESENT)["id"].to_pylist())


def standing(connection: Connection, documents: Iterable[str]) -> dict[str, list[Standing]]:
    """Return the judgements of documents that nobody took back, the first first."""
    with staged(connection, chosen=_ids(documents)):
        rows = fetch(connection, _JUDGED).to_pylist()
    found: dict[str, list[Standing]] = {}
    for row in rows:
        one = Standing(UUID(str(row["claim_id"])), row["origin"], row["author"], row["stated_at"])
        found.setdefault(row["id"], []).append(one)
    return found


def _ids(documents: Iterable[str]) -> pa.Table:
    return pa.table({"document_id": uuid_array([UUID(one).bytes for one in documents])})
