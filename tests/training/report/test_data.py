from __future__ import annotations

import pickle
from typing import Any

import pytest

from provenance.errors import ProvenanceError
from provenance.store.store import Store
from training.errors import UnknownExperiment
from training.report.data import read_results
from training.report.errors import NothingToReport
from training.report.wording import typed


def test_arms_stand_in_the_order_of_the_experiment_with_the_control_last(store: Store, fake: Any) -> None:
    arms = [
        {"name": "baseline", "regime": "human"},
        {"name": "half", "regime": "quota", "share": "1/2"},
        {"name": "own", "regime": "replace"},
    ]
    fake(arms=arms, generations=1).fill(store)
    results = read_results(store, "demo")
    assert [arm.name for arm in results.arms] == ["half", "own", "baseline"]
    assert results.control is not None
    assert results.control.name == "baseline"
    assert [arm.human_share for arm in results.arms] == [0.5, 0.0, 1.0]
    assert [arm.quota for arm in results.arms] == [0.5, None, None]
    assert [typed(str(arm.decoding)) for arm in results.arms] == ["T = 0.8"] * 3


def test_generation_0_belongs_to_every_arm(store: Store, fake: Any) -> None:
    fake(generations=1).fill(store)
    results = read_results(store, "demo")
    assert {results.value("heldout_ce", arm.name, 1, 0) for arm in results.arms} == {5.09}
    assert results.value("heldout_ce", "replace", 1, 1) == 5.22
    assert results.value("heldout_ce", "replace", 1, 2) is None


def test_the_excess_is_paired_by_seed(store: Store, fake: Any) -> None:
    # Seeds differ by far more than arms do; paired, their difference is the same in every seed.
    fake(seeds=(1, 2, 3), generations=1, change=lambda metric, arm, seed, generation, value: value + seed).fill(store)
    results = read_results(store, "demo")
    excess = results.excess("heldout_ce", "replace", 1)
    assert excess is not None
    assert excess.mean == pytest.approx(5.22 - 5.08)
    assert excess.half_width == pytest.approx(0, abs=1e-9)
    alone = results.mean("heldout_ce", "replace", 1)
    assert alone is not None
    assert alone.mean == pytest.approx(5.22 + 2)
    assert alone.half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # t(.975, 2) · s / √3 with s = 1


def test_metrics_of_unfinished_runs_do_not_count(store: Store, fake: Any) -> None:
    fake(generations=2, finished=lambda arm, seed, generation: generation < 2).fill(store)
    results = read_results(store, "demo")
    assert results.generations == (0, 1)
    assert results.last_generation == 1
    assert results.value("heldout_ce", "replace", 1, 2) is None


def test_arms_are_compared_where_all_of_them_have_arrived(store: Store, fake: Any) -> None:
    def finished(arm: str, seed: int, generation: int) -> bool | None:
        if seed == 2 and arm == "human" and generation > 1:
            return None
        return True

    fake(seeds=(1, 2), generations=3, finished=finished).fill(store)
    results = read_results(store, "demo")
    assert (results.last_generation, results.last_seeds) == (3, (1,))
    assert "1 of 2 seeds are finished by all arms" in results.unfinished


def test_what_is_missing_is_named(store: Store, fake: Any) -> None:
    def finished(arm: str, seed: int, generation: int) -> bool | None:
        return None if arm == "human" or seed == 3 else generation < 2

    fake(seeds=(1, 3), generations=2, finished=finished).fill(store)
    lacking = read_results(store, "demo").unfinished
    assert "replace (seed 1) is in generation 2" in lacking
    assert "human has not begun" in lacking
    assert "seed 3 has not begun" in lacking
    assert "1 of 2 generations are finished by all arms" in lacking


def test_values_that_are_no_numbers_are_not_measured(store: Store, fake: Any) -> None:
    fake(generations=1, change=lambda metric, *_: float("nan") if metric == "heldout_ce" else 1.0).fill(store)
    results = read_results(store, "demo")
    assert results.mean("heldout_ce", "replace", 1) is None
    assert results.mean("arm_entropy", "replace", 1) is not None


def test_settings_are_those_of_the_newest_run(store: Store, fake: Any) -> None:
    experiment = fake(generations=1).fill(store)
    experiment.generations = 3
    later = fake(generations=3, finished=lambda arm, seed, generation: None if generation < 2 else True)
    later.arms = [each for each in later.arms if each["name"] != "replace"]
    later.seeds = ()
    later.seeds = (1,)
    later.fill(store)
    results = read_results(store, "demo")
    assert results.config["generations"] == 3
    assert {arm.name for arm in results.arms} == {"replace", "quota", "human"}
    assert results.arms[-1].name == "human"


def test_an_unknown_experiment_names_the_nearest(store: Store, fake: Any) -> None:
    fake(generations=1).fill(store)
    with pytest.raises(UnknownExperiment, match="Did you mean 'demo'"):
        read_results(store, "dmeo")


@pytest.mark.parametrize("last", [-1, 0])
def test_an_experiment_without_finished_generations_has_nothing_to_report(store: Store, fake: Any, last: int) -> None:
    fake(generations=1, finished=lambda arm, seed, generation: generation <= last).fill(store)
    with pytest.raises(NothingToReport, match="recurse run EXPERIMENT") as caught:
        read_results(store, "demo")
    assert isinstance(caught.value, ProvenanceError)
    assert isinstance(caught.value, ValueError)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (again.experiment, again.n_begun, str(again)) == ("demo", 4, str(caught.value))
