"""Tampering of every kind is found and named."""

from __future__ import annotations

import copy
import json
import shutil

import pytest
from sqlalchemy import delete, text, update

from provenance.errors import UnknownName
from provenance.mix.errors import TrainingSetViolated
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.training_set import TrainingSet
from provenance.mix.verify import verify
from provenance.store import schema
from provenance.store.store import Store
from tests.unit.mix.corpus import add_documents, document, standard_rows

ITEM, DOCUMENT, SET = schema.training_set_item, schema.document, schema.training_set

SPEC = MixSpec(
    name="m",
    budget={"words": 4000},
    where="n_words >= 30",
    quotas=[
        {"name": "human", "where": "origin = 'human'", "min": 0.5},
        {"name": "source", "per": "source", "max": 0.5},
        {"name": "fresh", "where": "origin = 'human'", "min": 0.2, "not_used_by": ["gen0"]},
    ],
    exclude={"training_sets": ["heldout"]},
    seed=5,
)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("verify") / "store.duckdb"
    with Store.create(path) as store:
        add_documents(store, standard_rows())
        make_training_set(store, MixSpec(name="heldout", budget={"documents": 10}, where="origin = 'human'"))
        make_training_set(store, MixSpec(name="gen0", budget={"words": 2000}, where="origin = 'human'", seed=1))
        make_training_set(store, SPEC)
    return path


@pytest.fixture
def mixed(made_once, tmp_path):
    path = shutil.copy(made_once, tmp_path / "store.duckdb")
    with Store.open(path, writable=True) as store:
        yield store


def run(store: Store, statement, parameters=None):
    with store.transaction() as connection:
        connection.execute(text(statement) if isinstance(statement, str) else statement, parameters or {})


def claims(store):
    return [v.claim for v in verify(store, "m").violations]


def test_what_was_made_holds(mixed):
    verdict = verify(mixed, "m")
    assert verdict.violations == ()
    assert verdict.n_documents == len(TrainingSet.open("m", mixed))


def drawn(store, condition):
    query = "SELECT document_id, position FROM training_set_item WHERE training_set = 'm' AND {} ORDER BY position"
    return store.fetch(query.format(condition)).to_pylist()


def test_a_swapped_document(mixed):
    other = mixed.fetch(
        "SELECT document_id FROM document WHERE source = 'outputs' AND document_id NOT IN "
        "(SELECT document_id FROM training_set_item) LIMIT 1"
    )["document_id"][0].as_py()
    run(mixed, "UPDATE training_set_item SET document_id = :d WHERE training_set = 'm' AND position = 3", {"d": other})
    assert "digest over the ordered draws" in claims(mixed)


def test_a_missing_row(mixed):
    run(mixed, delete(ITEM).where(ITEM.c.training_set == "m", ITEM.c.position == 7))
    found = claims(mixed)
    assert "number of draws" in found
    assert "positions run from 0 without gaps" in found


def test_the_last_row_missing(mixed):
    last = drawn(mixed, "true")[-1]["position"]
    run(mixed, delete(ITEM).where(ITEM.c.training_set == "m", ITEM.c.position == last))
    assert "number of draws" in claims(mixed)


def test_one_more_repeat(mixed):
    run(
        mixed,
        "INSERT INTO training_set_item BY NAME SELECT * REPLACE ((SELECT max(position) + 1 FROM training_set_item "
        "WHERE training_set = 'm') AS position, 1 AS repeat) FROM training_set_item "
        "WHERE training_set = 'm' AND position = 0",
    )
    assert "draws beyond what `repeats` allows" in claims(mixed)


def test_a_reordered_prefix(mixed):
    run(
        mixed,
        "UPDATE training_set_item SET position = CASE position WHEN 0 THEN 1 ELSE 0 END "
        "WHERE training_set = 'm' AND position IN (0, 1)",
    )
    found = claims(mixed)
    assert "digest over the ordered draws" in found
    assert not any("number" in claim for claim in found)


def test_a_relabelled_draw(mixed):
    place = drawn(mixed, "origin = 'synthetic'")[0]["position"]
    run(mixed, update(ITEM).where(ITEM.c.training_set == "m", ITEM.c.position == place).values(origin="human"))
    found = claims(mixed)
    assert "digest over the draws' labels" in found
    assert "human share of words" in found
    assert any("quota 'human'" in claim for claim in found)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("n_words", 1), ("n_bytes", 1), ("n_tokens", 1), ("generation", 7), ("evidence_rank", 5), ("model", "x"),
        ("source", "x"), ("licence_class", "unknown"), ("stratum", "x"), ("repeat", 1),
    ],
)  # fmt: skip
def test_any_changed_label_of_a_draw(mixed, column, value):
    run(mixed, update(ITEM).where(ITEM.c.training_set == "m", ITEM.c.position == 2).values({column: value}))
    assert "digest over the draws' labels" in claims(mixed)


def test_a_relabelled_document_violates_only_today(mixed):
    run(mixed, "UPDATE document SET origin = 'unknown', generation = NULL WHERE origin = 'human'")
    verdict = verify(mixed, "m")
    assert verdict.as_drawn == ()
    assert any("quota 'human'" in v.claim for v in verdict.as_of_now)
    with pytest.raises(TrainingSetViolated, match="now"):
        TrainingSet.open("m", mixed)
    assert len(TrainingSet.open("m", mixed, accept_relabelled=True)) == verdict.n_documents


def test_a_removed_document(mixed):
    run(mixed, "DELETE FROM document WHERE document_id = :d", {"d": drawn(mixed, "true")[0]["document_id"]})
    verdict = verify(mixed, "m")
    assert verdict.as_of_now[0].claim == "documents that are no longer in the store"
    with pytest.raises(TrainingSetViolated):
        TrainingSet.open("m", mixed)


def test_a_document_that_no_longer_passes_the_filter(mixed):
    run(mixed, "UPDATE document SET n_words = 5 WHERE document_id = :d", {"d": drawn(mixed, "true")[0]["document_id"]})
    found = claims(mixed)
    assert "draws that do not pass the filter" in found
    assert "draws whose words, bytes, tokens or source are not their document's" in found


def test_a_draw_that_is_held_out(mixed):
    place = drawn(mixed, "true")[0]
    run(
        mixed,
        "INSERT INTO training_set_item BY NAME SELECT * REPLACE ('heldout' AS training_set, 99 AS position) "
        "FROM training_set_item WHERE training_set = 'm' AND position = :p",
        {"p": place["position"]},
    )
    assert "draws from excluded training sets" in claims(mixed)


def test_a_fresh_draw_that_was_used(mixed):
    run(
        mixed,
        "INSERT INTO training_set_item BY NAME SELECT * REPLACE ('gen0' AS training_set, 1000 + position AS position) "
        "FROM training_set_item WHERE training_set = 'm' AND origin = 'human'",
    )
    assert any("quota 'fresh'" in claim for claim in claims(mixed))


def manifest_of(store):
    return json.loads(store.fetch("SELECT manifest FROM training_set WHERE name = 'm'")["manifest"][0].as_py())


def change(manifest, *path, to):
    changed = copy.deepcopy(manifest)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return changed


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("quotas", 0, "units"), 1),
        (("quotas", 0, "share"), "0.4"),
        (("quotas", 0, "total"), 1),
        (("quotas", 0, "prefix_slack"), 999),
        (("quotas",), []),
        (("human", "words", "share"), 0.99),
        (("human", "documents", "human"), 0),
        (("totals", "bytes"), 0),
        (("composition",), []),
        (("digest",), "0" * 64),
        (("items_digest",), "0" * 64),
        (("budget", "used"), 3999),
        (("budget", "asked"), 5000),
        (("budget", "unit"), "bytes"),
        (("seed",), 6),
        (("order",), "shuffled"),
        (("spec", "quotas", 0, "min"), "0.1"),
        (("spec", "where"), None),
        (("spec", "name"), "other"),
        (("store", "store_id"), "00000000-0000-0000-0000-000000000000"),
        (("strata", 0, "units"), 1),
        (("strata", 0, "prefix"), 1),
        (("strata",), []),
        (("spec",), {}),
        (("totals",), None),
    ],
)
def test_a_changed_manifest(mixed, path, to):
    changed = change(manifest_of(mixed), *path, to=to)
    given = verify(mixed, "m", manifest=changed).violations
    assert given
    run(mixed, update(SET).where(SET.c.name == "m").values(manifest=changed))
    stored = [v for v in verify(mixed, "m").violations if v.claim != "manifest in the store"]
    assert stored, "also found where the stored manifest itself was changed"
    with pytest.raises(TrainingSetViolated):
        TrainingSet.open("m", mixed)


@pytest.mark.parametrize(("column", "value"), [("digest", "0"), ("n_words", 1), ("human_share", 0.9), ("spec", {})])
def test_a_changed_list_of_training_sets(mixed, column, value):
    run(mixed, update(SET).where(SET.c.name == "m").values({column: value}))
    assert claims(mixed)


def test_a_manifest_from_another_store(mixed, tmp_path):
    with Store.create(tmp_path / "other.duckdb") as other:
        add_documents(other, standard_rows())
        make_training_set(other, MixSpec(name="m", budget={"words": 4000}))
        found = [v.claim for v in verify(other, "m", manifest=manifest_of(mixed)).violations]
        assert "store that it was drawn from" in found
        with pytest.raises(UnknownName):
            verify(other, "heldout")


def test_documents_added_later_change_nothing(mixed):
    add_documents(mixed, [document(f"later{i}") for i in range(20)])
    assert claims(mixed) == []
