"""Random mixes over a real store: what is made holds by plain SQL, in every unit; what is refused leaves nothing."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.mix.errors import InfeasibleMix
from provenance.mix.make import make_training_set, replay
from provenance.mix.spec import MixSpec
from provenance.mix.verify import verify
from provenance.store.store import Store
from tests.unit.mix.corpus import add_documents, byte_tokenizer, standard_rows

UNITS = {"words": "n_words", "bytes": "n_bytes", "tokens": "n_tokens", "documents": "1"}
shares = st.integers(0, 20).map(lambda n: f"{n}/20")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    from provenance.mix.tokens import add_tokenizer

    with Store.create(tmp_path_factory.mktemp("mix") / "store.duckdb") as store:
        add_documents(store, standard_rows())
        add_tokenizer(store, "bytes", byte_tokenizer())
        yield store, iter(range(10**6))


quotas = st.fixed_dictionaries(
    {},
    optional={
        "human": shares.map(lambda s: {"where": "origin = 'human'", "min": s}),
        "far": shares.map(lambda s: {"where": "generation >= 2", "max": s}),
        "near": shares.map(lambda s: {"where": "generation <= 1", "min": s}),
        "source": st.integers(5, 20).map(lambda n: {"per": "source", "max": f"{n}/20"}),
        "model": st.integers(5, 20).map(lambda n: {"per": "model", "max": f"{n}/20"}),
        "long": shares.map(lambda s: {"where": "n_words >= 50", "min": s, "max": 1}),
    },
)

CHECKS = {
    "human": ("min", "origin = 'human'"),
    "far": ("max", "generation IS NULL OR generation >= 2"),
    "near": ("min", "generation <= 1"),
    "long": ("min", "n_words >= 50"),
}


@settings(max_examples=max(15, settings.default.max_examples // 2))
@given(
    quotas,
    st.sampled_from(sorted(UNITS)),
    st.integers(1, 100),
    st.sampled_from(["interleaved", "shuffled"]),
    st.integers(0, 3),
    st.booleans(),
)
def test_what_is_made_holds_by_plain_sql(filled, wanted, unit, percent, order, seed, weighted):
    store, numbers = filled
    name = f"m{next(numbers)}"
    size = {"words": 270, "bytes": 2600, "tokens": 2600, "documents": 5}[unit] * percent
    spec = MixSpec(
        name=name,
        budget={unit: size},
        tokenizer="bytes" if unit == "tokens" else None,
        quotas=[{"name": quota, **bounds} for quota, bounds in wanted.items()],
        weights={"source": {"books-0": 2, "outputs": 1}} if weighted else {},
        order=order,
        seed=seed,
    )
    try:
        made = make_training_set(store, spec)
    except InfeasibleMix:
        left = store.fetch("SELECT count(*) AS n FROM training_set_item WHERE training_set = :n", {"n": name})
        assert left["n"][0].as_py() == 0
        return
    assert verify(store, name).violations == ()
    assert replay(store, made.manifest).num_rows == len(made)

    def units(condition):
        query = f"SELECT sum({UNITS[unit]})::BIGINT AS n FROM training_set_documents WHERE training_set = :n"
        return store.fetch(f"{query} AND ({condition})", {"n": name})["n"][0].as_py() or 0

    total = units("true")
    assert size - made.manifest["budget"]["one_document"] < total <= size
    for quota, (bound, condition) in CHECKS.items():
        if quota in wanted:
            share = Fraction(wanted[quota][bound])
            assert units(condition) >= share * total if bound == "min" else units(condition) <= share * total
    if "source" in wanted:
        for source in ("books-0", "books-1", "outputs", "crawl"):
            assert units(f"source = '{source}'") <= Fraction(wanted["source"]["max"]) * total
    if "model" in wanted:
        for model in ("model-0", "model-1"):
            may_be = f"model = '{model}' OR (model IS NULL AND origin <> 'human')"
            assert units(may_be) <= Fraction(wanted["model"]["max"]) * total
