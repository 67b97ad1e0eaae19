"""How the first model sees what later ones write: a collapsing model's text is too likely, with a longer tail too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.learners.base import TokenNll


def resemblance_metrics(scores: Sequence[TokenNll]) -> dict[str, float]:
    """Return mean and percentiles, over documents, of nats per token under generation 0's model."""
    means = np.array([score.nats.mean() for score in scores if len(score.nats)], dtype=np.float64)
    if not len(means):
        return {}
    found = {"gen0_nll_mean": float(means.mean())}
    for percentile in (5, 50, 95, 99):
        found[f"gen0_nll_p{percentile}"] = float(np.percentile(means, percentile))
    return found
