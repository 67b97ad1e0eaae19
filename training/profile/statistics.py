"""Differences from the control: intervals, corrected probabilities, and when an arm has left the control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

#: Probability of a false alarm, over all metrics of an arm at one generation.
ALPHA = 0.05
#: From so many seeds on the seeds themselves say how sure a mean is.
ENOUGH_SEEDS = 3


@dataclass(frozen=True)
class WithinSeed:
    """How sure the difference of one seed is, by its documents.

    Attributes
    ----------
    error : standard error of the difference
    degrees : degrees of freedom of that error; infinity where there are many documents
    """

    error: float
    degrees: float


@dataclass(frozen=True)
class Excess:
    """How far an arm is above the control of the same generation and seed.

    Attributes
    ----------
    mean : over seeds
    error : standard error of the mean; None where nothing is known of it
    degrees : degrees of freedom of the error
    n : seeds
    by : what the error is over: `seeds`, or `documents` within each of too few seeds, which leaves out how much models
        of other seeds would differ
    """

    mean: float
    error: float | None
    degrees: float
    n: int
    by: Literal["seeds", "documents"] = "seeds"

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95 % t-interval."""
        return None if self.error is None else student_quantile(self.degrees) * self.error

    @property
    def p(self) -> float | None:
        """Probability of a difference at least so large if there were none (two-sided t-test)."""
        if self.error is None:
            return None
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return _two_sided(abs(self.mean) / self.error, self.degrees)


def excess(differences: Sequence[float], within: Sequence[WithinSeed | None] = ()) -> Excess | None:
    """Return mean and error of paired differences, one a seed; None without any.

    Parameters
    ----------
    within : what is known of each difference by itself; used only where there are fewer than three seeds
    """
    n = len(differences)
    if n == 0:
        return None
    mean = math.fsum(differences) / n
    if n >= ENOUGH_SEEDS:
        variance = math.fsum((value - mean) ** 2 for value in differences) / (n - 1)
        return Excess(mean, math.sqrt(variance / n), n - 1, n)
    known = [one for one in within if one is not None]
    if len(known) < n:
        return Excess(mean, None, 0, n)
    error = math.sqrt(math.fsum(one.error**2 for one in known)) / n
    return Excess(mean, error, _welch(known), n, "documents")


def _welch(known: Sequence[WithinSeed]) -> float:
    """Return the degrees of freedom of a sum of independent errors (Welch and Satterthwaite)."""
    total = math.fsum(one.error**2 for one in known)
    lost = math.fsum(one.error**4 / one.degrees for one in known)
    return total**2 / lost if lost else max(one.degrees for one in known)


def holm(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Return probabilities corrected for being several.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979).
    """
    corrected: dict[str, float] = {}
    worst = 0.0
    ordered = sorted(probabilities, key=lambda name: (probabilities[name], name))
    for rank, name in enumerate(ordered):
        worst = max(worst, (len(ordered) - rank) * probabilities[name])
        corrected[name] = min(1.0, worst)
    return corrected


@dataclass(frozen=True)
class Departure:
    """When a metric left the control.

    Attributes
    ----------
    generation : the first of two successive generations in which it was outside the interval on the same side
    direction : +1 above the control, -1 below
    confirmed : whether there were two; a metric that is outside in the last generation only may be back in the next
    """

    generation: int
    direction: int
    confirmed: bool = True


def departure(found: Mapping[int, tuple[Excess, float] | None], *, alpha: float = ALPHA) -> Departure | None:
    """Return when a metric left the control, None if it has not.

    Parameters
    ----------
    found : generation -> the excess and its corrected probability; None where it was not measured
    """
    outside: dict[int, int] = {}
    for generation, one in found.items():
        if one is not None and one[1] <= alpha:
            outside[generation] = 1 if one[0].mean > 0 else -1
    for generation in sorted(outside):
        if outside.get(generation + 1) == outside[generation]:
            return Departure(generation, outside[generation])
    last = max(found, default=0)
    return Departure(last, outside[last], confirmed=False) if last in outside else None


def student_quantile(degrees: float, confidence: float = 1 - ALPHA) -> float:
    """Return the quantile of Student's distribution that an interval of this confidence needs."""
    from scipy.special import ndtri, stdtrit

    at = 0.5 + confidence / 2
    return float(ndtri(at)) if math.isinf(degrees) else float(stdtrit(degrees, at))


def _two_sided(t: float, degrees: float) -> float:
    from scipy.special import ndtr, stdtr

    return 2 * float(ndtr(-t) if math.isinf(degrees) else stdtr(degrees, -t))
