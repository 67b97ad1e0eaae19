"""The model on held-out human text: cross-entropy per token, and per word at the head and in the tail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from training.learners.base import TokenNll
from training.metrics.words import Lexicon, words_in

#: Per-document values are kept for so many groups of documents: as many as intervals within a seed need.
MAX_GROUPS = 20


def heldout_metrics(texts: Sequence[str], scores: Sequence[TokenNll], *, lexicon: Lexicon) -> dict[str, float]:
    """Return cross-entropy and perplexity per token, and cross-entropy per word of the tail and of the head.

    Parameters
    ----------
    scores : of the same texts, in the same order

    Notes
    -----
    A word costs what its tokens cost together. A word that generation 0 never saw belongs to neither head nor tail,
    and a token outside words (punctuation, spaces) to no word. `heldout_group_*` are sums over document 0, 20, 40, ...,
    over 1, 21, 41, ..., and so on: documents are few and long, so most often each is a group.
    """
    groups = [_Group() for _ in range(min(len(texts), MAX_GROUPS))]
    head_nats, head_words = 0.0, 0
    for number, (text, score) in enumerate(zip(texts, scores, strict=True)):
        group = groups[number % MAX_GROUPS]
        group.tokens += len(score.nats)
        group.nats += float(score.nats.sum())
        for word_type, nats in _word_costs(text, score):
            if word_type in lexicon.tail:
                group.tail_words += 1
                group.tail_nats += nats
            elif word_type in lexicon.counts:
                head_words += 1
                head_nats += nats
    n_tokens = sum(group.tokens for group in groups)
    mean = _ratio(math.fsum(group.nats for group in groups), n_tokens)
    tail = math.fsum(group.tail_nats for group in groups)
    found = {
        "heldout_ce": mean,
        "heldout_perplexity": math.exp(min(mean, 700.0)),
        "heldout_head_ce": _ratio(head_nats, head_words),
        "heldout_tail_ce": _ratio(tail, sum(group.tail_words for group in groups)),
        "heldout_tokens": float(n_tokens),
    }
    for number, group in enumerate(groups):
        found |= {f"heldout_group_{name}_{number}": float(value) for name, value in asdict(group).items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}


@dataclass
class _Group:
    """Sums over some held-out documents."""

    nats: float = 0.0
    tokens: int = 0
    tail_nats: float = 0.0
    tail_words: int = 0


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


def _ratio(total: float, n: int) -> float:
    return total / n if n else math.nan
