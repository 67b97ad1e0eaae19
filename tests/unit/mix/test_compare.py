"""The difference between two training sets, against a count in Python."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import UnknownName
from provenance.mix.compare import compare, differing
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


MIXES = st.fixed_dictionaries(
    {"words": st.integers(500, 12_000), "seed": st.integers(0, 2), "repeats": st.sampled_from([{}, {"max": 2}])}
)


@settings(max_examples=15)
@given(MIXES, MIXES)
def test_counts_are_those_of_python_and_mirror_each_other(filled, one, two):
    store, numbers = filled
    names = [f"s{next(numbers)}" for _ in range(2)]
    a, b = (list(make(store, name, **mix)) for name, mix in zip(names, (one, two), strict=True))
    found, mirrored = compare(store, *names), compare(store, *reversed(names))
    draws = [Counter(d["document_id"] for d in documents) for documents in (a, b)]
    assert found.total.a.documents == len(draws[0])
    assert found.total.b.draws == len(b)
    assert found.total.a.only_documents == len(draws[0].keys() - draws[1].keys())
    assert found.total.unequal == sum(draws[0][d] != draws[1][d] for d in draws[0].keys() & draws[1].keys())
    assert found.total.a.words == sum(d["n_words"] for d in a)
    for group in found.groups["source"]:
        inside = [d for d in b if d["source"] == group.value]
        assert (group.b.draws, group.b.words) == (len(inside), sum(d["n_words"] for d in inside))
    assert (found.total.a, found.total.b) == (mirrored.total.b, mirrored.total.a)
    assert {f.field: (f.a, f.b) for f in found.fields} == {f.field: (f.b, f.a) for f in mirrored.fields}
    lost = {group.value: group.a.only_documents for group in found.lost}
    by_stratum = [Counter(d["stratum"] for d in documents) for documents in (a, b)]
    for stratum in by_stratum[0]:
        gone = {d["document_id"] for d in a if d["stratum"] == stratum} - draws[1].keys()
        assert lost.get(stratum, 0) == (len(gone) if by_stratum[1][stratum] >= by_stratum[0][stratum] else 0)


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
    assert [group.value for group in shrunk.shrunk] == ["human + origin human"]
    make(store, "c", seed=1, weights={"origin": {"human": 4, "synthetic": 1}})
    assert "human + origin human" in {group.value for group in compare(store, "a", "c").lost} | {
        group.value for group in compare(store, "c", "a").lost
    }


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
    assert as_json["total"]["a"]["draws"] > 0
    assert provenance("--store", store.path, "diff", "a", "nothing").code == 1
