"""Which likenesses are found as documents come in, what they mean, and what follows when claims change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provenance.dedup.parameters import DedupParameters
from provenance.dedup.rebuild import rebuild
from provenance.errors import UnknownName
from provenance.evidence.statements import Statement, retract, state
from provenance.ingest.removal import remove_source
from provenance.laundering import follow
from provenance.laundering.listing import list_laundering
from provenance.laundering.rescan import rescan
from provenance.lineage.models import Model, register_model
from provenance.mix.errors import InfeasibleMix
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.stale import stale_sets
from provenance.store.store import Store
from provenance.takedown.erase import take_down
from provenance.takedown.select import Selection
from tests.factories import count, dump, ingest, prose, rows, violations
from tests.unit.laundering.looking import found, labels

CONFLICT = ("unknown", "laundering", 0)
HUMAN = ("human", None, 1)
WORDS = prose(1, n_words=300).split()
OUTPUT = " ".join(WORDS)


def speak(store: Store, *texts: str, model: str = "bot", name: str = "out") -> None:
    """Ingest texts as a model's."""
    records = [{"id": f"{name} {i}", "text": text} for i, text in enumerate(texts)]
    ingest(store, records, source=f"{model} logs", origin="synthetic", model=model, generation=1, name=name)


def crawl(store: Store, name: str = "crawl", **texts: str) -> None:
    """Ingest texts as people's."""
    ingest(store, [{"id": key, "text": text} for key, text in texts.items()], source=name, name=name)


def claimed(store: Store, own_id: str, origin: str, **more: Any) -> str:
    """Claim something of a document and return the claim's id."""
    [row] = rows(store, "SELECT document_id::VARCHAR AS id FROM document WHERE external_id = :own", own=own_id)
    statement = Statement(kind="document", subject=row["id"], origin=origin, author="ann", **more)
    return str(state(store, [statement]).ids[0])


@pytest.mark.parametrize("containment", [None, 0.8])
def test_every_kind_is_found_and_nothing_else(tmp_path: Path, containment: float | None) -> None:
    short = prose(5, n_words=12)
    with Store.create(tmp_path / "s.duckdb", dedup=DedupParameters(containment=containment)) as store:
        speak(store, OUTPUT, prose(2, n_words=200), short)
        crawl(
            store,
            same=OUTPUT,
            shouted=OUTPUT.upper().replace(" ", ", "),
            cut=" ".join(WORDS[40:150]),
            joined=f"{OUTPUT} {prose(2, n_words=200)}",
            quoted=f"{prose(3, n_words=600)} {' '.join(WORDS[7:57])} {prose(4, n_words=600)}",
            just_not=f"{prose(6, n_words=600)} {' '.join(WORDS[7:56])} {prose(7, n_words=600)}",
            other=prose(8, n_words=300),
            anyones=short,
        )
        assert found(store) == {
            "same": ("conflict", "none", "same text"),
            "shouted": ("conflict", "none", "near-duplicate"),
            "cut": ("conflict", "none", "containment"),
            "joined": ("conflict", "none", "containment"),
            "quoted": ("conflict", "none", "shared span"),
        }
        shown = labels(store)
        assert {own for own, label in shown.items() if label == CONFLICT} == set(found(store))
        assert shown["just_not"] == shown["other"] == shown["anyones"] == HUMAN
        [quoted] = rows(store, "SELECT n_words, score FROM laundered WHERE kind = 'shared span'")
        assert (quoted["n_words"], quoted["score"]) == (50, 50 / 1250)
        assert rows(store, "SELECT DISTINCT model FROM laundered") == [{"model": "bot"}]
        assert violations(store) == []
        before = dump(store)
        assert rescan(store).n_changed == 0
        assert dump(store) == before
        rebuild(store, store.dedup)
        assert dump(store) == before


def test_unknown_text_is_compared_and_mixed_text_is_not(store: Store) -> None:
    speak(store, OUTPUT)
    ingest(store, [{"id": "nobody's", "text": OUTPUT}], source="dump", origin="unknown")
    ingest(store, [{"id": "edited", "text": OUTPUT}], source="edits", origin="mixed")
    assert found(store) == {"nobody's": ("conflict", "none", "same text")}
    claimed(store, "nobody's", "human", method="licence deal")
    assert labels(store)["nobody's"] == CONFLICT, "what was found before it was called people's counts"
    claimed(store, "nobody's", "human", method="judged by a person")
    assert labels(store)["nobody's"] == ("human", None, 5)


def test_in_one_ingest_nobody_was_first(store: Store) -> None:
    ingest(
        store, [{"id": "copy", "text": OUTPUT}, {"id": "out", "text": OUTPUT, "origin": "synthetic", "model": "bot"}]
    )
    assert found(store) == {"copy": ("conflict", "none", "same text")}


def test_who_entered_before_is_repeated(store: Store) -> None:
    crawl(store, original=OUTPUT)
    speak(store, OUTPUT)
    crawl(store, "later", again=OUTPUT, partly=" ".join(WORDS[:80]))
    assert found(store) == {
        "original": ("memorisation", "entered before", "same text"),
        "again": ("memorisation", "quoted", "same text"),
        "partly": ("memorisation", "quoted", "containment"),
    }
    assert set(labels(store).values()) == {HUMAN, ("synthetic", None, 1)}


def test_what_is_quoted_and_what_is_the_models_own(store: Store) -> None:
    """A model that quotes people does not expel who quotes the same; who takes the model's own words goes."""
    poem, own = prose(11, n_words=90), prose(12, n_words=90)
    crawl(store, poem=poem)
    speak(store, f"{poem} {own}")
    crawl(store, "later", reader=f"{prose(13)} {poem}", copyist=f"{prose(14)} {own}")
    rescan(store)  # the poem is no near-duplicate of the output: without an index of all spans a rescan finds it
    assert found(store) == {
        "poem": ("memorisation", "entered before", "containment"),
        "reader": ("memorisation", "quoted", "containment"),
        "copyist": ("conflict", "none", "containment"),
    }
    assert [labels(store)[one] for one in ("reader", "copyist")] == [HUMAN, CONFLICT]


def test_a_quotation_that_ends_with_the_same_word(store: Store) -> None:
    """One word more in common than the original has is no sign that the model was copied; fifty are."""
    crawl(store, original=OUTPUT)
    own = prose(15, n_words=60)
    speak(store, f"{OUTPUT} and {own}")
    crawl(store, "later", reader=f"{OUTPUT} and so {prose(16)}", copyist=f"{prose(17)} {OUTPUT} and {own}")
    assert found(store)["reader"] == ("memorisation", "quoted", "containment")
    assert labels(store) == {"original": HUMAN, "reader": HUMAN, "copyist": CONFLICT, "out 0": ("synthetic", None, 1)}


def test_an_early_date_counts_with_good_evidence_alone(store: Store) -> None:
    speak(store, OUTPUT)
    record = {"text": OUTPUT, "date": "2015-03-01"}
    ingest(store, [{**record, "id": "dated"}], source="archive")
    assert labels(store)["dated"] == CONFLICT, "a date that a record gives itself is no evidence"
    claim = claimed(store, "dated", "human", method="published before a cutoff")
    assert found(store) == {"dated": ("memorisation", "dated earlier", "same text")}
    assert labels(store)["dated"] == ("human", None, 3)
    retract(store, claim, author="ann")
    assert labels(store)["dated"] == CONFLICT
    ingest(store, [{**record, "date": "2090-01-01", "id": "late"}], source="archive")
    claimed(store, "late", "human", method="licence deal")
    assert labels(store)["late"] == CONFLICT, "vouched for, but younger than the output"


def test_a_prompt_is_people_s(store: Store) -> None:
    records = [
        {"id": "asked", "text": OUTPUT, "origin": "human"},
        {"id": "answered", "text": f"You said: {OUTPUT}", "origin": "synthetic", "model": "bot"},
    ]
    ingest(store, records, source="chat")
    assert found(store) == {"asked": ("conflict", "none", "near-duplicate")}
    [asked] = rows(store, "SELECT document_id::VARCHAR AS id FROM document WHERE external_id = 'asked'")
    ingest(store, [{**records[1], "parent": asked["id"]}], source="chat", name="again")
    assert found(store) == {"asked": ("memorisation", "prompt", "near-duplicate")}
    assert labels(store)["asked"] == HUMAN


def trained(store: Store, name: str, where: str) -> None:
    """Draw a training set and register a model that was trained on it."""
    n = store.sql(f"SELECT count(*) AS n FROM documents WHERE {where}").table["n"][0].as_py()
    make_training_set(store, MixSpec(name=f"{name}-set", budget={"documents": n}, where=where, seed=1))
    register_model(store, Model(name, "digest", "ngram", f"{name}-set"))


def test_what_a_model_was_trained_on_or_one_behind_it(store: Store) -> None:
    speak(store, OUTPUT, prose(2, n_words=200), model="old")
    crawl(store, copied=OUTPUT, learnt=prose(3, n_words=200))
    trained(store, "first", "external_id = 'learnt'")
    speak(store, prose(4, n_words=200), model="first", name="first")
    trained(store, "second", "model = 'first'")
    speak(store, prose(3, n_words=200), model="second", name="second")
    crawl(store, "later", again=prose(3, n_words=200))
    assert found(store) == {
        "copied": ("conflict", "none", "same text"),
        "learnt": ("memorisation", "in training set", "same text"),
        "again": ("memorisation", "in training set", "same text"),
    }


def test_stale_shows_sets_with_laundered_text(store: Store) -> None:
    ingest(store, [{"id": "bot's", "text": OUTPUT}], source="dump", origin="unknown")
    crawl(store, one=f"{OUTPUT} and so on", two=prose(2, n_words=300))
    quota = {"name": "human", "where": "origin = 'human'", "min": 1}
    spec = MixSpec(name="set", budget={"documents": 2}, where="source = 'crawl'", seed=1, quotas=[quota])
    make_training_set(store, spec)
    assert stale_sets(store) == []
    claimed(store, "bot's", "synthetic", model="bot")
    [stale] = stale_sets(store)
    assert (stale.name, stale.relabelled, stale.meets_quotas) == ("set", 1, False)
    with pytest.raises(InfeasibleMix):
        make_training_set(store, spec.model_copy(update={"name": "again"}))


def test_relabelling_is_followed_both_ways(store: Store) -> None:
    ingest(store, [{"id": "first", "text": OUTPUT}], source="dump", origin="unknown")
    crawl(store, copy=OUTPUT, part=" ".join(WORDS[:70]), other=prose(2))
    assert found(store) == {}
    claim = claimed(store, "first", "synthetic", model="bot")
    assert found(store) == {"copy": ("conflict", "none", "same text"), "part": ("conflict", "none", "containment")}
    assert count(store, "span") > 0
    crawl(store, "later", late=OUTPUT)
    assert labels(store)["late"] == CONFLICT
    retract(store, claim, author="ann")
    assert found(store) == {}
    assert {labels(store)[one] for one in ("copy", "part", "late", "other")} == {HUMAN}
    assert count(store, "span") == 0
    assert violations(store) == []


def test_the_word_of_a_detector_does_not_spread(store: Store) -> None:
    ingest(store, [{"id": "taken for", "text": OUTPUT}], source="dump", origin="unknown")
    crawl(store, copy=OUTPUT)
    claimed(store, "taken for", "synthetic", method="detector")
    assert labels(store)["taken for"] == ("synthetic", None, 2)
    assert found(store) == {}


def test_other_texts_of_a_model_take_the_place_of_one_that_goes(store: Store) -> None:
    for i in range(3):
        speak(store, OUTPUT, model=f"bot {i}", name=str(i))
    crawl(store, copy=OUTPUT)
    assert {row["model"] for row in rows(store, "SELECT model FROM laundered")} == {"bot 0", "bot 1", "bot 2"}
    for i in range(3):
        assert labels(store)["copy"] == CONFLICT
        remove_source(store, f"bot {i} logs")
    assert (found(store), labels(store)["copy"]) == ({}, HUMAN)
    assert (count(store, "span"), violations(store)) == (0, [])


def test_when_the_original_goes_who_quotes_it_is_judged_anew(store: Store) -> None:
    crawl(store, "first", original=OUTPUT)
    speak(store, OUTPUT)
    crawl(store, "second", again=OUTPUT)
    assert labels(store)["again"] == HUMAN
    remove_source(store, "first")
    assert (found(store), labels(store)["again"]) == ({"again": ("conflict", "none", "same text")}, CONFLICT)


def test_what_was_found_outlives_the_takedown_of_the_output(store: Store) -> None:
    speak(store, OUTPUT)
    crawl(store, copy=f"{OUTPUT} and a little more")
    take_down(store, Selection("source", ("bot logs",)), reason="asked for", copies="keep", yes_all=1)
    assert labels(store)["copy"] == CONFLICT
    claimed(store, "copy", "human", method="licence deal")
    assert labels(store)["copy"] == CONFLICT
    assert rescan(store).n_conflicts == 1
    assert [one for one in violations(store) if not one.startswith("takedown: the file was written anew")] == []


@pytest.mark.parametrize("containment", [None, 0.8])
def test_who_quotes_is_no_launderer_because_the_original_was_taken_down(
    tmp_path: Path, containment: float | None
) -> None:
    with Store.create(tmp_path / "s.duckdb", dedup=DedupParameters(containment=containment)) as store:
        crawl(store, "first", original=OUTPUT)
        speak(store, f"{OUTPUT} and more")
        crawl(store, "second", again=f"{OUTPUT} and again", part=" ".join(WORDS[:80]))
        before = {one: found(store)[one] for one in ("again", "part")}
        assert {ground for _, ground, _ in before.values()} == {"quoted"}
        take_down(store, Selection("source", ("first",)), reason="asked for", copies="keep")
        crawl(store, "third", twin=f"{OUTPUT} and again")
        for _ in range(2):
            told = {row["external_id"]: row["ground"] for row in list_laundering(store).rows}
            assert told == {"again": "quoted", "part": "quoted", "twin": "quoted"}
            assert {labels(store)[one][0] for one in told} == {"human"}
            claimed(store, "again", "human", method="licence deal")
            assert labels(store)["again"] == ("human", None, 4)
            rescan(store)
        assert [one for one in violations(store) if not one.startswith("takedown: the file was written anew")] == []
        remove_source(store, "bot logs")
        assert (found(store), count(store, "laundering")) == ({}, 0)


def test_a_large_store_is_compared_later_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(store, [{"id": "first", "text": OUTPUT}], source="dump", origin="unknown")
    crawl(store, copy=OUTPUT, part=" ".join(WORDS[:70]))
    monkeypatch.setattr(follow, "AT_ONCE_BYTES", 100)
    claimed(store, "first", "synthetic", model="bot")
    assert set(found(store)) == {"copy"}, "copies are found by signatures"
    assert [one for one in violations(store) if "compared" in one]
    assert list_laundering(store).is_pending
    done = rescan(store)
    assert (done.n_changed, done.n_conflicts, done.n_outputs, done.n_texts) == (1, 2, 1, 2)
    assert set(found(store)) == {"copy", "part"}
    assert (violations(store), list_laundering(store).is_pending) == ([], False)


def test_at_most_eight_partners_and_conflicts_first(store: Store) -> None:
    crawl(store, original=OUTPUT)
    for i in range(10):
        speak(store, OUTPUT, model=f"bot {i}", name=str(i))
    crawl(store, "later", copy=OUTPUT)
    assert rows(store, "SELECT max(n) AS n FROM (SELECT count(*) AS n FROM laundering GROUP BY document_id)") == [
        {"n": 8}
    ]
    assert found(store)["original"][0] == found(store)["copy"][0] == "memorisation"


def test_nothing_hides_behind_what_all_outputs_say(store: Store) -> None:
    """A passage of people that every output repeats is no reason to overlook what the text has of one of them."""
    motto, own = prose(20, n_words=120), [prose(100 + i, n_words=150) for i in range(80)]
    crawl(store, motto=motto)
    speak(store, *(f"{motto} {text}" for text in own))
    taken = " ".join(own[-1].split()[40:90])
    crawl(store, "later", hidden=f"{motto} {taken} {prose(21, n_words=400)}", open=f"{motto} {prose(22, n_words=400)}")
    rescan(store)
    assert (labels(store)["hidden"], labels(store)["open"], labels(store)["motto"]) == (CONFLICT, HUMAN, HUMAN)


def test_unknown_models_and_verdicts_are_refused(store: Store) -> None:
    speak(store, OUTPUT)
    for more in ({"model": "nobody"}, {"verdict": "guilty"}):
        with pytest.raises(UnknownName, match=next(iter(more.values()))):
            list_laundering(store, **more)
    assert list_laundering(store, model="bot", verdict="conflict").rows == []
