"""Contents come into the store or leave it: edges arise or lapse, clusters grow, merge or fall apart.

Everything runs inside the caller's transaction. The result is a function of the set of contents in the store and not
of the order in which they came: an edge stands exactly when its two contents share a bucket in which one of them is an
anchor, and the rule's comparison of the two holds. Where contents come, they may displace anchors, and edges that only
those had nominated are taken out again; where contents leave, others become anchors and are compared with their bucket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup import edges as e
from provenance.dedup.bands import bucket_keys
from provenance.dedup.buckets import (
    BucketTable,
    Members,
    Numbers,
    anchors,
    join,
    nominate,
    nominated,
    shared_with,
    sorted_members,
    unique,
)
from provenance.dedup.clusters import regroup
from provenance.dedup.containment import plausible
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import Features
from provenance.dedup.tokens import RULE_VERSION
from provenance.ids import ID_TYPE, uuid_array
from provenance.store.store import registered, staged

BANDS = BucketTable("band", "key")
#: Of all contents where containment is looked for, otherwise of those that are known to be models'.
SPANS = BucketTable("span", "hash")
#: Which rules an index nominates for.
_RULES = {BANDS: (e.NORMALISED, e.NEAR), SPANS: (e.CONTAINMENT,)}

_NUMBERS = "SELECT content_no FROM signature WHERE content_id IN (SELECT content_id FROM wanted)"
_DELETE_SIGNATURES = "DELETE FROM signature WHERE content_no IN (SELECT content_no FROM gone)"


@dataclass(frozen=True)
class Contents:
    """Contents that come into the store.

    Attributes
    ----------
    numbers : (n,) uint32, ascending — the contents' numbers in this store
    ids : n content ids of 16 bytes
    features : of their texts, in the same order
    """

    numbers: Numbers
    ids: list[bytes]
    features: Features


def add_contents(connection: Connection, fresh: Contents, parameters: DedupParameters) -> dict[bytes, bytes]:
    """Enter new contents, whose texts are in the store; return content id -> cluster id of all looked at."""
    _insert_signatures(connection, fresh)
    known = e.ContentIds(fresh.numbers, np.array(fresh.ids, dtype=ID_TYPE))
    keys, rows = bucket_keys(fresh.features.signatures, fresh.features.normal_hashes, parameters)
    touched = [_enter(connection, BANDS, sorted_members(keys, fresh.numbers[rows]), known, parameters)]
    spans = fresh.features.spans
    if spans is not None and parameters.containment is not None:
        numbers = np.repeat(fresh.numbers, np.diff(spans.offsets))
        touched.append(_enter(connection, SPANS, sorted_members(spans.hashes, numbers), known, parameters))
    return regroup(connection, np.concatenate(touched))


def remove_contents(connection: Connection, ids: Sequence[bytes], parameters: DedupParameters) -> dict[bytes, bytes]:
    """Take contents out of all buckets, edges and clusters; return content id -> cluster id of what is left of those.

    Contents that are not there are ignored.
    """
    gone = np.array(ids, dtype=ID_TYPE)
    numbers = _numbers(connection, gone)
    lost = e.edges_at(connection, gone)
    e.delete_edges(connection, lost)
    left = [(table, *_leave(connection, table, numbers)) for table in _tables(parameters)]
    if parameters.containment is None:  # then the index holds models' texts alone, for the search for laundered ones
        SPANS.delete(connection, numbers)
    with staged(connection, gone=pa.table({"content_no": numbers})) as raw:
        raw.execute(_DELETE_SIGNATURES)
    touched = [lost.ends()]
    for table, members, promoted in left:
        touched.append(_compare(connection, table, members, promoted, parameters)[0])
    return regroup(connection, np.concatenate(touched), gone=gone)


def _tables(parameters: DedupParameters) -> Sequence[BucketTable]:
    return (BANDS,) if parameters.containment is None else (BANDS, SPANS)


def _insert_signatures(connection: Connection, fresh: Contents) -> None:
    n, n_perm = fresh.features.signatures.shape
    values = pa.ListArray.from_arrays(
        pa.array(np.arange(0, (n + 1) * n_perm, n_perm), pa.int32()), pa.array(fresh.features.signatures.reshape(-1))
    )
    rows = pa.table(
        {
            "content_id": uuid_array(fresh.ids),
            "content_no": fresh.numbers,
            "rule_version": pa.array(np.full(n, RULE_VERSION), pa.uint16()),
            "hashvalues": values,
            "normal_hash": fresh.features.normal_hashes,
        }
    )
    with registered(connection, signed=rows) as raw:
        raw.execute("INSERT INTO signature BY NAME SELECT * FROM signed")


def _enter(
    connection: Connection, table: BucketTable, members: Members, known: e.ContentIds, parameters: DedupParameters
) -> e.Ids:
    """Put new contents into their buckets and return the ids at the ends of edges that arose or lapsed."""
    old = table.in_buckets(connection, unique(members.keys))
    table.insert(connection, members)
    new = shared_with(members, old)
    is_new = np.arange(new.keys.size + old.keys.size) < new.keys.size
    touched, displaced = _compare(connection, table, join(new, old), is_new, parameters, known=known)
    return np.concatenate([touched, _drop_lapsed(connection, table, displaced).ends()])


def _leave(connection: Connection, table: BucketTable, numbers: Numbers) -> tuple[Members, npt.NDArray[np.bool_]]:
    """Take contents out of their buckets; return who is left in them, and who became an anchor by it."""
    gone = table.of_contents(connection, numbers)
    members = table.in_buckets(connection, np.unique(gone.keys))
    table.delete(connection, numbers)
    rank, _ = _ranks(connection, members.numbers)
    was_anchor = anchors(members, rank)
    stays = ~np.isin(members.numbers, numbers)
    left = Members(members.keys[stays], members.numbers[stays])
    return left, anchors(left, rank[stays]) & ~was_anchor[stays]


def _compare(
    connection: Connection,
    table: BucketTable,
    members: Members,
    is_new: npt.NDArray[np.bool_],
    parameters: DedupParameters,
    *,
    known: e.ContentIds | None = None,
) -> tuple[e.Ids, e.ContentIds]:
    """Compare who meets in the buckets; return the ids at the ends of the edges found, and the displaced anchors."""
    rank, ids = _ranks(connection, members.numbers, known=known)
    pairs = nominate(members, rank, is_new)
    if table is BANDS:
        numbers = np.union1d(pairs.first, pairs.second)
        signed = e.load_signed(connection, numbers, n_perm=parameters.n_permutations)
        found = e.similar(pairs, signed, parameters)
    else:
        assert parameters.containment is not None
        spans = table.of_contents(connection, np.union1d(pairs.first, pairs.second))
        found = e.contained(connection, plausible(pairs, spans, parameters.containment), parameters)
    inserted = e.insert_edges(connection, found, ids)
    return inserted.ends(), e.ContentIds(pairs.displaced, ids.of(pairs.displaced))


def _ranks(
    connection: Connection, numbers: Numbers, *, known: e.ContentIds | None = None
) -> tuple[npt.NDArray[np.int64], e.ContentIds]:
    """Return the position of the id of each number in ascending order of ids, and the ids of the distinct numbers.

    Parameters
    ----------
    numbers : may hold a number several times
    known : contents whose ids need not be looked up
    """
    distinct = unique(numbers)
    ids = np.zeros(distinct.size, dtype=ID_TYPE)
    is_known = np.zeros(distinct.size, dtype=np.bool_)
    if known is not None and known.numbers.size:
        place = np.minimum(np.searchsorted(known.numbers, distinct), known.numbers.size - 1)
        is_known = known.numbers[place] == distinct
        ids[is_known] = known.ids[place[is_known]]
    if not is_known.all():
        ids[~is_known] = e.load_ids(connection, distinct[~is_known]).of(distinct[~is_known])
    ranks = np.empty(distinct.size, dtype=np.int64)
    ranks[np.argsort(ids)] = np.arange(distinct.size)
    return ranks[np.searchsorted(distinct, numbers)], e.ContentIds(distinct, ids)


def _drop_lapsed(connection: Connection, table: BucketTable, displaced: e.ContentIds) -> e.EdgeIds:
    """Delete and return the edges of displaced anchors that no bucket nominates any more."""
    edges = e.edges_at(connection, displaced.ids)
    edges = edges.take(np.isin(edges.rules, _RULES[table]))
    if not edges.first.size:
        return edges
    own = table.of_contents(connection, displaced.numbers)
    members = table.in_buckets(connection, unique(own.keys))  # both ends of every edge are among them
    rank, ids = _ranks(connection, members.numbers)
    by_id = np.argsort(ids.ids)
    first, second = (
        ids.numbers[by_id[np.searchsorted(ids.ids, ends, sorter=by_id)]] for ends in (edges.first, edges.second)
    )
    lapsed = edges.take(~nominated(members, anchors(members, rank), first, second))
    e.delete_edges(connection, lapsed)
    return lapsed


def _numbers(connection: Connection, ids: e.Ids) -> Numbers:
    with staged(connection, wanted=pa.table({"content_id": uuid_array(ids)})) as raw:
        found: Numbers = raw.execute(_NUMBERS).to_arrow_table()["content_no"].to_numpy()
    return found
