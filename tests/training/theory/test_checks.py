"""Every prediction holds at a stated number of replicates, and a wrong sampler does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from training.theory.checks import CHECKS, MOST_Z, MUTANTS, Check, K, check_gaussian, check_quota

REPLICATES = 100


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_predictions_hold(check: Callable[[int], list[Check]]) -> None:
    found = check(REPLICATES)
    assert {one.n for one in found} <= set(range(REPLICATES // 2, REPLICATES + 1))
    assert [one for one in found if not one.holds] == []
    assert all(one.error > 0 for one in found)


@pytest.mark.parametrize("wrong", ["half", "fixed"])
def test_wrong_samplers_are_rejected(wrong: str) -> None:
    assert any(not one.holds for one in check_quota(REPLICATES, wrong=wrong, sizes=(K,)))


def test_a_bound_is_broken_from_above_only() -> None:
    below, above = (Check("x", 1.0, seen, 0.1, 10, is_bound=True) for seen in (0.0, 2.0))
    assert below.holds and below.z == 0
    assert not above.holds and above.z == pytest.approx(10) and above.z > MOST_Z


def test_every_mutant_has_a_name() -> None:
    assert len(MUTANTS) == 4
    assert check_gaussian(3, wrong="half")[0].n == 3
