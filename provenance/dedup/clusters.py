"""Clusters: the connected components of near-duplicate edges, named after their smallest content id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def components(nodes: Iterable[bytes], edges: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return node -> smallest node of its connected component.

    Parameters
    ----------
    nodes : content ids, 16 bytes each
    edges : pairs of nodes; both ends must be among the nodes
    """
    ordered = sorted(set(nodes))
    index = {node: i for i, node in enumerate(ordered)}
    first = np.fromiter((index[a] for a, _ in edges), np.int64, len(edges))
    second = np.fromiter((index[b] for _, b in edges), np.int64, len(edges))
    graph = coo_matrix((np.ones(len(edges), np.int8), (first, second)), shape=(len(ordered), len(ordered)))
    n_components, label = connected_components(graph, directed=False)
    smallest = np.full(n_components, len(ordered), dtype=np.int64)
    np.minimum.at(smallest, label, np.arange(len(ordered)))
    return {node: ordered[smallest[label[i]]] for i, node in enumerate(ordered)}
