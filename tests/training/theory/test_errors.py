"""Each of the errors that collapse is made of does what it is known to do, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from training.theory.errors import ERRORS, Outcome

#: Slopes need many chains, the others few; seeds are fixed.
REPLICATES = {"statistical": 80, "approximation": 15, "floating_point": 20}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_each_error_is_as_expected(error: Callable[[int], list[Outcome]]) -> None:
    found = error(REPLICATES.get(error.__name__, 40))
    assert len(found) == 2
    assert [one for one in found if not one.holds] == []


def test_an_outcome_outside_its_limits_does_not_hold() -> None:
    assert not Outcome("x", 1, 2, 0.9, 1.1).holds
    assert not Outcome("x", 1, 0.5, 0.9, 1.1).holds
