"""Is there enough fresh human text for all generations of every arm? Said before generation 0 is fitted.

How much a generation takes is known within a few documents only: they are drawn whole, and how long those are that
the models will write nobody knows yet. So there are three answers. What fails however draws turn out is refused. What
cannot fail goes on. In between, a strip of a few documents a generation, the loop goes on and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from provenance.mix.candidates import read_candidates
from provenance.mix.spec import Budget, MixSpec, Quota
from provenance.mix.training_set import TrainingSet
from provenance.store.store import Store
from training.arms import SHARED_ARM, Arm
from training.errors import NotEnoughHumanText
from training.experiment import Experiment
from training.mixes import human_condition, later_mix, model_name, tokenizer_name, unit_of

I64 = npt.NDArray[np.int64]


def check_human_text(store: Store, experiment: Experiment, *, seed: int) -> list[str]:
    """Count what every arm will need of human text against what the store has beside generation 0's and held-out text.

    Generation 0's training set of this seed must be there, and its tokenizer.

    Returns
    -------
    What is to be said of arms for which the text is just about enough, one sentence each.

    Raises
    ------
    NotEnoughHumanText
        If an arm will run out; with the generation, the numbers, and what would work. Of several arms the one that
        runs out first.
    """
    needs = [_need(store, experiment, arm, seed) for arm in experiment.arms if arm.human_share and arm.of is None]
    failing = [need for need in needs if need.fails]
    if failing:
        raise min(failing, key=lambda need: need.runs_out_in).refusal()
    return [need.note() for need in needs if not need.is_sure]


@dataclass(frozen=True)
class Need:
    """What an arm needs of human text, and what there is of it.

    Attributes
    ----------
    size : tokens, or documents, of a training set; `share` of them human at least
    draws : how often fresh human text is drawn
    sure, possible : (n,) sizes of the documents that there are for it, and with those that a detector may admit
    written : size of the largest document that a model may write
    """

    arm: str
    unit: str
    size: int
    share: Fraction
    draws: int
    sure: I64
    possible: I64
    written: int

    @property
    def a_generation(self) -> int:
        """Human text that a training set of full size has at least."""
        return ceil(self.share * self.size)

    @property
    def _rest(self) -> int:
        """Less than this is left of a budget: one document, the largest that could be drawn."""
        if self.unit == "documents":
            return 1
        largest = int(self.possible.max(initial=1))
        return largest if self.share == 1 else max(largest, self.written)

    @property
    def _least(self) -> int:
        """The least human text that any draw takes."""
        return ceil(self.share * max(self.size - self._rest + 1, 1))

    @property
    def _spare(self) -> int:
        """What a draw takes beyond `a_generation` at most: a document to reach it, another to fill up the budget."""
        if self.unit == "documents" or self.share == 1:
            return 0
        return int(self.possible.max(initial=0)) + self.written

    @property
    def fails(self) -> bool:
        """Whether the text runs out however the draws turn out."""
        return int(self.possible.sum()) < self.draws * self._least

    @property
    def is_sure(self) -> bool:
        """Whether it cannot run out."""
        return int(self.sure.sum()) >= self.draws * (self.a_generation + self._spare)

    @property
    def runs_out_in(self) -> int:
        """The generation for which there is not enough."""
        return int(self.possible.sum()) // self._least + 1

    def refusal(self) -> NotEnoughHumanText:
        """Return the error that says what is missing and what would work."""
        available = int(self.sure.sum())
        each = available // self.draws - self._spare
        return NotEnoughHumanText(
            self.arm,
            unit=self.unit,
            needed=self.draws * self.a_generation,
            available=int(self.possible.sum()),
            a_generation=self.a_generation,
            generations=self.draws,
            generation=self.runs_out_in,
            affordable=available // (self.a_generation + self._spare),
            share=None if self.share == 1 else Fraction(max(0, floor(Fraction(each, self.size) * 1000)), 1000),
            size=max(0, floor(each / self.share)),
        )

    def note(self) -> str:
        """Return what is to be said where neither answer is certain."""
        return (
            f"arm {self.arm!r} needs about {self.draws * self.a_generation:,} {self.unit} of human text and there are "
            f"{int(self.sure.sum()):,}: it may run out in the last of {self.draws} generations"
        )


def _need(store: Store, experiment: Experiment, arm: Arm, seed: int) -> Need:
    size = experiment.later.size
    sure = _sizes(store, experiment, arm, seed, human_condition(experiment, _certain(arm), seed=seed))
    possible = sure
    if arm.unknown == "detector":
        possible = _sizes(store, experiment, arm, seed, human_condition(experiment, _credulous(arm), seed=seed))
    return Need(
        arm=arm.name,
        unit=unit_of(experiment),
        size=size,
        share=arm.human_share or Fraction(0),
        draws=experiment.generations if arm.human == "fresh" else 1,
        sure=sure,
        possible=possible,
        written=min(size, _longest_written(experiment)),
    )


def _certain(arm: Arm) -> Arm:
    """Return the arm without documents that a detector has still to judge."""
    return arm if arm.unknown != "detector" else arm.model_copy(update={"unknown": "exclude"})


def _credulous(arm: Arm) -> Arm:
    return arm.model_copy(update={"unknown": "human"})


def _longest_written(experiment: Experiment) -> int:
    """Return the most tokens of a text that a model writes."""
    if experiment.prompt_source != "bos":
        return experiment.new_tokens or experiment.block_length
    return int(getattr(experiment.learner, "sample_length", experiment.later.size))


def _sizes(store: Store, experiment: Experiment, arm: Arm, seed: int, condition: str) -> I64:
    """Return the sizes of the documents that count as human for an arm and fit into its training sets."""
    first = later_mix(experiment, arm, seed=seed, generation=1)
    used = next(quota.not_used_by for quota in first.quotas if quota.name == "human")
    pool = MixSpec(
        name=first.name,
        budget=Budget(unit=first.budget.unit, amount=None),
        tokenizer=first.tokenizer,
        where=f"({experiment.corpus}) AND ({condition})",
        duplicates=first.duplicates,
        quotas=[Quota(name="human", where=condition, min=1, not_used_by=used)],
        exclude=first.exclude,
        seed=first.seed,
    )
    sizes = read_candidates(store, pool).sizes
    if arm.human == "original":
        sizes = _first_sizes(store, experiment, seed)
    return sizes[sizes <= experiment.later.size]


def _first_sizes(store: Store, experiment: Experiment, seed: int) -> I64:
    """Return the sizes of the documents that generation 0 had, all of which are counted by now."""
    first = model_name(experiment, arm=SHARED_ARM, seed=seed, generation=0)
    if unit_of(experiment) == "documents":
        return np.ones(len(TrainingSet.just_verified(first, store)), dtype=np.int64)
    names = {"training_set": first, "tokenizer": tokenizer_name(experiment, seed=seed)}
    return np.asarray(store.fetch(_FIRST_SIZES, names)["n"].to_numpy(), dtype=np.int64)


_FIRST_SIZES = """
SELECT c.n_tokens AS n
FROM training_set_item i JOIN document d USING (document_id) JOIN token_count c USING (content_id)
WHERE i.training_set = :training_set AND c.tokenizer = :tokenizer ORDER BY i.position
"""
