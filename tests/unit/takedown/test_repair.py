"""A training set drawn anew without what was taken down: near to the old one, true to its quotas, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from provenance.errors import NameTaken, UnknownName
from provenance.mix.compare import compare
from provenance.mix.errors import InfeasibleMix
from provenance.mix.make import make_training_set, replay
from provenance.mix.spec import MixSpec
from provenance.mix.training_set import TrainingSet
from provenance.mix.verify import verify
from provenance.store.store import Store
from provenance.takedown.erase import take_down
from provenance.takedown.errors import NothingToRepair
from provenance.takedown.repair import repair
from provenance.takedown.select import Selection
from tests.factories import rows
from tests.unit.mix.corpus import add_documents, document, standard_rows

HUMAN = {"name": "human", "where": "origin = 'human'", "min": "3/5"}
PER_MODEL = {"name": "model", "per": "model", "max": 0.25}


@pytest.fixture
def store(store: Store) -> Store:
    """200 human documents of 40 to 60 words, 300 of two models, 50 of unknown origin."""
    add_documents(store, [{"author": f"a{i % 40}", **row} for i, row in enumerate(standard_rows())])
    return store


def erase_drawn(store: Store, name: str, *, n: int, condition: str = "true") -> None:
    query = f"""SELECT DISTINCT document_id::VARCHAR AS id FROM training_set_item
                WHERE training_set = '{name}' AND {condition} ORDER BY id LIMIT {n}"""
    found = tuple(row["id"] for row in rows(store, query))
    assert len(found) == n
    take_down(store, Selection("document", found), reason="r")


SPECS: dict[str, dict[str, Any]] = {
    "quotas": {"budget": {"words": 6000}, "quotas": [HUMAN, PER_MODEL]},
    "weights": {"budget": {"words": 6000}, "quotas": [HUMAN], "weights": {"source": {"books-0": 3, "outputs": 1}}},
    "repeats": {"budget": {"words": 14_000}, "quotas": [HUMAN], "repeats": {"max": 3}, "where": "n_words < 50"},
    "all copies": {"budget": {"words": 6000}, "quotas": [HUMAN], "duplicates": "all", "order": "shuffled"},
}


@pytest.mark.parametrize("kind", SPECS)
def test_what_is_left_stays_and_the_quotas_hold(store: Store, kind: str) -> None:
    made = make_training_set(store, MixSpec(name="old", **SPECS[kind]))
    erase_drawn(store, "old", n=7)
    found = repair(store, "old")
    assert (found.of, found.name, found.n_before) == ("old", "old-repaired", len(made))
    assert found.n_left < found.n_before
    assert found.n_kept == found.n_left, "every draw whose document is there stays"
    assert abs(found.n_draws - found.n_before) <= 2
    verdict = verify(store, "old-repaired")
    assert verdict.violations == ()
    again = TrainingSet.open("old-repaired", store)
    assert replay(store, again.manifest).num_rows == found.n_draws
    assert again.spec.as_mapping() | {"name": "old"} == made.spec.as_mapping()
    assert repair(store, "old") == found, "made again, it is the same"


def test_a_set_of_everything_keeps_everything(store: Store) -> None:
    make_training_set(store, MixSpec(name="old", budget="all", where="origin = 'human'"))
    erase_drawn(store, "old", n=7)
    found = repair(store, "old", new_name="without")
    assert (found.name, found.n_left, found.n_kept, found.n_draws) == ("without", 193, 193, 193)


def test_a_curriculum_is_drawn_anew(store: Store) -> None:
    phases = [{"name": "one", "share": 0.5}, {"name": "two", "share": 0.5, "quotas": [HUMAN]}]
    make_training_set(store, MixSpec(name="old", budget={"words": 5000}, order={"curriculum": phases}))
    erase_drawn(store, "old", n=7)
    found = repair(store, "old")
    assert verify(store, found.name).violations == ()
    assert 0.8 * found.n_left < found.n_kept <= found.n_left


def test_where_a_stratum_runs_out_others_take_its_place(store: Store) -> None:
    quota = {"name": "books", "where": "source = 'books-0'", "max": 0.5}
    spec = MixSpec(name="old", budget={"words": 9500}, where="origin = 'human'", quotas=[quota])
    make_training_set(store, spec)
    erase_drawn(store, "old", n=9, condition="source = 'books-0'")
    found = repair(store, "old")
    assert verify(store, found.name).violations == ()
    assert found.n_kept > 0.95 * found.n_left


def test_a_quota_that_cannot_be_met_any_more_is_refused_with_numbers(store: Store) -> None:
    make_training_set(store, MixSpec(name="old", budget={"words": 16_000}, quotas=[HUMAN]))
    erase_drawn(store, "old", n=60, condition="origin = 'human'")
    with pytest.raises(InfeasibleMix) as refused:
        repair(store, "old")
    (short, *_) = refused.value.conflict
    assert short.available < short.needed
    assert rows(store, "SELECT name FROM training_sets") == [{"name": "old"}]


def test_names(store: Store) -> None:
    spec = MixSpec(name="old", **SPECS["quotas"])
    make_training_set(store, spec)
    with pytest.raises(NothingToRepair, match="'old'"):
        repair(store, "old")
    with pytest.raises(UnknownName, match="Did you mean 'old'"):
        repair(store, "olt")
    erase_drawn(store, "old", n=2)
    assert repair(store, "old").name == "old-repaired"
    erase_drawn(store, "old-repaired", n=2)
    with pytest.raises(NameTaken, match="choose another name"):
        repair(store, "old-repaired", new_name="old")
    assert repair(store, "old-repaired").name == "old-repaired-2"
    assert repair(store, "old").name == "old-repaired-2"
    difference = compare(store, "old-repaired", "old-repaired-2")
    assert difference.total.a.only_documents == 2


def test_relabelled_documents_are_not_kept_against_the_quota(store: Store) -> None:
    make_training_set(store, MixSpec(name="old", **SPECS["quotas"]))
    with store.transaction() as connection:
        connection.exec_driver_sql("""UPDATE document SET origin = 'unknown', generation = NULL WHERE document_id IN (
            SELECT document_id FROM training_set_item WHERE origin = 'human' ORDER BY document_id LIMIT 20)""")
    erase_drawn(store, "old", n=3, condition="origin = 'synthetic'")
    found = repair(store, "old")
    assert verify(store, found.name).violations == ()


def test_what_came_since_does_not_push_out_what_was_drawn(store: Store) -> None:
    make_training_set(store, MixSpec(name="old", **SPECS["quotas"]))
    late = [document(f"new{i}", 50, source="late") for i in range(400)]  # type: ignore[no-untyped-call]
    add_documents(store, [{"author": "b", **row} for row in late])
    erase_drawn(store, "old", n=4)
    found = repair(store, "old")
    assert found.n_kept == found.n_left
    assert verify(store, found.name).violations == ()
