"""The categorical learner: the model is the empirical distribution of its training documents, each of them one word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from training.errors import DocumentsUnusable
from training.learners.base import Decoding
from training.learners.configs import CategoricalConfig, LearnerConfig
from training.learners.decoding import decode_rows
from training.learners.exact import ExactLearner, Floats


class CategoricalLearner(ExactLearner):
    """Counts categories; what was not drawn is gone for good."""

    name: ClassVar[str] = "categorical"
    decodes: ClassVar[tuple[str, ...]] = ("top_k", "top_p")

    def __init__(self, config: LearnerConfig, counts: dict[str, int] | None = None) -> None:
        super().__init__(config)
        self.counts: dict[str, int] = dict(sorted((counts or {}).items()))

    def learn(self, texts: Sequence[str]) -> float:
        """Count the categories."""
        odd = next((text for text in texts if len(text.split()) != 1), None)
        if odd is not None:
            raise DocumentsUnusable(f"{odd[:40]!r} is not one word")
        self.counts = dict(sorted(Counter(text.strip() for text in texts).items()))
        shares = self.shares
        return float(-(shares * np.log(shares)).sum())

    @property
    def shares(self) -> Floats:
        """Probability of every category, in the order of `counts`."""
        counts = np.array(list(self.counts.values()), dtype=np.float64)
        return np.asarray(counts / counts.sum())

    @property
    def diversity(self) -> float:
        """Probability that two draws differ, 1 - Σp² (Gini-Simpson; the heterozygosity of genetics)."""
        return float(1 - (self.shares**2).sum())

    def draw(self, n: int, decoding: Decoding, rng: np.random.Generator) -> list[str]:
        """Draw categories by inversion."""
        shares = self.shares if decoding.plain else decode_rows(self.shares[None], decoding)[0]
        names = list(self.counts)
        return [names[i] for i in draw_categories(shares, n, rng)]

    def nats(self, texts: Sequence[str]) -> Floats:
        """Return -ln p of every category, infinite for those that are not there."""
        share = dict(zip(self.counts, self.shares, strict=True))
        with np.errstate(divide="ignore"):
            return np.asarray(-np.log([share.get(text.strip(), 0.0) for text in texts]))

    @property
    def n_parameters(self) -> int:
        """Categories."""
        return len(self.counts)

    @property
    def parameters(self) -> dict[str, Any]:
        """The counts."""
        return dict(self.counts)

    @classmethod
    def read(cls, directory: Path, card: dict[str, Any]) -> Self:
        """Load what `write` wrote."""
        return cls(CategoricalConfig.model_validate(card["config"]), card["parameters"])


def draw_categories(shares: Floats, n: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Draw `n` categories by inversion of their cumulative shares, (n,) int64."""
    cumulative = np.cumsum(shares)
    drawn = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    return np.asarray(np.minimum(drawn, len(shares) - 1), np.int64)
