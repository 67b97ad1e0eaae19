"""The regression learner: least squares without intercept on documents `y x1 … xd`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np

from training.errors import DocumentsUnusable
from training.learners.base import Decoding
from training.learners.configs import LearnerConfig, RegressionConfig
from training.learners.exact import ExactLearner, Floats, as_text, numbers_in


class RegressionLearner(ExactLearner):
    """Linear regression with isotropic features and Gaussian noise (Gerstgrasser and others, arXiv 2404.01413)."""

    name: ClassVar[str] = "regression"

    def __init__(self, config: LearnerConfig, weights: Sequence[float] | None = None) -> None:
        super().__init__(config)
        self.weights: Floats = np.zeros(self._config.n_features) if weights is None else np.array(weights, float)

    @property
    def _config(self) -> RegressionConfig:
        return cast(RegressionConfig, self.config)

    def learn(self, texts: Sequence[str]) -> float:
        """Estimate the weights."""
        rows = numbers_in(texts, 1 + self._config.n_features)
        if len(rows) < self._config.n_features:
            raise DocumentsUnusable(f"{len(rows)} rows do not determine {self._config.n_features} weights")
        rows = rows[np.lexsort(rows.T)]  # sums depend on the order of what is added, a model must not
        self.weights = self._estimated(rows[:, 1:], rows[:, 0])
        return float(self._nats(rows).mean())

    def _estimated(self, features: Floats, targets: Floats) -> Floats:
        """Return the weights by least squares, or by so many steps of gradient descent from zero."""
        if self._config.steps is None:
            return np.asarray(np.linalg.lstsq(features, targets, rcond=None)[0], np.float64)
        weights = np.zeros(self._config.n_features)
        for _ in range(self._config.steps):
            weights = weights + self._config.rate * features.T @ (targets - features @ weights) / len(targets)
        return weights

    def draw(self, n: int, decoding: Decoding, rng: np.random.Generator) -> list[str]:
        """Draw features, and y from them; temperature t multiplies the variance of the noise by t."""
        features = rng.standard_normal((n, self._config.n_features))
        noise = self._config.noise * math.sqrt(decoding.temperature) * rng.standard_normal(n)
        return [as_text(y, *x) for y, x in zip(features @ self.weights + noise, features, strict=True)]

    def nats(self, texts: Sequence[str]) -> Floats:
        """Return the negative log-density of every y given its features."""
        return self._nats(numbers_in(texts, 1 + self._config.n_features)) if texts else np.zeros(0)

    def _nats(self, rows: Floats) -> Floats:
        variance = self._config.noise**2
        residuals = rows[:, 0] - rows[:, 1:] @ self.weights
        return np.asarray(0.5 * (math.log(2 * math.pi * variance) + residuals**2 / variance))

    def excess_error(self, truth: Floats) -> float:
        """Return the expected squared error on fresh data beyond that of the true weights: ‖w - w*‖²."""
        return float(((self.weights - truth) ** 2).sum())

    @property
    def n_parameters(self) -> int:
        """Weights."""
        return self._config.n_features

    @property
    def parameters(self) -> dict[str, Any]:
        """The weights."""
        return {"weights": self.weights.tolist()}

    @classmethod
    def read(cls, directory: Path, card: dict[str, Any]) -> Self:
        """Load what `write` wrote."""
        return cls(RegressionConfig.model_validate(card["config"]), **card["parameters"])
