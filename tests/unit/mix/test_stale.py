"""Training sets whose documents changed since they were drawn."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from provenance.annotations.annotate import annotate
from provenance.errors import ProvenanceError
from provenance.ingest.removal import remove
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.stale import stale_sets
from tests.factories import ingest, prose, prose_records, provenance, rows

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.5}


def make(store, name, seed=0, **more):
    return make_training_set(store, MixSpec(name=name, budget={"words": 5_000}, quotas=[HUMAN], seed=seed, **more))


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


def test_draws_that_are_gone(store):
    make(store, "a", repeats={"max": 3}, where="source = 'books-0'")  # more than its words: all is drawn more than once
    make(store, "b", where="source = 'books-1'")
    gone = "SELECT document_id FROM training_set_item WHERE training_set = 'a' AND position < 2"
    n_draws = len(rows(store, f"SELECT 1 FROM training_set_item WHERE training_set = 'a' AND document_id IN ({gone})"))
    with store.transaction() as connection:
        connection.execute(text(f"DELETE FROM document WHERE document_id IN ({gone})"))
    [found] = stale_sets(store)
    assert (found.gone_documents, found.gone_draws, found.relabelled) == (2, n_draws, 0)
    assert found.meets_quotas, "what is left is human"
    assert [violation.claim for violation in found.violations] == ["documents that are no longer in the store"]


def test_an_undrawn_document_may_be_removed_and_a_drawn_one_may_not(store):
    make(store, "a", where="source = 'books-0'")
    [drawn, other] = (
        rows(store, f"SELECT document_id::VARCHAR AS id FROM document WHERE source = '{source}' LIMIT 1")[0]["id"]
        for source in ("books-0", "books-1")
    )
    remove(store, [other])
    with pytest.raises(ProvenanceError, match="training set"):
        remove(store, [drawn])
    assert stale_sets(store) == []


def test_amendments_and_copies_that_an_ingest_brings(make_store):
    store = make_store()
    records = prose_records(30)
    ingest(store, [{**one, "licence": "CC0-1.0"} for one in records], origin="human")
    make_training_set(store, MixSpec(name="all", budget="all", quotas=[HUMAN | {"min": 1}]))
    assert stale_sets(store) == []
    ingest(store, [{**one, "licence": "CC-BY-SA-4.0"} for one in records[:4]], origin="human")
    [found] = stale_sets(store)
    changed = {label: n for label, n in found.labels.items() if n}
    assert (found.relabelled, changed, found.cluster, found.gone_draws) == (4, {"licence_class": 4}, 0, 0)
    copy = records[9]["text"] + " and so on"
    ingest(store, [{"id": "copy", "text": copy}, {"id": "other", "text": prose(99)}], source="copies", origin="human")
    [found] = stale_sets(store)
    clusters = rows(store, "SELECT DISTINCT cluster_id FROM document WHERE external_id IN ('copy', 'r9')")
    assert len(clusters) == 1
    assert (found.relabelled, found.cluster, found.violations) == (4, found.cluster, ())
    first = rows(store, "SELECT 1 FROM document WHERE external_id = 'r9' AND cluster_id = content_id")
    assert found.cluster == (0 if first else 1)


def test_attributes_that_the_specification_reads(store, tmp_path):
    def score(name, *values):
        lines = [json.dumps({"id": f"h{i}", name: value}) + "\n" for i, value in enumerate(values)]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
        annotate(store, [tmp_path / f"{name}.jsonl"], key="external_id")

    score("quality", *[0.9] * 200)
    score("other", *[1.0] * 200)
    reads = {"name": "good", "where": "quality > 0.5", "min": 0.9}
    make_training_set(store, MixSpec(name="reads", budget={"documents": 200}, quotas=[reads]))
    make_training_set(store, MixSpec(name="does-not", budget={"documents": 200}, quotas=[HUMAN]))
    assert stale_sets(store) == []
    score("other", *[2.0] * 100)
    score("quality", *[0.9] * 200)
    assert stale_sets(store) == [], "another attribute; the same values"
    score("quality", *[0.1] * 60)
    drawn = rows(store, """SELECT 1 FROM training_set_item JOIN document USING (document_id)
        WHERE training_set = 'reads' AND external_id LIKE 'h%' AND substr(external_id, 2)::INTEGER < 60""")  # fmt: skip
    [found] = stale_sets(store)
    assert (found.name, found.attributes, found.relabelled) == ("reads", len(drawn), 0)
    assert len(drawn) > 20
    assert not found.meets_quotas
    assert "quota 'good' (min)" in [violation.claim for violation in found.violations]


def test_all_lists_the_fresh_ones_too(store):
    make(store, "a")
    make(store, "z")
    relabel(store, "evidence_rank = 4", 1)
    with store.transaction() as connection:
        connection.execute(text("UPDATE training_set_item SET origin = 'human' WHERE training_set = 'z'"))
    everything = {one.name: one for one in stale_sets(store, every=True)}
    assert [one.name for one in stale_sets(store)] == ["a", "z"]
    assert (everything["a"].is_stale, everything["a"].meets_quotas) == (True, True)
    assert everything["z"].meets_quotas is None, "its draws were tampered with"
    make(store, "fresh", seed=5, where="evidence_rank = 1")
    assert [one.name for one in stale_sets(store)] == ["a", "z"]
    fresh = stale_sets(store, every=True)[1]
    assert (fresh.name, fresh.is_stale, fresh.meets_quotas, fresh.relabelled) == ("fresh", False, True, 0)
    assert fresh.n_draws == len(rows(store, "SELECT 1 FROM training_set_item WHERE training_set = 'fresh'"))


def test_the_command(store):
    make(store, "a")
    relabel(store, "origin = 'unknown', generation = NULL", 30)
    store.close()
    answer = provenance("--store", store.path, "stale")
    assert (answer.code, answer.err) == (0, "")
    row = next(line.split() for line in answer.out.splitlines() if line.startswith(" a "))
    assert row == ["a", row[1], "30", "30", "30", "0", "0", "0", "0", "0", "0", "0", "0", "fail"]
    assert "a: quota 'human' (min): expected at least 0.5" in answer.out
    [as_json] = json.loads(provenance("--store", store.path, "stale", "--json").out)
    assert (as_json["name"], as_json["relabelled"], as_json["meets_quotas"]) == ("a", 30, False)
    assert as_json["labels"] == {"origin": 30, "generation": 30, "evidence_rank": 0, "model": 0, "licence_class": 0,
                                 "source": 0}  # fmt: skip


def test_all_of_a_store_where_nothing_changed(store):
    make(store, "a")
    store.close()
    answer = provenance("--store", store.path, "stale", "--all")
    assert answer.err.startswith("No document of a training set was relabelled")
    assert next(line.split() for line in answer.out.splitlines() if line.startswith(" a "))[-1] == "hold"
    assert json.loads(provenance("--store", store.path, "stale", "--json").out) == []
