"""Parents of documents: entered as they come, unless a document would stand among its own ancestors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sqlalchemy import Connection

from provenance.ids import ID_TYPE, as_uuid, id_bytes, id_values, uuid_array
from provenance.lineage.errors import LineageCycle
from provenance.store.store import registered, staged

_NEW = """
    CREATE OR REPLACE TEMP TABLE new_parent AS
    SELECT DISTINCT p.* FROM incoming p ANTI JOIN parent USING (document_id, parent_id, relation)
    WHERE p.parent_id NOT IN (SELECT document_id FROM tombstone)
"""
_NEW_PAIRS = "SELECT DISTINCT document_id::BLOB AS later, parent_id::BLOB AS earlier FROM new_parent"
# A circle through an older parent goes through a document that got a parent now and had come before another.
_IS_OLDER = "SELECT 1 FROM parent WHERE parent_id IN (SELECT document_id FROM new_parent) LIMIT 1"
_ALL_PAIRS = f"SELECT document_id::BLOB AS later, parent_id::BLOB AS earlier FROM parent UNION {_NEW_PAIRS}"
_INSERT = "INSERT INTO parent BY NAME FROM new_parent"

Ids = npt.NDArray[np.bytes_]


def add_parents(connection: Connection, parents: Sequence[tuple[bytes, bytes, str]]) -> None:
    """Enter which documents others were made from; those that are known, and parents taken down, are passed over.

    Parameters
    ----------
    parents : (document id, parent id, relation)

    Raises
    ------
    LineageCycle
        If a document would stand among its own ancestors; nothing is entered.
    """
    rows = {
        "document_id": uuid_array([document for document, _, _ in parents]),
        "parent_id": uuid_array([parent for _, parent, _ in parents]),
        "relation": pa.array([relation for _, _, relation in parents]),
    }
    with staged(connection, incoming=pa.table(rows)) as raw:
        raw.execute(_NEW)
    with registered(connection) as raw:
        pairs = raw.execute(_ALL_PAIRS if raw.execute(_IS_OLDER).fetchone() else _NEW_PAIRS).to_arrow_table()
        circle = find_circle(id_values(pairs["later"]), id_values(pairs["earlier"]))
        if circle:
            raise LineageCycle([f"document {as_uuid(one)}" for one in circle])
        raw.execute(_INSERT)
        raw.execute("DROP TABLE temp.new_parent")


def find_circle(later: Ids, earlier: Ids) -> list[bytes]:
    """Return a circle among pairs of ids, each coming from the next, with the first once more at its end; or nothing.

    In time and memory linear in the number of pairs, whatever their depth.

    Parameters
    ----------
    later, earlier : (n_pairs,) ids of documents, and of those that they were made from
    """
    if not later.size:
        return []
    nodes, places = np.unique(np.concatenate([later, earlier]).astype(ID_TYPE), return_inverse=True)
    first, second = places[: later.size], places[later.size :]
    graph = csr_matrix((np.ones(first.size, np.int8), (first, second)), shape=(nodes.size, nodes.size))
    _, parts = connected_components(graph, directed=True, connection="strong")
    inside = parts[first] == parts[second]  # who leads to its own part stands in a circle
    if not inside.any():
        return []
    following = dict(zip(first[inside].tolist(), second[inside].tolist(), strict=True))
    walk = [min(following)]
    seen = {walk[0]: 0}
    while (step := following[walk[-1]]) not in seen:
        seen[step] = len(walk)
        walk.append(step)
    circle = [*walk[seen[step] :], step]
    return id_bytes(nodes[circle])
