"""Buckets: contents that share a key, kept as a table of (key, content number), and who is compared with whom.

Within a bucket every member is compared with the `N_ANCHORS` smallest content ids (the anchors), never all with all, so
a bucket of templated near-copies costs linear time. When members come or go, the anchors may change; what is compared
is a function of the set of members and not of the order in which they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from provenance.store.store import registered, staged

#: Members of a bucket that all others are compared with. With one, 12.6 % of same-cluster pairs are lost; with eight,
#: one cluster in a thousand.
N_ANCHORS = 8

Numbers = npt.NDArray[np.uint32]
Keys = npt.NDArray[Any]


class Members(NamedTuple):
    """Memberships in buckets.

    Attributes
    ----------
    keys : (n,) uint32 or uint64
    numbers : (n,) uint32 — content numbers
    """

    keys: Keys
    numbers: Numbers


class Nominations(NamedTuple):
    """Who is to be compared after members came into buckets or became anchors.

    Attributes
    ----------
    first, second : (n_pairs,) uint32 — content numbers, each pair once, the smaller number first
    displaced : (n,) uint32 — numbers of contents that were anchors of a bucket and no longer are
    """

    first: Numbers
    second: Numbers
    displaced: Numbers


@dataclass(frozen=True)
class BucketTable:
    """A table of memberships.

    Attributes
    ----------
    name : of the table
    key : its column with the key, beside `content_no`
    """

    name: str
    key: str

    def insert(self, connection: Connection, members: Members) -> None:
        """Add memberships."""
        with registered(connection, members=self._table(members)) as raw:
            raw.execute(f"INSERT INTO {self.name} BY NAME SELECT * FROM members")

    def delete(self, connection: Connection, numbers: Numbers) -> None:
        """Take contents out of all their buckets."""
        with staged(connection, gone=pa.table({"content_no": numbers})) as raw:
            raw.execute(f"DELETE FROM {self.name} WHERE content_no IN (SELECT content_no FROM gone)")

    def in_buckets(self, connection: Connection, keys: Keys) -> Members:
        """Return all members of some buckets."""
        with staged(connection, wanted=pa.table({self.key: keys})) as raw:
            return self._members(
                raw,
                f"SELECT {self.key}, content_no FROM {self.name} WHERE {self.key} IN (SELECT {self.key} FROM wanted)",
            )

    def of_contents(self, connection: Connection, numbers: Numbers) -> Members:
        """Return all memberships of some contents."""
        with staged(connection, wanted=pa.table({"content_no": numbers})) as raw:
            return self._members(
                raw,
                f"SELECT {self.key}, content_no FROM {self.name} WHERE content_no IN (SELECT content_no FROM wanted)",
            )

    def _members(self, raw: Any, query: str) -> Members:
        rows = raw.execute(query).to_arrow_table()
        return Members(rows[self.key].to_numpy(), rows["content_no"].to_numpy())

    def _table(self, members: Members) -> pa.Table:
        return pa.table({self.key: members.keys, "content_no": members.numbers})


def sorted_members(keys: Keys, numbers: Numbers) -> Members:
    """Return memberships in ascending order of key, then number, each once."""
    if keys.dtype == np.uint32:  # one sort of one array is quickest; np.unique takes twenty times as long
        packed = keys.astype(np.uint64) << np.uint64(32) | numbers.astype(np.uint64)
        packed.sort()
        packed = packed[_first_of_equals(packed)]
        return Members((packed >> np.uint64(32)).astype(np.uint32), packed.astype(np.uint32))
    order = np.lexsort((numbers, keys))
    keys, numbers = keys[order], numbers[order]
    is_first = _first_of_equals(keys) | np.r_[True, numbers[1:] != numbers[:-1]][: keys.size]
    return Members(keys[is_first], numbers[is_first])


def shared_with(fresh: Members, old: Members) -> Members:
    """Return the memberships of `fresh` whose bucket has another member, in `fresh` or in `old`.

    Parameters
    ----------
    fresh : in ascending order of keys
    """
    if not fresh.keys.size:
        return fresh
    same = fresh.keys[1:] == fresh.keys[:-1]
    shared = np.r_[False, same] | np.r_[same, False]
    if old.keys.size:
        known = np.sort(old.keys)
        place = np.minimum(np.searchsorted(known, fresh.keys), known.size - 1)
        shared |= known[place] == fresh.keys
    return Members(fresh.keys[shared], fresh.numbers[shared])


def join(first: Members, second: Members) -> Members:
    """Return the memberships of both."""
    return Members(np.concatenate([first.keys, second.keys]), np.concatenate([first.numbers, second.numbers]))


def nominate(members: Members, rank: npt.NDArray[np.int64], is_new: npt.NDArray[np.bool_]) -> Nominations:
    """Return the pairs of bucket members to compare.

    Parameters
    ----------
    members : all members of the buckets concerned
    rank : (n,) position of the member's content id in ascending order
    is_new : (n,) whether the membership is new, or the member has become an anchor just now; all other pairs were
        compared before
    """
    if members.keys.size == 0:
        empty = np.zeros(0, np.uint32)
        return Nominations(empty, empty, empty)
    order = np.lexsort((rank, members.keys))
    starts = np.flatnonzero(np.r_[_first_of_equals(members.keys[order]), True])
    first, second, displaced = _nominate(starts, is_new[order], N_ANCHORS)
    one, other = members.numbers[order[first]], members.numbers[order[second]]
    pairs = np.minimum(one, other).astype(np.uint64) << np.uint64(32) | np.maximum(one, other)
    pairs.sort()
    pairs = pairs[_first_of_equals(pairs)]
    gone = np.sort(members.numbers[order[displaced]])
    return Nominations(
        (pairs >> np.uint64(32)).astype(np.uint32), pairs.astype(np.uint32), gone[_first_of_equals(gone)]
    )


def anchors(members: Members, rank: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return for every membership whether it is one of the anchors of its bucket; parameters as in `nominate`."""
    order = np.lexsort((rank, members.keys))
    starts = np.flatnonzero(_first_of_equals(members.keys[order]))
    sizes = np.diff(np.r_[starts, order.size])
    place = np.arange(order.size) - np.repeat(starts, sizes)
    found = np.zeros(order.size, dtype=np.bool_)
    found[order] = place < N_ANCHORS
    return found


def nominated(
    members: Members, is_anchor: npt.NDArray[np.bool_], first: Numbers, second: Numbers
) -> npt.NDArray[np.bool_]:
    """Return for pairs of contents whether they share a bucket in which one of the two is an anchor.

    Parameters
    ----------
    members : all members of all buckets that the pairs may share
    is_anchor : (n,) whether each is an anchor of its bucket
    first, second : (n_pairs,) content numbers, all of them among the members
    """
    order = np.lexsort((members.keys, members.numbers))
    numbers = members.numbers[order]
    bounds = [np.searchsorted(numbers, one, side=side) for one in (first, second) for side in ("left", "right")]
    found: npt.NDArray[np.bool_] = _nominated(members.keys[order], is_anchor[order], *bounds)
    return found


def unique(values: Keys) -> Keys:
    """Return the distinct values in ascending order; many times quicker than np.unique where most are distinct."""
    ordered = np.sort(values)
    return ordered[_first_of_equals(ordered)]


def _first_of_equals(values: Keys) -> npt.NDArray[np.bool_]:
    """Return for every value of an ascending array whether it differs from the one before."""
    is_first: npt.NDArray[np.bool_] = np.r_[True, values[1:] != values[:-1]][: values.size]
    return is_first


@numba.njit(cache=True, nogil=True)
def _nominate(starts, is_new, n_anchors):  # type: ignore[no-untyped-def]
    first = []
    second = []
    displaced = []
    for bucket in range(starts.size - 1):
        low, high = starts[bucket], starts[bucket + 1]
        n_old = 0
        for member in range(low, high):
            for anchor in range(low, min(member, low + n_anchors)):
                if is_new[member] or is_new[anchor]:
                    first.append(anchor)
                    second.append(member)
            if not is_new[member]:
                if n_old < n_anchors and member - low >= n_anchors:
                    displaced.append(member)
                n_old += 1
    return (
        np.array(first, dtype=np.int64),
        np.array(second, dtype=np.int64),
        np.array(displaced, dtype=np.int64),
    )


@numba.njit(cache=True, nogil=True)
def _nominated(keys, is_anchor, first_low, first_high, second_low, second_high):  # type: ignore[no-untyped-def]
    found = np.zeros(first_low.size, dtype=np.bool_)
    for pair in range(first_low.size):
        i, j = first_low[pair], second_low[pair]
        while i < first_high[pair] and j < second_high[pair] and not found[pair]:
            if keys[i] == keys[j]:
                found[pair] = is_anchor[i] or is_anchor[j]
                i += 1
                j += 1
            elif keys[i] < keys[j]:
                i += 1
            else:
                j += 1
    return found
