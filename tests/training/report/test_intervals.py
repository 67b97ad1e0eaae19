from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from training.report.intervals import estimate


def test_the_interval_is_students() -> None:
    # mean 2.5, s = 1.29099 of three degrees of freedom, t(.975, 3) = 3.18245 from a printed table
    found = estimate([1.0, 2.0, 3.0, 4.0])
    assert found is not None
    assert found.mean == 2.5
    assert found.half_width == pytest.approx(3.18245 * 1.2909944 / 2, rel=1e-5)
    assert (found.low, found.high) == pytest.approx((0.44573, 4.55427), rel=1e-4)
    assert found.n == 4


def test_two_values_have_the_widest_interval() -> None:
    found = estimate([5.0, 5.1])
    assert found is not None
    assert found.half_width == pytest.approx(12.7062 * 0.0707107 / math.sqrt(2), rel=1e-4)


def test_one_value_has_no_interval() -> None:
    found = estimate([5.0])
    assert found is not None
    assert (found.mean, found.half_width, found.n) == (5.0, None, 1)
    assert (found.low, found.high) == (5.0, 5.0)


def test_no_values_are_no_estimate() -> None:
    assert estimate([]) is None


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8))
def test_the_interval_is_that_of_scipy(values: list[float]) -> None:
    found = estimate(values)
    assert found is not None
    spread = stats.sem(values)
    if spread > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=found.mean, scale=spread)
        assert (found.low, found.high) == pytest.approx((low, high))
    else:
        assert found.half_width == pytest.approx(0, abs=1e-6)
