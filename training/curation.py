"""Between ingest and mix: what a curated arm may use of a model's output, and which unknown documents are human."""

from __future__ import annotations

from provenance.store.store import Store
from training.experiment import SHARED_ARM, Arm, Experiment
from training.files import Folder
from training.filters.judging import judge_output, judge_unknown
from training.learners.base import Learner
from training.learners.registry import load_learner
from training.mixes import human_attribute, model_name, passed_attribute


class Curation:
    """Judges documents for the arms that ask for it; judged again they get the same verdict."""

    def __init__(self, store: Store, experiment: Experiment, folder: Folder) -> None:
        self.store = store
        self.experiment = experiment
        self.folder = folder
        self._learners: dict[str, Learner] = {}
        self._detected: set[int] = set()

    def before_mix(self, arm: Arm, *, seed: int, generation: int) -> None:
        """Judge what the training set of a generation (1 or more) of an arm draws from.

        Raises
        ------
        NothingPassed : no text of the model before passes the arm's filter
        """
        first = model_name(self.experiment, arm=SHARED_ARM, seed=seed, generation=0)
        scratch = self.folder.root / "scratch.parquet"
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

    def _learner(self, first: str) -> Learner:
        if first not in self._learners:
            self._learners[first] = load_learner(self.folder.model(first))
        return self._learners[first]
