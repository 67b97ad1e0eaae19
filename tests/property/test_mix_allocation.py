"""Laws of the allocation, over random candidates and quotas, against brute force where there are few candidates."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

from provenance.mix.allocate import Allocation, Failure, allocate, largest_document, without_larger
from provenance.mix.refusal import explain_refusal
from provenance.mix.strata import OUTSIDE, UNKNOWN, QuotaColumn, build_strata

shares = st.one_of(
    st.integers(0, 20).map(lambda n: Fraction(n, 20)),
    st.fractions(0, 1, max_denominator=50),
    st.floats(0, 1).map(lambda x: Fraction(str(x))),
)


@st.composite
def quota_columns(draw, n):
    columns = []
    for i in range(draw(st.integers(0, 4))):
        low, high = sorted([draw(shares), draw(shares)])
        kind = draw(st.sampled_from(["min", "max", "both"]))
        groups = draw(st.sampled_from([(None,), (None,), ("a", "b"), ("a", "b", "c")]))
        codes = draw(st.lists(st.integers(OUTSIDE, len(groups) - 1), min_size=n, max_size=n))
        columns.append(
            QuotaColumn(
                f"q{i}",
                low if kind != "max" else None,
                high if kind != "min" else None,
                groups,
                np.array(codes, dtype=np.int32),
            )
        )
    return columns


@st.composite
def mixes(draw, max_documents=8, max_size=30):
    n = draw(st.integers(1, max_documents))
    sizes = np.array(draw(st.lists(st.integers(1, max_size), min_size=n, max_size=n)), dtype=np.int64)
    ids = np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, 256, (n, 16), dtype=np.uint8)
    columns = draw(quota_columns(n))
    budget = draw(st.integers(1, int(sizes.sum()) + 5))
    weighted, codes = None, None
    if draw(st.booleans()):
        weighted = ("source", ["x", "y"], [Fraction(draw(st.integers(1, 5))), Fraction(draw(st.integers(0, 5)))])
        codes = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), dtype=np.int32)
    return ids, sizes, columns, budget, weighted, codes


def satisfied(columns, sizes, chosen):
    """Whether the chosen rows keep every quota, by the definition, sharing no code with the sampler."""
    total = int(sizes[chosen].sum())
    for column in columns:
        codes = column.codes
        for code in range(len(column.groups)):
            certain = int(sizes[chosen & (codes == code)].sum())
            possible = int(sizes[chosen & ((codes == code) | (codes == UNKNOWN))].sum())
            if column.min is not None and certain < column.min * total:
                return False
            if column.max is not None and possible > column.max * total:
                return False
    return True


def brute_force(columns, sizes, budget):
    fitting = sizes[sizes <= budget]
    if not fitting.size:
        return False
    least = budget - int(fitting.max())
    for bits in product([False, True], repeat=len(sizes)):
        chosen = np.array(bits)
        total = int(sizes[chosen].sum())
        if least < total <= budget and satisfied(columns, sizes, chosen):
            return True
    return False


def solve(mix, permutation=None):
    ids, sizes, columns, budget, weighted, codes = mix
    p = np.arange(len(sizes)) if permutation is None else permutation
    columns = [QuotaColumn(c.name, c.min, c.max, c.groups, c.codes[p]) for c in columns]
    strata = build_strata(
        ids[p], sizes[p], columns, seed=3, weighted=weighted, weight_codes=None if codes is None else codes[p]
    )
    answer = allocate(without_larger(strata, budget), budget=budget)
    return strata, answer


def drawn_rows(answer):
    return np.concatenate([rows[t.places()] for rows, t in zip(answer.strata.rows, answer.taken, strict=True)])


def check(mix, answer):
    _, sizes, columns, budget, _, _ = mix
    rows = drawn_rows(answer)
    assert len(set(rows.tolist())) == len(rows)
    chosen = np.zeros(len(sizes), dtype=bool)
    chosen[rows] = True
    total = int(sizes[chosen].sum())
    assert total == answer.total <= budget
    assert budget - total < sizes[sizes <= budget].max()
    assert satisfied(columns, sizes, chosen)


@settings(max_examples=5 * settings.default.max_examples)
@given(mixes())
def test_finds_a_set_exactly_when_brute_force_does(mix):
    _, sizes, columns, budget, _, _ = mix
    _, answer = solve(mix)
    possible = brute_force(columns, sizes, budget)
    note(f"{answer} {possible}")
    if isinstance(answer, Allocation):
        check(mix, answer)
    assert isinstance(answer, Allocation) == possible
    assert possible or answer.reason in ("budget", "quotas", "whole documents")


@given(mixes(max_documents=120, max_size=500))
def test_what_is_returned_satisfies_every_quota(mix):
    _, answer = solve(mix)
    if isinstance(answer, Allocation):
        check(mix, answer)


@given(mixes(max_documents=40), st.randoms(use_true_random=False))
def test_order_of_input_is_irrelevant(mix, random):
    ids = mix[0]
    permutation = list(range(len(ids)))
    random.shuffle(permutation)
    permutation = np.array(permutation)
    _, one = solve(mix)
    _, two = solve(mix, permutation)
    assert type(one) is type(two)
    if isinstance(one, Allocation):
        assert one.units == two.units
        assert drawn_rows(one).tolist() == permutation[drawn_rows(two)].tolist()


@given(mixes(max_documents=8))
def test_what_a_refusal_proposes_is_true(mix):
    _, sizes, columns, budget, _, _ = mix
    strata, answer = solve(mix)
    if isinstance(answer, Allocation):
        return
    error = explain_refusal(strata, answer, budget=budget, name="m")
    note(str(error))
    if error.largest_budget:
        assert brute_force(columns, sizes, error.largest_budget)
    for change in error.changes:
        eased = [
            QuotaColumn(
                c.name,
                change.to if c.name == change.quota and change.bound == "min" else c.min,
                change.to if c.name == change.quota and change.bound == "max" else c.max,
                c.groups,
                c.codes,
            )
            for c in columns
        ]
        assert brute_force(eased, sizes, budget)
    if error.reason == "quotas":
        assert error.conflict


def test_failure_is_reported_for_everything():
    columns = [QuotaColumn("human", Fraction(1, 2), None, (None,), np.array([0, OUTSIDE, OUTSIDE], dtype=np.int32))]
    ids = np.arange(48, dtype=np.uint8).reshape(3, 16)
    strata = build_strata(ids, np.array([10, 10, 10]), columns, seed=0)
    assert allocate(strata, budget=None) == Failure("quotas")
    error = explain_refusal(strata, Failure("quotas"), budget=None, name="m")
    assert (error.conflict[0].needed, error.conflict[0].available, error.largest_budget) == (15, 10, 20)
    assert largest_document(strata) == 10
