"""Locality-sensitive hashing: the bands of a signature as keys of buckets, and how many hash values agree.

Keys have 32 bits, with the number of the band hashed in; unrelated contents that meet by chance cost one comparison and
are told apart by it.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import NO_TOKENS

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


def bucket_keys(
    signatures: npt.NDArray[np.uint32], normal_hashes: npt.NDArray[np.uint64], parameters: DedupParameters
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return (key, row) of every bucket that contents belong to.

    A content with tokens belongs to the buckets of its bands. One without tokens, which has no bands, belongs to the
    bucket of its normal form, so that two such texts that differ in white space alone still meet.
    """
    keys = band_keys(signatures, parameters.n_bands, parameters.rows_per_band)
    rows = np.broadcast_to(np.arange(keys.shape[0])[:, None], keys.shape)
    wordless = np.flatnonzero(is_wordless(signatures))
    if not wordless.size:
        return keys.reshape(-1), rows.reshape(-1)
    has_words = np.ones(keys.shape[0], dtype=np.bool_)
    has_words[wordless] = False
    normal = normal_hashes[wordless]
    folded = (normal >> np.uint64(32)).astype(np.uint32) ^ normal.astype(np.uint32)
    return np.r_[keys[has_words].reshape(-1), folded], np.r_[rows[has_words].reshape(-1), wordless]


def is_wordless(signatures: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Return for every signature whether it is that of a text without tokens."""
    found: npt.NDArray[np.bool_] = (signatures == NO_TOKENS).all(axis=1)
    return found


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
