"""Means over seeds with t-intervals: few seeds make wide intervals, and one seed makes none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.profile.statistics import student_quantile


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes
    ----------
    mean : mean of the values
    half_width : half the width of the 95 % t-interval; None for a single value, which has none
    n : number of values
    """

    mean: float
    half_width: float | None
    n: int

    @property
    def low(self) -> float:
        """Lower end of the interval; the mean where there is none."""
        return self.mean - (self.half_width or 0.0)

    @property
    def high(self) -> float:
        """Upper end of the interval; the mean where there is none."""
        return self.mean + (self.half_width or 0.0)


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return mean and t-interval of values, one per seed; None without values.

    Notes
    -----
    half width = t(.975, n-1) · s / √n with s the standard deviation of n-1 degrees of freedom. A percentile bootstrap
    over so few seeds would cover far less than it claims.
    """
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, None, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return Estimate(mean, student_quantile(n - 1) * deviation / math.sqrt(n), n)
