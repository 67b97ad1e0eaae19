"""MinHash signatures of texts, bit for bit those of datasketch 2.0 (`scheme="affine32"`).

The loop over tokens, shingles and permutations is compiled; datasketch's permutations and finaliser are used as they
are, with our shingle hash as its `hashfunc`, so that a stored signature loads as `datasketch.MinHash`.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup import tokens as rule
from provenance.dedup.spans import Spans, winnow
from provenance.dedup.token_hashes import TokenHasher

_BASE = np.uint64(rule.SHINGLE_BASE)
_MIX = np.uint64(rule.MIX)
#: Every value of the signature of a text without tokens.
NO_TOKENS = np.uint32(0xFFFFFFFF)


class Features(NamedTuple):
    """What is known of texts.

    Attributes
    ----------
    signatures : (n_docs, n_perm) uint32
    n_words : (n_docs,) uint32
    normal_hashes : (n_docs,) uint64 — hash of the normal form
    spans : the picked spans of every text, where they were wanted
    """

    signatures: npt.NDArray[np.uint32]
    n_words: npt.NDArray[np.uint32]
    normal_hashes: npt.NDArray[np.uint64]
    spans: Spans | None

    def take(self, rows: npt.NDArray[np.int64]) -> Features:
        """Return what is known of some of the texts."""
        spans = None if self.spans is None else self.spans.take(rows)
        return Features(self.signatures[rows], self.n_words[rows], self.normal_hashes[rows], spans)


class SignatureKernel:
    """Computes MinHash signatures and word counts of texts.

    Parameters
    ----------
    n_perm : number of permutations, the length of a signature
    seed : seed of datasketch's permutations
    shingle_tokens : tokens in a shingle

    References
    ----------
    Broder, On the resemblance and containment of documents, SEQUENCES 1997. Permutations and finaliser:
    datasketch 2.0, `MinHash(scheme="affine32")`.
    """

    def __init__(self, n_perm: int = 112, seed: int = 1, *, shingle_tokens: int = 5) -> None:
        self.n_perm = n_perm
        self.shingle_tokens = shingle_tokens
        self._a, self._b = _permutations(n_perm, seed)
        self._hasher = TokenHasher()

    def compute(self, texts: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
        """Return signatures (n_docs, n_perm) uint32 and word counts (n_docs,) uint32 of an array of text.

        A text without tokens has a signature of 2^32 - 1 throughout, as an empty datasketch MinHash has.
        """
        found = self.features(texts)
        return found.signatures, found.n_words

    def features(
        self, texts: pa.Array | pa.ChunkedArray, *, with_spans: bool = False, sampled_frac: float = 0
    ) -> Features:
        """Return all that the search for copies wants to know of an array of text.

        Parameters
        ----------
        with_spans : whether to pick spans as well
        sampled_frac : of the spans, as `winnow` has it
        """
        tokens = self._hasher.compute(texts)
        signatures = np.full((tokens.offsets.size - 1, self.n_perm), NO_TOKENS, dtype=np.uint32)
        _sign(tokens.hashes, tokens.offsets, self._a, self._b, self.shingle_tokens, signatures)
        spans = winnow(tokens, sampled_frac=sampled_frac) if with_spans else None
        return Features(signatures, np.diff(tokens.offsets).astype(np.uint32), tokens.normal, spans)


@cache
def _permutations(n_perm: int, seed: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return datasketch's own factors and offsets, each (n_perm,) uint32."""
    from datasketch import MinHash

    factors, offsets = MinHash(num_perm=n_perm, seed=seed, scheme="affine32").permutations
    return np.ascontiguousarray(factors), np.ascontiguousarray(offsets)


@numba.njit(cache=True, nogil=True)
def _sign(hashes, offsets, a, b, width, signatures):  # type: ignore[no-untyped-def]
    """Lower the signature of every text to the minima over its shingles."""
    longest = 0
    for d in range(offsets.size - 1):
        longest = max(longest, offsets[d + 1] - offsets[d])
    shingles = np.empty(longest + 1, dtype=np.uint32)
    for d in range(offsets.size - 1):
        n = _shingle(hashes[offsets[d] : offsets[d + 1]], width, shingles)
        _minima(shingles, n, a, b, signatures[d])


@numba.njit(cache=True, nogil=True)
def _shingle(hashes, width, out):  # type: ignore[no-untyped-def]
    """Write the premixed 32-bit hash of every run of `width` tokens into `out`; return how many there are."""
    n_tokens = hashes.size
    if n_tokens == 0:
        return 0
    if n_tokens < width:
        width = n_tokens
    top = np.uint64(1)
    for _ in range(width - 1):
        top = top * _BASE
    value = np.uint64(0)
    for j in range(width):
        value = value * _BASE + hashes[j]
    n = n_tokens - width + 1
    for i in range(n):
        if i > 0:
            value = (value - hashes[i - 1] * top) * _BASE + hashes[i + width - 1]
        mixed = (value ^ (value >> np.uint64(32))) * _MIX
        out[i] = _premix(np.uint32(mixed >> np.uint64(32)))
    return n


@numba.njit(cache=True, nogil=True)
def _premix(h):  # type: ignore[no-untyped-def]
    """MurmurHash3's 32-bit finaliser, which datasketch applies before its permutations."""
    h = np.uint32(h ^ (h >> np.uint32(16)))
    h = np.uint32(h * np.uint32(0x85EBCA6B))
    h = np.uint32(h ^ (h >> np.uint32(13)))
    h = np.uint32(h * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@numba.njit(cache=True, nogil=True)
def _minima(shingles, n, a, b, signature):  # type: ignore[no-untyped-def]
    """Lower every value of `signature` to the smallest a_k * h + b_k (mod 2^32) over the shingles."""
    for k in range(a.size):
        factor = a[k]
        offset = b[k]
        least = signature[k]
        for i in range(n):
            least = min(least, np.uint32(np.uint32(shingles[i] * factor) + offset))
        signature[k] = least
