"""Containment: one text inside another, such as a truncated copy or a quotation.

Shared picked spans nominate a pair; what counts is the share of the smaller text's tokens that stand in the other text
in shared runs of 13 tokens and more.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup import tokens as rule
from provenance.dedup.buckets import Members, Nominations
from provenance.dedup.spans import SPAN_TOKENS
from provenance.dedup.token_hashes import TokenHasher

#: A pair is looked at when this part of the wanted share of picked spans agrees. One changed token breaks 13 spans, and
#: picked spans are few: on two transcriptions of the same addresses, true pairs went down to .35, others up to .44.
_LENIENCE = 0.25


def plausible(pairs: Nominations, spans: Members, wanted: float) -> Nominations:
    """Return those of the pairs whose shared picked spans make it plausible that one contains `wanted` of the other.

    Parameters
    ----------
    spans : all picked spans of all contents of the pairs, in any order
    wanted : share of the smaller text, 0..1
    """
    order = np.lexsort((spans.keys, spans.numbers))
    numbers, hashes = spans.numbers[order], spans.keys[order]
    ends = [
        np.searchsorted(numbers, one, side=side) for one in (pairs.first, pairs.second) for side in ("left", "right")
    ]
    shares = _shared_spans(hashes, *ends)
    kept = shares >= _LENIENCE * wanted
    return Nominations(pairs.first[kept], pairs.second[kept], pairs.displaced)


def coverage(texts: pa.ChunkedArray, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return for pairs of texts which share, 0..1, of the smaller one's tokens stands in runs of 13 that both have.

    Of two texts with the same number of tokens the larger share counts.

    Parameters
    ----------
    first, second : (n_pairs,) rows of `texts`
    """
    tokens = TokenHasher().compute(texts)
    scores: npt.NDArray[np.float64] = _coverage(
        tokens.hashes, tokens.offsets, first, second, SPAN_TOKENS, np.uint64(rule.SHINGLE_BASE)
    )
    return scores


@numba.njit(cache=True, nogil=True)
def _shared_spans(hashes, first_low, first_high, second_low, second_high):  # type: ignore[no-untyped-def]
    """Return for each pair of ascending runs of hashes which share of the shorter one is in the other."""
    shares = np.zeros(first_low.size, dtype=np.float64)
    for pair in range(first_low.size):
        i, j = first_low[pair], second_low[pair]
        n_first, n_second = first_high[pair] - i, second_high[pair] - j
        n = 0
        while i < first_high[pair] and j < second_high[pair]:
            if hashes[i] == hashes[j]:
                n += 1
                i += 1
                j += 1
            elif hashes[i] < hashes[j]:
                i += 1
            else:
                j += 1
        shares[pair] = n / max(1, min(n_first, n_second))
    return shares


@numba.njit(cache=True, nogil=True)
def _coverage(hashes, offsets, first, second, width, base):  # type: ignore[no-untyped-def]
    scores = np.zeros(first.size, dtype=np.float64)
    top = np.uint64(1)
    for _ in range(width - 1):
        top = top * base
    for pair in range(first.size):
        one = hashes[offsets[first[pair]] : offsets[first[pair] + 1]]
        other = hashes[offsets[second[pair]] : offsets[second[pair] + 1]]
        if one.size <= other.size:
            known = np.sort(rolled(other, width, base, top))
            scores[pair] = covered(one, known, width, base, top) / max(1, one.size)
        if other.size <= one.size:  # of two of the same length the one that is covered more counts
            known = np.sort(rolled(one, width, base, top))
            scores[pair] = max(scores[pair], covered(other, known, width, base, top) / max(1, other.size))
    return scores


@numba.njit(cache=True, nogil=True)
def covered(hashes, known, width, base, top):  # type: ignore[no-untyped-def]
    """Return how many tokens of a text stand in runs of `width` whose hash is known.

    Parameters
    ----------
    hashes : (n_tokens,) uint64 — of the text
    known : uint64, ascending — hashes of runs
    top : base to the power of `width` - 1
    """
    spans = rolled(hashes, width, base, top)
    n_covered = 0
    end = 0  # tokens up to here are counted
    for i in range(spans.size):
        place = np.searchsorted(known, spans[i])
        if place < known.size and known[place] == spans[i]:
            n_covered += i + width - max(end, i)
            end = i + width
    return n_covered


@numba.njit(cache=True, nogil=True)
def rolled(hashes, width, base, top):  # type: ignore[no-untyped-def]
    """Return the hash of every run of `width` tokens, in order; parameters as in `covered`."""
    out = np.empty(max(0, hashes.size - width + 1), dtype=np.uint64)
    value = np.uint64(0)
    for i in range(hashes.size):
        if i >= width:
            value = value - hashes[i - width] * top
        value = value * base + hashes[i]
        if i >= width - 1:
            out[i - width + 1] = value
    return out
