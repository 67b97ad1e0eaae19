"""The model on held-out human text: cross-entropy per token, and per word at the head and in the tail."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from training.learners.base import TokenNll
from training.metrics.words import Lexicon, words_in


def heldout_metrics(texts: Sequence[str], scores: Sequence[TokenNll], *, lexicon: Lexicon) -> dict[str, float]:
    """Return cross-entropy and perplexity per token, and cross-entropy per word of the tail and of the head.

    Parameters
    ----------
    scores : of the same texts, in the same order

    Notes
    -----
    A word costs what its tokens cost together. A word that generation 0 never saw belongs to neither head nor tail,
    and a token outside words (punctuation, spaces) to no word.
    """
    n_tokens = sum(len(score.nats) for score in scores)
    total = math.fsum(float(score.nats.sum()) for score in scores)
    head, tail = list[float](), list[float]()
    for text, score in zip(texts, scores, strict=True):
        for word_type, nats in _word_costs(text, score):
            if word_type in lexicon.tail:
                tail.append(nats)
            elif word_type in lexicon.counts:
                head.append(nats)
    mean = total / n_tokens if n_tokens else math.nan
    found = {
        "heldout_ce": mean,
        "heldout_perplexity": math.exp(min(mean, 700.0)),
        "heldout_head_ce": _mean(head),
        "heldout_tail_ce": _mean(tail),
        "heldout_tokens": float(n_tokens),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _word_costs(text: str, score: TokenNll) -> list[tuple[str, float]]:
    """Return type and nats of every word that the model scored."""
    words = words_in(text)
    if not words or not len(score.nats):
        return []
    starts = np.array([word.start for word in words])
    ends = np.array([word.end for word in words])
    # The last word that begins before the token ends, if it ends after the token begins.
    owner = np.searchsorted(starts, score.spans[:, 1] - 1, side="right") - 1
    inside = (owner >= 0) & (ends[owner] > score.spans[:, 0])
    nats = np.bincount(owner[inside], weights=score.nats[inside], minlength=len(words))
    scored = np.bincount(owner[inside], minlength=len(words)) > 0
    return [(word.type, float(cost)) for word, cost, known in zip(words, nats, scored, strict=True) if known]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
