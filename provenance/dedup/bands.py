"""Locality-sensitive hashing: the bands of a signature, who meets whom in a bucket, and who is really near.

A bucket is the set of contents that share a band key. Within a bucket every member is compared with the
`N_ANCHORS` smallest content ids (the anchors), never all with all, so a bucket of templated near-copies costs linear
time. Keys have 32 bits, with the number of the band hashed in; unrelated contents that meet by chance cost one
comparison and are told apart by it.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

#: Members of a bucket that all others are compared with. With one, 12.6 % of same-cluster pairs are lost; with eight,
#: one cluster in a thousand.
N_ANCHORS = 8

_SEED = np.uint64(0x9E3779B97F4A7C15)
_FACTOR = np.uint64(0xFF51AFD7ED558CCD)


@numba.njit(cache=True, nogil=True)
def band_keys(signatures, n_bands, rows_per_band):  # type: ignore[no-untyped-def]
    """Return the keys (n_docs, n_bands) uint32 of signatures (n_docs, n_bands * rows_per_band) uint32."""
    n_docs = signatures.shape[0]
    keys = np.empty((n_docs, n_bands), dtype=np.uint32)
    for d in range(n_docs):
        for band in range(n_bands):
            value = _SEED * np.uint64(band + 1)
            for row in range(rows_per_band):
                value = (value ^ np.uint64(signatures[d, band * rows_per_band + row])) * _FACTOR
                value = value ^ (value >> np.uint64(33))
            keys[d, band] = np.uint32(value >> np.uint64(32)) ^ np.uint32(value & np.uint64(0xFFFFFFFF))
    return keys


class Nominations(NamedTuple):
    """Who is to be compared after new members came into buckets.

    Attributes
    ----------
    first, second : (n_pairs,) int64 — rows of the members, each pair once per bucket
    displaced : (n,) int64 — rows of old members that were anchors of their bucket and no longer are
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    displaced: npt.NDArray[np.int64]


def nominate(keys: npt.NDArray[np.uint32], rank: npt.NDArray[np.int64], is_new: npt.NDArray[np.bool_]) -> Nominations:
    """Return the pairs of bucket members to compare.

    Parameters
    ----------
    keys : (n,) band key of each membership
    rank : (n,) position of the member's content id in ascending order
    is_new : (n,) whether the member came just now; pairs of two old members were compared before
    """
    order = np.lexsort((rank, keys))
    sorted_keys = keys[order]
    starts = np.flatnonzero(np.r_[True, sorted_keys[1:] != sorted_keys[:-1], True])
    if keys.size == 0:
        empty = np.zeros(0, np.int64)
        return Nominations(empty, empty, empty)
    first, second, displaced = _nominate(starts, is_new[order], N_ANCHORS)
    return Nominations(order[first], order[second], order[displaced])


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
def count_equal(signatures, first, second):  # type: ignore[no-untyped-def]
    """Return how many hash values agree, (n_pairs,) int32, for pairs of rows of signatures (n, n_perm) uint32."""
    equal = np.zeros(first.size, dtype=np.int32)
    for pair in range(first.size):
        a = signatures[first[pair]]
        b = signatures[second[pair]]
        n = 0
        for k in range(a.size):
            n += a[k] == b[k]
        equal[pair] = n
    return equal
