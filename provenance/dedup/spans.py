"""Spans: runs of 13 tokens, by which it is told whether a text quotes another.

`shares_span` compares every span. `winnow` picks about one span in twenty of each text, in such a way that two texts
with the same run of 50 tokens have a picked span in common; these are what a store keeps. Where words were replaced,
the windows around a shorter run that is left have other least spans, and often nothing is in common. Therefore `winnow`
can pick by hash alone as well: such a span is picked wherever it stands.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup import tokens as rule
from provenance.dedup.token_hashes import TokenHasher, TokenHashes

#: Tokens in a span.
SPAN_TOKENS = 13
#: Every run of so many tokens that two texts share has a picked span in common.
GUARANTEED_TOKENS = 50
_WINDOW = GUARANTEED_TOKENS - SPAN_TOKENS + 1


class Spans(NamedTuple):
    """Picked spans of several texts, one text after the other, each hash once a text and in ascending order.

    Attributes
    ----------
    hashes : (n_spans,) uint64
    offsets : (n_texts + 1,) int64 — where each text's hashes begin
    """

    hashes: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64]) -> Spans:
        """Return the spans of some of the texts."""
        sizes = np.diff(self.offsets)[rows]
        offsets = np.r_[0, np.cumsum(sizes)]
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], sizes)
        return Spans(self.hashes[places], offsets)


def winnow(tokens: TokenHashes, *, sampled_frac: float = 0) -> Spans:
    """Return the picked spans of texts: in every window of 38 spans the one with the least hash, the last of equals.

    A text of 13 to 49 tokens has one; a shorter one has none.

    Parameters
    ----------
    sampled_frac : part of the range of hashes, from 0 up, of which spans are picked whatever stands beside them

    References
    ----------
    Schleimer, Wilkerson, Aiken, Winnowing: Local Algorithms for Document Fingerprinting, SIGMOD 2003, section 3.
    """
    below = np.uint64(sampled_frac * 2**64)
    return Spans(*_winnow(tokens.hashes, tokens.offsets, SPAN_TOKENS, _WINDOW, np.uint64(rule.SHINGLE_BASE), below))


def shares_span(texts: pa.Array, against: pa.Array, *, n_tokens: int = SPAN_TOKENS) -> npt.NDArray[np.bool_]:
    """Return for every text whether it shares a run of `n_tokens` tokens with any text of `against`.

    Texts shorter than `n_tokens` tokens share nothing. Runs are compared by 64-bit hashes of their tokens, so that
    two different runs are taken for the same with a probability near 2^-64 a pair.

    Parameters
    ----------
    texts : (n,) text
    against : (m,) text
    n_tokens : length of a run, 1 or more
    """
    return KnownRuns(against, n_tokens=n_tokens).shared_by(texts)


class KnownRuns:
    """The runs of tokens of some texts, to compare other texts with as `shares_span` does, batch after batch."""

    def __init__(self, against: pa.Array, *, n_tokens: int = SPAN_TOKENS) -> None:
        self.n_tokens = n_tokens
        self._known = np.unique(_span_hashes(against, n_tokens)[0])

    def shared_by(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        """Return for every text whether it shares a run with any of the known texts."""
        spans, owner = _span_hashes(texts, self.n_tokens)
        shared = np.zeros(len(texts), dtype=np.bool_)
        if self._known.size and spans.size:
            place = np.minimum(np.searchsorted(self._known, spans), self._known.size - 1)
            shared[owner[self._known[place] == spans]] = True
        return shared


def _span_hashes(texts: pa.Array, n_tokens: int) -> tuple[Any, Any]:
    """Return the hash of every run of tokens in every text, and the row of the text that it stands in."""
    tokens = TokenHasher().compute(texts)
    spans, owner = _roll(tokens.hashes, tokens.offsets, n_tokens, np.uint64(rule.SHINGLE_BASE))
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


@numba.njit(cache=True, nogil=True)
def _winnow(hashes, offsets, width, window, base, below):  # type: ignore[no-untyped-def]
    n_docs = offsets.size - 1
    picked = np.empty(hashes.size, dtype=np.uint64)
    picked_offsets = np.zeros(n_docs + 1, dtype=np.int64)
    top = np.uint64(1)
    for _ in range(width - 1):
        top = top * base
    longest = 0
    for d in range(n_docs):
        longest = max(longest, offsets[d + 1] - offsets[d])
    spans = np.empty(longest + 1, dtype=np.uint64)
    out = 0
    for d in range(n_docs):
        n_spans = _mixed_spans(hashes[offsets[d] : offsets[d + 1]], width, base, top, spans)
        first = out
        for i in range(n_spans):
            if spans[i] < below:
                picked[out] = spans[i]
                out += 1
        place = -1  # of the least span of the window that ends at `end`
        for end in range(min(window, n_spans) - 1 if n_spans else 0, n_spans):
            begin = max(0, end - window + 1)
            before = place
            if place < begin:
                place = begin
                for i in range(begin + 1, end + 1):
                    if spans[i] <= spans[place]:
                        place = i
            elif spans[end] <= spans[place]:
                place = end
            if place != before and spans[place] >= below:
                picked[out] = spans[place]
                out += 1
        out = first + _sort_unique(picked[first:out])
        picked_offsets[d + 1] = out
    return picked[:out].copy(), picked_offsets


@numba.njit(cache=True, nogil=True)
def _mixed_spans(hashes, width, base, top, out):  # type: ignore[no-untyped-def]
    """Write the hash of every run of `width` tokens into `out`; mixed, so that the least is a chance one."""
    value = np.uint64(0)
    for i in range(hashes.size):
        if i >= width:
            value = value - hashes[i - width] * top
        value = value * base + hashes[i]
        if i >= width - 1:
            mixed = (value ^ (value >> np.uint64(32))) * np.uint64(rule.MIX)
            out[i - width + 1] = mixed ^ (mixed >> np.uint64(32))
    return max(0, hashes.size - width + 1)


@numba.njit(cache=True, nogil=True)
def _sort_unique(values):  # type: ignore[no-untyped-def]
    values.sort()
    n = 0
    for i in range(values.size):
        if i == 0 or values[i] != values[i - 1]:
            values[n] = values[i]
            n += 1
    return n
