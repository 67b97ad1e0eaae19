"""What each arm trains on, as mix specifications. The loop draws nothing itself: every regime is one of these.

To add a regime, add its word to `arms.Regime` and a branch to `_where` and `_quotas`. What an arm is to draw again, it
finds by an attribute of the documents that it drew (see `training.curation`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from hashlib import sha256
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


def followed_source(model: str) -> str:
    """Return the source of the texts with which a model continued the prompts that are followed."""
    return f"{model}.followed"


def tokenizer_name(experiment: Experiment, *, seed: int) -> str:
    """Return the name of the tokenizer of one seed."""
    return f"{experiment.name}.s{seed}"


def passed_attribute(experiment: Experiment, arm: Arm) -> str:
    """Return the attribute of a model's output that says whether it passed an arm's filter."""
    return _attribute("passed", experiment, arm.name)


def human_attribute(experiment: Experiment, *, seed: int) -> str:
    """Return the attribute of documents of unknown origin that says whether the detector takes them for human."""
    return _attribute("human", experiment, f"s{seed}")


def drawn_attribute(experiment: Experiment, arm: str, *, seed: int) -> str:
    """Return the attribute of documents that says for which generation an arm drew them, to be drawn again."""
    return _attribute("drawn", experiment, arm, f"s{seed}")


def drawn_mark(experiment: Experiment, arm: Arm, *, seed: int, generation: int) -> tuple[str, int]:
    """Return the attribute of the human text that an arm has in a generation, and for which generation it was drawn."""
    if arm.human == "original":  # a document is drawn for several generations
        return drawn_attribute(experiment, f"{arm.name}.g{generation}", seed=seed), generation
    return drawn_attribute(experiment, arm.name, seed=seed), generation if arm.human == "fresh" else 1


def _attribute(*words: Any) -> str:
    """Return a name for an attribute: readable, short enough, and another one for other words."""
    names = [word if isinstance(word, str) else word.name for word in words]
    digest = sha256("\0".join(names).encode()).hexdigest()[:8]
    return f"{_NO_WORD.sub('_', '_'.join(names)).lower()[:50]}_{digest}"


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


def later_mix(experiment: Experiment, arm: Arm, *, seed: int, generation: int) -> MixSpec:
    """Return what generation `generation` (1 or more) of an arm is trained on.

    What the mix asks of documents by attributes must have been attached to them: see `training.curation`.
    """
    unit, takes_all = unit_of(experiment), arm.regime in ("accumulate", "human_only")
    return MixSpec(
        name=model_name(experiment, arm=arm.name, seed=seed, generation=generation),
        budget=Budget(unit=unit, amount=None if takes_all else experiment.later.size),
        tokenizer=tokenizer_name(experiment, seed=seed) if unit == "tokens" else None,
        where=_where(experiment, arm, seed, generation),
        duplicates=experiment.duplicates,
        quotas=_quotas(experiment, arm, seed, generation),
        weights=_weights(experiment, arm, seed, generation),
        exclude=_exclude(experiment),
        repeats=_repeats(experiment, arm, seed, generation),
        seed=_draw_seed(arm, seed, generation),
    )


def added_mix(experiment: Experiment, arm: Arm, *, seed: int, generation: int) -> MixSpec:
    """Return what an arm that accumulates keeps of the output of its model before this generation, for good."""
    unit = unit_of(experiment)
    return MixSpec(
        name=f"{model_name(experiment, arm=arm.name, seed=seed, generation=generation)}.added",
        budget=Budget(unit=unit, amount=experiment.later.size),
        tokenizer=tokenizer_name(experiment, seed=seed) if unit == "tokens" else None,
        where=_written(experiment, arm, seed, generation),
        duplicates=experiment.duplicates,
        exclude=_exclude(experiment),
        seed=_seed(seed, SHARED_ARM, 0),
    )


def _draw_seed(arm: Arm, seed: int, generation: int) -> int:
    """Return the seed of an arm's draw; where all is taken again, that of the draws that it was taken by."""
    if arm.regime == "accumulate":
        return _seed(seed, SHARED_ARM, 0)
    return _seed(seed, arm.name, 1 if arm.human == "fixed" else generation)


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
    if arm.accumulates:
        first, own = (drawn_attribute(experiment, name, seed=seed) for name in (SHARED_ARM, arm.name))
        return f"{first} = 0 OR {own} <= {generation}"
    kind = human_condition(experiment, _drawn_as(experiment, arm), seed=seed)
    human = f"({experiment.corpus}) AND ({kind})"
    again = _drawn_again(experiment, arm, seed, generation)
    human += f" AND {again[0]} = {again[1]}" if again is not None else ""
    if not arm.is_synthetic:
        return human
    synthetic = _written(experiment, arm, seed, generation)
    return f"({human}) OR ({synthetic})" if arm.human_share else synthetic


def _drawn_again(experiment: Experiment, arm: Arm, seed: int, generation: int) -> tuple[str, int] | None:
    """Return the mark of the only human text that an arm may use in a generation; None where it may use any."""
    if arm.of is not None:
        return drawn_mark(experiment, experiment.arm(arm.of), seed=seed, generation=generation)
    if arm.human == "original":
        return drawn_attribute(experiment, SHARED_ARM, seed=seed), 0
    if arm.human == "fixed" and generation > 1:
        return drawn_mark(experiment, arm, seed=seed, generation=generation)
    return None


def _written(experiment: Experiment, arm: Arm, seed: int, generation: int) -> str:
    """Return the condition for what an arm may use of the output of its model before this generation."""
    # Names of models are letters, digits, dots, dashes and underscores: they need no escape inside quotes.
    name = _model_before(experiment, arm, seed, generation)
    written = f"source = '{name}' AND model = '{name}'"
    return f"{written} AND {passed_attribute(experiment, arm)}" if arm.regime == "curated" else written


def _quotas(experiment: Experiment, arm: Arm, seed: int, generation: int) -> Sequence[Quota]:
    if arm.accumulates or not arm.human_share:
        return ()
    used: tuple[str, ...] = ()
    if arm.of is None:
        last = {"fresh": generation, "fixed": 1, "original": 0}[arm.human]
        used = tuple(model_name(experiment, arm=arm.name, seed=seed, generation=g) for g in range(last))
    human = human_condition(experiment, _drawn_as(experiment, arm), seed=seed)
    return (Quota(name="human", where=human, min=arm.human_share, not_used_by=used),)


def _drawn_as(experiment: Experiment, arm: Arm) -> Arm:
    """Return the arm whose human text an arm has: mostly its own."""
    return arm if arm.of is None else experiment.arm(arm.of)


def _weights(experiment: Experiment, arm: Arm, seed: int, generation: int) -> Weights:
    """Return the proportions: without them the human part of a quota arm would be as large as there is of it."""
    if arm.regime == "accumulate_subsample":  # of every generation as much as there is of it
        return Weights(columns={"generation": "available"})
    if not arm.human_share or arm.human_share == 1:
        return Weights()
    if arm.unknown == "exclude":
        return Weights(columns={"origin": {"human": arm.human_share, "synthetic": 1 - arm.human_share}})
    # What counts as human is drawn as one, in proportion to what there is of each origin: neither has a model.
    return Weights(columns={"model": {_model_before(experiment, arm, seed, generation): Fraction(1)}})


def _repeats(experiment: Experiment, arm: Arm, seed: int, generation: int) -> Repeats:
    """Return how often a document may be drawn: human text once, and of filtered text there may be too little."""
    if arm.filter is None:
        return Repeats()
    return Repeats(per={"model": {_model_before(experiment, arm, seed, generation): MOST_REPEATS}})


def _model_before(experiment: Experiment, arm: Arm, seed: int, generation: int) -> str:
    return model_name(experiment, arm=arm.name, seed=seed, generation=generation - 1)


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
