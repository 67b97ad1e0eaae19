"""The Gaussian learner: mean and variance of its training documents, each of them one number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np

from training.errors import DocumentsUnusable
from training.learners.base import Decoding
from training.learners.configs import GaussianConfig, LearnerConfig
from training.learners.exact import ExactLearner, Floats, as_text, numbers_in


class GaussianLearner(ExactLearner):
    """A normal distribution. Fitted to data of two components it loses them at once: that is its expressivity error."""

    name: ClassVar[str] = "gaussian"

    def __init__(self, config: LearnerConfig, mean: float = 0.0, variance: float = 1.0) -> None:
        super().__init__(config)
        self.mean = mean
        self.variance = variance

    def learn(self, texts: Sequence[str]) -> float:
        """Estimate mean and variance; the variance by maximum likelihood, or without bias."""
        config = cast(GaussianConfig, self.config)
        values = numbers_in(texts, 1)[:, 0]
        free = int(config.variance == "unbiased")
        if len(values) <= free:
            raise DocumentsUnusable("one number has no variance; at least two are needed")
        values = np.sort(values)  # sums depend on the order of what is added, a model must not
        found = rounded(np.array([values.mean(), values.var(ddof=free)]), config.precision)
        self.mean, self.variance = found.tolist()
        if self.variance == 0:
            raise DocumentsUnusable("all numbers are the same: a variance of 0 is no distribution")
        return float(self._nats(values).mean())

    def draw(self, n: int, decoding: Decoding, rng: np.random.Generator) -> list[str]:
        """Draw numbers; temperature t takes the density to the power 1/t, that is the variance times t."""
        values = self.mean + math.sqrt(self.variance * decoding.temperature) * rng.standard_normal(n)
        return [as_text(value) for value in rounded(values, cast(GaussianConfig, self.config).precision)]

    def nats(self, texts: Sequence[str]) -> Floats:
        """Return the negative log-density of every number."""
        return self._nats(numbers_in(texts, 1)[:, 0]) if texts else np.zeros(0)

    def _nats(self, values: Floats) -> Floats:
        squares = (values - self.mean) ** 2 / self.variance
        return np.asarray(0.5 * (math.log(2 * math.pi * self.variance) + squares))

    @property
    def n_parameters(self) -> int:
        """Mean and variance."""
        return 2

    @property
    def parameters(self) -> dict[str, Any]:
        """Mean and variance."""
        return {"mean": self.mean, "variance": self.variance}

    @classmethod
    def read(cls, directory: Path, card: dict[str, Any]) -> Self:
        """Load what `write` wrote."""
        return cls(GaussianConfig.model_validate(card["config"]), **card["parameters"])


def rounded(values: Floats, precision: str) -> Floats:
    """Return numbers rounded to the nearest that a format holds, ties to even.

    Parameters
    ----------
    precision : float64, float32, or bfloat16: the upper half of a float32, 8 bits of mantissa
    """
    if precision == "float64":
        return values
    single = np.asarray(values, np.float32)
    if precision == "bfloat16":
        bits = single.view(np.uint32)
        single = ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).astype(np.uint32).view(np.float32)
    return single.astype(np.float64)
