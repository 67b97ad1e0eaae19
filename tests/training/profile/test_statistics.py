from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from training.profile.statistics import (
    Departure,
    Excess,
    WithinSeed,
    departure,
    excess,
    holm,
    student_quantile,
)


def test_three_seeds_give_the_t_test_of_the_books() -> None:
    rng = np.random.default_rng(1)
    for n in (3, 4, 7):
        differences = rng.normal(0.4, 1, size=n)
        found = excess(list(differences))
        assert found is not None and found.by == "seeds"
        reference = stats.ttest_1samp(differences, 0)
        assert found.p == pytest.approx(reference.pvalue)
        low, high = reference.confidence_interval(0.95)
        assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high))


def test_fewer_seeds_take_what_is_known_within_each() -> None:
    two = excess([1.0, 3.0], [WithinSeed(0.3, 15), WithinSeed(0.4, 15)])
    assert two is not None and (two.mean, two.by) == (2.0, "documents")
    assert two.error == pytest.approx(0.25)  # √(.09 + .16) / 2
    assert two.degrees == pytest.approx(0.25**2 / (0.09**2 / 15 + 0.16**2 / 15))  # Welch
    one = excess([1.0], [WithinSeed(0.5, math.inf)])
    assert one is not None and one.p == pytest.approx(2 * stats.norm.sf(2))
    assert one.half_width == pytest.approx(0.5 * stats.norm.ppf(0.975))


def test_one_seed_alone_has_no_interval() -> None:
    for found in (excess([1.0]), excess([1.0, 2.0]), excess([1.0, 2.0], [WithinSeed(1, 9), None])):
        assert found is not None and (found.error, found.half_width, found.p) == (None, None, None)
    assert excess([]) is None


def test_seeds_that_agree_exactly() -> None:
    for value, p in ((0.0, 1.0), (0.5, 0.0)):
        found = excess([value] * 3)
        assert found is not None and found.p == p


def test_holm_by_hand() -> None:
    # .01·4, .03·3, max(.04·2, .09), max(.5, ...)
    found = holm({"a": 0.03, "b": 0.01, "c": 0.5, "d": 0.04})
    assert found == pytest.approx({"b": 0.04, "a": 0.09, "d": 0.09, "c": 0.5})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}
    assert holm({}) == {}


@pytest.mark.parametrize("seed", range(3))
def test_holm_rejects_what_its_definition_rejects(seed: int) -> None:
    p = dict(enumerate(np.random.default_rng(seed).beta(0.3, 3, size=12)))
    corrected = holm({str(name): value for name, value in p.items()})
    for alpha in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, name in enumerate(sorted(p, key=lambda n: p[n])):
            if p[name] > alpha / (len(p) - rank):
                break
            rejected.add(str(name))
        assert rejected == {name for name, value in corrected.items() if value <= alpha}


def test_quantiles() -> None:
    assert student_quantile(2) == pytest.approx(4.302653, rel=1e-6)
    assert student_quantile(math.inf) == pytest.approx(1.959964, rel=1e-6)


def _seen(*signs: int | None) -> dict[int, tuple[Excess, float] | None]:
    """Return findings by generation from 1 on: 0 inside, ±1 outside, None not measured."""
    return {
        at: None if sign is None else (Excess(float(sign or 0.1), 0.1, 2, 3), 0.01 if sign else 0.5)
        for at, sign in enumerate(signs, start=1)
    }


@pytest.mark.parametrize(
    ("signs", "left"),
    [
        ((0, 0, 0), None),
        ((0, 1, 1), Departure(2, 1)),
        ((1, 0, 1, 1), Departure(3, 1)),
        ((-1, -1, 0), Departure(1, -1)),
        ((1, -1, 0), None),  # once on either side is nowhere twice
        ((1, -1, -1), Departure(2, -1)),
        ((1, None, 1, 0), None),
        ((0, 0, 1), Departure(3, 1, confirmed=False)),
        ((0, 1, 0), None),
        ((), None),
    ],
)
def test_leaving_takes_two_generations_on_one_side(signs: tuple[int | None, ...], left: Departure | None) -> None:
    assert departure(_seen(*signs)) == left


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    n = 4000
    covered = 0
    for differences in rng.normal(0.7, 0.2, size=(n, 3)):
        found = excess(list(differences))
        assert found is not None and found.half_width is not None
        covered += abs(found.mean - 0.7) <= found.half_width
    assert abs(covered / n - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n)
