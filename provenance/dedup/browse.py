"""Clusters for people: the largest first, and one of them with its members, its edges and what differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from provenance.store.lookup import find_id
from provenance.store.store import Store

#: Where the copies of a cluster have to lie: anywhere, in one source, or in one ingest run.
Within = Literal["store", "source", "ingest"]
_PLACES: dict[str, str] = {"store": "cluster_id", "source": "cluster_id, source", "ingest": "cluster_id, ingest_id"}

_TOGETHER = "c.cluster_id IN (SELECT cluster_id FROM document GROUP BY {key} HAVING count(*) > 1)"
_LARGEST = """
    SELECT c.*, s.lowest_score, s.rules,
           (SELECT regexp_replace(substr(t.text, 1, 80), '\\s+', ' ', 'g') FROM documents t
            WHERE t.document_id = c.representative)
               AS begins
    FROM clusters c LEFT JOIN (
        SELECT m.cluster_id, min(n.score) AS lowest_score, list_sort(list(DISTINCT n.rule)) AS rules
        FROM near_duplicate n JOIN cluster m ON m.content_id = n.content_a GROUP BY ALL
    ) s USING (cluster_id)
    WHERE (:source IS NULL OR list_contains(c.sources, :source)) AND {together}
    ORDER BY c.n_documents DESC, c.cluster_id LIMIT :limit
"""
_COUNT = """
    SELECT count(*) AS n FROM clusters c
    WHERE (:source IS NULL OR list_contains(c.sources, :source)) AND {together}
"""
_MEMBERS = """
    SELECT document_id, content_id, is_representative, source, external_id, origin, generation, model, licence_class,
           authored_at, n_words, n_bytes, text
    FROM documents WHERE cluster_id = CAST(:cluster AS UUID)
    ORDER BY is_representative DESC, source, external_id, document_id LIMIT :limit
"""
_EDGES = """
    SELECT n.content_a, n.content_b, n.rule, n.score, n.rule_version
    FROM near_duplicate n JOIN cluster m ON m.content_id = n.content_a
    WHERE m.cluster_id = CAST(:cluster AS UUID) ORDER BY n.score DESC, n.content_a, n.content_b, n.rule LIMIT :limit
"""


@dataclass(frozen=True)
class Clusters:
    """Some clusters, and how many there are in all."""

    rows: list[dict[str, Any]]
    n_clusters: int


@dataclass(frozen=True)
class Cluster:
    """One cluster.

    Attributes
    ----------
    cluster_id : its id
    members : documents with their texts, the representative first
    edges : verified pairs of texts with rule and score, the nearest first
    """

    cluster_id: str
    members: list[dict[str, Any]]
    edges: list[dict[str, Any]]


def largest_clusters(store: Store, *, source: str | None = None, within: Within = "store", limit: int = 20) -> Clusters:
    """Return the largest clusters of two documents or more.

    Parameters
    ----------
    source : only clusters with a document of this source
    within : only clusters with two documents or more in the same source, or of the same ingest run
    limit : how many
    """
    together = _TOGETHER.format(key=_PLACES[within])
    rows = store.fetch(_LARGEST.format(together=together), {"source": source, "limit": limit}).to_pylist()
    n_clusters = store.fetch(_COUNT.format(together=together), {"source": source})["n"][0].as_py()
    return Clusters(rows, n_clusters)


def find_cluster(store: Store, prefix: str, *, limit: int = 100) -> Cluster:
    """Return the cluster with this id, or of the document with this id.

    Parameters
    ----------
    prefix : an id or its beginning
    limit : most members and edges returned

    Raises
    ------
    UnknownName
        If no cluster or document has such an id, or several have.
    """
    with store.read() as connection:
        found = find_id(connection, "cluster", prefix)
    given = {"cluster": found, "limit": limit}
    return Cluster(found, store.fetch(_MEMBERS, given).to_pylist(), store.fetch(_EDGES, given).to_pylist())
