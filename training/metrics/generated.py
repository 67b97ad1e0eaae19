"""The text that a model writes: how varied it is, and how far from the human text that generation 0 learned from."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from training.metrics.words import Lexicon, word_types

#: The vocabulary in use is counted in so many words.
VOCABULARY_WINDOW = 10_000
#: Ranks that the Zipf slope is fitted on.
ZIPF_RANKS = 1_000


def generated_metrics(texts: Sequence[str], *, lexicon: Lexicon) -> dict[str, float]:
    """Return the metrics of generated text; one that is undefined for it (too little text) is absent."""
    documents = [word_types(text) for text in texts]
    words = [word for document in documents for word in document]
    counts = Counter(words)
    found = {
        "entropy": entropy_bits(counts),
        "vocabulary": vocabulary_in_use(words, lexicon),
        "tail_mass": sum(counts[word] for word in lexicon.tail) / len(words) if words else math.nan,
        "distinct_1": distinct(documents, 1),
        "distinct_2": distinct(documents, 2),
        "distinct_3": distinct(documents, 3),
        "repeated_3grams": repeated(documents, 3),
        "zlib_ratio": zlib_ratio(texts),
        "js_divergence": js_divergence_bits(counts, lexicon.counts),
        "zipf_slope": zipf_slope(counts),
        "words": float(len(words)),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def entropy_bits(counts: Mapping[str, int]) -> float:
    """Return the entropy of a unigram distribution in bits (plug-in estimate)."""
    values = np.array([count for count in counts.values() if count], dtype=np.float64)
    if not len(values):
        return math.nan
    shares = values / values.sum()
    return float(abs(shares @ np.log2(shares)))


def vocabulary_in_use(words: Sequence[str], lexicon: Lexicon, *, window: int = VOCABULARY_WINDOW) -> float:
    """Return how many words of the human lexicon stand among the first `window` words; NaN where there are fewer."""
    if len(words) < window:
        return math.nan
    return float(len({word for word in words[:window] if word in lexicon.counts}))


def distinct(documents: Sequence[Sequence[str]], n: int) -> float:
    """Return distinct n-grams over all n-grams; none spans two documents."""
    counts = Counter(_ngrams(documents, n))
    return len(counts) / counts.total() if counts else math.nan


def repeated(documents: Sequence[Sequence[str]], n: int) -> float:
    """Return the share of n-grams that occur more than once, every occurrence counted."""
    counts = Counter(_ngrams(documents, n))
    return sum(count for count in counts.values() if count > 1) / counts.total() if counts else math.nan


def zlib_ratio(texts: Sequence[str]) -> float:
    """Return compressed over plain size of the texts in UTF-8, one after the other; small means repetitive."""
    plain = "\n".join(texts).encode("utf-8", "replace")
    return len(zlib.compress(plain, 9)) / len(plain) if plain else math.nan


def js_divergence_bits(first: Mapping[str, int], second: Mapping[str, int]) -> float:
    """Return the Jensen-Shannon divergence of two unigram distributions, 0 (equal) to 1 bit (disjoint)."""
    if not first or not second:
        return math.nan
    types = sorted(first.keys() | second.keys())
    p = np.array([first.get(word, 0) for word in types], dtype=np.float64)
    q = np.array([second.get(word, 0) for word in types], dtype=np.float64)
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    total = 0.0
    for part in (p, q):
        some = part > 0
        total += float(part[some] @ np.log2(part[some] / middle[some])) / 2
    return max(0.0, total)


def zipf_slope(counts: Mapping[str, int], *, ranks: int = ZIPF_RANKS) -> float:
    """Return the slope of log count over log rank by least squares over the first ranks; near -1 for human text."""
    values = sorted(counts.values(), reverse=True)[:ranks]
    if len(values) < 3:
        return math.nan
    rank = np.log(np.arange(1, len(values) + 1))
    return float(np.polyfit(rank, np.log(np.array(values, dtype=np.float64)), 1)[0])


def _ngrams(documents: Sequence[Sequence[str]], n: int) -> Iterator[tuple[str, ...]]:
    for document in documents:
        yield from zip(*(document[i:] for i in range(n)), strict=False)
