"""What was found: laundered documents, and documents that models repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provenance.errors import UnknownName
from provenance.laundering.follow import is_pending
from provenance.laundering.roles import KINDS, OF_LOST_ORIGINALS, VERDICTS
from provenance.store.store import Store, fetch

_MODELS = "SELECT name FROM model ORDER BY name"
_SELECTED = f"""
    FROM laundered l WHERE (:model IS NULL OR l.model = :model) AND (:verdict IS NULL OR l.verdict = :verdict)
      AND NOT l.{OF_LOST_ORIGINALS}
"""
_COUNTS = f"""
    SELECT verdict, ground, kind, model, count(DISTINCT document_id) AS n_documents {_SELECTED}
    GROUP BY ALL ORDER BY ALL
"""
_ROWS = f"""
    SELECT l.document_id::VARCHAR AS document_id, d.source, d.external_id, l.model,
           l.synthetic_id::VARCHAR AS synthetic_id, l.kind, l.score, l.n_words, l.verdict, l.ground, l.found_at
    FROM (SELECT * {_SELECTED}) l LEFT JOIN document d USING (document_id)
    ORDER BY l.verdict, list_position(:kinds, l.kind), l.score DESC, l.document_id, l.synthetic_id LIMIT :most
"""
_TOTALS = f"SELECT verdict, count(DISTINCT document_id) AS n {_SELECTED} GROUP BY ALL"


@dataclass(frozen=True)
class Listing:
    """Likenesses of documents to models' texts.

    Attributes
    ----------
    totals : verdict -> documents; one may have both
    counts : documents by verdict, ground, kind and model
    rows : the pairs, conflicts first, the closest first
    is_pending : whether there are texts of models with which not everything was compared
    """

    totals: dict[str, int]
    counts: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    is_pending: bool


def list_laundering(
    store: Store, *, model: str | None = None, verdict: str | None = None, most: int | None = None
) -> Listing:
    """Return likenesses of documents to models' texts.

    Parameters
    ----------
    model : only to texts of this model
    verdict : only conflicts, or only memorisation
    most : pairs at most; None for all

    Raises
    ------
    UnknownName
        If there is no such model or verdict.
    """
    with store.read() as connection:
        known = fetch(connection, _MODELS)["name"].to_pylist()
        if model is not None and model not in known:
            raise UnknownName("model", model, known)
        if verdict is not None and verdict not in VERDICTS:
            raise UnknownName("verdict", verdict, hint=f"Expected {' or '.join(VERDICTS)}.")
        given = {"model": model, "verdict": verdict}
        totals = {row["verdict"]: row["n"] for row in fetch(connection, _TOTALS, given).to_pylist()}
        rows = fetch(connection, _ROWS, {**given, "kinds": list(KINDS), "most": most})
        return Listing(
            {one: totals.get(one, 0) for one in VERDICTS},
            fetch(connection, _COUNTS, given).to_pylist(),
            rows.to_pylist(),
            is_pending(connection),
        )
