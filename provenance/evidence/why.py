"""Why a document has its origin: its claims, what the rule makes of each, and the outcome.

The outcome is that of the rule's query (`provenance.evidence.resolve`); what became of each claim is told beside it, by
the same eight steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from provenance.evidence.resolve import resolved_of
from provenance.records import GRADES, RANK_DETECTOR
from provenance.store.lookup import find_id
from provenance.store.store import Store, fetch

_DOCUMENT = """
    SELECT d.document_id::VARCHAR AS document_id, d.source, d.external_id, d.uri, d.title,
           d.ingest_id::VARCHAR AS ingest_id, d.authored_at, d.collected_at, d.n_words
    FROM document d WHERE d.document_id = CAST(:document AS UUID)
"""
_CLAIMS = """
    SELECT claim_id::VARCHAR AS claim_id, subject_kind, origin, generation, model, method, grade, rank, confidence,
           author, stated_at, note, support_digest, support_uri, s.name AS support_name,
           retracts::VARCHAR AS retracts, is_retracted
    FROM (
        FROM claims WHERE document_id = CAST(:document AS UUID)  -- one condition a scan: OR would read all columns
        UNION ALL FROM claims WHERE ingest_id = CAST(:ingest AS UUID)
        UNION ALL FROM claims WHERE source = :source
    ) LEFT JOIN (SELECT digest, name FROM support) s ON s.digest = support_digest
    ORDER BY stated_at DESC, claim_id DESC
"""
_LAUNDERED = """
    SELECT synthetic_id::VARCHAR AS synthetic_id, model, kind, score, n_words, verdict, ground, found_at
    FROM laundered WHERE document_id = CAST(:document AS UUID) ORDER BY verdict, score DESC, synthetic_id
"""
_OUTCOME = resolved_of(
    "SELECT document_id, source, ingest_id FROM document WHERE document_id = CAST(:document AS UUID)"
)
_MODEL = """
    SELECT name, training_set, generation, generation_is_bound, mean_ancestry, human_ancestry FROM model
    WHERE name = :model
"""
_SPECIFICITY = {"source": 1, "ingest": 2, "document": 3}


#: The rule in short; `provenance.evidence.resolve` has it whole.
STEPS = (
    "Claims that were taken back do not count.",
    "Claims about the source and the ingest hold for the document too.",
    "The highest grade counts; 'unknown' above declared says nothing, nor a detector of what is declared a model's.",
    "Of that grade the claims about the closest subject count: document, then ingest, then source.",
    "Of each author the last counts; 'unknown' gives way. Different origins are a conflict; else the last decides.",
    "Human text below grade curated that is, or holds, a model's text is a conflict.",
    "In conflict, or with nothing said, a document is unknown, with grade none.",
    "What a model of ours wrote has one generation more than the model.",
)


@dataclass(frozen=True)
class Why:
    """Everything that made a document's origin.

    Attributes
    ----------
    document : which one it is
    claims : all that concern it, the last first; `fate` tells what the rule made of each
    laundering : outputs of models that it is, or that it holds
    model : the model that wrote it and, where it is one of ours, its training set, generation and ancestry; None
        where the outcome names none
    outcome : origin, generation, model, evidence_rank, conflict and ancestry as the rule gives them
    remedy : what would end a conflict; None where there is none
    """

    document: dict[str, Any]
    claims: list[dict[str, Any]]
    laundering: list[dict[str, Any]]
    model: dict[str, Any] | None
    outcome: dict[str, Any]
    remedy: str | None

    def as_mapping(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {**asdict(self), "steps": STEPS}


def why(store: Store, document: str) -> Why:
    """Return why a document has its origin.

    Parameters
    ----------
    document : its id, or at least the first 8 digits of it

    Raises
    ------
    UnknownName
        If there is none, or several begin so.
    """
    with store.read() as connection:
        return _why(connection, find_id(connection, "document", document))


def _why(connection: Connection, document: str) -> Why:
    [about] = fetch(connection, _DOCUMENT, {"document": document}).to_pylist()
    subject = {"document": document, "ingest": about["ingest_id"], "source": about["source"]}
    claims = fetch(connection, _CLAIMS, subject).to_pylist()
    laundering = fetch(connection, _LAUNDERED, {"document": document}).to_pylist()
    [outcome] = fetch(connection, _OUTCOME, {"document": document}).to_pylist()
    del outcome["document_id"]
    outcome["evidence_grade"] = GRADES[outcome["evidence_rank"]]
    fates = explained(claims, is_laundered=outcome["conflict"] == "laundering")
    for one in claims:
        one["fate"] = fates[one["claim_id"]]
    models = fetch(connection, _MODEL, {"model": outcome["model"]}).to_pylist()
    return Why(about, claims, laundering, next(iter(models), None), outcome, _REMEDIES.get(outcome["conflict"]))


_REMEDIES = {
    "claims": "A claim of a higher grade, or a retraction, ends it. See: provenance curate",
    "laundering": "A person who reads it ends it, one way or the other. See: provenance curate",
}


def explained(claims: Sequence[Mapping[str, Any]], *, is_laundered: bool = False) -> dict[str, str]:
    """Return what the rule makes of each of a document's claims: claim id -> the step that sets it aside, in words.

    Parameters
    ----------
    claims : claim_id, subject_kind, origin, rank, author, stated_at, retracts, is_retracted of all that concern it
    is_laundered : whether the document is in conflict for the text of a model in it
    """
    takers = {one["retracts"]: f" by {one['author']}" for one in claims if one["retracts"] is not None}
    fates: dict[str, str] = {}
    live = []
    for one in claims:
        if one["retracts"] is not None:
            fates[one["claim_id"]] = f"step 1: takes back {one['retracts'][:8]}"
        elif one["is_retracted"]:
            fates[one["claim_id"]] = f"step 1: taken back{takers.get(one['claim_id'], '')}"
        elif one["origin"] == "unknown" and one["rank"] > 1:
            fates[one["claim_id"]] = "step 3: its author could not tell"
        else:
            live.append(one)
    for one in _needless(live):
        fates[one["claim_id"]] = "step 3: it is declared to be a model's text anyway"
        live.remove(one)
    if live:
        _explain_live(live, fates, is_laundered=is_laundered)
    return fates


def _needless(live: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the claims of detectors about what would be no text of people without them."""
    if max((one["rank"] for one in live), default=0) != RANK_DETECTOR:
        return []
    declared = [one for one in live if one["rank"] < RANK_DETECTOR]
    origins = {one["origin"] for one in _counting(declared)} - {"unknown"}
    return [one for one in live if one["rank"] == RANK_DETECTOR] if origins in ({"synthetic"}, {"mixed"}) else []


def _counting(live: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the claims of the best grade about the closest subject, of each author the last, the deciding one last."""
    best = max(((one["rank"], _SPECIFICITY[one["subject_kind"]]) for one in live), default=None)
    near = [one for one in live if (one["rank"], _SPECIFICITY[one["subject_kind"]]) == best]
    ends: dict[str, Any] = {}
    for one in near:
        ends[one["author"]] = max(one["stated_at"], ends.get(one["author"], one["stated_at"]))
    last = [one for one in near if one["stated_at"] == ends[one["author"]]]
    return sorted(last, key=lambda one: (one["origin"] != "unknown", one["stated_at"], one["claim_id"]))


def _explain_live(live: Sequence[Mapping[str, Any]], fates: dict[str, str], *, is_laundered: bool) -> None:
    """Enter what steps 3 to 6 make of claims that were not taken back."""
    counting = _counting(live)
    best, closest = counting[-1]["rank"], _SPECIFICITY[counting[-1]["subject_kind"]]
    is_last = {one["claim_id"] for one in counting}
    is_contradicted = len({one["origin"] for one in counting} - {"unknown"}) > 1
    for one in live:
        if one["rank"] < best:
            fates[one["claim_id"]] = f"step 3: grade {GRADES[best]} counts"
        elif _SPECIFICITY[one["subject_kind"]] < closest:
            name = next(kind for kind, value in _SPECIFICITY.items() if value == closest)
            fates[one["claim_id"]] = f"step 4: a claim about the {name} counts"
        elif one["claim_id"] not in is_last:
            fates[one["claim_id"]] = f"step 5: {one['author']} said something later"
        elif one["origin"] == "unknown" and one["claim_id"] != counting[-1]["claim_id"]:
            fates[one["claim_id"]] = "step 5: gives way to those who know"
        elif is_contradicted:
            fates[one["claim_id"]] = "step 5: contradicts another of the same grade"
        elif one["claim_id"] == counting[-1]["claim_id"]:
            fates[one["claim_id"]] = "step 6: a model's text is in it" if is_laundered else "counts"
        else:
            fates[one["claim_id"]] = "step 5: agrees with a later one"
