"""A classifier between human text and a model's: logistic regression over hashed words and pairs of words."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from training.metrics.words import words_in

Floats = npt.NDArray[np.float64]

#: Features that words and pairs of words are hashed to.
N_FEATURES = 1 << 15
#: Steps of gradient descent over all texts, its step size, and the strength with which weights are pulled to zero.
_STEPS, _RATE, _DECAY = 200, 2.0, 1e-4


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier.

    Attributes
    ----------
    weights : (N_FEATURES + 1,) of every feature, and of none
    """

    weights: Floats

    @classmethod
    def fit(cls, human: Sequence[str], synthetic: Sequence[str]) -> Classifier:
        """Fit on texts of both kinds, each kind counting half; the result depends on nothing else.

        Raises
        ------
        ValueError
            If there are no texts of one kind.
        """
        if not human or not synthetic:
            raise ValueError("a classifier needs texts of both kinds")
        features = _Features.of([*human, *synthetic])
        is_human = np.repeat([1.0, 0.0], [len(human), len(synthetic)])
        share = np.repeat([0.5 / len(human), 0.5 / len(synthetic)], [len(human), len(synthetic)])
        weights = np.zeros(N_FEATURES + 1)
        squares = np.full(N_FEATURES + 1, 1e-8)  # AdaGrad: rare features take larger steps
        for _ in range(_STEPS):
            missing = share * (is_human - _sigmoid(features.times(weights)))
            gradient = features.transposed_times(missing) - _DECAY * weights
            squares += gradient**2
            weights = weights + _RATE * gradient / np.sqrt(squares) / 10
        return cls(weights)

    def probability(self, texts: Sequence[str]) -> Floats:
        """Return the probability of every text being human, (n,) in 0..1."""
        return _sigmoid(_Features.of(texts).times(self.weights)) if texts else np.zeros(0)


@dataclass(frozen=True)
class _Features:
    """A sparse matrix: text, feature and value of every entry; the values of a text have length 1."""

    n_texts: int
    text: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    value: Floats

    @classmethod
    def of(cls, texts: Sequence[str]) -> _Features:
        rows = [_hashed(text) for text in texts]
        sizes = np.array([len(row) for row in rows])
        text = np.repeat(np.arange(len(rows)), sizes)
        codes = text * N_FEATURES + np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int64)
        distinct, counts = np.unique(codes, return_counts=True)
        owner, value = distinct // N_FEATURES, np.log1p(counts)
        lengths = np.sqrt(np.bincount(owner, weights=value**2, minlength=len(rows)))
        return cls(len(rows), owner, distinct % N_FEATURES, value / lengths[owner])

    def times(self, weights: Floats) -> Floats:
        products = self.value * weights[self.feature]
        return np.asarray(np.bincount(self.text, weights=products, minlength=self.n_texts) + weights[-1])

    def transposed_times(self, values: Floats) -> Floats:
        products = self.value * values[self.text]
        return np.append(np.bincount(self.feature, weights=products, minlength=N_FEATURES), values.sum())


def _hashed(text: str) -> npt.NDArray[np.int64]:
    """Return the features of a text: its words, and its pairs of words that follow each other."""
    words = [word.type for word in words_in(text)]
    pairs = [f"{a} {b}" for a, b in pairwise(words)]
    return np.array([zlib.crc32(term.encode()) % N_FEATURES for term in (*words, *pairs)], dtype=np.int64)


def _sigmoid(values: Floats) -> Floats:
    positive: Floats = 1 / (1 + np.exp(-np.clip(values, -50, 50)))
    return positive
