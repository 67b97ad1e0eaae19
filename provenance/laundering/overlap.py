"""How much of a text stands in another: counted on the texts themselves, by 64-bit hashes of runs of words."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup import tokens as rule
from provenance.dedup.containment import covered, rolled
from provenance.dedup.spans import GUARANTEED_TOKENS, SPAN_TOKENS
from provenance.dedup.token_hashes import TokenHasher

_BASE = np.uint64(rule.SHINGLE_BASE)
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]


class Overlap(NamedTuple):
    """What pairs of texts have in common.

    Attributes
    ----------
    contained : (n_pairs,) share, 0..1, of the shorter text's words that stand in the other in runs of 13 and more
    n_common : (n_pairs,) words of the first text that stand in the second in runs of 13 and more
    n_long : (n_pairs,) the same in runs of 50 and more
    n_words : (n_pairs,) words of the first text
    """

    contained: Floats
    n_common: Counts
    n_long: Counts
    n_words: Counts


def overlap(texts: pa.Array | pa.ChunkedArray, first: Rows, second: Rows) -> Overlap:
    """Return what pairs of texts have in common.

    Parameters
    ----------
    first, second : (n_pairs,) rows of `texts`; quickest in the order of `second`
    """
    tokens = TokenHasher().compute(texts)
    contained, n_common, n_long = _overlap(
        tokens.hashes, tokens.offsets, first, second, SPAN_TOKENS, GUARANTEED_TOKENS, _BASE
    )
    return Overlap(contained, n_common, n_long, np.diff(tokens.offsets)[first])


def overlap_beside(texts: pa.Array, quoted: pa.Array) -> Overlap:
    """Return what the first of two texts has in common with the second, but for what both quote from others.

    Parameters
    ----------
    texts : the two
    quoted : the others
    """
    tokens, others = TokenHasher().compute(texts), TokenHasher().compute(quoted)
    one, other = (tokens.hashes[tokens.offsets[i] : tokens.offsets[i + 1]] for i in (0, 1))
    n_common = _covered_beside(one, other, others, SPAN_TOKENS)
    n_long = _covered_beside(one, other, others, GUARANTEED_TOKENS)
    n_smaller = n_common if one.size <= other.size else _covered_beside(other, one, others, SPAN_TOKENS)
    contained = n_smaller / max(1, min(one.size, other.size))
    return Overlap(np.array([contained]), np.array([n_common]), np.array([n_long]), np.array([one.size]))


def _covered_beside(one: Any, other: Any, others: Any, width: int) -> int:
    """Return how many words of `one` stand in runs of `width` that `other` has, none of them quoted.

    Quoted are words in runs of 13 and more that others have. A run that leaves the quotation by a word does not count:
    what two texts have in common of a third ends somewhere, and often with the same word.
    """
    known = [_runs(others.hashes[low:high], SPAN_TOKENS) for low, high in pairwise(others.offsets)]
    quoted = _words_in(np.isin(_runs(one, SPAN_TOKENS), np.concatenate(known)), SPAN_TOKENS, one.size)
    runs = _runs(one, width)
    n_quoted = np.r_[0, np.cumsum(quoted)]
    is_own = n_quoted[width : width + runs.size] == n_quoted[: runs.size]
    return int(_words_in(is_own & np.isin(runs, _runs(other, width)), width, one.size).sum())


def _runs(hashes: Any, width: int) -> Any:
    return rolled(hashes, width, _BASE, np.uint64(_top(width, _BASE)))


def _words_in(begins: Any, width: int, n_words: int) -> npt.NDArray[np.bool_]:
    """Return for every word whether it stands in a run of `width` of those that `begins` marks."""
    change = np.zeros(n_words + 1, dtype=np.int64)
    starts = np.flatnonzero(begins)
    change[starts] += 1
    np.subtract.at(change, starts + width, 1)
    return np.cumsum(change[:-1]) > 0


@numba.njit(cache=True, nogil=True)
def _top(width, base):  # type: ignore[no-untyped-def]
    top = np.uint64(1)
    for _ in range(width - 1):
        top = top * base
    return top


@numba.njit(cache=True, nogil=True)
def _overlap(hashes, offsets, first, second, short, long, base):  # type: ignore[no-untyped-def]
    contained = np.zeros(first.size, dtype=np.float64)
    n_common = np.zeros(first.size, dtype=np.int64)
    n_long = np.zeros(first.size, dtype=np.int64)
    top_short, top_long = _top(short, base), _top(long, base)
    known_short = np.empty(0, dtype=np.uint64)
    known_long = np.empty(0, dtype=np.uint64)
    for pair in range(first.size):
        one = hashes[offsets[first[pair]] : offsets[first[pair] + 1]]
        other = hashes[offsets[second[pair]] : offsets[second[pair] + 1]]
        if pair == 0 or second[pair] != second[pair - 1]:
            known_short = np.sort(rolled(other, short, base, top_short))
            known_long = np.sort(rolled(other, long, base, top_long))
        n_common[pair] = covered(one, known_short, short, base, top_short)
        if n_common[pair] == 0:
            continue
        n_long[pair] = covered(one, known_long, long, base, top_long)
        if one.size <= other.size:
            contained[pair] = n_common[pair] / one.size
        else:
            known = np.sort(rolled(one, short, base, top_short))
            contained[pair] = covered(other, known, short, base, top_short) / other.size
    return contained, n_common, n_long
