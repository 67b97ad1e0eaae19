"""Clusters for people: the largest first, with what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provenance.store.store import Store

_LARGEST = """
    SELECT c.*, s.lowest_score,
           (SELECT regexp_replace(substr(t.text, 1, 80), '\\s+', ' ', 'g') FROM documents t
            WHERE t.document_id = c.representative)
               AS begins
    FROM clusters c LEFT JOIN (
        SELECT m.cluster_id, min(n.score) AS lowest_score
        FROM near_duplicate n JOIN cluster m ON m.content_id = n.content_a GROUP BY ALL
    ) s USING (cluster_id)
    WHERE :source IS NULL OR list_contains(c.sources, :source)
    ORDER BY c.n_documents DESC, c.cluster_id LIMIT :limit
"""
_COUNT = "SELECT count(*) AS n FROM clusters WHERE :source IS NULL OR list_contains(sources, :source)"


@dataclass(frozen=True)
class Clusters:
    """Some clusters, and how many there are in all."""

    rows: list[dict[str, Any]]
    n_clusters: int


def largest_clusters(store: Store, *, source: str | None = None, limit: int = 20) -> Clusters:
    """Return the largest clusters of two documents or more.

    Parameters
    ----------
    source : only clusters with a document of this source
    limit : how many
    """
    rows = store.fetch(_LARGEST, {"source": source, "limit": limit}).to_pylist()
    return Clusters(rows, store.fetch(_COUNT, {"source": source})["n"][0].as_py())
