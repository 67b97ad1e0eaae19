"""The queue of documents that a person should judge, those first whose judgement matters most.

A document is in the queue for one or more of three reasons, each of which adds to its score:

- 3 if its evidence is in conflict: until somebody judges, it counts as unknown, whatever anybody claimed;
- 2 if its origin is unknown and it is wanted: by a mix that is named, where it would pass and count towards a minimum
  if people wrote it; without a mix if it is in no conflict and represents its cluster;
- 0 to 1 if a detector's score is near its threshold (within a fifth of the standard deviation of all its scores) and
  nothing better than a detector's word or a bare declaration is known: 1 at the threshold itself.

Length adds n / (n + 1000) for n words: of two documents with the same reasons the longer is worth more. Documents that
a person has judged, be it that they cannot tell, are not in the queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provenance.errors import UnknownName
from provenance.store.store import Store, fetch, staged

if TYPE_CHECKING:
    from provenance.mix.spec import MixSpec

_QUEUE = """
    WITH judged AS (
        SELECT document_id FROM claims
        WHERE subject_kind = 'document' AND rank = 5 AND retracts IS NULL AND NOT is_retracted
    ),
    unjudged AS (
        FROM document ANTI JOIN judged USING (document_id) WHERE :source IS NULL OR source = :source
    ),
    scale AS (
        SELECT d.name, d.version, d.threshold, stddev_pop(s.score) / 5 AS width
        FROM detector d JOIN detector_score s ON s.detector = d.name AND s.version = d.version GROUP BY ALL
    ),
    near AS (
        SELECT u.document_id, max(1 - abs(s.score - k.threshold) / k.width) AS closeness,
               arg_min(k.name || '@' || k.version, abs(s.score - k.threshold) / k.width) AS detector
        FROM unjudged u
        JOIN detector_score s USING (content_id)
        JOIN scale k ON k.name = s.detector AND k.version = s.version
        WHERE k.width > 0 AND abs(s.score - k.threshold) < k.width
            AND u.evidence_rank <= 2 AND (u.origin IN ('human', 'unknown') OR u.evidence_rank = 2)
        GROUP BY ALL
    ),
    wanted_now AS ({wanted}),
    reasons AS (
        SELECT u.document_id, u.source, u.origin, u.conflict, u.n_words, n.detector,
               w.document_id IS NOT NULL AS is_wanted, coalesce(n.closeness, 0) AS closeness
        FROM unjudged u LEFT JOIN near n USING (document_id) LEFT JOIN wanted_now w USING (document_id)
    )
    SELECT document_id::VARCHAR AS document_id, source, origin, conflict, n_words, is_wanted, detector,
           CASE WHEN conflict IS NULL THEN 0 ELSE 3 END + CASE WHEN is_wanted THEN 2 ELSE 0 END + closeness
               + n_words / (n_words + 1000.0) AS score
    FROM reasons WHERE conflict IS NOT NULL OR is_wanted OR detector IS NOT NULL
    ORDER BY score DESC, document_id LIMIT :limit
"""
_UNKNOWN = _QUEUE.format(
    wanted="SELECT document_id FROM document WHERE origin = 'unknown' AND conflict IS NULL AND is_representative"
)
_WANTED = _QUEUE.format(wanted="SELECT document_id FROM wanted")


@dataclass(frozen=True)
class Queued:
    """A document of the queue.

    Attributes
    ----------
    document_id : its id as text
    score : how much its judgement matters
    reason : why, in words
    source, origin, conflict, n_words : of the document
    """

    document_id: str
    score: float
    reason: str
    source: str
    origin: str
    conflict: str | None
    n_words: int


def find_queue(
    store: Store, *, mix: MixSpec | None = None, source: str | None = None, limit: int = 100
) -> list[Queued]:
    """Return the documents whose judgement matters most.

    Parameters
    ----------
    mix : the mix whose wants count; None for all documents of unknown origin
    source : only documents of this source
    limit : how many

    Raises
    ------
    UnknownName
        If there is no such source.
    """
    names = store.fetch("SELECT name FROM source ORDER BY name")["name"].to_pylist()
    if source is not None and source not in names:
        raise UnknownName("source", source, names)
    given = {"source": source, "limit": limit}
    if mix is None:
        rows = store.fetch(_UNKNOWN, given)
    else:
        from provenance.curation.wanted import wanted_by  # half a second for the libraries of mixes

        wanted = wanted_by(store, mix)
        with store.read() as connection, staged(connection, wanted=wanted):
            rows = fetch(connection, _WANTED, given)
    return [_queued(row, mix) for row in rows.to_pylist()]


def _queued(row: dict[str, Any], mix: MixSpec | None) -> Queued:
    reasons = []
    if row["conflict"] is not None:
        reasons.append(f"in conflict ({row['conflict']})")
    if row["is_wanted"]:
        reasons.append("origin unknown" if mix is None else f"origin unknown, wanted by {mix.name}")
    if row["detector"] is not None:
        reasons.append(f"near the threshold of {row['detector']}")
    kept = {name: row[name] for name in ("document_id", "score", "source", "origin", "conflict", "n_words")}
    return Queued(reason="; ".join(reasons), **kept)
