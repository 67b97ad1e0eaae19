from __future__ import annotations

import dataclasses
from fractions import Fraction

import pyarrow.compute as pc
import pytest
from sqlalchemy import text

from provenance.errors import NameTaken, StoreReadOnly, UnknownName
from provenance.mix import make
from provenance.mix.errors import (
    ConditionError,
    InfeasibleMix,
    QuotaNotMet,
    ReplayMismatch,
    SpecError,
    TokenizerUnavailable,
    TrainingSetViolated,
    Violation,
)
from provenance.mix.make import make_training_set, plan_mix, replay
from provenance.mix.spec import MixSpec
from provenance.mix.verify import Verdict, verify
from provenance.store.store import Store
from tests.unit.mix.corpus import add_documents, document, make_text

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.6}


def spec(name="m", **fields):
    return MixSpec(**({"name": name, "budget": {"words": 5000}, "quotas": [HUMAN], "seed": 3} | fields))


def items(store, name="m"):
    query = "SELECT * FROM training_set_documents WHERE training_set = :name ORDER BY position"
    return store.fetch(query, {"name": name})


def words(table, condition=None):
    return pc.sum(table["n_words"] if condition is None else table.filter(condition)["n_words"]).as_py() or 0


def test_quotas_hold_exactly_and_the_budget_is_used(store):
    quotas = [
        HUMAN,
        {"name": "far", "where": "generation >= 3", "max": 0.05},
        {"name": "model", "per": "model", "max": 0.2},
        {"name": "source", "per": "source", "max": 0.4},
    ]
    made = make_training_set(store, spec(quotas=quotas))
    drawn = items(store)
    total = words(drawn)
    assert 5000 - 70 < total <= 5000
    assert words(drawn, pc.equal(drawn["origin"], "human")) >= Fraction(3, 5) * total
    far = pc.or_kleene(pc.is_null(drawn["generation"]), pc.greater_equal(drawn["generation"], 3))
    assert words(drawn, far) <= Fraction(1, 20) * total
    for column, most in (("model", Fraction(1, 5)), ("source", Fraction(2, 5))):
        for value in drawn[column].unique().to_pylist():
            if value is not None:
                assert words(drawn, pc.equal(drawn[column], value)) <= most * total
    assert len(set(drawn["document_id"].to_pylist())) == drawn.num_rows == len(made)
    assert made.manifest["budget"]["used"] == total


def test_the_same_again_is_there_already(store):
    one = make_training_set(store, spec())
    before = store.fetch("SELECT count(*) AS n FROM training_set_item")["n"][0]
    two = make_training_set(store, spec())
    assert one.manifest == two.manifest
    assert store.fetch("SELECT count(*) AS n FROM training_set_item")["n"][0] == before


def test_a_name_is_not_given_twice(store):
    make_training_set(store, spec())
    with pytest.raises(NameTaken, match="other draws"):
        make_training_set(store, spec(seed=4))
    with pytest.raises(NameTaken, match="another specification"):
        make_training_set(store, spec(where="n_words > 0"))


def test_seeds_differ_and_strata_are_drawn_in_one_order(store):
    one = set(items(store, make_training_set(store, spec("a")).name)["document_id"].to_pylist())
    more = set(
        items(store, make_training_set(store, spec("b", budget={"words": 8000})).name)["document_id"].to_pylist()
    )
    other = set(items(store, make_training_set(store, spec("c", seed=99)).name)["document_id"].to_pylist())
    assert one < more
    assert one != other


def test_documents_elsewhere_change_nothing_in_a_stratum(store):
    quotas = [HUMAN | {"max": 0.6001}, {"name": "outputs", "per": "source", "max": 0.4}]
    before = plan_mix(store, spec(where="source in ('books-0', 'books-1', 'outputs')", quotas=quotas))
    add_documents(store, [document(f"new{i}", source="new") for i in range(50)])
    after = plan_mix(store, spec(where="source in ('books-0', 'books-1', 'outputs')", quotas=quotas))
    assert before.manifest["digest"] == after.manifest["digest"]


def test_replay_gives_the_same_draws(store):
    for order in ("interleaved", "shuffled"):
        made = make_training_set(store, spec(order, order=order))
        again = replay(store, made.manifest)
        assert again["document_id"].to_pylist() == items(store, order)["document_id"].to_pylist()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_drawn_more_than_once_is_shuffled_too(store, seed):
    wanted = {
        "where": "source = 'books-0'",
        "quotas": [HUMAN],
        "repeats": {"max": 9},
        "seed": seed,
        "budget": {"words": 12_000},
    }
    made = make_training_set(store, spec(order="shuffled", **wanted))
    drawn = items(store, "m").select(["document_id", "repeat"]).to_pylist()
    assert max(row["repeat"] for row in drawn) > 0
    assert replay(store, made.manifest)["document_id"].to_pylist() == [row["document_id"] for row in drawn]
    with store.transaction() as connection:  # the first two draws change places
        swap = "UPDATE training_set_item SET position = 1 - position WHERE training_set = 'm' AND position < 2"
        connection.execute(text(swap))
    claims = {violation.claim for violation in verify(store, "m").violations}
    assert "draws that stand where the seed would not have them" in claims


def test_replay_on_another_state_is_refused(store):
    made = make_training_set(store, spec())
    add_documents(store, [document(f"new{i}") for i in range(300)])
    with pytest.raises(ReplayMismatch):
        replay(store, made.manifest)


def test_everything(store):
    made = make_training_set(store, spec(budget="all", where="origin = 'human'"))
    assert len(made) == 200
    with pytest.raises(InfeasibleMix):
        make_training_set(store, spec("n", budget="all"))


@pytest.mark.parametrize("unit", ["documents", "bytes"])
def test_other_units(store, unit):
    made = make_training_set(store, spec(budget={unit: 60}) if unit == "documents" else spec(budget={unit: 40_000}))
    quota = made.manifest["quotas"][0]
    assert quota["units"] >= Fraction(3, 5) * quota["total"]
    assert quota["total"] == made.manifest["totals"][unit]
    if unit == "documents":
        assert quota["total"] == 60


def test_unknown_counts_for_a_maximum_and_against_a_minimum(store):
    near = {"name": "near", "where": "generation <= 3", "min": 1}
    drawn = make_training_set(store, spec("a", quotas=[near]))
    assert items(store, drawn.name)["generation"].null_count == 0
    far = {"name": "far", "where": "generation >= 1", "max": 0}
    make_training_set(store, spec("b", quotas=[far]))
    assert set(items(store, "b")["origin"].to_pylist()) == {"human"}


def test_people_have_no_model_but_unknown_text_may_be_of_any(store):
    most = {"name": "model", "per": "model", "max": 0.1}
    make_training_set(store, spec(quotas=[most]))
    drawn = items(store)
    total, unknown = words(drawn), words(drawn, pc.equal(drawn["origin"], "unknown"))
    for model in ("model-0", "model-1"):
        assert words(drawn, pc.fill_null(pc.equal(drawn["model"], model), False)) + unknown <= total / 10


def test_weights_are_met_where_quotas_allow(store):
    make_training_set(store, spec("a", quotas=[], weights={"source": {"books-0": 3, "outputs": 1}}))
    drawn = items(store, "a")
    share = words(drawn, pc.equal(drawn["source"], "books-0")) / words(drawn)
    assert abs(share - 0.75) < 0.02
    assert set(drawn["source"].to_pylist()) == {"books-0", "outputs"}
    make_training_set(store, spec("b", quotas=[HUMAN], weights={"source": {"outputs": 1}}))
    drawn = items(store, "b")
    assert abs(words(drawn, pc.equal(drawn["source"], "outputs")) / words(drawn) - 0.4) < 0.02


def test_a_weighted_value_that_does_not_occur_is_named(store):
    with pytest.raises(SpecError, match="did you mean 'books-"):
        make_training_set(store, spec(weights={"source": {"books-9": 1}}))


def test_without_weights_shares_follow_what_is_available(store):
    make_training_set(store, spec(quotas=[{"name": "source", "per": "source", "max": 0.9}]))
    drawn = items(store)
    available = {"books-0": 4975, "books-1": 4970, "outputs": 14818, "crawl": 2250}
    for source, units in available.items():
        share = words(drawn, pc.equal(drawn["source"], source)) / words(drawn)
        assert abs(share - units / sum(available.values())) < 0.02


def test_excluded_sets_and_their_copies_are_not_drawn(store):
    heldout = make_training_set(store, spec("heldout", budget={"documents": 20}, where="origin = 'human'", quotas=[]))
    texts = [row["text"] for row in heldout]
    copies = [document(f"copy{i}", source="web", text=text) for i, text in enumerate(texts)]
    near = [
        document(f"near{i}", source="near", text=text + " indeed", cluster=None, cluster_id=copies[i]["content_id"])
        for i, text in enumerate(texts)
    ]
    add_documents(store, copies + near)
    everything = {"budget": "all", "quotas": [], "duplicates": "all"}
    with_copies = make_training_set(
        store, spec("a", **everything, exclude={"training_sets": ["heldout"], "clusters": False})
    )
    sources = items(store, with_copies.name)["source"].to_pylist()
    assert "web" not in sources
    assert sources.count("near") == 20
    without = make_training_set(store, spec("b", **everything, exclude={"training_sets": ["heldout"]}))
    assert "near" not in items(store, without.name)["source"].to_pylist()
    assert len(without) == 550 - 20


def test_documents_that_share_a_span_are_not_drawn(store):
    heldout = make_training_set(store, spec("heldout", budget={"documents": 5}, where="origin = 'human'", quotas=[]))
    quoted = next(iter(heldout))["text"].split()
    add_documents(
        store,
        [
            document("quotes", source="web", text=make_text("x", 30) + " " + " ".join(quoted[5:18])),
            document("shorter", source="web", text=make_text("y", 30) + " " + " ".join(quoted[5:17])),
        ],
    )
    exclude = {"training_sets": ["heldout"], "spans": 13}
    made = make_training_set(store, spec("a", budget="all", quotas=[], where="source = 'web'", exclude=exclude))
    assert [row["external_id"] for row in made] == ["shorter"]
    assert made.manifest["candidates"]["left_out"]["spans"] == 1


def test_the_whole_store_held_out_leaves_nothing(store):
    make_training_set(store, spec("heldout", budget="all", quotas=[]))
    with pytest.raises(InfeasibleMix) as caught:
        make_training_set(store, spec("a", exclude={"training_sets": ["heldout"]}))
    assert (caught.value.available, caught.value.largest_budget) == (0, 0)


def test_fresh_means_that_no_used_human_document_is_drawn(store):
    fresh = {"name": "fresh human", "where": "origin = 'human'", "min": 0.5, "not_used_by": ["gen0", "gen1"]}
    make_training_set(store, spec("gen0", budget={"words": 3000}, quotas=[HUMAN | {"min": 1}]))
    make_training_set(store, spec("gen1", budget={"words": 3000}, quotas=[fresh | {"not_used_by": ["gen0"]}]))
    make_training_set(store, spec("gen2", budget={"words": 3000}, quotas=[fresh]))
    drawn = [
        set(
            items(store, f"gen{g}")
            .filter(pc.equal(items(store, f"gen{g}")["origin"], "human"))["document_id"]
            .to_pylist()
        )
        for g in range(3)
    ]
    assert not drawn[2] & (drawn[0] | drawn[1])
    assert not drawn[1] & drawn[0]
    with pytest.raises(InfeasibleMix) as caught:
        make_training_set(
            store, spec("gen3", budget={"words": 9000}, quotas=[fresh | {"not_used_by": ["gen0", "gen1", "gen2"]}])
        )
    assert caught.value.conflict[0].quota == "fresh human"


def test_another_quota_may_take_what_is_not_fresh(store):
    make_training_set(store, spec("gen0", budget={"words": 7000}, quotas=[HUMAN | {"min": 1}]))
    fresh = {"name": "fresh human", "where": "origin = 'human'", "min": 0.2, "not_used_by": ["gen0"]}
    make_training_set(store, spec("gen1", budget={"words": 6000}, quotas=[HUMAN, fresh]))
    used = set(items(store, "gen0")["document_id"].to_pylist())
    drawn = items(store, "gen1")
    human = drawn.filter(pc.equal(drawn["origin"], "human"))
    again = [d in used for d in human["document_id"].to_pylist()]
    assert any(again)
    fresh_words = sum(n for n, old in zip(human["n_words"].to_pylist(), again, strict=True) if not old)
    assert fresh_words >= Fraction(1, 5) * words(drawn)


def test_a_copy_of_a_used_text_is_used_unless_every_occurrence_counts(empty_store):
    add_documents(empty_store, [document("a", text=make_text("a", 40)), document("b", text=make_text("b", 40))])
    make_training_set(empty_store, spec("gen0", budget={"words": 40}, quotas=[], where="external_id = 'a'"))
    add_documents(empty_store, [document("copy", source="web", text=make_text("a", 40))])
    fresh = {"name": "fresh", "where": "origin = 'human'", "min": 1, "not_used_by": ["gen0"]}
    make_training_set(empty_store, spec("gen1", budget="all", quotas=[fresh], where="external_id <> 'a'"))
    assert len(items(empty_store, "gen1")) == 1
    make_training_set(
        empty_store, spec("gen2", budget="all", quotas=[fresh], where="external_id <> 'a'", duplicates="all")
    )
    assert len(items(empty_store, "gen2")) == 2


def test_only_representatives_unless_all_are_wanted(empty_store):
    rows = [document("a", cluster="one"), document("b", cluster="one", is_representative=False), document("c")]
    add_documents(empty_store, rows)
    one = make_training_set(empty_store, spec("one", budget="all", quotas=[]))
    both = make_training_set(empty_store, spec("all", budget="all", quotas=[], duplicates="all"))
    assert (len(one), len(both)) == (2, 3)


def test_documents_without_words_are_not_drawn(empty_store):
    add_documents(empty_store, [document("a"), document("empty", text="")])
    made = make_training_set(empty_store, spec(budget={"words": 50}, quotas=[]))
    assert len(made) == 1
    assert made.manifest["candidates"]["left_out"]["empty"] == 1


def test_one_enormous_document_does_not_take_the_budget(empty_store):
    rows = [document(f"d{i}", 30 + i) for i in range(40)]
    add_documents(empty_store, [*rows, document("huge", 1500), document("larger than the budget", 5000)])
    for seed in range(8):
        made = make_training_set(empty_store, spec(f"m{seed}", budget={"words": 1600}, quotas=[], seed=seed))
        assert made.manifest["budget"]["used"] > 1500


@pytest.mark.parametrize(
    ("fields", "error", "problem"),
    [
        ({"where": "orign = 'human'"}, ConditionError, "did you mean 'origin'"),
        ({"where": "n_words"}, ConditionError, "not true or false"),
        ({"where": "n_words > 'abc'"}, ConditionError, "Conversion Error"),
        ({"where": "cast(external_id as int) = 1"}, ConditionError, "Could not convert"),
        ({"quotas": [HUMAN | {"where": "orign = 'human'"}]}, ConditionError, "did you mean 'origin'"),
        ({"quotas": [HUMAN | {"not_used_by": ["none"]}]}, UnknownName, "no training set 'none'"),
        ({"exclude": {"training_sets": ["none"]}}, UnknownName, "no training set 'none'"),
        (
            {"budget": {"tokens": 100}, "tokenizer": "none"},
            TokenizerUnavailable,
            "tokenizer 'none' is none of",
        ),
    ],
)
def test_references_to_nothing(store, fields, error, problem):
    with pytest.raises(error) as caught:
        make_training_set(store, spec(**fields))
    assert problem in str(caught.value)
    assert store.fetch("SELECT count(*) AS n FROM training_set")["n"][0].as_py() == 0


def test_a_store_opened_for_reading_cannot_be_mixed(store, tmp_path):
    path = store.path
    store.close()
    with Store.open(path) as reading, pytest.raises(StoreReadOnly):
        make_training_set(reading, spec())


def test_what_the_verifier_rejects_is_not_kept(store, monkeypatch):
    rejected = Verdict("m", 0, (Violation("drawn", "a claim", "this", "that"),))
    monkeypatch.setattr(make, "verify_within", lambda *arguments: rejected)
    with pytest.raises(TrainingSetViolated, match="a claim"):
        make_training_set(store, spec())
    for table in ("training_set", "training_set_item"):
        assert store.fetch(f"SELECT count(*) AS n FROM {table}")["n"][0].as_py() == 0


def test_draws_that_miss_a_quota_by_one_word_are_not_written(store, monkeypatch):
    """The shares are counted again from the rows: an allocation that lies about its units is found out."""
    plan = plan_mix(store, spec())
    [constraint] = plan.allocation.strata.constraints
    total = plan.manifest["budget"]["used"]
    lacking = dataclasses.replace(constraint, share=Fraction(plan.manifest["quotas"][0]["units"] + 1, total))
    strata = dataclasses.replace(plan.allocation.strata, constraints=(lacking,))
    wrong = dataclasses.replace(plan.allocation, strata=strata)
    monkeypatch.setattr(make, "allocate", lambda *arguments, **options: wrong)
    with pytest.raises(QuotaNotMet) as caught:
        make_training_set(store, spec())
    assert caught.value.counted == caught.value.total * lacking.share - 1
    assert store.fetch("SELECT count(*) AS n FROM training_set")["n"][0].as_py() == 0
