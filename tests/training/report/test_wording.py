from __future__ import annotations

import pytest

from training.report.intervals import Estimate
from training.report.wording import compact, estimated, listed, number, percent, typed


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (5.123, 2, False, "5.12"),
        (1201, 0, False, "1,201"),
        (0.131, 2, True, "+0.13"),
        (-0.131, 2, True, "−0.13"),
        (-0.001, 2, True, "0.00"),
        (0.001, 2, True, "0.00"),
        (None, 2, False, "–"),
    ],
)
def test_numbers(value: float | None, digits: int, signed: bool, text: str) -> None:
    assert number(value, digits, signed=signed) == text


def test_an_interval_follows_its_mean() -> None:
    assert typed(estimated(Estimate(5.123, 0.0251, 3), 2)) == "5.12 ± 0.03"
    assert estimated(Estimate(5.123, None, 1), 2) == "5.12"
    assert estimated(None, 2) == "–"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.5, "50 %"), (0.0, "0 %"), (1.0, "100 %"), (0.001, "<1 %"), (0.9999, ">99 %"), (-0.3, "−30 %"), (None, "–")],
)
def test_a_share_is_nothing_or_everything_only_when_it_is(share: float | None, text: str) -> None:
    assert typed(percent(share)) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (950, "950"),
        (999.6, "1k"),
        (1_250, "1.2k"),
        (40_000, "40k"),
        (999_600, "1M"),
        (1_300_000, "1.3M"),
        (2e9, "2G"),
    ],
)
def test_counts_are_short(count: float, text: str) -> None:
    assert compact(count) == text


def test_lists() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
