from __future__ import annotations

import pickle
from fractions import Fraction

import pytest

from provenance.mix.errors import SpecError, share_text
from provenance.mix.spec import MixSpec

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.6}


def spec(**fields):
    return MixSpec(**({"name": "m", "budget": {"words": 100}} | fields))


def test_shares_are_what_their_decimal_text_says():
    quota = spec(quotas=[HUMAN | {"min": 0.07, "max": "1/3"}]).quotas[0]
    assert (quota.min, quota.max) == (Fraction(7, 100), Fraction(1, 3))


@pytest.mark.parametrize(
    ("budget", "unit", "amount"),
    [({"words": 5}, "words", 5), ("all", "words", None), ({"documents": "all"}, "documents", None)],
)
def test_budget_forms(budget, unit, amount):
    assert (spec(budget=budget).budget.unit, spec(budget=budget).budget.amount) == (unit, amount)


def test_all_counts_in_tokens_where_a_tokenizer_is_named():
    assert spec(budget="all", tokenizer="t").budget.unit == "tokens"


def test_plain_data_can_be_read_again():
    one = spec(
        quotas=[HUMAN, {"name": "source", "per": "source", "max": "1/3", "not_used_by": ["a"]}],
        weights={"source": {"sotu": 2, "essays": 0.5}, "licence_class": "available", "temperature": 0.7},
        duplicates={"at_most": 2},
        repeats={"max": 4, "per": {"source": {"essays": 1}}},
        decontaminate={"against": ["eval.jsonl"]},
        order={
            "curriculum": [
                {"name": "a", "share": "1/3", "quotas": [HUMAN | {"name": "h"}]},
                {"name": "b", "share": "2/3"},
            ]
        },
        exclude={"training_sets": ["heldout"], "spans": 13},
        seed=7,
    )
    assert MixSpec.from_mapping(one.as_mapping()) == one
    assert MixSpec.from_mapping(one.as_mapping()).as_mapping() == one.as_mapping()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"budgt": 1}, "unknown field 'budgt', did you mean 'budget'?"),
        ({"budget": {"wrods": 3}}, "'wrods' is no unit of a budget, did you mean 'words'?"),
        ({"budget": {"words": 0}}, "the budget is 0"),
        ({"budget": {"words": -3}}, "the budget is -3"),
        ({"budget": {"words": True}}, "no whole number"),
        ({"budget": {"words": 1.5}}, "no whole number"),
        ({"budget": {"words": 1, "bytes": 2}}, "budget is {words: n}"),
        ({"budget": {"tokens": 5}}, "needs a tokenizer"),
        ({"name": "a b"}, "'a b' is no name"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"order": "randm"}, "'randm' is none of interleaved, shuffled, {curriculum: [phases]}"),
        ({"duplicates": "some"}, "'some' is none of representative, all, {at_most: k}"),
        ({"quotas": [HUMAN | {"min": 1.2}]}, "quotas.0: min: 1.2 is outside 0..1"),
        ({"quotas": [HUMAN | {"min": -0.1}]}, "outside 0..1"),
        ({"quotas": [HUMAN | {"min": "nan"}]}, "no number"),
        ({"quotas": [HUMAN | {"min": True}]}, "no number"),
        ({"quotas": [HUMAN | {"max": 0.5}]}, "quota 'human' has min 0.6 above max 0.5"),
        ({"quotas": [HUMAN | {"mx": 0.5}]}, "quotas.0: unknown field 'mx', did you mean 'max'?"),
        ({"quotas": [{"name": "x", "where": "true"}]}, "neither min nor max"),
        ({"quotas": [{"name": "x", "min": 0.5}]}, "exactly one of where and per"),
        ({"quotas": [HUMAN | {"per": "source"}]}, "exactly one of where and per"),
        ({"quotas": [{"name": "x", "per": "sauce", "max": 0.2}]}, "did you mean 'source'?"),
        ({"quotas": [HUMAN, HUMAN]}, "two quotas are called 'human'"),
        ({"quotas": [HUMAN | {"not_used_by": ["m"]}]}, "refers to itself"),
        ({"duplicates": {"at_most": 0}}, "duplicates: at_most: Input should be greater than or equal to 1"),
        ({"duplicates": {"at_mst": 2}}, "duplicates: unknown field 'at_mst', did you mean 'at_most'?"),
        ({"weights": {"temperature": 0.5}}, "needs a column to weigh"),
        ({"weights": {"source": "available", "temperature": 0}}, "temperature: Input should be greater than 0"),
        ({"weights": {"source": "some"}}, "or the word available"),
        ({"repeats": {"max": 0}}, "repeats: max: Input should be greater than or equal to 1"),
        ({"repeats": {"per": {"sauce": {"a": 1}}}}, "did you mean 'source'?"),
        ({"repeats": {"max": 2}, "budget": "all"}, "repeats need a budget with a number"),
        ({"decontaminate": {}}, "decontaminate: the field 'against' is missing"),
        ({"decontaminate": {"against": []}}, "at least 1 item"),
        ({"order": {"curriculum": []}}, "at least 1 item"),
        ({"order": {"curriculum": [{"name": "a", "share": 0.4}]}}, "the shares of the phases sum to 0.4, not to 1"),
        ({"order": {"curriculum": [{"name": "a", "share": 0}, {"name": "b", "share": 1}]}}, "'a' has share 0"),
        ({"order": {"curriculum": [{"name": "a", "share": 0.5}] * 2}}, "two phases are called 'a'"),
        ({"order": {"curriculum": [{"name": "a", "share": 1}]}, "budget": "all"}, "it needs a number"),
        (
            {"quotas": [HUMAN], "order": {"curriculum": [{"name": "a", "share": 1, "quotas": [HUMAN]}]}},
            "two quotas are called 'human'",
        ),
        ({"weights": {"surce": {"x": 1}}}, "did you mean 'source'?"),
        ({"weights": {"source": {"x": 0}}}, "all weights of source are 0"),
        ({"weights": {"source": {"x": -1}}}, "is negative"),
        ({"weights": {"source": {}}}, "mapping of values to weights"),
        ({"weights": {"source": {True: 1}}}, "quote them"),
        ({"exclude": {"trainin_sets": ["a"]}}, "did you mean 'training_sets'?"),
        ({"exclude": {"spans": 13}}, "needs exclude.training_sets"),
    ],
)
def test_mistakes_are_named(fields, problem):
    with pytest.raises(SpecError) as caught:
        spec(**fields)
    assert problem in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


def test_missing_fields_are_named():
    with pytest.raises(SpecError, match="the field 'budget' is missing"):
        MixSpec(name="m")


def test_yaml(tmp_path):
    path = tmp_path / "mix.yaml"
    path.write_text(
        "name: gen3\nbudget: {words: 1_000_000}\nquotas:\n"
        "  - {name: human, where: \"origin = 'human'\", min: 0.1}\nweights: {generation: {0: 2, 1: 1}}\n"
    )
    read = MixSpec.from_yaml(path)
    assert read.budget.amount == 1_000_000
    assert read.quotas[0].min == Fraction(1, 10)
    assert set(read.weights.columns["generation"]) == {"0", "1"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: [", "no YAML"),
        ("- 1", "no mapping"),
        ("name: a\nname: b\nbudget: all", "'name' stands twice"),
        ("name: a\nbudget: all\nseeed: 1", "did you mean 'seed'?"),
    ],
)
def test_yaml_mistakes_name_the_file(tmp_path, text, problem):
    path = tmp_path / "mix.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"mix\.yaml") as caught:
        MixSpec.from_yaml(path)
    assert problem in str(caught.value)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(SpecError, match="cannot be read"):
        MixSpec.from_yaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError):
        MixSpec.from_yaml(tmp_path / "binary.yaml")


def test_json_schema_can_be_made():
    assert "quotas" in MixSpec.model_json_schema()["properties"]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Fraction(1, 2), "0.5"),
        (Fraction(0), "0"),
        (Fraction(1), "1"),
        (Fraction(7, 100), "0.07"),
        (Fraction(1, 3), "1/3"),
        (Fraction(-1, 4), "-0.25"),
    ],
)
def test_share_text(share, text):
    assert share_text(share) == text
