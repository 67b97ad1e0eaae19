"""Tells before generation 0 is fitted whether there is enough fresh human text for all generations of every arm."""

from __future__ import annotations

from math import ceil

from provenance.mix.candidates import read_candidates
from provenance.mix.spec import Budget, MixSpec, Quota
from provenance.store.store import Store
from training.arms import Arm
from training.errors import NotEnoughHumanText
from training.experiment import Experiment
from training.mixes import later_mix, rotates, unit_of

_ANY_SIZE = 1


def check_human_text(store: Store, experiment: Experiment, *, seed: int) -> None:
    """Count what every arm will need of human text against what the store has beside generation 0's and held-out text.

    Generation 0's training set of this seed must be there, and its tokenizer.

    Raises
    ------
    NotEnoughHumanText
        If an arm would run out; with the generation, the numbers, and what would work.

    Notes
    -----
    A generation may need one document more than its share says, because documents are drawn whole: so much is
    asked for.
    """
    for arm in experiment.arms:
        if arm.human_share:
            _check(store, experiment, arm, seed)


def human_size(experiment: Experiment, arm: Arm) -> int:
    """Return how many tokens, or documents, of human text one generation of an arm needs at least."""
    share = experiment.arm(arm.of).share if arm.of is not None else arm.human_share
    return ceil((share or 0) * experiment.later.size)


def _check(store: Store, experiment: Experiment, arm: Arm, seed: int) -> None:
    a_generation = human_size(experiment, arm)
    n_draws = experiment.generations if rotates(experiment, arm) else 1
    sizes = read_candidates(store, _pool(experiment, arm, seed)).sizes
    one = int(sizes.max(initial=0)) if unit_of(experiment) == "tokens" else 0
    available = int(sizes.sum())
    if available >= n_draws * (a_generation + one):
        return
    raise NotEnoughHumanText(
        arm.name,
        unit=unit_of(experiment),
        needed=n_draws * (a_generation + one),
        available=available,
        a_generation=a_generation,
        generations=n_draws,
        affordable=available // (a_generation + one),
        smaller=max(0, available // n_draws - one),
    )


def _pool(experiment: Experiment, arm: Arm, seed: int) -> MixSpec:
    """Return the mix of all human text that an arm may use in any generation after the first."""
    first = later_mix(experiment, arm, seed=seed, generation=1, first_size=_ANY_SIZE)
    human = next(quota for quota in first.quotas if quota.name == "human")
    return MixSpec(
        name=first.name,
        budget=Budget(unit=first.budget.unit, amount=None),
        tokenizer=first.tokenizer,
        where=f"({experiment.corpus}) AND ({human.where})",
        duplicates=first.duplicates,
        quotas=[Quota(name="human", where=human.where, min=1, not_used_by=human.not_used_by)],
        exclude=first.exclude,
        seed=first.seed,
    )
