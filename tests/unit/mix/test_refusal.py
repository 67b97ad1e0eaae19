from __future__ import annotations

import json
import pickle
from fractions import Fraction

import pytest

from provenance.mix.errors import InfeasibleMix, render_refusal
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from tests.unit.mix.corpus import add_documents, document


def refusal(store, quotas, budget):
    with pytest.raises(InfeasibleMix) as caught:
        make_training_set(store, MixSpec(name="m", budget=budget, quotas=quotas))
    error = caught.value
    assert isinstance(error, ValueError)
    assert store.fetch("SELECT count(*) AS n FROM training_set_item")["n"][0].as_py() == 0
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), again.conflict) == (str(error), error.conflict)
    assert json.loads(json.dumps(error.as_mapping()))["largest_budget"] == error.largest_budget
    assert render_refusal(error).startswith("Refused")
    return error


def human(share, **more):
    return {"name": "human", "where": "origin = 'human'", "min": share, **more}


def test_too_little_human_text(store):
    error = refusal(store, [human(0.6)], {"words": 20_000})
    [missing] = error.conflict
    assert (missing.quota, missing.bound, missing.needed, missing.available) == ("human", "min", 12_000, 9945)
    assert error.largest_budget == 16_575  # 9945 / .6
    change, repeats = error.changes
    assert change.to == Fraction(497, 1000)
    assert (repeats.bound, repeats.to) == ("repeats", 2)
    assert "raise repeats.max from 1 to 2" in render_refusal(error)
    make_training_set(store, MixSpec(name="twice", budget={"words": 20_000}, quotas=[human(0.6)], repeats={"max": 2}))
    make_training_set(store, MixSpec(name="less", budget={"words": error.largest_budget}, quotas=[human(0.6)]))
    make_training_set(store, MixSpec(name="eased", budget={"words": 20_000}, quotas=[human(float(change.to))]))


def test_a_budget_beyond_the_store(store):
    error = refusal(store, [human(0.6)], {"words": 30_000})
    assert error.reason == "budget"
    assert (error.available, error.largest_budget) == (27_013, 16_575)
    assert error.conflict[0].available == 9945
    assert "available 27,013" in str(error)


def test_a_quota_over_nothing(store):
    error = refusal(store, [{"name": "titled", "where": "title = 'none'", "min": 0.1}], {"words": 1000})
    assert error.conflict[0].available == 0
    assert "no candidate counts for that" in str(error)
    assert error.largest_budget == 0


def test_minima_of_disjoint_quotas_that_sum_past_one(store):
    synthetic = {"name": "synthetic", "where": "origin = 'synthetic'", "min": 0.6}
    error = refusal(store, [human(0.6), synthetic, {"name": "idle", "per": "source", "max": 0.9}], {"words": 1000})
    assert {s.quota for s in error.conflict} == {"human", "synthetic"}
    assert {(c.quota, c.to) for c in error.changes} == {("human", Fraction(2, 5)), ("synthetic", Fraction(2, 5))}
    assert "contradict each other at any budget" in str(error)


def test_a_maximum_that_leaves_too_little(store):
    error = refusal(store, [{"name": "source", "per": "source", "max": 0.3}], {"words": 20_000})
    assert {s.bound for s in error.conflict} == {"max"}
    assert error.largest_budget == 17_421  # (4975 + 4970 + 2250) / .7
    assert all(change.to > Fraction(3, 10) for change in error.changes)


def test_whole_documents_may_be_the_trouble(empty_store):
    rows = [document("a", 30), document("b", 50, origin="synthetic", generation=1)]
    add_documents(empty_store, rows)
    error = refusal(empty_store, [human(0.5, max=0.5)], {"words": 80})
    assert error.reason == "whole documents"
    assert {s.quota for s in error.conflict} == {"human"}
    assert "no set of whole documents" in render_refusal(error)
    assert error.changes


def test_everything_does_not_meet_a_quota(store):
    error = refusal(store, [human(0.6)], "all")
    assert (error.budget, error.largest_budget) == (27_013, 16_575)
    assert error.conflict[0].needed == 16_208


def test_an_empty_store(empty_store):
    error = refusal(empty_store, [human(0.6)], {"words": 100})
    assert (error.available, error.largest_budget) == (0, 0)
    refusal(empty_store, [], "all")


def test_a_budget_smaller_than_every_document(store):
    error = refusal(store, [human(0.6)], {"words": 20})
    assert error.largest_budget >= 30
