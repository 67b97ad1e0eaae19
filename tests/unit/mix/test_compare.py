"""The difference between two training sets, against a count in Python."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from provenance.errors import UnknownName
from provenance.mix.compare import DIMENSIONS, Group, Side, compare, differing
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.store.store import Store
from tests.factories import provenance
from tests.unit.mix.corpus import add_documents, standard_rows

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.5}


def make(store, name, words=5_000, **more):
    return make_training_set(store, MixSpec(name=name, budget={"words": words}, **({"quotas": [HUMAN]} | more)))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with Store.create(tmp_path_factory.mktemp("compare") / "store.duckdb") as store:
        add_documents(store, standard_rows())
        yield store, iter(range(10**6))


CURRICULUM = {"curriculum": [{"name": "early", "share": "1/4"}, {"name": "late", "share": "3/4"}]}
QUOTAS = [[HUMAN], [HUMAN, {"name": "source", "per": "source", "max": 0.6}]]
MIXES = st.fixed_dictionaries(
    {
        "words": st.integers(500, 12_000),
        "seed": st.integers(0, 1),
        "repeats": st.sampled_from([{}, {"max": 3}]),
        "quotas": st.sampled_from(QUOTAS),
        "order": st.sampled_from(["interleaved", CURRICULUM]),
    }
)


def side(own, other, dimension, value):
    """Count in Python what a set draws in a group beside another set."""
    inside = [draw for draw in own if dimension is None or draw[dimension] == value]
    here = Counter(draw["document_id"] for draw in inside)
    there = Counter(d["document_id"] for d in other if dimension is None or d[dimension] == value)
    elsewhere = {draw["document_id"] for draw in other}
    only = [draw for draw in inside if draw["document_id"] not in elsewhere]
    return Side(
        documents=len(here),
        draws=len(inside),
        words=sum(draw["n_words"] for draw in inside),
        only_documents=len({draw["document_id"] for draw in only}),
        only_draws=len(only),
        only_words=sum(draw["n_words"] for draw in only),
        surplus=sum(max(0, here[d] - there[d]) for d in here if d in there),
        moved=sum(d in elsewhere and d not in there for d in here),
    )


@settings(max_examples=10)
@given(MIXES, MIXES)
def test_counts_are_those_of_python_and_mirror_each_other(filled, one, two):
    store, numbers = filled
    names = [f"s{next(numbers)}" for _ in range(2)]
    a, b = (list(make(store, name, **mix)) for name, mix in zip(names, (one, two), strict=True))
    found, mirrored = compare(store, *names), compare(store, *reversed(names))
    assert (found.total.a, found.total.b) == (side(a, b, None, None), side(b, a, None, None))
    for dimension in DIMENSIONS:
        values = {draw[dimension] for draw in (*a, *b)}
        assert [group.n_different for group in found.groups[dimension]] == sorted(
            (group.n_different for group in found.groups[dimension]), reverse=True
        )
        assert {group.value: group for group in found.groups[dimension]} == {
            value: Group(value, side(a, b, dimension, value), side(b, a, dimension, value)) for value in values
        }
        assert {(g.value, g.a, g.b) for g in found.groups[dimension]} == {
            (g.value, g.b, g.a) for g in mirrored.groups[dimension]
        }
    assert {f.field: (f.a, f.b) for f in found.fields} == {f.field: (f.b, f.a) for f in mirrored.fields}
    assert (found.a, found.b) == (mirrored.b, mirrored.a)
    for of, draws in ((found.a, a), (found.b, b)):
        human = sum(draw["n_words"] for draw in draws if draw["origin"] == "human")
        assert of.human["words"] == human / sum(draw["n_words"] for draw in draws)
        assert of.human["tokens"] is None
    assert found.is_empty == (one == two)


@settings(max_examples=10)
@given(MIXES, MIXES)
def test_every_stratum_is_kept_or_shrank_or_is_named_with_what_it_lost(filled, one, two):
    store, numbers = filled
    names = [f"s{next(numbers)}" for _ in range(2)]
    a, b = (list(make(store, name, **mix)) for name, mix in zip(names, (one, two), strict=True))
    found = compare(store, *names)
    drawn = [Counter((draw["stratum"], draw["document_id"]) for draw in draws) for draws in (a, b)]
    sizes = [Counter(draw["stratum"] for draw in draws) for draws in (a, b)]
    anywhere = {draw["document_id"] for draw in b}
    kept, shrunk, lost = ({group.value for group in part} for part in (found.kept, found.shrunk, found.lost))
    assert shrunk == {stratum for stratum, n in sizes[0].items() if sizes[1][stratum] < n}
    missing = drawn[0] - drawn[1]
    assert kept == set(sizes[0]) - {stratum for stratum, _ in missing}
    moved = {key for key in missing if key not in drawn[1] and key[1] in anywhere}
    gone = Counter()
    for key in missing.keys() - moved:
        gone[key[0]] += missing[key]
    assert lost == {stratum for stratum in gone if stratum not in shrunk}
    assert all(group.lost == gone[group.value] for group in found.groups["stratum"])
    as_mapping = found.as_mapping()
    assert {one["stratum"]: one["lost"] for one in as_mapping["strata_that_lost_draws"]} == {s: gone[s] for s in lost}
    assert as_mapping["strata_kept"] == len(kept)


def test_a_set_and_itself(store):
    make(store, "a")
    found = compare(store, "a", "a")
    assert found.is_empty
    assert found.as_mapping()["documents_in_both"] == found.total.a.documents > 0


def test_a_larger_budget_keeps_what_was_drawn(store):
    make(store, "a")
    make(store, "b", 8_000)
    found = compare(store, "a", "b")
    assert (found.shrunk, found.lost, found.total.a.only_documents) == ([], [], 0)
    assert [(field.field, field.a, field.b) for field in found.fields] == [("budget.words", 5_000, 8_000)]


def test_strata_that_shrank_and_that_lost(store):
    make(store, "a", weights={"origin": {"human": 4, "synthetic": 1}})
    make(store, "b", weights={"origin": {"human": 1, "synthetic": 1}})
    shrunk = compare(store, "a", "b")
    [(own, of)] = [(group, group.value) for group in shrunk.shrunk]
    assert of == "human + origin human"
    assert (shrunk.lost, own.lost) == ([], own.a.draws - own.b.draws)
    make(store, "c", 5_500, seed=1, weights={"origin": {"human": 4, "synthetic": 1}})
    found = compare(store, "a", "c")
    assert found.shrunk == found.kept == []
    assert {group.value for group in found.lost} == {"human + origin human", "origin synthetic"}


def test_fewer_repeats_are_lost_draws(store):
    quota = {"name": "few", "where": "source = 'crawl'", "min": 1}  # 50 documents of 45 words
    make(store, "a", 45 * 60, quotas=[quota], repeats={"max": 2})
    make(store, "b", 45 * 60, quotas=[quota], repeats={"max": 2})
    with store.transaction() as connection:  # as if another draw had repeated other documents
        connection.execute(text("UPDATE training_set_item SET stratum = 'x' WHERE training_set = 'b' AND repeat = 1"))
        connection.execute(text("UPDATE training_set_item SET stratum = 'few' WHERE training_set = 'b' AND repeat = 0"))
    [group] = compare(store, "a", "b").shrunk
    assert (group.a.documents, group.a.draws, group.b.draws) == (50, 60, 50)
    assert (group.lost, group.a.surplus, group.a.only_draws) == (10, 10, 0)


def test_fields_of_named_records():
    a = {"quotas": [{"name": "x", "min": "0.5"}, {"name": "y", "max": "0.1"}]}
    b = {"quotas": [{"name": "x", "min": "0.6"}]}
    assert {f.field for f in differing(a, b)} == {"quotas.x.min", "quotas.y"}


def test_unknown_names(store):
    make(store, "pretrain")
    with pytest.raises(UnknownName, match="pretrain"):
        compare(store, "pretrain", "pretrian")


def test_the_command(store):
    make(store, "a")
    make(store, "b", 8_000, seed=2)
    store.close()
    answer = provenance("--store", store.path, "diff", "a", "b")
    assert answer.code == 0, answer.err
    assert "only in a" in answer.out
    assert "budget.words" in answer.out
    as_json = json.loads(provenance("--store", store.path, "diff", "a", "b", "--json").out)
    assert as_json["total"]["a"]["draws"] > as_json["documents_in_both"] > 0
    assert as_json["specification"] == [
        {"field": "budget.words", "a": 5_000, "b": 8_000},
        {"field": "seed", "a": 0, "b": 2},
    ]
    same = provenance("--store", store.path, "diff", "a", "a")
    assert (same.code, same.out, same.err) == (0, "", "a and a do not differ.\n")
    unknown = provenance("--store", store.path, "diff", "a", "bb")
    assert (unknown.code, unknown.out) == (1, "")
    assert "There is no training set 'bb'. Did you mean 'b'?" in unknown.err


def test_long_values_and_many_groups_are_cut_and_said(store):
    made = make(store, "a")
    make(store, "b", quotas=[HUMAN, {"name": "few", "where": "origin = 'unknown'", "max": 0.1}])
    with store.transaction() as connection:
        connection.execute(text("UPDATE training_set_item SET source = 'source ' || position WHERE training_set = 'a'"))
    store.close()
    answer = provenance("--store", store.path, "diff", "a", "b")
    sources = len(made) + 4 - 20
    assert f"{sources} more by source, which differ less; --json has all" in answer.err
    assert '{"name": "few", "where": "origin = \'unknown\'", "max": "0.1"}' in " ".join(answer.out.split())
    assert "b keeps every draw of a in 1 of its 2 strata." in answer.out
