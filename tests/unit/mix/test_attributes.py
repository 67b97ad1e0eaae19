"""Mixes over attributes: in filters, quotas and weights, and what a later annotation means to a set that was drawn."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text, update

from provenance.annotations.annotate import annotate
from provenance.mix.conditions import parse_condition
from provenance.mix.errors import ConditionError, InfeasibleMix, SpecError, TrainingSetViolated
from provenance.mix.make import make_training_set, replay
from provenance.mix.spec import MixSpec
from provenance.mix.training_set import TrainingSet
from provenance.mix.verify import verify
from provenance.store.schema import training_set
from provenance.store.store import Store
from tests.unit.mix.corpus import add_documents, standard_rows

KNOWN = (("poem", "boolean"), ("quality", "number"), ("select", "boolean"), ("topic", "text"))


def annotated(store, folder, change=None, *, n=10**6):
    """Give the documents, but for the last of every source, a quality, and most of them a topic."""
    rows = store.fetch("SELECT document_id::VARCHAR AS d, external_id AS e FROM document ORDER BY e").to_pylist()
    records = []
    for row in rows[:n]:
        i = int(row["e"][1:])
        record = {
            "document_id": row["d"],
            "quality": i % 10 / 10,
            "topic": ("sea", "law", None)[i % 3],
            "poem": i % 2 == 0,
        }
        records.append(record | (change(row["e"]) if change else {}))
    file = folder / "scores.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in records if not one["document_id"].endswith("0")))
    return annotate(store, [file])


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attributes")
    with Store.create(folder / "s.duckdb") as store:
        add_documents(store, standard_rows())
        annotated(store, folder)
        make_training_set(store, MixSpec(name="before", budget={"documents": 20}, where="topic = 'sea'", seed=1))
        make_training_set(store, SPEC)
    return folder / "s.duckdb"


SPEC = MixSpec(
    name="m",
    budget={"words": 3000},
    where="quality >= 0.3 or poem",
    quotas=[
        {"name": "good", "where": "quality >= 0.7 and origin = 'human'", "min": 0.3},
        {"name": "poor", "where": "quality < 0.5", "max": 0.4},
        {"name": "any topic", "per": "attributes.topic", "max": 0.7, "not_used_by": ["before"]},
    ],
    weights={"attributes.topic": {"sea": 2, "law": 1}},
    seed=3,
)


@pytest.fixture
def mixed(made_once, tmp_path):
    path = tmp_path / "s.duckdb"
    path.write_bytes(made_once.read_bytes())
    with Store.open(path, writable=True) as store:
        yield store


def run(store, statement):
    with store.transaction() as connection:
        connection.execute(text(statement))


def share(store, condition):
    """Return by plain SQL how much of the set, in words, satisfies a condition; NULL counts as it says."""
    query = f"""SELECT coalesce(sum(n_words) FILTER ({condition}), 0)::BIGINT, sum(n_words)::BIGINT
                FROM training_set_documents LEFT JOIN attributes USING (document_id) WHERE training_set = 'm'"""
    return store.sql(query).rows()[0]


def test_quotas_hold_by_plain_sql(mixed):
    good, total = share(mixed, "quality >= 0.7 AND origin = 'human'")
    assert good >= 0.3 * total
    assert share(mixed, "quality < 0.5 OR quality IS NULL")[0] <= 0.4 * total
    assert share(mixed, "(quality >= 0.3 OR poem) IS NOT TRUE")[0] == 0
    for topic in ("sea", "law"):
        assert share(mixed, f"topic = '{topic}' OR topic IS NULL")[0] <= 0.7 * total
    assert share(mixed, "topic = 'sea'")[0] > share(mixed, "topic = 'law'")[0] > 0
    assert verify(mixed, "m").violations == ()
    manifest = TrainingSet.open("m", mixed).manifest
    assert replay(mixed, manifest).num_rows == manifest["totals"]["documents"]


@pytest.mark.parametrize("bound", ["min", "max"])
def test_what_has_no_value_is_unknown(mixed, bound):
    """It counts towards no minimum and towards every maximum."""
    run(mixed, "DELETE FROM annotation")
    quotas = [{"name": "q", "where": "quality > 0.5", bound: 0.5}]
    with pytest.raises(InfeasibleMix):
        make_training_set(mixed, MixSpec(name="u", budget={"words": 500}, quotas=quotas))


@pytest.mark.parametrize(
    ("change", "violated"),
    [
        (
            {"quality": 0.1, "poem": False},
            ["draws that do not pass the filter", "quota 'good' (min)", "quota 'poor' (max)"],
        ),
        ({"topic": "sea"}, ["quota 'any topic' for 'sea' (max)"]),
    ],
)
def test_a_later_annotation_violates_only_today(mixed, tmp_path, change, violated):
    annotated(mixed, tmp_path, lambda _: change)
    verdict = verify(mixed, "m")
    assert verdict.as_drawn == ()
    assert [v.claim for v in verdict.as_of_now] == violated
    with pytest.raises(TrainingSetViolated, match="now"):
        TrainingSet.open("m", mixed)
    assert len(TrainingSet.open("m", mixed, accept_relabelled=True)) == verdict.n_documents


def test_later_annotations_that_break_nothing_are_no_violation(mixed, tmp_path):
    annotated(
        mixed, tmp_path, lambda key: {"quality": 0.95, "mood": "calm"} if key.startswith("h") else {"mood": "calm"}
    )
    assert verify(mixed, "m").violations == ()


def test_annotations_of_documents_that_had_none(mixed, tmp_path):
    rows = mixed.fetch(
        """SELECT document_id::VARCHAR AS d FROM document d
           WHERE NOT EXISTS (SELECT 1 FROM annotation n WHERE n.document_id = d.document_id AND attribute = 'quality')
              OR NOT EXISTS (SELECT 1 FROM annotation n WHERE n.document_id = d.document_id AND attribute = 'topic')"""
    )["d"].to_pylist()
    assert len(rows) > 100
    file = tmp_path / "more.jsonl"
    file.write_text("".join(json.dumps({"document_id": d, "topic": "war"}) + "\n" for d in rows))
    annotate(mixed, [file])
    assert verify(mixed, "m").as_drawn == ()


def test_values_changed_behind_our_back_are_found(mixed):
    """Without the time of a later annotation they are claimed to be those of the draw."""
    run(mixed, "UPDATE annotation SET number = 0.1 WHERE attribute = 'quality' AND number >= 0.7")
    assert "quota 'good' (min)" in [v.claim for v in verify(mixed, "m").as_drawn]


def test_a_changed_manifest_is_found_whatever_was_annotated_later(mixed, tmp_path):
    annotated(mixed, tmp_path, lambda _: {"quality": 0.95, "poem": True, "topic": "war"})
    assert verify(mixed, "m").as_drawn == ()
    manifest = json.loads(mixed.fetch("SELECT manifest FROM training_set WHERE name = 'm'")["manifest"][0].as_py())
    for place in ("quotas", "strata"):
        changed = json.loads(json.dumps(manifest))
        changed[place][0]["units"] += 1
        with mixed.transaction() as connection:
            connection.execute(update(training_set).where(training_set.c.name == "m").values(manifest=changed))
        assert verify(mixed, "m").as_drawn
    for counts in ({}, {"good": 7, "any topic": ["x"]}, "x", None):
        changed = json.loads(json.dumps(manifest))
        for stratum in changed["strata"]:
            stratum["counts"] = counts
        assert verify(mixed, "m", manifest=changed).as_drawn


def test_a_document_that_is_gone_with_its_annotations(mixed):
    gone = "SELECT document_id FROM training_set_item WHERE training_set = 'm' AND position IN (0, 1, 2)"
    run(mixed, f"DELETE FROM annotation WHERE document_id IN ({gone})")
    run(mixed, f"DELETE FROM document WHERE document_id IN ({gone})")
    verdict = verify(mixed, "m")
    assert verdict.as_drawn == ()
    assert verdict.as_of_now[0].claim == "documents that are no longer in the store"


def test_a_clock_that_was_set_back_changes_nothing(mixed, tmp_path):
    run(mixed, "UPDATE training_set SET created_at = TIMESTAMP '2100-01-01'")
    annotated(mixed, tmp_path, lambda _: {"quality": 0.1, "poem": False})
    verdict = verify(mixed, "m")
    assert verdict.as_drawn == ()
    assert verdict.as_of_now


def test_a_store_without_the_attributes_says_so(mixed, tmp_path):
    manifest = TrainingSet.open("m", mixed).manifest
    with Store.create(tmp_path / "other.duckdb") as other:
        add_documents(other, standard_rows())
        make_training_set(other, MixSpec(name="m", budget={"words": 3000}))
        found = [v.claim for v in verify(other, "m", manifest=manifest).violations]
    assert "store that it was drawn from" in found


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"where": "qualty > 1"}, ConditionError, "did you mean 'quality'?"),
        ({"where": "attributes.origin = 'human'"}, ConditionError, "'origin' is no attribute"),
        ({"where": "documents.quality > 1"}, ConditionError, "'quality' is no column of the documents view"),
        ({"where": "quality"}, ConditionError, "not true or false"),
        ({"where": "quality > 'much'"}, ConditionError, "much"),
        ({"quotas": [{"name": "q", "per": "attributes.topc", "max": 0.5}]}, SpecError, "did you mean 'topic'?"),
        ({"quotas": [{"name": "q", "per": "attributes.quality", "max": 0.5}]}, SpecError, "holds numbers"),
        ({"weights": {"attributes.topic": {"see": 1}}}, SpecError, "did you mean 'sea'?"),
        ({"weights": {"attributes.poems": {"true": 1}}}, SpecError, "did you mean 'poem'?"),
    ],
)
def test_mistakes_are_named(mixed, fields, error, words):
    with pytest.raises(error) as caught:
        make_training_set(mixed, MixSpec(name="x", budget={"words": 100}, **fields))
    assert words in str(caught.value)


@pytest.mark.parametrize("per", ["topic", "attributes.Topic", "attributes.", "attributes.x y"])
def test_what_cannot_be_an_attribute_is_refused_before_there_is_a_store(per):
    with pytest.raises(SpecError, match=r"an attribute is named attributes\.NAME"):
        MixSpec(name="x", budget={"words": 100}, quotas=[{"name": "q", "per": per, "max": 0.5}])


@pytest.mark.parametrize(
    "condition",
    [
        "poem",
        "not poem and quality between 0.1 and 0.5",
        "attributes.quality > 0.5 and documents.origin = 'human'",
        "QUALITY > 0.5 or \"topic\" in ('sea', 'law') or coalesce(quality, 0) + n_words > 40",
        "case topic when 'sea' then quality > 0.5 else poem end",
        "\"select\" or topic like 's%' or text like '%people%'",
    ],
)
def test_conditions_read_as_the_wide_view_does(mixed, tmp_path, condition):
    if "select" in condition:
        annotated(mixed, tmp_path, lambda key: {"select": key.endswith("1")})
    found = "SELECT document_id FROM documents WHERE {} ORDER BY ALL"
    written = parse_condition(condition, KNOWN).sql
    plain = condition.replace("documents.origin", "origin")
    joined = f"SELECT document_id FROM documents LEFT JOIN attributes USING (document_id) WHERE {plain} ORDER BY ALL"
    rows = mixed.fetch(found.format(written))
    assert rows.equals(mixed.fetch(joined))
    assert 0 < rows.num_rows < 550


def test_names_are_listed_apart():
    condition = parse_condition("quality > 1 and origin = 'human' and attributes.topic = 'x'", KNOWN)
    assert (condition.columns, condition.attributes) == ({"origin"}, {"quality", "topic"})


def test_the_plan_joins_by_hash(mixed):
    condition = parse_condition("quality > 0.5 and topic = 'sea'", KNOWN)
    plan = mixed.fetch(f"EXPLAIN SELECT count(*) FROM documents WHERE {condition.sql}")["explain_value"][0].as_py()
    assert "DELIM_JOIN" in plan
    assert not any(word in plan for word in ("NESTED_LOOP", "CROSS_PRODUCT", "BLOCKWISE", "PIECEWISE"))
