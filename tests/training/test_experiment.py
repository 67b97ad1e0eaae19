from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from provenance.errors import ProvenanceError
from training.cli import shipped_experiments
from training.errors import ExperimentInvalid, UnknownField, UnknownLearner, UnknownMetric
from training.experiment import Experiment
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
    "controls": False,
    "generations": 3,
}
ONE_ARM = {"name": "a", "regime": "quota", "share": 0.5}
OPT = {"learner": {"name": "transformer"}}


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
        ({"arms": [{"name": "a", "regime": "quota"}]}, "regime quota needs a share"),
        (
            {"arms": [{"name": "a", "regime": "human", "share": 0.5}]},
            "a share is for the regimes quota and curated only",
        ),
        ({"arms": [{"name": "a", "regime": "quota", "share": 1}]}, "not between 0 and 1"),
        ({"arms": [{"name": "shared", "regime": "human"}]}, "cannot be called 'shared'"),
        ({"arms": [{"name": "a", "regime": "human"}] * 2}, "two arms have one name"),
        ({"arms": []}, "arms"),
        ({"first": {"words": 3, "tokens": 3}}, "exactly one of words, tokens and documents"),
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
        ({"heldout": None}, "give a condition"),
        ({"later": {"tokens": 3, "documents": 3}}, "exactly one of tokens and documents"),
        ({"later": {"documents": 3}}, "reads tokens"),
        ({"tokenizer": "none"}, "only it has one"),
        ({"arms": [{"name": "a", "regime": "human_only"}]}, "`of` names the quota arm"),
        ({"arms": [{"name": "a", "regime": "human_only", "of": "b"}]}, "which has no share of it"),
        ({"arms": [{"name": "a", "regime": "curated"}]}, "a filter is needed"),
        ({"arms": [{"name": "a", "regime": "curated", "filter": {}}]}, "give at least one of perplexity"),
        (
            {"arms": [{"name": "a", "regime": "curated", "filter": {"perplexity": {"low": 0.9, "high": 0.1}}}]},
            "not below",
        ),
        ({"arms": [{"name": "a", "regime": "replace", "human_loss_weight": 2}]}, "needs human and synthetic text"),
        ({"arms": [ONE_ARM | {"human_loss_weight": 0}]}, "not above 0"),
        ({"arms": [ONE_ARM | {"human_loss_weight": "best"}]}, "human_loss_weight"),
        ({"prompt_tokens": 3}, "need prompt_source human or previous"),
        ({"decoding": {"beams": 3}}, "knows no beam search"),
        (OPT | {"decoding": {"beams": 3}}, "one text again and again"),
        ({"keep": "some"}, "keep"),
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


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UnknownMetric, match="Did you mean 'heldout_ce'"):
        Experiment.from_mapping(_with(metrics=["heldout_ec"]))
    assert Experiment.from_mapping(_with(metrics=["heldout_ce"])).metrics == ("heldout_ce",)


def test_controls_are_added_unless_they_are_written_out() -> None:
    arms = [{"name": "q", "regime": "quota", "share": 0.5}, {"name": "r", "regime": "replace"}]
    added = Experiment.from_mapping(_with(arms=arms, controls=True)).arms[2:]
    assert [(arm.name, arm.regime, arm.of) for arm in added] == [
        ("human", "human", None),
        ("human-only-q", "human_only", "q"),
    ]
    own = [{"name": "people", "regime": "human"}, {"name": "half", "regime": "human_only", "of": "q"}]
    assert len(Experiment.from_mapping(_with(arms=[*arms, *own], controls=True)).arms) == 4
    experiment = Experiment.from_mapping(_with(arms=arms, controls=True))
    assert Experiment.from_mapping(experiment.as_mapping()) == experiment
    assert Experiment(**_with(arms=experiment.arms, controls=True)) == experiment


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
    assert "human" in {arm.regime for arm in experiment.arms}
    if experiment.corpus == "source = 'annual-messages'":
        assert yaml.safe_load(path.read_text())["heldout"].count("-1'") == 16
    assert experiment.description and path.read_text().startswith("# ")


def test_seeds_of_steps_are_unrelated_and_repeatable() -> None:
    assert derive_seed(1, "fit", 2) == derive_seed(1, "fit", 2)
    seeds = {derive_seed(s, "a", g) for s in range(20) for g in range(20)} | {
        derive_seed(1, "1", 12),
        derive_seed(1, "11", 2),
    }
    assert len(seeds) == 402
    assert all(0 <= seed < 2**31 for seed in seeds)
