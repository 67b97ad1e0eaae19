"""Training sets whose documents changed since they were drawn."""

from __future__ import annotations

import json

from sqlalchemy import text

from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.stale import stale_sets
from tests.factories import provenance

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.5}


def make(store, name, seed=0):
    return make_training_set(store, MixSpec(name=name, budget={"words": 5_000}, quotas=[HUMAN], seed=seed))


def relabel(store, change, n):
    drawn = "SELECT document_id FROM training_set_item WHERE training_set = 'a' AND origin = 'human' ORDER BY position"
    with store.transaction() as connection:
        connection.execute(text(f"UPDATE document SET {change} WHERE document_id IN ({drawn} LIMIT {n})"))


def test_nothing_changed(store):
    make(store, "a")
    assert stale_sets(store) == []
    store.close()
    answer = provenance("--store", store.path, "stale")
    assert (answer.code, answer.out) == (0, "")
    assert "No document of a training set" in answer.err


def test_a_label_that_leaves_every_quota_met(store):
    make(store, "a")
    relabel(store, "evidence_rank = 4", 3)
    [found] = stale_sets(store)
    assert (found.name, found.relabelled, found.labels["evidence_rank"], found.labels["origin"]) == ("a", 3, 3, 0)
    assert found.meets_quotas
    assert found.gone_documents == 0


def test_relabelled_until_a_quota_fails(store):
    made = make(store, "a")
    relabel(store, "origin = 'synthetic', generation = 1, model = 'm'", len(made))
    found = {one.name: one for one in stale_sets(store)}["a"]
    assert found.labels["origin"] == found.labels["generation"] == found.labels["model"] == found.relabelled > 0
    assert not found.meets_quotas
    assert any("human" in violation.claim for violation in found.violations)


def test_removed_documents(store):
    make(store, "a")
    with store.transaction() as connection:
        connection.execute(
            text(
                "DELETE FROM document WHERE document_id IN (SELECT document_id FROM training_set_item "
                "WHERE training_set = 'a' AND position < 2)"
            )
        )
    [found] = stale_sets(store)
    assert found.gone_documents == 2
    store.close()
    answer = provenance("--store", store.path, "stale")
    assert answer.code == 0
    assert "gone" in answer.out
    [as_json] = json.loads(provenance("--store", store.path, "stale", "--json").out)
    assert as_json["name"] == "a"
