from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from provenance.errors import ProvenanceError
from training.cli import shipped_experiments
from training.errors import ExperimentInvalid, UnknownField, UnknownLearner
from training.experiment import Experiment
from training.mixes import first_mix, heldout_mix, later_mix
from training.seeds import derive_seed

BASE: dict[str, Any] = {
    "name": "x",
    "corpus": "source = 'books'",
    "heldout": "title = 'a'",
    "learner": {"name": "ngram"},
    "first": {"words": 100},
    "later": {"tokens": 50},
    "arms": [
        {"name": "replace", "regime": "replace"},
        {"name": "seventh", "regime": "quota", "share": 0.07},
        {"name": "fixed", "regime": "quota", "share": 0.5, "human": "fixed"},
        {"name": "human", "regime": "human"},
    ],
    "generations": 3,
}


def _with(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(BASE), **changes}


def test_share_is_the_decimal_that_was_written() -> None:
    experiment = Experiment.from_mapping(BASE)
    assert experiment.arms[1].share == Fraction(7, 100)
    assert [arm.human_share for arm in experiment.arms] == [0, Fraction(7, 100), Fraction(1, 2), 1]


def test_settings_survive_being_stored() -> None:
    experiment = Experiment.from_mapping(BASE)
    assert Experiment.from_mapping(experiment.as_mapping()) == experiment


@pytest.mark.parametrize(
    ("changes", "field", "nearest"),
    [
        ({"generation": 3}, "generation", "generations"),
        ({"learner": {"name": "transformer", "witdh": 64}}, "witdh", "width"),
        ({"first": {"word": 3}}, "word", "words"),
        ({"decoding": {"temprature": 1}}, "temprature", "temperature"),
        ({"arms": [{"name": "a", "regim": "replace"}]}, "regim", "regime"),
        ({"tokenizer": {"vocabsize": 300}}, "vocabsize", "vocab_size"),
        ({"evaluation": {"token": 5}}, "token", "tokens"),
    ],
)
def test_unknown_field_is_refused_and_the_nearest_named(changes: dict[str, Any], field: str, nearest: str) -> None:
    with pytest.raises(UnknownField, match=f"unknown field '{field}', the nearest known one is '{nearest}'"):
        Experiment.from_mapping(_with(**changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arms": [{"name": "a", "regime": "quota"}]}, "a share is needed"),
        ({"arms": [{"name": "a", "regime": "human", "share": 0.5}]}, "a share is needed by regime quota"),
        ({"arms": [{"name": "a", "regime": "quota", "share": 1}]}, "not between 0 and 1"),
        ({"arms": [{"name": "shared", "regime": "human"}]}, "cannot be called 'shared'"),
        ({"arms": [{"name": "a", "regime": "human"}] * 2}, "two arms have one name"),
        ({"arms": []}, "arms"),
        ({"first": {"words": 3, "tokens": 3}}, "exactly one of words and tokens"),
        ({"first": {"tokens": 3}}, "give words"),
        ({"later": {"tokens": 3, "init": "previous"}}, "knows scratch"),
        ({"learner": {"name": "transformer"}, "later": {"tokens": 3, "init": "pretrained"}}, "needs learner.model"),
        ({"tokenizer": "own"}, "only it has one"),
        ({"learner": {"name": "transformer", "model": "facebook/opt-125m"}}, "needs its own tokenizer"),
        ({"learner": {"name": "transformer", "width": 10}}, "no multiple of n_heads"),
        ({"learner": {}}, "learner.name"),
        ({"seeds": [1, 1]}, "stands there twice"),
        ({"seeds": [-1]}, "negative"),
        ({"decoding": {"temperature": 0}}, "greater than 0"),
        ({"name": "a b"}, "name"),
        ({"generations": 0}, "generations"),
    ],
)
def test_contradictions_are_refused_with_their_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ExperimentInvalid, match=reason) as caught:
        Experiment.from_mapping(_with(**changes), origin="x.yaml")
    assert isinstance(caught.value, ProvenanceError) and isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_unknown_learner_names_the_nearest() -> None:
    with pytest.raises(UnknownLearner, match="Did you mean 'ngram'"):
        Experiment.from_mapping(_with(learner={"name": "n-gram"}))


def test_unreadable_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    for name, reason in [("list", "expected a mapping"), ("broken", "no YAML"), ("absent", "cannot be read")]:
        with pytest.raises(ExperimentInvalid, match=reason) as caught:
            Experiment.from_yaml(tmp_path / f"{name}.yaml")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", shipped_experiments())
def test_shipped_experiments_are_valid(name: str) -> None:
    path = Path(__file__).parents[2] / "training" / "experiments" / f"{name}.yaml"
    experiment = Experiment.from_yaml(path)
    assert experiment.name == name
    assert {"replace", "human"} <= {arm.regime for arm in experiment.arms}
    assert yaml.safe_load(path.read_text())["heldout"].count("-1'") == 16


# ---------------------------------------------------------------- arms as mixes


def test_heldout_is_all_human_text_of_its_condition() -> None:
    spec = heldout_mix(Experiment.from_mapping(BASE))
    assert spec.budget.amount is None and spec.duplicates == "all"
    assert spec.where == "(source = 'books') AND (title = 'a') AND origin = 'human'"


def test_nothing_that_resembles_heldout_text_is_trained_on() -> None:
    experiment = Experiment.from_mapping(BASE)
    specs = [first_mix(experiment, seed=1)]
    specs += [later_mix(experiment, arm, seed=1, generation=2) for arm in experiment.arms]
    for spec in specs:
        assert spec.exclude.training_sets == ("x.heldout",) and spec.exclude.clusters and spec.exclude.spans == 13


def test_each_regime_says_what_it_is_in_its_mix() -> None:
    experiment = Experiment.from_mapping(BASE)
    replace, seventh, _, human = (later_mix(experiment, arm, seed=4, generation=2) for arm in experiment.arms)
    assert replace.where == "source = 'x.replace.s4.g1' AND model = 'x.replace.s4.g1'" and not replace.quotas
    assert human.where == "(source = 'books') AND origin = 'human'"
    assert [quota.min for quota in human.quotas] == [1]
    [quota] = seventh.quotas
    assert quota.where == "origin = 'human'" and quota.min == Fraction(7, 100)
    assert quota.not_used_by == ("x.shared.s4.g0", "x.seventh.s4.g1")
    assert seventh.weights.columns == {"origin": {"human": Fraction(7, 100), "synthetic": Fraction(93, 100)}}
    assert "model = 'x.seventh.s4.g1'" in str(seventh.where)
    assert later_mix(experiment, experiment.arms[0], seed=4, generation=1).where == (
        "source = 'x.shared.s4.g0' AND model = 'x.shared.s4.g0'"
    )


def test_fresh_draws_anew_and_fixed_draws_the_same() -> None:
    experiment = Experiment.from_mapping(BASE)
    fresh = [later_mix(experiment, experiment.arms[1], seed=1, generation=g) for g in (1, 2)]
    fixed = [later_mix(experiment, experiment.arms[2], seed=1, generation=g) for g in (1, 2)]
    assert fresh[0].seed != fresh[1].seed and fixed[0].seed == fixed[1].seed
    assert fixed[0].quotas == fixed[1].quotas


def test_seeds_of_steps_are_unrelated_and_repeatable() -> None:
    assert derive_seed(1, "fit", 2) == derive_seed(1, "fit", 2)
    seeds = {derive_seed(s, "a", g) for s in range(20) for g in range(20)} | {
        derive_seed(1, "1", 12),
        derive_seed(1, "11", 2),
    }
    assert len(seeds) == 402
    assert all(0 <= seed < 2**31 for seed in seeds)
