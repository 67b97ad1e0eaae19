from __future__ import annotations

from typing import Any

import pytest

from provenance.store.store import Store
from training.report.composition import Part, all_parts, read_compositions
from training.report.data import read_results

HUMAN = Part(0, 0, "human")


def test_shares_are_of_the_budgets_unit(store: Store, fake: Any) -> None:
    fake(generations=2).fill(store)
    by_arm = {each.arm: each for each in read_compositions(store, read_results(store, "demo"))}
    quota = by_arm["quota"]
    assert quota.unit == "tokens"
    assert quota.units == {0: "words", 1: "tokens", 2: "tokens"}
    assert (quota.total(0), quota.total(1)) == (800 * 250, 100 * 400)
    assert [quota.share(g, HUMAN) for g in (0, 1, 2)] == [1.0, 0.5, 0.5]
    assert quota.share(2, Part(1, 2, "synthetic")) == 0.5
    assert by_arm["replace"].share(2, HUMAN) == 0.0
    assert by_arm["human"].share(2, HUMAN) == 1.0


@pytest.mark.parametrize(("unit", "total"), [("words", 25_000), ("bytes", 150_000), ("documents", 100)])
def test_every_unit_is_counted_in_itself(store: Store, fake: Any, unit: str, total: int) -> None:
    fake(generations=1, unit=unit).fill(store)
    compositions = read_compositions(store, read_results(store, "demo"))
    assert {each.unit for each in compositions} == {unit}
    assert {each.total(1) for each in compositions} == {total}


def test_seeds_are_averaged_not_added(store: Store, fake: Any) -> None:
    fake(seeds=(1, 2), generations=1).fill(store)
    assert {each.total(1) for each in read_compositions(store, read_results(store, "demo"))} == {40_000}


def test_parts_are_stacked_human_first_then_by_generation() -> None:
    unknown, mixed, second, first = (
        Part(3, -1, "unknown"),
        Part(2, 1, "mixed"),
        Part(1, 2, "synthetic"),
        Part(1, 1, "synthetic"),
    )
    assert sorted([unknown, mixed, second, first, HUMAN]) == [HUMAN, first, second, mixed, unknown]
    assert [part.label for part in (HUMAN, first, mixed, unknown)] == [
        "human",
        "synthetic of generation 1",
        "mixed of generation 1",
        "unknown",
    ]


def test_all_parts_are_those_that_occur(store: Store, fake: Any) -> None:
    fake(generations=2).fill(store)
    parts = all_parts(read_compositions(store, read_results(store, "demo")))
    assert [part.label for part in parts] == ["human", "synthetic of generation 1", "synthetic of generation 2"]
