"""Stating what a person judged, and taking it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from provenance.curation.errors import DocumentGone, InvalidJudge, JudgedMeanwhile, NothingToUndo
from provenance.curation.known import Claims, claims_on, ids_of, judgements_in, particulars_in, present
from provenance.evidence.claims import StatedClaim, state_claims
from provenance.evidence.grades import JUDGED
from provenance.records import RANK_CURATED, Claim
from provenance.store.store import Store, fetch, utc_now

#: What a person can say, and the origin that it stands for.
WORDS = {"human": "human", "synthetic": "synthetic", "mixed": "mixed", "cannot tell": "unknown"}

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
        claims = claims_on(connection, [document])
        for one in judgements_in(claims[document]):
            raise JudgedMeanwhile(document, one.judge, one.origin, one.stated_at)
        [claim_id] = state_judgements(connection, [judgement], claims)
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
        _settle(connection, [judgement.document_id])


def state_judgements(
    connection: Connection, judgements: Sequence[Judgement], claims: Mapping[str, Claims]
) -> list[UUID]:
    """State judgements of different documents inside a transaction, and settle what follows from them.

    Parameters
    ----------
    claims : those that hold for each of the documents, as `claims_on` returns them
    """
    if not judgements:
        return []
    stated = [
        StatedClaim(
            "document", one.document_id,
            Claim.make(one.origin, **particulars_in(claims[one.document_id], one.origin)),
            JUDGED, note=one.note or None, rank=RANK_CURATED, author=one.judge,
        )
        for one in judgements
    ]  # fmt: skip
    made = state_claims(connection, stated, stated_at=utc_now())
    _settle(connection, [one.document_id for one in judgements])
    return made


def _settle(connection: Connection, documents: Iterable[str]) -> None:
    # Imported when somebody has judged: it loads what compares texts, for which nobody should wait to see the first.
    from provenance.evidence.settle import settle

    settle(connection, ids_of(documents))
