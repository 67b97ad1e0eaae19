"""The bigram distribution behind the `ngram` learner: counts, probabilities, and drawing from them in bulk."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from training.learners.base import Decoding
from training.learners.configs import NgramConfig
from training.learners.decoding import decode_rows, draw_from_rows

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class BigramTable:
    """p(w | v) = bigram · c(v, w) / c(v) + unigram · c(w) / n + the rest / vocabulary.

    Where v was never followed by anything the bigram's weight goes to the unigram.

    Parameters
    ----------
    unigram : (vocabulary,) int64, counts
    keys : (n_bigrams,) int64, sorted, v · vocabulary + w of every bigram seen
    bigram : (n_bigrams,) int64, its count
    excluded : a token that is no word: it has probability zero
    """

    def __init__(self, config: NgramConfig, unigram: Ints, keys: Ints, bigram: Ints, *, excluded: int | None) -> None:
        self.config = config
        self.unigram, self.keys, self.bigram = unigram, keys, bigram
        self.excluded = excluded
        self.size = len(unigram)
        self.followers = np.bincount(keys // self.size, weights=bigram, minlength=self.size).astype(np.int64)
        #: First bigram of every word, and one past the last of the last word.
        self.row = np.searchsorted(keys, np.arange(self.size + 1) * self.size)
        n_words = self.size - (excluded is not None)
        even = np.full(self.size, (1 - config.bigram - config.unigram) / n_words)
        share = unigram / max(1, int(unigram.sum()))
        self.seen_base = config.unigram * share + even
        self.unseen_base = (config.unigram + config.bigram) * share + even
        if excluded is not None:
            self.seen_base[excluded] = self.unseen_base[excluded] = 0

    @classmethod
    def count(
        cls, config: NgramConfig, blocks: npt.NDArray[np.integer[Any]], *, size: int, excluded: int | None
    ) -> BigramTable:
        """Count words, and bigrams within blocks; a bigram with an excluded token is none."""
        stream = np.asarray(blocks, dtype=np.int64)
        known = np.ones(stream.shape, bool) if excluded is None else stream != excluded
        pairs = known[:, :-1] & known[:, 1:]
        keys, counts = np.unique((stream[:, :-1] * size + stream[:, 1:])[pairs], return_counts=True)
        unigram = np.bincount(stream[known], minlength=size)
        return cls(config, unigram.astype(np.int64), keys, counts.astype(np.int64), excluded=excluded)

    def place(self, before: Ints, after: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Return where each bigram stands in `keys` (or would stand), and whether it is there."""
        key = before * self.size + after
        at = np.searchsorted(self.keys, key)
        hit = at < len(self.keys)
        hit[hit] = self.keys[at[hit]] == key[hit]
        return at, hit

    def probability(self, before: Ints, after: Ints) -> Floats:
        """Return p(after | before), elementwise."""
        at, hit = self.place(before, after)
        found = np.zeros(len(at))
        found[hit] = self.bigram[at[hit]]
        followers = self.followers[before]
        base = np.where(followers > 0, self.seen_base[after], self.unseen_base[after])
        return cast(Floats, self.config.bigram * found / np.maximum(followers, 1) + base)

    def rows(self, before: Ints) -> Floats:
        """Return the whole distribution after each word, (n, vocabulary)."""
        rows: Floats = np.where(self.followers[before, None] > 0, self.seen_base, self.unseen_base)
        for row, word in zip(rows, before, strict=True):
            part = slice(self.row[word], self.row[word + 1])
            row[self.keys[part] % self.size] += self.config.bigram * self.bigram[part] / max(1, self.followers[word])
        return rows


class BigramSampler:
    """Draws the next word of many chains at once.

    For a temperature alone the distribution after v is the sharpened base, shared by all v, changed at the words that
    followed v. So a draw takes one of these words with their joint share, else words from the base until one is none of
    them: exact, and independent of the size of the vocabulary. Penalty, top-k and top-p need the whole row.
    """

    def __init__(self, table: BigramTable, decoding: Decoding) -> None:
        self.table = table
        self.decoding = decoding
        self.exponent = 1 / decoding.temperature

    @cached_property
    def _bases(self) -> tuple[Floats, Floats]:
        """Cumulative sharpened bases after words that were followed, and after those that were not."""
        table = self.table
        return np.cumsum(table.seen_base**self.exponent), np.cumsum(table.unseen_base**self.exponent)

    @cached_property
    def _changes(self) -> tuple[Floats, Floats]:
        """Cumulative sharpened probability of the bigrams, and of the base at the same places; both begin with 0."""
        table = self.table
        before, after = table.keys // table.size, table.keys % table.size
        base = table.seen_base[after]
        full = table.config.bigram * table.bigram / table.followers[before] + base
        begin = np.zeros(1)
        return (
            np.concatenate([begin, np.cumsum(full**self.exponent)]),
            np.concatenate([begin, np.cumsum(base**self.exponent)]),
        )

    @property
    def reads_rows(self) -> bool:
        """Whether a draw needs the whole distribution after each word."""
        decoding = self.decoding
        return decoding.top_k is not None or decoding.top_p is not None or decoding.repetition_penalty != 1

    def draw(self, before: Ints, rng: np.random.Generator, seen: npt.NDArray[np.bool_] | None = None) -> Ints:
        """Return the next word after each word of `before`.

        Parameters
        ----------
        seen : (n, vocabulary), words that stand in each text already
        """
        if self.reads_rows:
            return draw_from_rows(decode_rows(self.table.rows(before), self.decoding, seen), rng.random(len(before)))
        table, (seen_base, unseen_base), (full, base) = self.table, self._bases, self._changes
        first, last = table.row[before], table.row[before + 1]
        mass = full[last] - full[first]
        rest = seen_base[-1] - (base[last] - base[first])
        follows = rng.random(len(before)) * (mass + rest) < mass
        after = _invert(unseen_base, rng.random(len(before)))
        inside = full[first[follows]] + rng.random(int(follows.sum())) * mass[follows]
        at = np.searchsorted(full, inside, side="right") - 1
        after[follows] = table.keys[np.clip(at, first[follows], last[follows] - 1)] % table.size
        open_ = np.flatnonzero(~follows & (last > first))
        while len(open_):
            after[open_] = _invert(seen_base, rng.random(len(open_)))
            open_ = open_[table.place(before[open_], after[open_])[1]]
        return after


def _invert(cumulative: Floats, uniform: Floats) -> Ints:
    """Draw indices from a cumulative distribution by inversion."""
    found = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    return cast(Ints, np.minimum(found, len(cumulative) - 1))
