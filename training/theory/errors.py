"""Three errors of which collapse is made, one at a time, and floating point beside them (Shumailov and others, 2024).

Statistical: finite samples; the error falls as one over their number. Expressivity: a model too weak for the
distribution loses at once and no more later. Approximation: an optimiser that stops early loses again in every
generation. Floating point: next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from training.learners.gaussian import GaussianLearner
from training.learners.regression import RegressionLearner
from training.theory.chains import Generation
from training.theory.checks import GENERATIONS, REPLACE, Floats, chains_of, number_documents, theory_experiment

#: Sizes of a generation for the statistical error.
SIZES = (20, 40, 80, 160, 320)
#: Generations after which it is looked at: the slope is the same after any number.
FEW = 2
#: Two components at ±2 with standard deviation .5, of which one Gaussian makes one of variance 4.25.
COMPONENT_MEAN, COMPONENT_SD = 2.0, 0.5
N_MANY = 400
#: Regression that stops early: what each generation keeps of the weights.
STEPS, RATE, N_FEATURES, N_ROWS = 15, 0.1, 3, 400


@dataclass(frozen=True)
class Outcome:
    """What an error did beside what is expected.

    Attributes
    ----------
    name, expected : what was measured, and what it should be
    seen : what it was
    low, high : between which it is taken to be as expected
    """

    name: str
    expected: float
    seen: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether it is as expected."""
        return self.low <= self.seen <= self.high


def statistical(n: int) -> list[Outcome]:
    """Return the slopes, in log-log, of the error of Gaussian and regression against the size of a generation: -1."""
    drifts, errors = [], []
    for size in SIZES:
        learners = _last({"name": "gaussian"}, size, number_documents, n, FEW)
        drifts.append(float(np.mean([cast(GaussianLearner, one).mean ** 2 for one in learners])))
        settings = {"name": "regression", "n_features": N_FEATURES, "noise": 1.0}
        fitted = _last(settings, size, _rows(1.0), n, FEW)
        truth = np.ones(N_FEATURES)
        excess = np.mean([cast(RegressionLearner, one).excess_error(truth) for one in fitted])
        errors.append(float(excess) * (size - N_FEATURES - 1) / size)  # the degrees of freedom that the fit takes
    return [
        Outcome(f"statistical, {name}: slope of the error against the sample size", -1, slope, -1.15, -0.85)
        for name, slope in (("Gaussian", _slope(drifts)), ("regression", _slope(errors)))
    ]


def expressivity(n: int) -> list[Outcome]:
    """Return what one Gaussian fitted to two components loses at generation 0, in nats, and what part of it later."""
    experiment = theory_experiment({"name": "gaussian"}, N_MANY, [REPLACE], GENERATIONS)
    found = np.array([[_excess(one) for one in made] for made in chains_of(experiment, two_components, n)])
    first, last = found[:, 0].mean(), found[:, -1].mean()
    exact = 0.5 * math.log(2 * math.pi * math.e * (COMPONENT_MEAN**2 + COMPONENT_SD**2)) - _entropy()
    name = "expressivity, one Gaussian for two components"
    return [
        Outcome(f"{name}: nats lost at generation 0", exact, float(first), 0.95 * exact, 1.05 * exact),
        Outcome(f"{name}: part of it lost later", 0, float((last - first) / first), -0.05, 0.10),
    ]


def approximation(n: int) -> list[Outcome]:
    """Return what is left of the weights where the optimiser stops early: the same part again in every generation."""
    settings: dict[str, Any] = {"name": "regression", "n_features": N_FEATURES, "noise": 0.1}
    kept = 1 - (1 - RATE) ** STEPS
    left = {}
    for steps in (STEPS, None):
        made = _last(settings | {"steps": steps, "rate": RATE}, N_ROWS, _rows(0.1), n)
        left[steps] = float(np.mean([cast(RegressionLearner, one).weights.mean() for one in made]))
    expected = kept ** (GENERATIONS + 1)
    name = f"approximation: weights left after {GENERATIONS} generations"
    return [
        Outcome(f"{name}, stopped early", expected, left[STEPS], 0.85 * expected, 1.15 * expected),
        Outcome(f"{name}, least squares", 1, left[None], 0.98, 1.02),
    ]


def floating_point(n: int) -> list[Outcome]:
    """Return by how much less rounding moves the mean than sampling does; paired by seed."""
    made = {
        precision: np.array([
            cast(GaussianLearner, one).mean
            for one in _last({"name": "gaussian", "precision": precision}, N_MANY, number_documents, n)
        ])
        for precision in ("float64", "float32", "bfloat16")
    }  # fmt: skip
    sampling = float(made["float64"].std())
    name = "its part of the error of sampling"
    return [
        Outcome(f"floating point, {precision}: {name}", 0, _distance(made, precision) / sampling, 0, most)
        for precision, most in (("float32", 1e-4), ("bfloat16", 0.2))
    ]


ERRORS: tuple[Callable[[int], list[Outcome]], ...] = (statistical, expressivity, approximation, floating_point)


def _distance(made: dict[str, Floats], precision: str) -> float:
    return float(np.sqrt(((made[precision] - made["float64"]) ** 2).mean()))


def _last(
    settings: dict[str, Any],
    size: int,
    write: Callable[[int, np.random.Generator], list[str]],
    n: int,
    generations: int = GENERATIONS,
) -> list[Any]:
    """Return the last model of `n` chains of which each generation is trained on the last one's output."""
    experiment = theory_experiment(settings, size, [REPLACE], generations)
    return [made[-1].learner for made in chains_of(experiment, write, n)]


def _slope(errors: list[float]) -> float:
    return float(np.polyfit(np.log(SIZES), np.log(errors), 1)[0])


def _rows(noise: float) -> Callable[[int, np.random.Generator], list[str]]:
    def write(n: int, rng: np.random.Generator) -> list[str]:
        features = rng.standard_normal((n, N_FEATURES))
        table = np.column_stack([features.sum(axis=1) + noise * rng.standard_normal(n), features])
        return [" ".join(map(repr, row)) for row in table.tolist()]

    return write


def two_components(n: int, rng: np.random.Generator) -> list[str]:
    """Return numbers of two components, half of each."""
    side = np.where(rng.random(n) < 0.5, -COMPONENT_MEAN, COMPONENT_MEAN)
    return [repr(float(x)) for x in side + COMPONENT_SD * rng.standard_normal(n)]


def _entropy() -> float:
    """Return the entropy of the two components, in nats, by numerical integration."""
    grid = np.linspace(-8, 8, 40_001)
    sides = np.array([[-COMPONENT_MEAN], [COMPONENT_MEAN]])
    density = np.exp(-((grid - sides) ** 2) / (2 * COMPONENT_SD**2)).mean(axis=0) / (
        COMPONENT_SD * math.sqrt(2 * math.pi)
    )
    logs = np.log(np.maximum(density, 1e-300))
    return float(-np.trapezoid(density * logs, grid))


def _excess(made: Generation) -> float:
    """Return the cross-entropy of the two components under a model beyond their entropy, in nats; exact."""
    learner = cast(GaussianLearner, made.learner)
    square = COMPONENT_MEAN**2 + COMPONENT_SD**2 + learner.mean**2
    return 0.5 * (math.log(2 * math.pi * learner.variance) + square / learner.variance) - _ENTROPY


_ENTROPY = _entropy()
