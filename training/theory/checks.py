"""Predictions beside chains: each check is a z-score over replicates, each with human documents of its own.

The human documents of a replicate are drawn beforehand with replacement, as the formulas want them. A check that passes
shows something only if a wrong sampler fails it: `wrong` names mutants that must be rejected at the same number of
replicates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from training.experiment import Experiment
from training.learners.categorical import CategoricalLearner
from training.learners.gaussian import GaussianLearner
from training.learners.regression import RegressionLearner
from training.seeds import derive_seed
from training.theory import formulas
from training.theory.chains import Documents, Generation, chain

Floats = npt.NDArray[np.float64]

#: Beyond so many standard errors a prediction is rejected: by chance once in 16,000 checks.
MOST_Z = 4.0

M, K = 100, 10
#: Zipf's law over so many words, exponent 1.
N_WORDS = 200
WORDS = [f"w{n}" for n in range(N_WORDS)]
SHARES: Floats = (1 / np.arange(1, N_WORDS + 1)) / (1 / np.arange(1, N_WORDS + 1)).sum()
#: Sizes of the Gaussian and of the regression.
N_NUMBERS, K_NUMBERS = 25, 5
N_FEATURES, N_ROWS = 3, 30
VARIANCE, NOISE = 1.0, 1.0
GENERATIONS = 8
#: Where the variance with a quota has nearly settled, so that wrong samplers show.
LATE = 20


@dataclass(frozen=True)
class Check:
    """A prediction beside what was seen.

    Attributes
    ----------
    name : what is predicted, with its number in the list of predictions
    expected, seen : the prediction, and the mean over replicates
    error : standard error of the mean
    n : replicates
    is_bound : the prediction is an upper bound
    """

    name: str
    expected: float
    seen: float
    error: float
    n: int
    is_bound: bool = False

    @property
    def z(self) -> float:
        """Standard errors between what was seen and the prediction; of a bound only what lies above it."""
        z = (self.seen - self.expected) / self.error if self.error else math.inf * (self.seen != self.expected)
        return max(0.0, z) if self.is_bound else z

    @property
    def holds(self) -> bool:
        """Whether the prediction is not rejected."""
        return abs(self.z) < MOST_Z

    @classmethod
    def of(cls, name: str, expected: float, values: Sequence[float], *, is_bound: bool = False) -> Check:
        """Compare the mean of one value a replicate with its prediction."""
        found = np.asarray(values)
        return cls(
            name, expected, float(found.mean()), float(found.std(ddof=1) / math.sqrt(len(found))), len(found), is_bound
        )


def theory_experiment(
    learner: dict[str, Any], size: int, arms: Sequence[dict[str, Any]], generations: int
) -> Experiment:
    """Return the experiment that checks run: generations of `size` documents."""
    return Experiment.from_mapping(
        {
            "name": "theory",
            "corpus": "source = 'people'",
            "learner": learner,
            "tokenizer": "none",
            "first": {"documents": size},
            "later": {"documents": size},
            "evaluation": {"tokens": 1},
            "duplicates": "all",
            "arms": list(arms),
            "controls": False,
            "generations": generations,
        }
    )


def chains_of(
    experiment: Experiment, write: Callable[[int, np.random.Generator], list[str]], n: int
) -> Iterator[list[Generation]]:
    """Yield the generations of `n` replicates of an experiment with one arm."""
    [arm] = experiment.arms
    size = experiment.later.size
    needed = size * (1 + experiment.generations * bool(arm.human_share))
    for seed in range(n):
        texts = write(needed, np.random.default_rng(derive_seed(seed, "people")))
        yield list(chain(experiment, arm, Documents.of("people", texts), seed=seed))


def word_documents(n: int, rng: np.random.Generator) -> list[str]:
    """Return words drawn from the distribution that people write."""
    return [WORDS[i] for i in rng.choice(N_WORDS, n, p=SHARES)]


def number_documents(n: int, rng: np.random.Generator) -> list[str]:
    """Return numbers from the Gaussian that people write."""
    return [repr(float(x)) for x in math.sqrt(VARIANCE) * rng.standard_normal(n)]


def _rows(n: int, rng: np.random.Generator) -> list[str]:
    features = rng.standard_normal((n, N_FEATURES))
    targets = features.sum(axis=1) + NOISE * rng.standard_normal(n)
    return [" ".join(repr(float(x)) for x in (y, *row)) for y, row in zip(targets, features, strict=True)]


REPLACE = {"name": "replace", "regime": "replace"}
FRESH = {"name": "fresh", "regime": "quota"}
FIXED = {"name": "fixed", "regime": "quota", "human": "fixed"}
ALL = {"name": "all", "regime": "accumulate"}


def _share(k: int, m: int) -> str:
    return f"{k}/{m}"


def _diversities(arm: dict[str, Any], n: int, generation: int = GENERATIONS) -> list[float]:
    experiment = theory_experiment({"name": "categorical"}, M, [arm], generation)
    return [cast(CategoricalLearner, made[-1].learner).diversity for made in chains_of(experiment, word_documents, n)]


def check_replace(n: int) -> list[Check]:
    """1 to 3: diversity, support and lost words where each generation is trained on the last one's output."""
    experiment = theory_experiment({"name": "categorical"}, M, [REPLACE], GENERATIONS)
    h0 = formulas.diversity(SHARES.tolist())
    found, supports, first_word = [], [], []
    gone: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for made in chains_of(experiment, word_documents, n):
        first, last = (cast(CategoricalLearner, one.learner).counts for one in (made[0], made[-1]))
        found.append(cast(CategoricalLearner, made[-1].learner).diversity)
        first_word.append(last.get(WORDS[0], 0) / M)
        supports.append(float(len(first)))
        for k, lost in gone.items():
            rare = [word for word, count in first.items() if count == k]
            if rare:
                lost.append(sum(word not in last for word in rare) / len(rare))
    return [
        Check.of(
            f"1 replace: diversity, generation {GENERATIONS}", formulas.replaced(h0, m=M, generation=GENERATIONS), found
        ),
        Check.of("1 replace: share of the commonest word stays", float(SHARES[0]), first_word),
        Check.of(f"2 support of {M} draws", formulas.support(SHARES.tolist(), m=M), supports),
        *(
            Check.of(
                f"3 a word seen {k}x is lost, generation {GENERATIONS}", formulas.lost(k, generations=GENERATIONS), lost
            )
            for k, lost in gone.items()
        ),
    ]


def check_quota(n: int, *, wrong: str | None = None, sizes: Sequence[int] = (K, M // 2)) -> list[Check]:
    """5 and 6: diversity with K human documents of M, fresh and fixed.

    Parameters
    ----------
    wrong : a mutant that must be rejected: `half` draws K/2 in place of K, `fixed` the same documents in place of fresh
    sizes : values of K
    """
    h0 = formulas.diversity(SHARES.tolist())
    checks = []
    for k in sizes:
        drawn = k // 2 if wrong == "half" else k
        fresh = FIXED if wrong == "fixed" else FRESH
        fixed = FRESH if wrong == "fixed" else FIXED
        for name, arm, predict in (("5 fresh", fresh, formulas.quota), ("6 fixed", fixed, formulas.quota_fixed)):
            expected = predict(h0, m=M, k=k, generation=GENERATIONS)
            found = _diversities(arm | {"share": _share(drawn, M)}, n)
            checks.append(Check.of(f"{name} quota, {k} of {M}: diversity, generation {GENERATIONS}", expected, found))
    return checks


def check_accumulate(n: int) -> list[Check]:
    """7: diversity where everything so far is trained on."""
    generation = 4
    expected = formulas.accumulated(formulas.diversity(SHARES.tolist()), m=M, generation=generation)
    return [Check.of(f"7 accumulate: diversity, generation {generation}", expected, _diversities(ALL, n, generation))]


def _gaussians(variance: str, arm: dict[str, Any], n: int, generation: int = GENERATIONS) -> list[GaussianLearner]:
    learner = {"name": "gaussian", "variance": variance}
    experiment = theory_experiment(learner, N_NUMBERS, [arm], generation)
    return [cast(GaussianLearner, made[-1].learner) for made in chains_of(experiment, number_documents, n)]


def check_gaussian(n: int, *, wrong: str | None = None) -> list[Check]:
    """8 and 9: variance and drift of a Gaussian, with the last one's output only and with K fresh numbers of M.

    Parameters
    ----------
    wrong : as of `check_quota`
    """
    drawn = K_NUMBERS // 2 if wrong == "half" else K_NUMBERS
    arm = (FIXED if wrong == "fixed" else FRESH) | {"share": _share(drawn, N_NUMBERS)}
    expected = formulas.quota_variance(VARIANCE, m=N_NUMBERS, k=K_NUMBERS, generation=LATE)
    name = f"9 {K_NUMBERS} fresh of {N_NUMBERS}: variance, generation {LATE}"
    quota = Check.of(name, expected, [one.variance for one in _gaussians("mle", arm, n, LATE)])
    if wrong is not None:
        return [quota]
    sizes: dict[str, Any] = {"m": N_NUMBERS, "generation": GENERATIONS}
    at = f", generation {GENERATIONS}"
    unbiased, mle = (_gaussians(variance, REPLACE, n) for variance in ("unbiased", "mle"))
    logs = [math.log(one.variance) for one in unbiased]
    return [
        Check.of(f"8 replace: ln of the unbiased variance{at}", formulas.log_variance(VARIANCE, **sizes), logs),
        Check.of(
            f"8 replace: squared drift of the mean{at}",
            formulas.squared_drift(VARIANCE, **sizes),
            [one.mean**2 for one in unbiased],
        ),
        Check.of(
            f"8 replace: maximum-likelihood variance{at}",
            formulas.mle_variance(VARIANCE, **sizes),
            [one.variance for one in mle],
        ),
        quota,
    ]


def check_regression(n: int) -> list[Check]:
    """10: excess error of linear regression, with the last one's output only and with everything so far."""
    sizes: dict[str, Any] = {"n_features": N_FEATURES, "m": N_ROWS, "generation": GENERATIONS}
    learner = {"name": "regression", "n_features": N_FEATURES, "noise": NOISE}
    truth = np.ones(N_FEATURES)
    found = {}
    for arm in (REPLACE, ALL):
        experiment = theory_experiment(learner, N_ROWS, [arm], GENERATIONS)
        last = [cast(RegressionLearner, made[-1].learner) for made in chains_of(experiment, _rows, n)]
        found[arm["name"]] = [one.excess_error(truth) for one in last]
    at = f"excess error, generation {GENERATIONS}"
    return [
        Check.of(f"10 replace: {at}", formulas.regression_replaced(NOISE, **sizes), found["replace"]),
        Check.of(
            f"10 accumulate: {at}, at most",
            formulas.regression_accumulated_bound(NOISE, **sizes),
            found["all"],
            is_bound=True,
        ),
    ]


CHECKS: tuple[Callable[[int], list[Check]], ...] = (
    check_replace, check_quota, check_accumulate, check_gaussian, check_regression,
)  # fmt: skip

#: Wrong samplers by name; each must be rejected by at least one check.
MUTANTS: dict[str, Callable[[int], list[Check]]] = {
    f"{what}: {mutant}": partial(check, wrong=kind)
    for what, check in (("categories", check_quota), ("Gaussian", check_gaussian))
    for kind, mutant in (("half", "K/2 human documents in place of K"), ("fixed", "fixed in place of fresh"))
}
