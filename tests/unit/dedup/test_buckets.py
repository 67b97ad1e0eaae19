"""Buckets against brute force: who is in them, who is compared with whom, and who is an anchor no longer."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.dedup.buckets import (
    N_ANCHORS,
    BucketTable,
    Members,
    anchors,
    join,
    nominate,
    nominated,
    shared_with,
    sorted_members,
)
from provenance.store.store import Store

Pairs = list[tuple[int, int]]

# Few keys and many numbers, so that buckets overflow.
_membership = st.tuples(st.integers(0, 2) | st.sampled_from([2**32 - 1, 2**31]), st.integers(0, 25))
_memberships = st.lists(_membership, max_size=60)
_distinct = st.lists(_membership, max_size=60, unique=True)
_kinds = st.sampled_from([np.uint32, np.uint64])


def members_of(pairs: Pairs, kind: Any = np.uint32) -> Members:
    return Members(np.array([key for key, _ in pairs], kind), np.array([number for _, number in pairs], np.uint32))


def pairs_of(members: Members) -> Pairs:
    return list(zip(members.keys.tolist(), members.numbers.tolist(), strict=True))


def ranks(pairs: Pairs, chance: Any) -> npt.NDArray[np.int64]:
    """Return the rank of each membership's content, in an order that has nothing to do with the numbers."""
    order = list(range(26))
    chance.shuffle(order)
    return np.array([order[number] for _, number in pairs], np.int64)


def by_rank(pairs: Pairs, rank: npt.NDArray[np.int64]) -> dict[int, list[int]]:
    """Return key -> places of the members of the bucket, the smallest rank first."""
    buckets: dict[int, list[int]] = {}
    for place in np.argsort(rank, kind="stable").tolist():
        buckets.setdefault(pairs[place][0], []).append(place)
    return buckets


@given(pairs=_memberships, kind=_kinds)
def test_sorted_members(pairs: Pairs, kind: Any) -> None:
    found = sorted_members(*members_of(pairs, kind))
    assert found.keys.dtype == kind and found.numbers.dtype == np.uint32
    assert pairs_of(found) == sorted(set(pairs))


@given(fresh=_distinct, old=_distinct, kind=_kinds)
def test_shared_with(fresh: Pairs, old: Pairs, kind: Any) -> None:
    """A bucket with one member concerns nobody."""
    found = shared_with(sorted_members(*members_of(fresh, kind)), members_of(old, kind))
    keys = [key for key, _ in [*fresh, *old]]
    assert pairs_of(found) == sorted(pair for pair in fresh if keys.count(pair[0]) > 1)


@given(pairs=_distinct, chance=st.randoms(use_true_random=False), kind=_kinds)
def test_anchors(pairs: Pairs, chance: Any, kind: Any) -> None:
    rank = ranks(pairs, chance)
    expected = {place for bucket in by_rank(pairs, rank).values() for place in bucket[:8]}
    assert set(np.flatnonzero(anchors(members_of(pairs, kind), rank)).tolist()) == expected


@given(pairs=_distinct, chance=st.randoms(use_true_random=False), kind=_kinds, data=st.data())
def test_nominate(pairs: Pairs, chance: Any, kind: Any, data: st.DataObject) -> None:
    """Every pair of an anchor and another member of which one is new, once; and the old anchors that are none now."""
    rank = ranks(pairs, chance)
    is_new = np.array(data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs))), dtype=bool)
    found = nominate(members_of(pairs, kind), rank, is_new)
    expected = set()
    displaced = set()
    for bucket in by_rank(pairs, rank).values():
        for (i, one), (_, other) in combinations(enumerate(bucket), 2):
            if i < 8 and (is_new[one] or is_new[other]):
                expected.add(tuple(sorted((pairs[one][1], pairs[other][1]))))
        old = [place for place in bucket if not is_new[place]]
        displaced |= {pairs[place][1] for place in old[:8] if place not in bucket[:8]}
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == sorted(expected)
    assert found.displaced.tolist() == sorted(displaced)


@given(pairs=_distinct, chance=st.randoms(use_true_random=False), kind=_kinds)
def test_nominated(pairs: Pairs, chance: Any, kind: Any) -> None:
    """What `nominated` says of any pair is what `nominate` finds where everything is new."""
    rank = ranks(pairs, chance)
    members = members_of(pairs, kind)
    wanted = sorted(combinations(sorted({number for _, number in pairs}), 2))
    first, second = (np.array([pair[side] for pair in wanted], np.uint32) for side in (0, 1))
    answers = nominated(members, anchors(members, rank), first, second)
    everything = nominate(members, rank, np.ones(len(pairs), dtype=bool))
    expected = set(zip(everything.first.tolist(), everything.second.tolist(), strict=True))
    assert {pair for pair, answer in zip(wanted, answers.tolist(), strict=True) if answer} == expected


def test_a_bucket_of_many_costs_linear_time() -> None:
    n = 20_000
    members = Members(np.zeros(n, np.uint32), np.arange(n, dtype=np.uint32))
    pairs = nominate(members, np.arange(n), np.ones(n, dtype=bool))
    assert pairs.first.size == sum(min(i, N_ANCHORS) for i in range(n))


@pytest.mark.parametrize(
    ("table", "kind"), [(BucketTable("band", "key"), np.uint32), (BucketTable("span", "hash"), np.uint64)]
)
def test_in_the_store(store: Store, table: BucketTable, kind: Any) -> None:
    pairs = [(0, 1), (0, 2), (7, 1), (7, 3), (2**32 - 1, 2), (5, 4)]
    if kind == np.uint64:
        pairs.append((2**64 - 1, 3))
    with store.transaction() as connection:
        table.insert(connection, members_of(pairs[:3], kind))
        table.insert(connection, members_of(pairs[3:], kind))
        found = table.in_buckets(connection, np.array([0, 7, 8], kind))
        assert sorted(pairs_of(found)) == [(0, 1), (0, 2), (7, 1), (7, 3)]
        assert found.keys.dtype == kind and found.numbers.dtype == np.uint32
        assert sorted(pairs_of(table.of_contents(connection, np.array([2, 9], np.uint32)))) == [(0, 2), (2**32 - 1, 2)]
        table.delete(connection, np.array([1, 4], np.uint32))
        left = table.in_buckets(connection, np.array([key for key, _ in pairs], kind))
        assert sorted(pairs_of(left)) == sorted(pair for pair in pairs if pair[1] not in (1, 4))
        assert pairs_of(table.in_buckets(connection, np.zeros(0, kind))) == []
    assert pairs_of(join(members_of(pairs[:2], kind), members_of(pairs[2:], kind))) == pairs
