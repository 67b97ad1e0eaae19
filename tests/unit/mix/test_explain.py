"""What a feasible mix leaves free, and what its quotas cost: against mixes solved again with a tighter bound."""

from __future__ import annotations

import json

import pytest

from provenance.mix.explain import explain, render_explanation
from provenance.mix.make import plan_mix
from provenance.mix.spec import MixSpec


def explained(store, quotas, **more):
    return explain(plan_mix(store, MixSpec(name="m", **({"budget": {"words": 10_000}} | more), quotas=quotas)))


def human(share):
    return {"name": "human", "where": "origin = 'human'", "min": share}


def test_a_quota_that_binds_nothing_costs_nothing(store):
    [cost] = explained(store, [human(0.1)]).quotas
    assert (cost.budget_loss, cost.distance_gain) == (0, 0)
    assert cost.slack == cost.units - cost.total // 10 - (cost.total % 10 > 0)
    assert cost.available == 9945


def test_the_price_in_budget_is_what_a_tighter_bound_takes(store):
    tighter = explained(store, [human(0.61)])
    found = explained(store, [human(0.6)])
    assert found.largest_budget == 16_575  # 9945 / .6
    assert tighter.largest_budget == 16_303  # 9945 / .61
    assert found.quotas[0].budget_loss == pytest.approx(16_575 - 16_303, rel=0.05)


def test_the_price_in_nearness_is_what_a_tighter_bound_adds(store):
    weights = {"origin": {"human": 1, "synthetic": 3}}
    tighter = explained(store, [human(0.41)], weights=weights)
    found = explained(store, [human(0.4)], weights=weights)
    assert found.distance == pytest.approx(2 * 0.15 * found.used, rel=0.01)  # .4, not .25; and the rest
    [cost] = found.quotas
    assert cost.distance_gain == pytest.approx(tighter.distance - found.distance, rel=0.05)
    assert cost.slack < 100


def test_maxima_and_phases(store):
    order = {
        "curriculum": [{"name": "early", "share": "1/4", "quotas": [human(0.8)]}, {"name": "late", "share": "3/4"}]
    }
    far = {"name": "far", "where": "generation >= 3", "max": 0.05}
    found = {cost.quota: cost for cost in explained(store, [far], order=order).quotas}
    assert found["far"].distance_gain > 0
    early = found["human (phase early)"]
    assert early.needed == 2000
    assert early.total == pytest.approx(2500, abs=70)
    assert early.units >= 0.8 * early.total


def test_the_report_names_every_number(store):
    explanation = explained(store, [human(0.6)])
    report = render_explanation(explanation)
    assert "Feasible: mix 'm' of 10,000 words" in report
    assert "Largest feasible budget: 16,575 words" in report
    assert "quota 'human' (min 0.6) needs 6,000 words, available 9,945" in report
    assert "one point tighter would cost the largest feasible budget by" in report
    assert json.loads(json.dumps(explanation.as_mapping()))["quotas"][0]["share"] == "0.6"
    assert store.fetch("SELECT count(*) AS n FROM training_set")["n"][0].as_py() == 0
