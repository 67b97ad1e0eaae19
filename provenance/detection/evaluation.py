"""How good a detector is: ROC curve, threshold for a wanted false-positive rate, calibration.

Every score that goes in here comes from a model that has not seen the text, nor a near-copy of it. What depends on
scores itself (threshold, calibration) is judged crosswise: set on the texts of the other folds, counted on this one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from provenance.detection.base import Calibration, Floats

Flags = npt.NDArray[np.bool_]
Folds = npt.NDArray[np.int64]

#: Points of the ROC curve and bins of the reliability diagram that a report keeps.
_ROC_POINTS, _BINS = 200, 10


class Scored(NamedTuple):
    """Scored texts of known origin.

    Attributes
    ----------
    scores : (n,) by a model that has not seen the text
    is_synthetic : (n,)
    folds : (n,) of the cross-validation
    """

    scores: Floats
    is_synthetic: Flags
    folds: Folds

    def only(self, chosen: Flags) -> Scored:
        """Return some of the texts."""
        return Scored(self.scores[chosen], self.is_synthetic[chosen], self.folds[chosen])


def threshold_for(human_scores: Floats, fpr: float) -> float:
    """Return the smallest threshold that at most a share `fpr` of these human texts reaches."""
    falling = np.sort(human_scores)[::-1]
    n_allowed = int(np.floor(fpr * len(falling) * (1 + 1e-12)))
    return float(np.nextafter(falling[min(n_allowed, len(falling) - 1)], np.inf))


def fit_calibration(scored: Scored) -> Calibration:
    """Return Platt's calibration, with his smoothed targets, both kinds counting half.

    References
    ----------
    Platt: Probabilistic Outputs for Support Vector Machines, 1999, section 2.2.
    """
    from sklearn.linear_model import LogisticRegression

    n_synthetic = int(scored.is_synthetic.sum())
    n_human = len(scored.scores) - n_synthetic
    target = np.where(scored.is_synthetic, (n_synthetic + 1) / (n_synthetic + 2), 1 / (n_human + 2))
    share = np.where(scored.is_synthetic, 0.5 / n_synthetic, 0.5 / n_human) * len(target)
    # Every text is entered as both kinds, each with the probability of its being of that kind as its weight.
    twice = np.concatenate([scored.scores, scored.scores])[:, None]
    kinds = np.repeat([1, 0], len(target))
    weights = np.concatenate([target * share, (1 - target) * share])
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(twice, kinds, sample_weight=weights)
    slope = float(fitted.coef_[0, 0])
    # Scores that fall with the probability are of no use: all that can be said then is one half.
    return Calibration(slope, float(fitted.intercept_[0])) if slope > 0 else Calibration(0.0, 0.0)


def operating_point(scored: Scored, fpr: float) -> dict[str, Any]:
    """Return false- and true-positive counts, rates and 95 % intervals, each fold at the others' threshold."""
    flagged = np.zeros(len(scored.scores), bool)
    for fold in np.unique(scored.folds):
        here = scored.folds == fold
        rest = scored.only(~here & ~scored.is_synthetic)
        flagged[here] = scored.scores[here] >= threshold_for(rest.scores, fpr)
    human, synthetic = flagged[~scored.is_synthetic], flagged[scored.is_synthetic]
    false_positive, true_positive = counted(human), counted(synthetic)
    return {
        "n_human": false_positive["n"], "n_false_positive": false_positive["k"], "fpr": false_positive["rate"],
        "fpr_low": false_positive["low"], "fpr_high": false_positive["high"],
        "n_synthetic": true_positive["n"], "n_true_positive": true_positive["k"], "tpr": true_positive["rate"],
        "tpr_low": true_positive["low"], "tpr_high": true_positive["high"],
    }  # fmt: skip


def counted(flags: Flags) -> dict[str, Any]:
    """Return n, k, k / n and its Clopper-Pearson interval of 95 %.

    References
    ----------
    Clopper, Pearson: The Use of Confidence or Fiducial Limits, Biometrika 26, 1934.
    """
    from scipy.stats import beta

    n, k = len(flags), int(flags.sum())
    low = float(beta.ppf(0.025, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return {"n": n, "k": k, "rate": k / n, "low": low, "high": high}


def false_positives_by_source(scored: Scored, sources: Sequence[str], threshold: float) -> list[dict[str, Any]]:
    """Return for every source of human texts how many of them reach the threshold, the worst first."""
    owner = np.array(sources, dtype=object)
    found = []
    for name in sorted(set(owner[~scored.is_synthetic])):
        one = counted(scored.scores[~scored.is_synthetic & (owner == name)] >= threshold)
        found.append({"source": name, "n_human": one["n"], "n_false_positive": one["k"], "fpr": one["rate"],
                      "fpr_low": one["low"], "fpr_high": one["high"]})  # fmt: skip
    return sorted(found, key=lambda row: (-row["fpr"], row["source"]))


def roc(scored: Scored) -> tuple[float, list[list[float]]]:
    """Return the area under the ROC curve, and at most 200 points (fpr, tpr, threshold) of it from (0, 0) to (1, 1)."""
    from sklearn.metrics import roc_auc_score, roc_curve

    fpr, tpr, thresholds = roc_curve(scored.is_synthetic, scored.scores)
    # Half of the points by place, half near the corner that matters: the lowest rates, on a logarithmic scale.
    low = np.searchsorted(fpr, np.geomspace(1e-5, 1, _ROC_POINTS // 2), side="right") - 1
    even = np.linspace(0, len(fpr) - 1, _ROC_POINTS // 2).astype(int)
    kept = np.unique(np.concatenate([low, even, [0, len(fpr) - 1]]))[:_ROC_POINTS]
    kept[-1] = len(fpr) - 1
    # The first threshold is infinite, which JSON lacks: the next number above the highest score says the same.
    thresholds = np.where(np.isinf(thresholds), np.nextafter(scored.scores.max(), np.inf), thresholds)
    points = [[float(fpr[i]), float(tpr[i]), float(thresholds[i])] for i in kept]
    return float(roc_auc_score(scored.is_synthetic, scored.scores)), points


def reliability(scored: Scored) -> dict[str, Any]:
    """Return Brier score and reliability bins of the calibration, each fold judged by that of the others."""
    probability = np.zeros(len(scored.scores))
    for fold in np.unique(scored.folds):
        here = scored.folds == fold
        probability[here] = fit_calibration(scored.only(~here)).probability(scored.scores[here])
    truth = scored.is_synthetic.astype(np.float64)
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    bins = [
        {
            "from": i / _BINS,
            "to": (i + 1) / _BINS,
            "n": int((place == i).sum()),
            "mean_probability": float(probability[place == i].mean()),
            "synthetic_share": float(truth[place == i].mean()),
        }
        for i in range(_BINS)
        if (place == i).any()
    ]
    return {"brier": float(((probability - truth) ** 2).mean()), "bins": bins}
