"""What recursion does to exact learners, as formulas. Generation 0 is fitted on M human draws, generation t on M more.

Categories: F is the expected probability that two draws from a model are alike, Σp², and H = 1 - F its diversity. The
model of a generation is the empirical distribution of its M training documents; these are drawn from the model before
(and from people, where a share is human). This is the Wright-Fisher model of genetics, with the human share as
migration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import digamma


def diversity(shares: Sequence[float]) -> float:
    """Return H of a distribution: the probability that two draws from it differ."""
    return float(1 - (np.asarray(shares) ** 2).sum())


def replaced(h0: float, *, m: int, generation: int) -> float:
    """Return E[H] where each generation is trained on the last one's output only: H₀ (1 - 1/M)^(t+1).

    References
    ----------
    Ewens: Mathematical Population Genetics, 2nd edition, equation 3.5 (Wright-Fisher, haploid).
    """
    return h0 * (1 - 1 / m) ** (generation + 1)


def support(shares: Sequence[float], *, m: int) -> float:
    """Return the expected number of categories among M draws: Σ 1 - (1 - pᵢ)^M."""
    return float((1 - (1 - np.asarray(shares)) ** m).sum())


def lost(k: int, *, generations: int) -> float:
    """Return the probability that a word drawn k ≪ M times is gone so many generations later: q_t^k.

    q₀ = 0 and q_{t+1} = exp(q_t - 1): a branching process with Poisson offspring of mean 1 (Harris: The Theory of
    Branching Processes, chapter I).
    """
    q = 0.0
    for _ in range(generations):
        q = math.exp(q - 1)
    return q**k


def mixed_independently(h0: float, *, m: int, human_share: float) -> float:
    """Return the limit of E[H] where every document is human with a probability, independently of the others.

    With A = 1 - (1 - a)²: H₀ (1 - 1/M) A / (1 - (1 - 1/M)(1 - A)).
    """
    a = 1 - (1 - human_share) ** 2
    return h0 * (1 - 1 / m) * a / (1 - (1 - 1 / m) * (1 - a))


def quota(h0: float, *, m: int, k: int, generation: int | None = None) -> float:
    """Return E[H] where exactly K of M documents are fresh human ones.

    Of the M² ordered pairs of training documents M are one document twice, K(K-1) are two human ones and 2K(M-K) a
    human one beside one of the model, alike with probability F₀ each; the other (M-K)(M-K-1) are alike with that of the
    model before.

    Parameters
    ----------
    generation : None for the limit
    """
    f0, other = 1 - h0, m - k
    gained = 1 / m + (k * (k - 1) + 2 * k * other) * f0 / m**2
    kept = other * (other - 1) / m**2
    if generation is None:
        return 1 - gained / (1 - kept)
    f = 1 / m + (1 - 1 / m) * f0
    for _ in range(generation):
        f = gained + kept * f
    return 1 - f


def quota_fixed(h0: float, *, m: int, k: int, generation: int | None = None) -> float:
    """Return E[H] where the same K human documents of M are used in every generation.

    F_h, of the fixed documents, is 1/K + (1 - 1/K) F₀ in expectation; what a model and they have in common goes from F₀
    at generation 0 to F_h.
    """
    f0, other = 1 - h0, m - k
    f_h = 1 / k + (1 - 1 / k) * f0
    if generation is None:
        return 1 - ((k * k + 2 * k * other) * f_h + other) / m**2 / (1 - other * (other - 1) / m**2)
    f, common = 1 / m + (1 - 1 / m) * f0, f0
    for _ in range(generation):
        f = (k * k * f_h + 2 * k * other * common + other + other * (other - 1) * f) / m**2
        common = (k * f_h + other * common) / m
    return 1 - f


def accumulated(h0: float, *, m: int, generation: int | None = None) -> float:
    """Return E[H] where generation t is trained on all (t+1) M documents so far: H₀ Π_{k ≤ t+1} (1 - 1/(M k²)).

    Parameters
    ----------
    generation : None for the limit, H₀ sin(π/√M) / (π/√M)
    """
    if generation is None:
        x = math.pi / math.sqrt(m)
        return h0 * math.sin(x) / x
    return h0 * math.prod(1 - 1 / (m * k * k) for k in range(1, generation + 2))


def log_variance(variance: float, *, m: int, generation: int) -> float:
    """Return E[ln s²] of a Gaussian with unbiased variance, trained on the last one's output only.

    M-1 times the ratio of successive variances is χ² with M-1 degrees of freedom, the mean of whose logarithm is
    ψ((M-1)/2) + ln 2. E[s²] itself stays constant while nearly every chain collapses, so it tells nothing.
    """
    half = (m - 1) / 2
    return math.log(variance) + (generation + 1) * float(digamma(half) - math.log(half))


def squared_drift(variance: float, *, m: int, generation: int) -> float:
    """Return E[(μ - μ₀)²] of that Gaussian: (t+1) σ²/M."""
    return (generation + 1) * variance / m


def mle_variance(variance: float, *, m: int, generation: int) -> float:
    """Return E[s²] of a Gaussian with maximum-likelihood variance: σ² (1 - 1/M)^(t+1)."""
    return variance * (1 - 1 / m) ** (generation + 1)


def quota_variance(variance: float, *, m: int, k: int, generation: int | None = None) -> float:
    """Return E[s²] of a Gaussian with maximum-likelihood variance of which K of M numbers are fresh human ones.

    Parameters
    ----------
    generation : None for the limit, σ² (1 - M / (M² + L - L²)) with L = M - K
    """
    other = m - k
    if generation is None:
        return variance * (1 - m / (m * m + other - other * other))
    v, drift = variance * (1 - 1 / m), variance / m
    for _ in range(generation):
        mean_square = (k * variance + other * (v + drift)) / m
        drift = (k * variance + other * v + other * other * drift) / m**2
        v = mean_square - drift
    return v


def regression_replaced(noise: float, *, n_features: int, m: int, generation: int) -> float:
    """Return the expected excess error of regression on the last one's output only: (t+1) σ²d / (T-d-1).

    References
    ----------
    Gerstgrasser and others: Is model collapse inevitable?, arXiv 2404.01413, theorem 1.
    """
    return (generation + 1) * noise**2 * n_features / (m - n_features - 1)


def regression_accumulated_bound(noise: float, *, n_features: int, m: int, generation: int | None = None) -> float:
    """Return a bound of the expected excess error of regression on everything so far: b Σ_{k ≤ t+1} 1/k² ≤ b π²/6.

    References
    ----------
    Gerstgrasser and others, arXiv 2404.01413, theorem 2.
    """
    b = noise**2 * n_features / (m - n_features - 1)
    return b * (math.pi**2 / 6 if generation is None else sum(1 / k**2 for k in range(1, generation + 2)))


def golden_share(n: int, m: int) -> float:
    """Return the best share of the loss for n human documents beside m of the model before: (√(k²+4k) - k)/2, k = n/m.

    References
    ----------
    He and others, arXiv 2502.18049.
    """
    k = n / m
    return (math.sqrt(k * k + 4 * k) - k) / 2


def excess_bound(human_share: float, *, tokens_a_unit: int = 1) -> float:
    """Return a bound of an exact learner's excess cross-entropy under any decoding, nats per token: ln(1/a) / tokens.

    The model is at least the human share times what people write. It bounds loss, not the diversity of samples.

    Parameters
    ----------
    tokens_a_unit : tokens of what is mixed, such as a block
    """
    return math.log(1 / human_share) / tokens_a_unit
