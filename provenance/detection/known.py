"""Texts of known origin to train on: drawn by seed, balanced, one of every cluster.

What detectors claimed is no knowledge: a document counts as what it would be had no detector ever spoken. Otherwise
the next detector would be measured on the human texts that the last one had left over.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from provenance.detection.errors import TooFewKnown
from provenance.evidence.resolve import resolved_of
from provenance.ids import id_bytes, id_values
from provenance.records import RANK_DETECTOR
from provenance.store.store import fetch

#: Fewest texts of each kind that are worth a detector.
FEWEST = 50


#: Where a detector's word decided, or took part in a contradiction, the rule is applied again without it.
_KNOWN = f"""
    WITH touched AS (
        FROM document WHERE evidence_rank = {RANK_DETECTOR} OR conflict = 'claims'
    ),
    evidence AS (FROM main.evidence WHERE rank <> {RANK_DETECTOR}),
    labelled AS (
        SELECT document_id, origin, evidence_rank AS rank FROM document ANTI JOIN touched USING (document_id)
        UNION ALL
        SELECT document_id, origin, evidence_rank FROM ({resolved_of("FROM touched")})
    ),
    known AS (
        SELECT d.content_id, d.cluster_id, d.source, l.origin
        FROM labelled l JOIN document d USING (document_id)
        WHERE l.origin IN ('human', 'synthetic') AND l.rank >= :min_rank AND d.n_words > 0
    ),
    contents AS (
        SELECT content_id, any_value(cluster_id) AS cluster_id, any_value(origin) AS origin, min(source) AS source
        FROM known GROUP BY content_id HAVING count(DISTINCT origin) = 1
    ),
    ordered AS (
        SELECT *, md5(:seed || content_id::VARCHAR) AS place FROM contents
    ),
    one_of_cluster AS (
        FROM ordered QUALIFY row_number() OVER (PARTITION BY cluster_id, origin ORDER BY place) = 1
    )
"""
_COUNT = f"""
    {_KNOWN}
    SELECT count(*) FILTER (origin = 'human') AS n_human, count(*) FILTER (origin = 'synthetic') AS n_synthetic
    FROM one_of_cluster
"""
_DRAW = f"""
    {_KNOWN},
    drawn AS (
        FROM one_of_cluster QUALIFY row_number() OVER (PARTITION BY origin ORDER BY place) <= :n
    )
    SELECT r.content_id::BLOB AS id, r.cluster_id::BLOB AS cluster, r.origin = 'synthetic' AS is_synthetic, r.source,
           c.text
    FROM drawn r JOIN content c USING (content_id) ORDER BY r.place
"""


class Known(NamedTuple):
    """Texts of known origin, as many of each kind, in an order that the seed gives.

    Attributes
    ----------
    ids : content ids, 16 bytes each
    clusters : (n,) of ids
    is_synthetic : (n,)
    sources : one that each came from
    texts : the texts
    n_available : how many human and synthetic ones there were to draw from
    """

    ids: list[bytes]
    clusters: npt.NDArray[np.bytes_]
    is_synthetic: npt.NDArray[np.bool_]
    sources: list[str]
    texts: list[str]
    n_available: dict[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 over ids and origins, in the order of the ids."""
        rows = sorted(zip(self.ids, self.is_synthetic.tolist(), strict=True))
        return sha256(b"".join(one + (b"s" if synthetic else b"h") for one, synthetic in rows)).hexdigest()

    def folds(self, n_folds: int) -> npt.NDArray[np.int64]:
        """Return the fold of every text, (n,): texts of a cluster are in one fold, both kinds are spread evenly."""
        kinds: dict[bytes, set[bool]] = {}
        for cluster, synthetic in zip(self.clusters.tolist(), self.is_synthetic.tolist(), strict=True):
            kinds.setdefault(cluster, set()).add(synthetic)
        dealt: dict[bytes, int] = {}
        n_dealt: dict[frozenset[bool], int] = {}
        for cluster, kind in kinds.items():
            place = n_dealt.get(frozenset(kind), 0)
            dealt[cluster] = place % n_folds
            n_dealt[frozenset(kind)] = place + 1
        return np.array([dealt[cluster] for cluster in self.clusters.tolist()], np.int64)


def draw_known(connection: Connection, *, n: int, min_rank: int, seed: int) -> Known:
    """Return at most `n` texts of each kind, as many of both.

    Parameters
    ----------
    min_rank : least rank of the evidence for their origin

    Raises
    ------
    TooFewKnown
        If there are less than `FEWEST` of a kind.
    """
    given: dict[str, Any] = {"min_rank": min_rank, "seed": f"{seed}:"}
    [available] = fetch(connection, _COUNT, given).to_pylist()
    fewest = min(available["n_human"], available["n_synthetic"])
    if fewest < FEWEST:
        raise TooFewKnown(available["n_human"], available["n_synthetic"], FEWEST, min_rank)
    rows = fetch(connection, _DRAW, {**given, "n": min(n, fewest)})
    return Known(
        id_bytes(id_values(rows["id"])),
        id_values(rows["cluster"]),
        rows["is_synthetic"].to_numpy().astype(bool),
        rows["source"].to_pylist(),
        rows["text"].to_pylist(),
        available,
    )


def count_by_source(known: Known) -> dict[str, dict[str, int]]:
    """Return how many human and synthetic texts came from every source."""
    found: dict[str, dict[str, int]] = {}
    kinds: Sequence[bool] = known.is_synthetic.tolist()
    for source, synthetic in zip(known.sources, kinds, strict=True):
        one = found.setdefault(source, {"human": 0, "synthetic": 0})
        one["synthetic" if synthetic else "human"] += 1
    return dict(sorted(found.items()))
