from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.detection.base import Calibration
from provenance.detection.evaluation import (
    Scored,
    counted,
    false_positives_by_source,
    fit_calibration,
    operating_point,
    reliability,
    roc,
    threshold_for,
)  # fmt: skip

_SCORES = st.lists(st.floats(-1e6, 1e6) | st.integers(0, 3).map(float), min_size=1, max_size=80)


def _scored(n: int = 4000, *, shift: float = 2.0, seed: int = 0) -> Scored:
    chance = np.random.default_rng(seed)
    is_synthetic = np.arange(n) % 2 == 1
    return Scored(chance.normal(size=n) + shift * is_synthetic, is_synthetic, np.arange(n) // 2 % 5)


@given(_SCORES, st.floats(1e-4, 0.999))
def test_a_threshold_lets_no_more_than_its_share_through_and_is_the_smallest(scores: list[float], fpr: float) -> None:
    values = np.array(scores)
    threshold = threshold_for(values, fpr)
    allowed = fpr * len(values) * (1 + 1e-9)
    assert (values >= threshold).sum() <= allowed
    assert (values >= np.nextafter(threshold, -np.inf)).sum() > allowed - 1e-6


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 50, 0.0, 0.0711), (50, 50, 0.9289, 1.0), (1, 100, 0.0003, 0.0545)]
)
def test_intervals_are_those_of_clopper_and_pearson(k: int, n: int, low: float, high: float) -> None:
    found = counted(np.arange(n) < k)
    assert (found["k"], found["n"]) == (k, n)
    assert found["low"] == pytest.approx(low, abs=1e-4)
    assert found["high"] == pytest.approx(high, abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=40))
def test_the_area_is_the_chance_that_a_synthetic_text_scores_higher(pairs: list[tuple[int, bool]]) -> None:
    scores, kinds = np.array([float(s) for s, _ in pairs]), np.array([k for _, k in pairs])
    if kinds.all() or not kinds.any():
        return
    human, synthetic = scores[~kinds], scores[kinds]
    better = (synthetic[:, None] > human).mean() + 0.5 * (synthetic[:, None] == human).mean()
    area, points = roc(Scored(scores, kinds, np.zeros(len(scores), int)))
    assert area == pytest.approx(better)
    assert points[0][:2] == [0, 0]
    assert points[-1][:2] == [1, 1]
    for fpr, tpr, threshold in points:
        assert fpr == pytest.approx((human >= threshold).mean())
        assert tpr == pytest.approx((synthetic >= threshold).mean())


def test_many_points_become_few_that_still_resolve_small_rates() -> None:
    _, points = roc(_scored(20_000))
    assert len(points) <= 200
    assert points[-1][:2] == [1, 1]
    assert sum(0 < fpr < 0.01 for fpr, _, _ in points) > 10


def test_rates_at_the_threshold_hold_for_texts_that_did_not_set_it() -> None:
    found = operating_point(_scored(), 0.05)
    assert found["fpr_low"] < 0.05 < found["fpr_high"]
    assert found["tpr_low"] < 0.6388 < found["tpr_high"]  # P(N(2, 1) >= 1.6449)


def test_calibration_gives_the_true_log_odds_and_is_reliable() -> None:
    scored = _scored(20_000)
    made = fit_calibration(scored)
    assert made.slope == pytest.approx(2, abs=0.1)  # log N(x; 2, 1) / N(x; 0, 1) = 2 x - 2
    assert made.intercept == pytest.approx(-2, abs=0.1)
    found = reliability(scored)
    for one in found["bins"]:
        assert abs(one["mean_probability"] - one["synthetic_share"]) < 0.06, one
    assert sum(one["n"] for one in found["bins"]) == 20_000


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=20))
def test_probabilities_never_fall_with_the_score(scores: list[float]) -> None:
    values = np.sort(np.array(scores))
    found = Calibration(1.3, -0.2).probability(values)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()


def test_scores_that_separate_or_mislead_are_calibrated_all_the_same() -> None:
    scored = _scored(200, shift=100)
    assert 0.9 < fit_calibration(scored).probability(np.array([100.0]))[0] < 1
    assert fit_calibration(_scored(200, shift=-3)) == Calibration(0, 0)


def test_sources_are_ordered_by_their_false_positives() -> None:
    scored = Scored(np.array([0.0, 2, 2, 0]), np.array([False, False, True, False]), np.zeros(4, int))
    found = false_positives_by_source(scored, ["a", "b", "bot", "b"], 1.0)
    assert [(one["source"], one["n_human"], one["n_false_positive"]) for one in found] == [("b", 2, 1), ("a", 1, 0)]
