"""What the banding formula predicts of planted near-duplicates, and what a store found of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb, sqrt

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from _bench_dedup_planted import LEVELS, Planted, planted, text_of

from provenance.dedup.parameters import DedupParameters
from provenance.dedup.tokens import shingle_hashes

#: How far found and predicted recall may lie apart, beside three standard deviations: hashes are only nearly random.
TOLERANCE = 0.02


@dataclass(frozen=True)
class Chances:
    """Probabilities that a pair of some similarity is found.

    Attributes
    ----------
    to_meet : some band agrees
    to_pass : enough hash values agree
    to_be_found : both; more than the product, because who agrees in many values is more likely to agree in a band
    """

    to_meet: float
    to_pass: float
    to_be_found: float


def chances(similarity: float, parameters: DedupParameters) -> Chances:
    """Return the chances of a pair of that Jaccard similarity.

    References
    ----------
    Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4.2 (to meet); given the number of equal hash
    values, which of them are equal is a draw without replacement (to be found).
    """
    n = parameters.n_permutations
    weights = [comb(n, k) * similarity**k * (1 - similarity) ** (n - k) for k in range(n + 1)]
    meeting = _chance_to_meet(parameters.n_bands, parameters.rows_per_band)
    enough = range(parameters.min_equal, n + 1)
    return Chances(
        to_meet=1 - (1 - similarity**parameters.rows_per_band) ** parameters.n_bands,
        to_pass=sum(weights[k] for k in enough),
        to_be_found=sum(weights[k] * meeting[k] for k in enough),
    )


@cache
def _chance_to_meet(n_bands: int, rows_per_band: int) -> tuple[float, ...]:
    """Return for every number of equal hash values the chance that some band agrees throughout."""
    n = n_bands * rows_per_band

    def chance(n_equal: int) -> float:
        none = sum(
            (-1) ** bands * comb(n_bands, bands) * comb(n - bands * rows_per_band, n_equal - bands * rows_per_band)
            for bands in range(n_equal // rows_per_band + 1)
        )
        return 1 - none / comb(n, n_equal)

    return tuple(chance(n_equal) for n_equal in range(n + 1))


@dataclass(frozen=True)
class LevelResult:
    """What became of the planted pairs of one level.

    Attributes
    ----------
    n_pairs, n_found : planted pairs, and those among the store's edges
    similarity : mean exact Jaccard similarity of a sample
    predicted : mean chances of the sample
    """

    level: float
    n_pairs: int
    n_found: int
    similarity: float
    predicted: Chances

    @property
    def recall(self) -> float:
        """Share of the pairs that was found."""
        return self.n_found / self.n_pairs if self.n_pairs else 1.0

    @property
    def is_near_prediction(self) -> bool:
        """Whether chance explains the difference between what was found and what was predicted."""
        p = self.predicted.to_be_found
        return abs(self.recall - p) <= TOLERANCE + 3 * sqrt(p * (1 - p) / max(1, self.n_pairs))


@dataclass(frozen=True)
class Judgement:
    """What a store found.

    Attributes
    ----------
    levels : recall by planted similarity
    n_edges : edges of the store
    n_unrelated : edges between documents of different originals
    """

    levels: list[LevelResult]
    n_edges: int
    n_unrelated: int

    @property
    def precision(self) -> float:
        """Share of the edges that join documents of one original."""
        return 1 - self.n_unrelated / self.n_edges if self.n_edges else 1.0


def judge(
    edges: pa.Table, *, n_documents: int, seed: int, n_sample: int, parameters: DedupParameters | None = None
) -> Judgement:
    """Compare the edges of a store with what was planted in it.

    Parameters
    ----------
    edges : a, b : external ids, which are the numbers of the documents
    n_sample : pairs of each level whose exact similarity is computed
    """
    truth = planted(0, n_documents, seed=seed)
    first, second = (edges[end].to_numpy().astype(np.int64) for end in ("a", "b"))
    root = np.arange(n_documents)
    root[truth.copies] = truth.originals
    found = _packed(first, second)
    is_found = np.isin(_packed(truth.copies, truth.originals), found)
    chosen = parameters or DedupParameters()
    return Judgement(
        [_judge_level(level, truth, is_found, seed, n_sample, chosen) for level in range(len(LEVELS))],
        n_edges=first.size,
        n_unrelated=int((root[first] != root[second]).sum()),
    )


def _packed(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return one number a pair, the same in either order."""
    return np.minimum(first, second) << 32 | np.maximum(first, second)


def _judge_level(
    level: int, truth: Planted, is_found: npt.NDArray[np.bool_], seed: int, n_sample: int, parameters: DedupParameters
) -> LevelResult:
    at = np.flatnonzero(truth.levels == level)
    step = max(1, at.size // n_sample)
    exact = [
        similarity(text_of(int(truth.copies[i]), seed=seed), text_of(int(truth.originals[i]), seed=seed))
        for i in at[::step][:n_sample]
    ]
    predicted = [chances(one, parameters) for one in exact]
    return LevelResult(
        LEVELS[level],
        n_pairs=at.size,
        n_found=int(is_found[at].sum()),
        similarity=_mean(exact),
        predicted=Chances(
            _mean([one.to_meet for one in predicted]),
            _mean([one.to_pass for one in predicted]),
            _mean([one.to_be_found for one in predicted]),
        ),
    )


def similarity(one: str, other: str) -> float:
    """Return the exact Jaccard similarity of the shingles of two texts with words."""
    first, second = set(shingle_hashes(one)), set(shingle_hashes(other))
    return len(first & second) / len(first | second)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
