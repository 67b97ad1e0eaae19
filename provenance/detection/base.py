"""What a detector is, and how its scores become probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Scores as probabilities that a model wrote the text: 1 / (1 + exp(-(slope * score + intercept))).

    The probability is that among as many human as synthetic texts: a detector cannot know how much of a corpus models
    wrote.

    Attributes
    ----------
    slope, intercept : of the log-odds over the score; slope >= 0

    References
    ----------
    Platt: Probabilistic Outputs for Support Vector Machines, 1999, section 2.2.
    """

    slope: float
    intercept: float

    def probability(self, scores: Floats) -> Floats:
        """Return the probability of every score, (n,) in 0..1."""
        odds = np.clip(self.slope * np.asarray(scores, np.float64) + self.intercept, -500, 500)
        return np.asarray(1 / (1 + np.exp(-odds)))


@runtime_checkable
class Detector(Protocol):
    """Says of texts how probably a model wrote them.

    Attributes
    ----------
    name, version : what claims made on its word call it; another behaviour needs another version
    threshold : texts with this score or more are taken for a model's
    calibration : what scores mean as probabilities; None where nobody knows
    """

    @property
    def name(self) -> str:
        """What claims call it."""

    @property
    def version(self) -> str:
        """Changes with its behaviour."""

    @property
    def threshold(self) -> float:
        """Texts with this score or more are taken for a model's."""

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean as probabilities."""

    def score(self, texts: Sequence[str]) -> Floats:
        """Return (n_texts,) float64: the higher, the more probably a model wrote the text."""
