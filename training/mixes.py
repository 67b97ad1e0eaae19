"""What each arm trains on, as mix specifications. The loop draws nothing itself: every regime is one of these.

To add a regime, add its word to `arms.Regime` and a branch to `_where` and `_quotas`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import Any, Literal

from provenance.mix.spec import Budget, Exclude, MixSpec, Quota, Repeats, Weights
from training.arms import SHARED_ARM, Arm
from training.experiment import Experiment
from training.seeds import derive_seed

_HUMAN = "origin = 'human'"

#: How often a text that passed a filter may be trained on where too few passed.
MOST_REPEATS = 8

_NO_WORD = re.compile(r"\W+")


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


def passed_attribute(experiment: Experiment, arm: Arm) -> str:
    """Return the attribute of a model's output that says whether it passed an arm's filter."""
    return _NO_WORD.sub("_", f"passed_{experiment.name}_{arm.name}").lower()


def human_attribute(experiment: Experiment, *, seed: int) -> str:
    """Return the attribute of documents of unknown origin that says whether the detector takes them for human."""
    return _NO_WORD.sub("_", f"human_{experiment.name}_s{seed}").lower()


def unit_of(experiment: Experiment) -> Literal["tokens", "documents"]:
    """Return what sizes of later generations count."""
    return "documents" if experiment.learner.reads == "documents" else "tokens"


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
    if experiment.heldout is None:
        return Exclude()
    return Exclude(training_sets=(heldout_name(experiment),), clusters=True, spans=experiment.heldout_span)


def first_mix(experiment: Experiment, *, seed: int) -> MixSpec:
    """Human text for generation 0, free of everything that resembles the held-out text."""
    first = experiment.first
    amounts = {"words": first.words, "tokens": first.tokens, "documents": first.documents}
    [(unit, amount)] = [(unit, amount) for unit, amount in amounts.items() if amount is not None]
    return MixSpec(
        name=model_name(experiment, arm=SHARED_ARM, seed=seed, generation=0),
        budget=Budget(unit=unit, amount=amount),
        tokenizer=tokenizer_name(experiment, seed=seed) if unit == "tokens" else None,
        where=f"({experiment.corpus}) AND {_HUMAN}",
        duplicates=experiment.duplicates,
        quotas=[Quota(name="human", where=_HUMAN, min=1)],
        exclude=_exclude(experiment),
        seed=_seed(seed, SHARED_ARM, 0),
    )


def later_mix(experiment: Experiment, arm: Arm, *, seed: int, generation: int, first_size: int) -> MixSpec:
    """Return what generation `generation` (1 or more) of an arm is trained on.

    Parameters
    ----------
    first_size : tokens, or documents, of generation 0's training set, for arms that accumulate
    """
    unit, size = unit_of(experiment), experiment.later.size
    amount, weights, quotas = size, Weights(), []
    if arm.regime.startswith("accumulate"):
        sizes = {0: first_size} | dict.fromkeys(range(1, generation + 1), size)
        amount = sum(sizes.values()) if arm.regime == "accumulate" else size
        weights = Weights(columns={"generation": {str(g): n for g, n in sizes.items()}})
    elif arm.human_share:
        used = _used(experiment, arm, seed, generation)
        quotas = [
            Quota(
                name="human", where=human_condition(experiment, arm, seed=seed), min=arm.human_share, not_used_by=used
            )
        ]
        if arm.of is not None:
            amount = ceil((experiment.arm(arm.of).share or 1) * size)
        elif arm.human_share < 1:
            shares = {"human": arm.human_share, "synthetic": 1 - arm.human_share}
            weights = Weights(columns={"origin": shares}) if arm.unknown == "exclude" else Weights()
    return MixSpec(
        name=model_name(experiment, arm=arm.name, seed=seed, generation=generation),
        budget=Budget(unit=unit, amount=amount),
        tokenizer=tokenizer_name(experiment, seed=seed) if unit == "tokens" else None,
        where=_where(experiment, arm, seed, generation),
        duplicates=experiment.duplicates,
        quotas=quotas,
        weights=weights,
        exclude=_exclude(experiment),
        repeats=Repeats(max=MOST_REPEATS if arm.filter is not None else 1),
        seed=draw_seed(experiment, arm, seed, generation),
    )


def draw_seed(experiment: Experiment, arm: Arm, seed: int, generation: int) -> int:
    """Return the seed of an arm's draw.

    A fixed human part is the same draw again: the same seed, and the same sets that it must not overlap. An arm that
    accumulates draws generation 0's text again, and one that has the human text of another arm draws as that one does.
    """
    if arm.regime.startswith("accumulate"):
        return _seed(seed, SHARED_ARM, 0)
    return _seed(seed, arm.of or arm.name, generation if rotates(experiment, arm) else 1)


def rotates(experiment: Experiment, arm: Arm) -> bool:
    """Return whether every generation of an arm takes human text that no earlier one had."""
    return (arm if arm.of is None else experiment.arm(arm.of)).human == "fresh"


def _seed(seed: int, arm: str, generation: int) -> int:
    return derive_seed(seed, "mix", arm, generation)


def human_condition(experiment: Experiment, arm: Arm, *, seed: int) -> str:
    """Return what counts as human text for an arm."""
    if arm.unknown == "human":
        return "origin IN ('human', 'unknown')"
    if arm.unknown == "detector":
        return f"origin = 'human' OR (origin = 'unknown' AND {human_attribute(experiment, seed=seed)})"
    return _HUMAN


def _where(experiment: Experiment, arm: Arm, seed: int, generation: int) -> str:
    human = f"({experiment.corpus}) AND ({human_condition(experiment, arm, seed=seed)})"
    if not arm.is_synthetic:
        return human
    since = generation - 1 if not arm.regime.startswith("accumulate") else 0
    written = [model_name(experiment, arm=arm.name, seed=seed, generation=g) for g in range(since, generation)]
    # Names of models are letters, digits, dots, dashes and underscores: they need no escape inside quotes.
    synthetic = " OR ".join(f"(source = '{name}' AND model = '{name}')" for name in written)
    if arm.regime == "curated":
        synthetic = f"({synthetic}) AND {passed_attribute(experiment, arm)}"
    has_human = bool(arm.human_share) or arm.regime.startswith("accumulate")
    return f"({human}) OR ({synthetic})" if has_human else synthetic


def _used(experiment: Experiment, arm: Arm, seed: int, generation: int) -> Sequence[str]:
    """Return the sets whose human text this generation must not use again; a fixed set only avoids generation 0's."""
    last = generation if rotates(experiment, arm) else 1
    return tuple(model_name(experiment, arm=arm.name, seed=seed, generation=g) for g in range(last))


def golden_weight(n_human: int, n_synthetic: int) -> float:
    """Return how much each human token counts by golden weighting, where a synthetic one counts 1.

    With k = n_human / n_synthetic the best weight of the human part is (√(k² + 4k) - k) / 2, shared by n_human
    tokens beside n_synthetic that share the rest (He and others, arXiv 2502.18049). Exact for a Gaussian's mean, a
    heuristic for language models.
    """
    k = n_human / n_synthetic
    best: Any = ((k * k + 4 * k) ** 0.5 - k) / 2
    return float(best * n_synthetic / ((1 - best) * n_human))


def largest_synthetic_share(arms: Sequence[Arm]) -> Fraction:
    """Return the largest share of a generation that arms may need of what a model wrote."""
    return max((1 - (arm.human_share or Fraction(0)) for arm in arms if arm.is_synthetic), default=Fraction(0))
