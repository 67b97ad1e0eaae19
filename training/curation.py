"""Between ingest and mix: attributes are attached to documents, by which the next mix finds what it may draw.

What a filter or a detector says of them, and what an arm drew before and is to draw again.
"""

from __future__ import annotations

from pathlib import Path

from provenance.mix.make import make_training_set
from provenance.store.store import Store
from training.experiment import SHARED_ARM, Arm, Experiment
from training.files import Folder
from training.filters.judging import attach, judge_output, judge_unknown
from training.learners.base import Learner
from training.learners.registry import load_learner
from training.mixes import added_mix, drawn_attribute, drawn_mark, human_attribute, model_name, passed_attribute

_DRAWN = """
SELECT DISTINCT document_id::VARCHAR AS id FROM training_set_item WHERE training_set = :training_set ORDER BY id
"""


class Curation:
    """Attaches what the mixes of the next generation ask of documents; done again it changes nothing."""

    def __init__(self, store: Store, experiment: Experiment, folder: Folder) -> None:
        self.store = store
        self.experiment = experiment
        self.folder = folder
        self._learners: dict[str, Learner] = {}
        self._detected: set[int] = set()
        self._marked: set[tuple[str, str]] = set()

    def before_mix(self, arm: Arm, *, seed: int, generation: int) -> None:
        """Attach what the training set of a generation (1 or more) of an arm asks of documents.

        The sets of the generation before are there, and of this one those of the arms that stand before it.

        Raises
        ------
        NothingPassed : no text of the model before passes the arm's filter
        """
        first = model_name(self.experiment, arm=SHARED_ARM, seed=seed, generation=0)
        scratch = self._scratch
        self._mark_drawn(arm, seed=seed, generation=generation, first=first)
        if arm.unknown == "detector" and seed not in self._detected:
            attribute = human_attribute(self.experiment, seed=seed)
            judge_unknown(self.store, first=first, attribute=attribute, scratch=scratch)
            self._detected.add(seed)
        if arm.filter is not None:
            judge_output(
                self.store,
                arm.filter,
                model=model_name(self.experiment, arm=arm.name, seed=seed, generation=generation - 1),
                first=first,
                first_learner=self._learner(first),
                attribute=passed_attribute(self.experiment, arm),
                scratch=scratch,
            )

    def _mark_drawn(self, arm: Arm, *, seed: int, generation: int, first: str) -> None:
        """Mark the documents that are to be drawn again: of generation 0, of the arm itself, or of another arm."""
        if arm.accumulates:
            added = added_mix(self.experiment, arm, seed=seed, generation=generation)
            make_training_set(self.store, added)
            self._mark(first, drawn_attribute(self.experiment, SHARED_ARM, seed=seed), 0)
            self._mark(added.name, drawn_attribute(self.experiment, arm.name, seed=seed), generation)
        elif arm.human == "original":
            self._mark(first, drawn_attribute(self.experiment, SHARED_ARM, seed=seed), 0)
        elif arm.of is not None or (arm.human == "fixed" and generation > 1):
            drawn = arm if arm.of is None else self.experiment.arm(arm.of)
            attribute, number = drawn_mark(self.experiment, drawn, seed=seed, generation=generation)
            self._mark(model_name(self.experiment, arm=drawn.name, seed=seed, generation=number), attribute, number)

    def _mark(self, training_set: str, attribute: str, generation: int) -> None:
        if (training_set, attribute) in self._marked:
            return
        ids = self.store.fetch(_DRAWN, {"training_set": training_set})["id"].to_pylist()
        attach(self.store, ids, [float(generation)] * len(ids), attribute, self._scratch)
        self._marked.add((training_set, attribute))

    @property
    def _scratch(self) -> Path:
        return self.folder.root / "scratch.parquet"

    def _learner(self, first: str) -> Learner:
        if first not in self._learners:
            self._learners[first] = load_learner(self.folder.model(first))
        return self._learners[first]
