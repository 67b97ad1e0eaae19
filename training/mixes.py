"""What each arm trains on, as mix specifications. The loop draws nothing itself: every regime is one of these.

To add a regime, add its word to `experiment.Regime` and a branch to `later_mix`.
"""

from __future__ import annotations

from collections.abc import Sequence

from provenance.mix.spec import Budget, Exclude, MixSpec, Quota, Weights
from training.experiment import SHARED_ARM, Arm, Experiment
from training.seeds import derive_seed

_HUMAN = "origin = 'human'"


def heldout_name(experiment: Experiment) -> str:
    """Return the name of the held-out set, which all seeds and arms share."""
    return f"{experiment.name}.heldout"


def model_name(experiment: Experiment, *, arm: str, seed: int, generation: int) -> str:
    """Return the name of a model; its training set and the source of its output are called the same."""
    return f"{experiment.name}.{SHARED_ARM if generation == 0 else arm}.s{seed}.g{generation}"


def evaluation_source(model: str) -> str:
    """Return the source of the text that a model wrote at temperature 1 for evaluation only."""
    return f"{model}.t1"


def tokenizer_name(experiment: Experiment, *, seed: int) -> str:
    """Return the name of the tokenizer of one seed."""
    return f"{experiment.name}.s{seed}"


def heldout_mix(experiment: Experiment) -> MixSpec:
    """All human documents that models are evaluated on."""
    return MixSpec(
        name=heldout_name(experiment),
        budget="all",
        where=f"({experiment.corpus}) AND ({experiment.heldout}) AND {_HUMAN}",
        duplicates="all",
        order="shuffled",
        quotas=[Quota(name="human", where=_HUMAN, min=1)],
    )


def _exclude(experiment: Experiment) -> Exclude:
    return Exclude(training_sets=(heldout_name(experiment),), clusters=True, spans=experiment.heldout_span)


def first_mix(experiment: Experiment, *, seed: int) -> MixSpec:
    """Human text for generation 0, free of everything that resembles the held-out text."""
    first = experiment.first
    return MixSpec(
        name=model_name(experiment, arm=SHARED_ARM, seed=seed, generation=0),
        budget=Budget(unit="words", amount=first.words)
        if first.words is not None
        else Budget(unit="tokens", amount=first.tokens),
        tokenizer=None if first.words is not None else tokenizer_name(experiment, seed=seed),
        where=f"({experiment.corpus}) AND {_HUMAN}",
        duplicates=experiment.duplicates,
        quotas=[Quota(name="human", where=_HUMAN, min=1)],
        exclude=_exclude(experiment),
        seed=derive_seed(seed, "mix", SHARED_ARM, 0),
    )


def later_mix(experiment: Experiment, arm: Arm, *, seed: int, generation: int) -> MixSpec:
    """Return what generation `generation` (1 or more) of an arm is trained on."""
    previous = model_name(experiment, arm=arm.name, seed=seed, generation=generation - 1)
    human = f"({experiment.corpus}) AND {_HUMAN}"
    # Names of models are letters, digits, dots, dashes and underscores: they need no escape inside quotes.
    synthetic = f"source = '{previous}' AND model = '{previous}'"
    where = {"replace": synthetic, "human": human, "quota": f"({human}) OR ({synthetic})"}[arm.regime]
    quotas = []
    if arm.human_share > 0:
        quotas = [
            Quota(name="human", where=_HUMAN, min=arm.human_share, not_used_by=_used(experiment, arm, seed, generation))
        ]
    weights = Weights()
    if 0 < arm.human_share < 1:
        weights = Weights(columns={"origin": {"human": arm.human_share, "synthetic": 1 - arm.human_share}})
    # A fixed human part is the same draw again: the same seed, and the same sets that it must not overlap.
    drawn = generation if arm.human == "fresh" else 1
    return MixSpec(
        name=model_name(experiment, arm=arm.name, seed=seed, generation=generation),
        budget=Budget(unit="tokens", amount=experiment.later.tokens),
        tokenizer=tokenizer_name(experiment, seed=seed),
        where=where,
        duplicates=experiment.duplicates,
        quotas=quotas,
        weights=weights,
        exclude=_exclude(experiment),
        seed=derive_seed(seed, "mix", arm.name, drawn),
    )


def _used(experiment: Experiment, arm: Arm, seed: int, generation: int) -> Sequence[str]:
    """Return the sets whose human text this generation must not use again; a fixed set only avoids generation 0's."""
    last = generation if arm.human == "fresh" else 1
    return tuple(model_name(experiment, arm=arm.name, seed=seed, generation=g) for g in range(last))
