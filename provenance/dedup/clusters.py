"""Clusters: the connected components of edges, named after their smallest content id."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sqlalchemy import Connection

from provenance.dedup.edges import Ids, edges_at
from provenance.ids import id_bytes, id_values, uuid_array
from provenance.store.store import staged

_MEMBERS_OF_TOUCHED = """
    SELECT content_id::BLOB AS content_id FROM cluster
    WHERE cluster_id IN (SELECT cluster_id FROM cluster WHERE content_id IN (SELECT content_id FROM touched))
"""
_DELETE_CLUSTERS = "DELETE FROM cluster WHERE content_id IN (SELECT content_id FROM touched)"


def components(nodes: Ids, first: Ids, second: Ids) -> Ids:
    """Return for every node the smallest node of its connected component.

    Parameters
    ----------
    nodes : (n,) ids, ascending, each once
    first, second : (n_edges,) ends of the edges, all of them nodes
    """
    ends = (np.searchsorted(nodes, first), np.searchsorted(nodes, second))
    graph = coo_matrix((np.ones(first.size, np.int8), ends), shape=(nodes.size, nodes.size))
    n_components, label = connected_components(graph, directed=False)
    smallest = np.full(n_components, nodes.size, dtype=np.int64)
    np.minimum.at(smallest, label, np.arange(nodes.size))
    found: Ids = nodes[smallest[label]]
    return found


def regroup(connection: Connection, touched: Ids, *, gone: Ids | None = None) -> dict[bytes, bytes]:
    """Compute the clusters around the touched contents anew from the stored edges.

    Parameters
    ----------
    touched : contents that have won or lost an edge
    gone : contents that have left the store; they must have no edges any more

    Returns
    -------
    content id -> cluster id, of all contents looked at
    """
    if not touched.size:
        return {}
    with staged(connection, touched=pa.table({"content_id": uuid_array(np.unique(touched))})) as raw:
        members = id_values(raw.execute(_MEMBERS_OF_TOUCHED).to_arrow_table()["content_id"])
    nodes = np.union1d(touched, members)
    staying = nodes if gone is None else np.setdiff1d(nodes, gone)
    edges = edges_at(connection, staying)
    clusters = components(staying, edges.first, edges.second)
    _, place, size = np.unique(clusters, return_inverse=True, return_counts=True)
    kept = size[place] > 1
    rows = {"cluster_id": uuid_array(clusters[kept]), "content_id": uuid_array(staying[kept])}
    with staged(connection, touched=pa.table({"content_id": uuid_array(nodes)}), grouped=pa.table(rows)) as raw:
        raw.execute(_DELETE_CLUSTERS)
        raw.execute("INSERT INTO cluster BY NAME SELECT * FROM grouped")
    return dict(zip(id_bytes(staying), id_bytes(clusters), strict=True))
