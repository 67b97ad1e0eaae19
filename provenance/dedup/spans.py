"""Shared runs of tokens between texts: the exact answer to "does this text quote that one"."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup import tokens as rule
from provenance.dedup.token_hashes import TokenHasher


def shares_span(texts: pa.Array, against: pa.Array, *, n_tokens: int = 13) -> npt.NDArray[np.bool_]:
    """Return for every text whether it shares a run of `n_tokens` tokens with any text of `against`.

    Texts shorter than `n_tokens` tokens share nothing. Runs are compared by 64-bit hashes of their tokens, so that
    two different runs are taken for the same with a probability near 2^-64 a pair.

    Parameters
    ----------
    texts : (n,) text
    against : (m,) text
    n_tokens : length of a run, 1 or more
    """
    known = np.unique(_span_hashes(against, n_tokens)[0])
    spans, owner = _span_hashes(texts, n_tokens)
    shared = np.zeros(len(texts), dtype=np.bool_)
    if known.size and spans.size:
        place = np.minimum(np.searchsorted(known, spans), known.size - 1)
        shared[owner[known[place] == spans]] = True
    return shared


def _span_hashes(texts: pa.Array, n_tokens: int) -> tuple[Any, Any]:
    """Return the hash of every run of tokens in every text, and the row of the text that it stands in."""
    hashes, offsets = TokenHasher().compute(texts)
    spans, owner = _roll(hashes, offsets, n_tokens, np.uint64(rule.SHINGLE_BASE))
    return spans, owner


@numba.njit(cache=True, nogil=True)
def _roll(hashes, offsets, width, base):  # type: ignore[no-untyped-def]
    n_docs = offsets.size - 1
    n_spans = 0
    for d in range(n_docs):
        n_spans += max(0, offsets[d + 1] - offsets[d] - width + 1)
    spans = np.empty(n_spans, dtype=np.uint64)
    owner = np.empty(n_spans, dtype=np.int64)
    top = np.uint64(1)
    for _ in range(width - 1):
        top = top * base
    out = 0
    for d in range(n_docs):
        low, high = offsets[d], offsets[d + 1]
        value = np.uint64(0)
        for i in range(low, high):
            if i - low >= width:
                value = value - hashes[i - width] * top
            value = value * base + hashes[i]
            if i - low >= width - 1:
                spans[out] = value
                owner[out] = d
                out += 1
    return spans, owner
