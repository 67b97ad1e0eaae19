"""Runs that never ran: every metric of the profile drawn from a normal distribution, with an effect where wanted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.metrics.registry import profile_metrics
from training.report.data import Arm, Results, Run

#: metric, generation -> by how much the arm is off
Effect = Callable[[str, int], float]


def nothing(metric: str, generation: int) -> float:
    """Return no effect."""
    return 0.0


def simulated(
    rng: np.random.Generator,
    *,
    seeds: int = 3,
    generations: int = 4,
    effect: Effect = nothing,
    persistent: bool = False,
    decodings: tuple[str, str] = ("T = 0.8", "T = 0.8"),
) -> Results:
    """Return an arm and its control whose metrics differ by chance (sd √2), or by an effect besides.

    Parameters
    ----------
    persistent : what chance does to a seed stays over all generations, as a badly begun model stays bad
    """
    metrics = [metric.name for metric in profile_metrics()]
    runs = [Run("shared", seed, 0, True, "first", "first", None, dict.fromkeys(metrics, 0.0)) for seed in range(seeds)]
    for arm in ("arm", "human"):
        noise = rng.normal(size=(generations, seeds, len(metrics)))
        if persistent:
            noise[:] = noise[0]
        for generation in range(1, generations + 1):
            for seed in range(seeds):
                values = {
                    name: noise[generation - 1, seed, at] + 10 * seed + (arm == "arm") * effect(name, generation)
                    for at, name in enumerate(metrics)
                }
                runs.append(Run(arm, seed, generation, True, "set", "model", None, values))
    arms = (
        Arm("arm", "replace", False, 0.0, None, decodings[0]),
        Arm("human", "human", True, 1.0, None, decodings[1]),
    )
    return Results("simulated", {}, arms, tuple(runs))
