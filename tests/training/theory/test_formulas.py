"""The formulas against each other, against simulations that share no code with the loop, and against given values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.mixes import golden_weight
from training.theory import formulas

SIZES = st.integers(2, 200).flatmap(lambda m: st.tuples(st.just(m), st.integers(1, m)))


@given(SIZES, st.floats(0, 0.99))
def test_quotas_go_to_their_limits(sizes: tuple[int, int], h0: float) -> None:
    m, k = sizes
    for predict in (formulas.quota, formulas.quota_fixed):
        late = predict(h0, m=m, k=k, generation=40 * m)
        assert late == pytest.approx(predict(h0, m=m, k=k), abs=1e-6)
        assert late <= h0 + 1e-9
    assert formulas.quota_variance(2.0, m=m, k=k, generation=40 * m) == pytest.approx(
        formulas.quota_variance(2.0, m=m, k=k), rel=1e-6
    )


@given(SIZES, st.floats(0, 0.99), st.integers(0, 30))
def test_no_human_documents_is_replace_and_only_human_ones_is_one_generation(
    sizes: tuple[int, int], h0: float, generation: int
) -> None:
    m, k = sizes
    none = formulas.quota(h0, m=m, k=0, generation=generation)
    assert none == pytest.approx(formulas.replaced(h0, m=m, generation=generation), abs=1e-12)
    everything = formulas.quota(h0, m=m, k=m, generation=generation)
    assert everything == pytest.approx(h0 * (1 - 1 / m), abs=1e-12)
    assert formulas.quota_fixed(h0, m=m, k=k) <= formulas.quota(h0, m=m, k=k) + 1e-12, "fresh is never worse"
    assert formulas.quota_variance(1, m=m, k=m, generation=generation) == pytest.approx(1 - 1 / m)


@pytest.mark.parametrize(("k", "ratio"), [(10, 0.9498), (50, 0.9868)])
def test_given_values_of_quotas(k: int, ratio: float) -> None:
    assert formulas.quota(0.9, m=100, k=k) / 0.9 == pytest.approx(ratio, abs=1e-4)


@pytest.mark.parametrize(("k", "variance"), [(2, 0.790), (5, 0.898), (12, 0.947)])
def test_given_values_of_the_gaussian(k: int, variance: float) -> None:
    assert formulas.quota_variance(1, m=25, k=k) == pytest.approx(variance, abs=5e-4)


def test_the_limit_of_accumulation() -> None:
    assert formulas.accumulated(1, m=25, generation=20_000) == pytest.approx(formulas.accumulated(1, m=25), rel=1e-5)


def test_the_golden_weight_makes_the_error_of_the_mean_least() -> None:
    n, m = 10, 90
    shares = np.linspace(0.01, 0.99, 9_801)
    # A mean of n fresh and m numbers of the model before: e = w²/n + (1-w)² (1/m + e).
    errors = (shares**2 / n + (1 - shares) ** 2 / m) / (1 - (1 - shares) ** 2)
    best = float(shares[errors.argmin()])
    assert formulas.golden_share(n, m) == pytest.approx(best, abs=2e-4)
    weight = golden_weight(n, m)
    assert weight * n / (weight * n + m) == pytest.approx(formulas.golden_share(n, m))
    assert weight == pytest.approx(3.5, abs=0.05)


def test_independent_shares_against_a_simulation() -> None:
    rng = np.random.default_rng(4)
    m, share, shares = 30, 0.2, np.array([0.5, 0.3, 0.2])
    found = []
    for _ in range(3_000):
        model = shares
        for _ in range(25):
            n_human = rng.binomial(m, share)
            model = (rng.multinomial(n_human, shares) + rng.multinomial(m - n_human, model)) / m
        found.append(1 - (model**2).sum())
    expected = formulas.mixed_independently(formulas.diversity(shares.tolist()), m=m, human_share=share)
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / math.sqrt(len(found))


def test_words_are_lost_as_branching_processes_end() -> None:
    assert formulas.lost(1, generations=0) == 0
    assert formulas.lost(1, generations=1) == pytest.approx(math.exp(-1))
    assert formulas.lost(3, generations=2) == pytest.approx(math.exp(math.exp(-1) - 1) ** 3)


def test_bounds() -> None:
    assert formulas.excess_bound(0.5) == pytest.approx(math.log(2))
    assert formulas.excess_bound(0.5, tokens_a_unit=128) == pytest.approx(math.log(2) / 128)
    b = formulas.regression_replaced(1, n_features=3, m=30, generation=0)
    assert formulas.regression_accumulated_bound(1, n_features=3, m=30) == pytest.approx(b * math.pi**2 / 6)
