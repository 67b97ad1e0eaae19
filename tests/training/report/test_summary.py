from __future__ import annotations

from typing import Any

import pytest

from provenance.store.store import Store
from training.report.data import read_results
from training.report.summary import render_text, summarise


def test_rows_hold_the_numbers_of_the_last_generation(store: Store, fake: Any) -> None:
    fake().fill(store)
    replace, quota, human = summarise(read_results(store, "demo"))
    assert (replace.arm, quota.arm, human.arm) == ("replace", "quota", "human")
    assert (quota.generation, quota.n_seeds, quota.human_share) == (4, 1, 0.5)
    values = [quota.heldout_ce, quota.tail_ce, quota.arm_entropy, quota.t1_entropy, quota.arm_vocabulary]
    assert [value.mean for value in values if value] == [5.12, 7.52, 4.80, 7.66, 184]
    assert quota.excess_ce is not None
    assert quota.excess_ce.mean == pytest.approx(5.12 - 4.99)
    assert human.excess_ce is None
    assert human.is_control


def test_the_text_fits_a_terminal(store: Store, fake: Any) -> None:
    fake().fill(store)
    text = render_text(read_results(store, "demo"))
    table = text.splitlines()[:7]
    assert table[0] == "demo: generation 4, 1 seed"
    assert max(map(len, table)) <= 80
    assert table[4].split() == ["replace", "(0", "%", "human)", "6.60", "+1.61", "10.68", "4.36", "5.23", "98", "300"]
    assert table[5].split()[-7:] == ["5.12", "+0.13", "7.52", "4.80", "7.66", "184", "1,201"]
    assert table[6].split()[-7:] == ["4.99", "control", "7.19", "8.34", "9.15", "1,321", "1,971"]
    assert len({len(line) for line in table[4:7]}) == 1  # aligned
    assert "\x1b" not in text
    assert "\u00a0" not in text


def test_seeds_give_intervals(store: Store, fake: Any) -> None:
    # Seeds 1, 2, 3 shift everything by the same amount: s = .1, t(.975, 2) = 4.30265, half width .248.
    fake(seeds=(1, 2, 3), generations=1, change=lambda m, a, seed, g, value: value + seed / 10).fill(store)
    text = render_text(read_results(store, "demo"))
    assert "3 seeds, ± half of the 95 % t-interval" in text
    assert "5.42 ± 0.25" in text
    assert "+0.14 ± 0.00" in text


def test_what_was_not_measured_is_a_dash(store: Store, fake: Any) -> None:
    fake(generations=1, change=lambda metric, *rest: None if metric == "arm_vocabulary" else rest[-1]).fill(store)
    text = render_text(read_results(store, "demo"))
    assert text.splitlines()[4].split()[-2] == "–"
    assert "– not measured" in text


def test_an_unfinished_experiment_says_so(store: Store, fake: Any) -> None:
    fake(generations=3, finished=lambda arm, seed, generation: generation < 3).fill(store)
    assert "not finished: " in render_text(read_results(store, "demo"))
