"""Laws of the order: a permutation, prefixes keep quotas that do not overlap within one document."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.mix.order import interleaved, prefix_slack
from provenance.mix.strata import Constraint


@st.composite
def drawn(draw, bounds=("min", "max", "both")):
    """Draws in disjoint groups, each with its exact share as a bound, and a rest that has none."""
    n_groups = draw(st.integers(1, 4))
    n = draw(st.integers(1, 60))
    sizes = np.array(draw(st.lists(st.integers(1, 40), min_size=n, max_size=n)), dtype=np.int64)
    stratum = np.array(draw(st.lists(st.integers(0, n_groups), min_size=n, max_size=n)), dtype=np.int64)
    constraints = []
    for g in range(n_groups):
        share = Fraction(int(sizes[stratum == g].sum()), int(sizes.sum()))
        members = np.arange(n_groups + 1) == g
        wanted = draw(st.sampled_from(bounds))
        constraints += [Constraint(f"q{g}", None, b, share, members) for b in ("min", "max") if wanted in (b, "both")]
    return sizes, stratum, constraints, n_groups + 1


def order_of(case):
    sizes, stratum, constraints, n = case
    order = interleaved(sizes, stratum, constraints, n)
    assert sorted(order.permutation.tolist()) == list(range(len(sizes)))
    for k in range(n):
        own = [i for i in order.permutation if stratum[i] == k]
        assert own == sorted(own)
    members = np.array([c.members for c in constraints])[:, stratum[order.permutation]]
    ordered = sizes[order.permutation]
    assert list(order.prefix_slack) == prefix_slack(ordered, np.where(members, ordered, 0), constraints)
    return order, int(sizes.max())


@given(drawn(bounds=("min",)))
def test_minima_hold_within_one_document(case):
    order, one = order_of(case)
    assert max(order.prefix_slack) <= one


@given(drawn(bounds=("max",)))
def test_maxima_hold_within_one_document(case):
    order, one = order_of(case)
    assert max(order.prefix_slack) <= one


@given(drawn())
def test_minima_and_maxima_together_hold_within_one_document(case):
    order, one = order_of(case)
    assert max(order.prefix_slack) <= one


@given(drawn(bounds=("min",)))
def test_one_minimum_holds_in_every_prefix(case):
    sizes, stratum, constraints, n = case
    order = interleaved(sizes, stratum, constraints[:1], n)
    assert order.prefix_slack == (0,)


@given(drawn())
def test_the_slack_is_what_a_naive_count_finds(case):
    sizes, stratum, constraints, n = case
    order = interleaved(sizes, stratum, constraints, n)
    for constraint, slack in zip(constraints, order.prefix_slack, strict=True):
        worst, total, counted = Fraction(0), 0, 0
        for i in order.permutation:
            total += int(sizes[i])
            counted += int(sizes[i]) if constraint.members[stratum[i]] else 0
            missing = constraint.share * total - counted
            worst = max(worst, missing if constraint.bound == "min" else -missing)
        assert slack == -(-worst.numerator // worst.denominator)


@pytest.mark.parametrize("seed", range(4))
def test_many_classes_with_minima_and_maxima(seed):
    """Few sizes far apart and many uneven classes: what sorting by keys alone does not keep within one document."""
    rng = np.random.default_rng(seed)
    for _ in range(150):
        n_classes = int(rng.integers(2, 9))
        n = int(rng.integers(n_classes, 80))
        sizes = rng.choice([1, 2, 7, 40], n, p=rng.dirichlet([1] * 4)).astype(np.int64)
        stratum = rng.choice(n_classes, n, p=rng.dirichlet([0.7] * n_classes)).astype(np.int64)
        constraints = []
        for g in range(n_classes):
            share = Fraction(int(sizes[stratum == g].sum()), int(sizes.sum()))
            bounds = [("min",), ("max",), ("min", "max")][rng.integers(3)]
            constraints += [Constraint("q", None, b, share, np.arange(n_classes) == g) for b in bounds]
        order_of((sizes, stratum, constraints, n_classes))
        assert max(interleaved(sizes, stratum, constraints, n_classes).prefix_slack) <= sizes.max()
