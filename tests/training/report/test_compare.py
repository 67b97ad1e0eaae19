from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.store.store import Store
from training.cli import main
from training.compare import as_mapping, compare, last_rows, table
from training.errors import UnknownArm, UnknownExperiment, UnknownFormat
from training.metrics.registry import METRICS
from training.metrics_export import format_of
from training.report.wording import probability

VALUES = {
    "heldout_ce": {"replace": [5.0, 5.5, 6.0], "quota": [5.0, 5.1, 5.2], "human": [5.0, 5.0, 5.0]},
    "arm_entropy": {"replace": [8.0, 7.0, 6.0], "quota": [8.0, 7.8, 7.6], "human": [8.0, 8.0, 8.0]},
    "fit_tokens": {"replace": [1.0, 2.0, 3.0]},
    "arm_gen0_nll_bin_3": {"replace": [1.0, 1.0, 1.0]},
}


@pytest.fixture
def two(store: Store, fake: Callable[..., Any]) -> Store:
    """Return a store with experiments `one` (seeds 1, 2, 3) and `other` (seeds 2, 3, 4; no human arm; hotter)."""
    settings: dict[str, Any] = {"generations": 2, "values": VALUES}
    fake(
        name="one",
        seeds=(1, 2, 3),
        change=lambda m, arm, seed, g, v: v + seed + (arm == "quota") * seed / 100,
        **settings,
    ).fill(store)
    arms = [{"name": "replace", "regime": "replace"}, {"name": "extra", "regime": "replace"}]
    config = {"decoding": {"temperature": 1.2}}
    fake(
        name="other", seeds=(2, 3, 4), arms=arms, config=config,
        change=lambda m, arm, seed, g, v: v + seed + 0.5 + seed / 1000, **settings,
    ).fill(store)  # fmt: skip
    return store


def test_arms_of_an_experiment_are_paired_by_seed(two: Store) -> None:
    found = compare(two, "one/replace", "one/quota")
    assert (found.first, found.second, found.only) == ("one/replace", "one/quota", ((), ()))
    assert [(s.name, s.first, s.second) for s in found.settings] == [
        ("arm.regime", "replace", "quota"),
        ("arm.share", "not set", "1/2"),
    ]
    rows = {(row.generation, row.metric.name): row for row in found.differences}
    # Generation 0 is the same model; what says how a run went, and bins, are no findings.
    assert set(rows) == {(g, name) for g in (1, 2) for name in ("heldout_ce", "arm_entropy")}
    loss = rows[2, "heldout_ce"]
    assert (loss.first.mean, loss.second.mean) == pytest.approx((8.0, 7.22))
    assert loss.difference is not None
    # -.8 + .01, .02, .03: the seeds' own levels, 1 apart, are gone.
    assert loss.difference.mean == pytest.approx(-0.78)
    assert loss.difference.half_width == pytest.approx(4.302653 * 0.01 / 3**0.5)
    assert loss.corrected == pytest.approx(2 * (loss.difference.p or 0), rel=1)
    assert {row.generation for row in last_rows(found)} == {2}


def test_experiments_are_compared_in_the_arms_and_seeds_they_share(two: Store) -> None:
    found = compare(two, "one", "other")
    assert found.only == (("quota", "human"), ("extra",))
    assert "decoding.temperature" in {setting.name for setting in found.settings}
    assert "name" not in {setting.name for setting in found.settings}
    (loss,) = [row for row in last_rows(found) if row.metric.name == "heldout_ce"]
    assert loss.arms == ("replace", "replace")
    assert loss.difference is not None
    assert (loss.difference.n, loss.difference.half_width, loss.corrected) == (2, None, None)  # seeds 2 and 3
    assert loss.difference.mean == pytest.approx(0.5 + 0.0025)
    assert 0 in {row.generation for row in found.differences}  # not the same model here
    assert compare(two, "one", "one").settings == ()


def test_an_arm_is_looked_for_in_the_other_experiment_too(two: Store) -> None:
    assert {row.arms for row in compare(two, "one/replace", "other").differences} == {("replace", "replace")}
    with pytest.raises(UnknownArm, match="has no arm 'quota'"):
        compare(two, "one/quota", "other")


def test_tables_show_the_arm_and_the_generation_only_where_they_differ(two: Store) -> None:
    found = compare(two, "one/replace", "one/quota")
    heads, lines = table(found, last_rows(found))
    assert heads == ["metric", "unit", "one/replace", "one/quota", "difference", "p (Holm)"]
    assert lines[0][:5] == ["heldout_ce", "nats per token", "8.00 ± 2.48", "7.22 ± 2.51", "−0.78 ± 0.02"]
    heads, lines = table(found, found.differences)
    assert heads[0] == "generation"
    assert [line[0] for line in lines] == ["1", "1", "2", "2"]


def test_a_comparison_is_plain_data(two: Store) -> None:
    plain = json.loads(json.dumps(as_mapping(compare(two, "one", "other"))))
    assert plain["only_second"] == ["extra"]
    assert {row["metric"] for row in plain["differences"]} <= set(METRICS)
    assert all(isinstance(row["n_seeds"], int) for row in plain["differences"])


@pytest.mark.parametrize(
    ("names", "error", "said"),
    [
        (("one/replce", "one/quota"), UnknownArm, "Did you mean 'replace'"),
        (("on", "other"), UnknownExperiment, "Did you mean 'one'"),
        (("one", "nothing/alike"), UnknownExperiment, "'nothing'"),
    ],
)
def test_names_that_are_not_there(two: Store, names: tuple[str, str], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        compare(two, *names)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (type(again), str(again), vars(again)) == (error, str(caught.value), vars(caught.value))


def test_an_unknown_format_names_the_nearest() -> None:
    assert format_of("csv") == "csv"
    with pytest.raises(UnknownFormat, match="Did you mean 'tensorboard'") as caught:
        format_of("tensorbord")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert str(again) == str(caught.value)


@pytest.mark.parametrize(("p", "text"), [(0.0, "<0.001"), (0.0123, "0.012"), (0.5, "0.50"), (1.0, "1.00")])
def test_a_probability_is_never_nothing(p: float, text: str) -> None:
    assert probability(p) == text


def test_the_commands(two: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two.close()

    def recurse(*arguments: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main([*(str(one) for one in arguments), "--store", str(two.path)])
        return int(ended.value.code or 0)

    assert recurse("compare", "one/replace", "one/quota") == 0
    assert "p (Holm)" in capsys.readouterr().out
    assert recurse("compare", "one", "other", "--json", "--all") == 0
    assert json.loads(capsys.readouterr().out)["only_first"] == ["quota", "human"]
    assert recurse("compare", "one", "one/nobody") == 1
    assert capsys.readouterr().err.startswith("recurse: Experiment 'one' has no arm 'nobody'")
    assert recurse("metrics", "one", "--out", tmp_path / "m.csv") == 0
    assert (tmp_path / "m.csv").stat().st_size > 0
    assert recurse("metrics", "one", "--format", "tensorboard", "--out", tmp_path / "tb", "--json") == 0
    assert json.loads(capsys.readouterr().out)["format"] == "tensorboard"
    assert recurse("metrics", "one", "--format", "xlsx", "--out", tmp_path / "m.xlsx") == 1
