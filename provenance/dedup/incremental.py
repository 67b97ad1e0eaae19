"""A batch of new contents meets the store: new edges, edges that lapse, clusters that grow, merge or fall apart.

Everything runs inside the caller's transaction. The result is a function of the set of contents in the store and
not of the order in which they came: an edge stands exactly when its two contents share a bucket in which one of them
is an anchor, and enough of their hash values agree. Where new contents displace an anchor, the edges that only it had
nominated are taken out again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.bands import N_ANCHORS, band_keys, count_equal, nominate
from provenance.dedup.clusters import components
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.tokens import RULE_VERSION
from provenance.ids import uuid_array
from provenance.store.store import registered, staged

RULE = "near"

_OLD_MEMBERS = "SELECT key, content_no FROM band WHERE key IN (SELECT key FROM fresh_band)"
_SIGNATURES = """
    SELECT content_no, content_id::BLOB AS content_id, hashvalues FROM signature
    WHERE content_no IN (SELECT content_no FROM wanted)
"""
_EDGES_AT = """
    SELECT content_a::BLOB AS a, content_b::BLOB AS b FROM near_duplicate
    WHERE content_a IN (SELECT content_id FROM wanted) OR content_b IN (SELECT content_id FROM wanted)
"""
_NUMBERS = "SELECT content_no FROM signature WHERE content_id IN (SELECT content_id FROM wanted)"
_ANCHORS = f"""
    SELECT b.key, s.content_no FROM band b JOIN signature s USING (content_no)
    WHERE b.key IN (SELECT key FROM wanted)
    QUALIFY row_number() OVER (PARTITION BY b.key ORDER BY s.content_id) <= {N_ANCHORS}
"""
_DELETE_EDGES = """
    DELETE FROM near_duplicate n USING lapsed l WHERE n.content_a = l.content_a AND n.content_b = l.content_b
"""
_MEMBERS_OF_TOUCHED = """
    SELECT content_id::BLOB AS content_id, cluster_id::BLOB AS cluster_id FROM cluster
    WHERE cluster_id IN (SELECT cluster_id FROM cluster WHERE content_id IN (SELECT content_id FROM touched))
"""
_DELETE_CLUSTERS = "DELETE FROM cluster WHERE content_id IN (SELECT content_id FROM touched)"

Ids = list[bytes]


@dataclass(frozen=True)
class Contents:
    """Signed contents.

    Attributes
    ----------
    numbers : (n,) uint32 — the contents' numbers in this store
    ids : n content ids of 16 bytes
    signatures : (n, n_perm) uint32
    """

    numbers: npt.NDArray[np.uint32]
    ids: Ids
    signatures: npt.NDArray[np.uint32]


def add_contents(connection: Connection, fresh: Contents, parameters: DedupParameters) -> dict[bytes, bytes]:
    """Enter new contents and return content id -> cluster id for every content whose cluster may have changed.

    Parameters
    ----------
    fresh : contents with at least one token that the store does not have yet
    """
    keys = band_keys(fresh.signatures, parameters.n_bands, parameters.rows_per_band)
    memberships = _memberships(keys, fresh.numbers)
    with staged(connection, fresh_band=memberships) as raw:
        old = raw.execute(_OLD_MEMBERS).to_arrow_table()
        raw.execute("INSERT INTO band BY NAME SELECT * FROM fresh_band")
    _insert_signatures(connection, fresh)
    new_edges, displaced = _new_edges(connection, fresh, memberships, old, parameters)
    lapsed = _drop_lapsed(connection, displaced, parameters) if displaced else []
    touched = {node for edge in (*new_edges, *lapsed) for node in edge}
    return _regroup(connection, touched) if touched else {}


def _memberships(keys: npt.NDArray[np.uint32], numbers: npt.NDArray[np.uint32]) -> pa.Table:
    """Return (key, content_no), each once."""
    packed = (keys.astype(np.uint64) << np.uint64(32) | numbers.astype(np.uint64)[:, None]).reshape(-1)
    packed.sort()  # and not np.unique, which takes twenty times as long for so many different values
    packed = packed[np.r_[True, packed[1:] != packed[:-1]]]
    return pa.table({"key": (packed >> np.uint64(32)).astype(np.uint32), "content_no": packed.astype(np.uint32)})


def _insert_signatures(connection: Connection, fresh: Contents) -> None:
    n, n_perm = fresh.signatures.shape
    values = pa.ListArray.from_arrays(
        pa.array(np.arange(0, (n + 1) * n_perm, n_perm), pa.int32()), pa.array(fresh.signatures.reshape(-1))
    )
    rows = pa.table(
        {
            "content_id": uuid_array(fresh.ids),
            "content_no": fresh.numbers,
            "rule_version": pa.array(np.full(n, RULE_VERSION), pa.uint16()),
            "hashvalues": values,
        }
    )
    with registered(connection, signed=rows) as raw:
        raw.execute("INSERT INTO signature BY NAME SELECT * FROM signed")


def _new_edges(
    connection: Connection, fresh: Contents, memberships: pa.Table, old: pa.Table, parameters: DedupParameters
) -> tuple[list[tuple[bytes, bytes]], Ids]:
    """Compare who meets in the buckets; insert and return the edges found, and the ids of displaced anchors."""
    keys = np.concatenate([memberships["key"].to_numpy(), old["key"].to_numpy()])
    numbers = np.concatenate([memberships["content_no"].to_numpy(), old["content_no"].to_numpy()])
    is_new = np.arange(keys.size) < memberships.num_rows
    _, inverse, size = np.unique(keys, return_inverse=True, return_counts=True)
    shared = size[inverse] > 1
    keys, numbers, is_new = keys[shared], numbers[shared], is_new[shared]
    known = _with_signatures(connection, fresh, np.unique(numbers[~is_new]))
    by_number = np.argsort(known.numbers)
    row = by_number[np.searchsorted(known.numbers, numbers, sorter=by_number)]
    found = nominate(keys, _ranks(known.ids)[row], is_new)
    first, second = row[found.first], row[found.second]
    pairs = np.unique(np.minimum(first, second) << 32 | np.maximum(first, second))
    first, second = pairs >> 32, pairs & 0xFFFFFFFF
    equal = count_equal(known.signatures, first, second)
    near = equal >= parameters.min_equal
    edges = [
        (min(a, b), max(a, b))
        for a, b in ((known.ids[i], known.ids[j]) for i, j in zip(first[near], second[near], strict=True))
    ]
    _insert_edges(connection, edges, equal[near] / parameters.n_permutations)
    return edges, [known.ids[i] for i in np.unique(row[found.displaced])]


def _with_signatures(connection: Connection, fresh: Contents, numbers: npt.NDArray[np.uint32]) -> Contents:
    """Return the fresh contents followed by those with the given numbers."""
    old = _load(connection, numbers)
    if not old.ids:
        return fresh
    return Contents(
        np.concatenate([fresh.numbers, old.numbers]), fresh.ids + old.ids, np.vstack([fresh.signatures, old.signatures])
    )


def _load(connection: Connection, numbers: npt.NDArray[np.uint32]) -> Contents:
    if numbers.size == 0:
        return Contents(numbers, [], np.zeros((0, 0), np.uint32))
    with staged(connection, wanted=pa.table({"content_no": numbers})) as raw:
        rows = raw.execute(_SIGNATURES).to_arrow_table().combine_chunks()
    values = rows["hashvalues"].combine_chunks().flatten().to_numpy()
    return Contents(rows["content_no"].to_numpy(), rows["content_id"].to_pylist(), values.reshape(rows.num_rows, -1))


def _ranks(ids: Ids) -> npt.NDArray[np.int64]:
    """Return the position of every id in ascending order of its bytes."""
    halves = np.frombuffer(b"".join(ids), dtype=">u8").reshape(-1, 2)
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[np.lexsort((halves[:, 1], halves[:, 0]))] = np.arange(len(ids))
    return ranks


def _insert_edges(connection: Connection, edges: list[tuple[bytes, bytes]], scores: npt.NDArray[np.float64]) -> None:
    if not edges:
        return
    rows = pa.table(
        {
            "content_a": uuid_array([a for a, _ in edges]),
            "content_b": uuid_array([b for _, b in edges]),
            "rule": pa.array([RULE] * len(edges)),
            "score": scores,
            "rule_version": pa.array([RULE_VERSION] * len(edges), pa.uint16()),
        }
    )
    with registered(connection, edge=rows) as raw:
        raw.execute("INSERT INTO near_duplicate BY NAME SELECT * FROM edge")


def _drop_lapsed(connection: Connection, displaced: Ids, parameters: DedupParameters) -> list[tuple[bytes, bytes]]:
    """Delete and return the edges of displaced anchors that no bucket nominates any more."""
    with staged(connection, wanted=pa.table({"content_id": uuid_array(displaced)})) as raw:
        rows = raw.execute(_EDGES_AT).to_arrow_table()
    edges = list(zip(rows["a"].to_pylist(), rows["b"].to_pylist(), strict=True))
    if not edges:
        return []
    ends = _load(connection, _numbers_of(connection, sorted({node for edge in edges for node in edge})))
    row = {content_id: i for i, content_id in enumerate(ends.ids)}
    keys = band_keys(ends.signatures, parameters.n_bands, parameters.rows_per_band)
    with staged(connection, wanted=pa.table({"key": np.unique(keys)})) as raw:
        anchors = raw.execute(_ANCHORS).to_arrow_table()
    anchored = set(zip(anchors["key"].to_pylist(), anchors["content_no"].to_pylist(), strict=True))

    def stands(a: bytes, b: bytes) -> bool:
        i, j = row[a], row[b]
        meeting = set(keys[i].tolist()) & set(keys[j].tolist())
        return any((key, int(ends.numbers[end])) in anchored for key in meeting for end in (i, j))

    lapsed = [edge for edge in edges if not stands(*edge)]
    if lapsed:
        gone = {"content_a": uuid_array([a for a, _ in lapsed]), "content_b": uuid_array([b for _, b in lapsed])}
        with staged(connection, lapsed=pa.table(gone)) as raw:
            raw.execute(_DELETE_EDGES)
    return lapsed


def _numbers_of(connection: Connection, ids: Ids) -> npt.NDArray[np.uint32]:
    with staged(connection, wanted=pa.table({"content_id": uuid_array(ids)})) as raw:
        numbers: npt.NDArray[np.uint32] = raw.execute(_NUMBERS).to_arrow_table()["content_no"].to_numpy()
    return numbers


def _regroup(connection: Connection, touched: set[bytes]) -> dict[bytes, bytes]:
    """Compute the clusters around the touched contents anew; return content id -> cluster id of all looked at."""
    with staged(connection, touched=pa.table({"content_id": uuid_array(sorted(touched))})) as raw:
        members = raw.execute(_MEMBERS_OF_TOUCHED).to_arrow_table()
    nodes = sorted(touched | set(members["content_id"].to_pylist()))
    node_table = pa.table({"content_id": uuid_array(nodes)})
    with staged(connection, wanted=node_table) as raw:
        edges = raw.execute(_EDGES_AT).to_arrow_table()
    groups = components(nodes, list(zip(edges["a"].to_pylist(), edges["b"].to_pylist(), strict=True)))
    size: dict[bytes, int] = {}
    for cluster in groups.values():
        size[cluster] = size.get(cluster, 0) + 1
    kept = [(cluster, content) for content, cluster in groups.items() if size[cluster] > 1]
    rows = {"cluster_id": uuid_array([c for c, _ in kept]), "content_id": uuid_array([c for _, c in kept])}
    with staged(connection, touched=node_table, grouped=pa.table(rows)) as raw:
        raw.execute(_DELETE_CLUSTERS)
        raw.execute("INSERT INTO cluster BY NAME SELECT * FROM grouped")
    return groups
