"""How the first model sees what later ones write: a collapsing model's text is too likely, with a longer tail too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.learners.base import TokenNll

#: Percentiles and histograms are of stretches of so many tokens, as in the study: documents differ in length, and the
#: mean of a short one scatters more.
STRETCH_TOKENS = 64
PERCENTILES = (5, 50, 95, 99)
#: Width of a bin of the histogram in nats per token, and the number of the bin that takes everything above.
BIN_NATS, LAST_BIN = 0.2, 75


def resemblance_metrics(scores: Sequence[TokenNll]) -> dict[str, float]:
    """Return mean, percentiles and histogram of nats per token under generation 0's model.

    Notes
    -----
    The mean is over all tokens. Percentiles and histogram are over stretches of 64 tokens within documents; what is
    left of a document is a stretch too, and every stretch counts as much as it has tokens. Only bins that hold
    something are there.
    """
    means, weights = stretches(scores)
    if not len(means):
        return {}
    found = {"gen0_nll_mean": float(means @ weights / weights.sum())}
    values = np.quantile(means, np.array(PERCENTILES) / 100, method="inverted_cdf", weights=weights)
    found |= {f"gen0_nll_p{percentile}": float(value) for percentile, value in zip(PERCENTILES, values, strict=True)}
    bins = np.minimum(np.floor(means / BIN_NATS), LAST_BIN).astype(np.int64).clip(min=0)
    shares = np.bincount(bins, weights=weights) / weights.sum()
    return found | {f"gen0_nll_bin_{number}": float(share) for number, share in enumerate(shares) if share}


def stretches(scores: Sequence[TokenNll]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return nats per token of every stretch of a text, and how many tokens it has."""
    means, lengths = list[float](), list[int]()
    for score in scores:
        for start in range(0, len(score.nats), STRETCH_TOKENS):
            part = score.nats[start : start + STRETCH_TOKENS]
            means.append(float(part.mean()))
            lengths.append(len(part))
    return np.array(means, dtype=np.float64), np.array(lengths, dtype=np.float64)
