"""Random mixes over a real store: what is made holds by plain SQL, in every unit; what is refused leaves nothing."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.mix.errors import InfeasibleMix
from provenance.mix.make import make_training_set, plan_mix, replay
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
        rows = standard_rows()
        for i, row in enumerate(rows[:60]):  # 20 clusters of three
            row["cluster_id"], row["is_representative"] = rows[i - i % 3]["content_id"], i % 3 == 0
        add_documents(store, rows)
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


PHASES = st.sampled_from([None, None, ("1/2", "1/2"), ("3/10", "7/10")])
DUPLICATES = st.sampled_from(["representative", "all", {"at_most": 2}])
REPEATS = st.sampled_from([{}, {}, {"max": 3}, {"max": 2, "per": {"source": {"outputs": 1, "books-0": 4}}}])
WEIGHTS = st.sampled_from(
    [
        {},
        {"source": {"books-0": 2, "outputs": 1}},
        {"source": "available", "temperature": 2},
        {"source": {"books-0": 2, "outputs": 1}, "origin": {"human": 1, "synthetic": 3}, "temperature": 0.5},
    ]
)


@settings(max_examples=max(12, settings.default.max_examples // 2))
@given(
    quotas,
    st.sampled_from(sorted(UNITS)),
    st.integers(1, 130),
    st.sampled_from(["interleaved", "shuffled"]),
    st.integers(0, 3),
    WEIGHTS,
    PHASES,
    DUPLICATES,
    REPEATS,
)
def test_what_is_made_holds_by_plain_sql(
    filled, wanted, unit, percent, order, seed, weights, phases, duplicates, repeats
):
    store, numbers = filled
    name = f"m{next(numbers)}"
    size = {"words": 270, "bytes": 2600, "tokens": 2600, "documents": 5}[unit] * percent
    stated = [{"name": quota, **bounds} for quota, bounds in wanted.items()]
    early = {}
    if phases:  # the first phase has quotas of its own
        own = [quota for quota in stated if quota["name"] in ("far", "near")]
        early = {quota["name"]: Fraction(quota.get("min", quota.get("max"))) for quota in own}
        stated = [quota for quota in stated if quota["name"] not in early]
        first, second = ({"name": n, "share": share} for n, share in zip(("early", "late"), phases, strict=True))
        order = {"curriculum": [first | {"quotas": own}, second]}
    spec = MixSpec(
        name=name,
        budget={unit: size},
        tokenizer="bytes" if unit == "tokens" else None,
        quotas=stated,
        weights=weights,
        duplicates=duplicates,
        repeats=repeats,
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

    assert made.manifest["store"]["snapshot"] == plan_mix(store, spec).manifest["store"]["snapshot"]
    set_items = "FROM training_set_documents WHERE training_set = :n"

    def units(condition):
        query = f"SELECT sum({UNITS[unit]})::BIGINT AS n {set_items}"
        return store.fetch(f"{query} AND ({condition})", {"n": name})["n"][0].as_py() or 0

    total = units("true")
    assert size - made.manifest["budget"]["one_document"] < total <= size
    for quota, (bound, condition) in CHECKS.items():
        if quota in wanted and quota not in early:
            share = Fraction(wanted[quota][bound])
            assert units(condition) >= share * total if bound == "min" else units(condition) <= share * total
    if "source" in wanted:
        for source in ("books-0", "books-1", "outputs", "crawl"):
            assert units(f"source = '{source}'") <= Fraction(wanted["source"]["max"]) * total
    if "model" in wanted:
        for model in ("model-0", "model-1"):
            may_be = f"model = '{model}' OR (model IS NULL AND origin <> 'human')"
            assert units(may_be) <= Fraction(wanted["model"]["max"]) * total
    if phases:
        check_phases(made.manifest, phases, size, units, early)
    check_repeats(store, name, duplicates, repeats)


def check_phases(manifest, phases, size, units, early):
    ends = [0]
    for phase, share in zip(manifest["phases"], phases, strict=True):
        assert phase["position"] == ends[-1]
        ends.append(phase["position"] + phase["documents"])
        inside = f"position >= {phase['position']} AND position < {ends[-1]}"
        assert abs(units(inside) - Fraction(share) * size) <= manifest["budget"]["one_document"]
    first = f"position < {ends[1]}"
    for quota, share in early.items():
        bound, condition = CHECKS[quota]
        counted = units(f"{first} AND ({condition})")
        assert counted >= share * units(first) if bound == "min" else counted <= share * units(first)


def check_repeats(store, name, duplicates, repeats):
    each = store.fetch(
        "SELECT document_id, any_value(source) AS source, any_value(cluster_id) AS cluster, count(*) AS n, "
        "list(repeat ORDER BY position) AS repeats FROM training_set_item WHERE training_set = :n GROUP BY 1",
        {"n": name},
    ).to_pylist()
    per = repeats.get("per", {}).get("source", {})
    for row in each:
        assert row["n"] <= per.get(row["source"], repeats.get("max", 1))
        assert row["repeats"] == list(range(row["n"]))
    of_cluster = Counter(row["cluster"] for row in each)
    most = {"representative": 1, "all": 10**9}[duplicates] if isinstance(duplicates, str) else duplicates["at_most"]
    assert max(of_cluster.values(), default=0) <= most
