"""From the store to files: training sets are made, verified and exported, and what evaluation needs is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from provenance.errors import NameTaken, ProvenanceError, UnknownName
from provenance.export.tokens import TokenBlocks, export_tokens
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer, get_tokenizer
from provenance.mix.training_set import TrainingSet, list_training_sets
from provenance.store.store import Store
from training.experiment import SHARED_ARM, Arm, Experiment, TrainedTokenizer
from training.files import Folder, read_json, write_json
from training.learners.configs import Init
from training.learners.registry import learner_type
from training.metrics.words import Lexicon
from training.mixes import first_mix, heldout_mix, later_mix, model_name, tokenizer_name
from training.records import Run
from training.seeds import derive_seed
from training.work import GenerationTask

#: Output beyond what the next generation needs: its text is excluded where it resembles held-out text.
SAMPLE_SLACK = 0.1


class Preparation:
    """Makes what a generation's task reads; everything is found again when it is there already."""

    def __init__(self, store: Store, experiment: Experiment, folder: Folder) -> None:
        self.store = store
        self.experiment = experiment
        self.folder = folder

    def task(self, run: Run, arm: Arm | None) -> GenerationTask:
        """Make, verify and export the training set of a run and return the task that fits a model on it.

        Raises
        ------
        InfeasibleMix : there is not enough text
        NameTaken : the store has a training set of that name from another specification
        """
        heldout, seed = self._heldout, run.seed
        if arm is None:
            training_set = self._first(seed)
        else:
            training_set = self._training_set(later_mix(self.experiment, arm, seed=seed, generation=run.generation))
        first = model_name(self.experiment, arm=SHARED_ARM, seed=seed, generation=0)
        self._export(training_set, tokenizer_name(self.experiment, seed=seed))
        return self._task(run, arm, heldout=heldout, first=first)

    def _task(self, run: Run, arm: Arm | None, *, heldout: Path, first: str) -> GenerationTask:
        experiment, folder = self.experiment, self.folder
        phase = experiment.first if arm is None else experiment.later
        init: Init = experiment.first_init if arm is None else experiment.later.init
        previous = None
        if arm is not None and init == "previous":
            name = model_name(experiment, arm=arm.name, seed=run.seed, generation=run.generation - 1)
            previous = folder.model(name)
        return GenerationTask(
            name=run.model,
            learner=experiment.learner.model_dump(mode="json"),
            init=init,
            previous=previous,
            block_length=experiment.block_length,
            epochs=phase.epochs,
            learning_rate=phase.learning_rate,
            batch_size=experiment.batch_size,
            seed=derive_seed(run.seed, run.arm, run.generation),
            decoding=experiment.decoding.model_dump(mode="json"),
            n_sampled=max(experiment.evaluation.tokens, self._needed(arm)),
            n_evaluated=experiment.evaluation.tokens,
            n_heldout=experiment.evaluation.heldout_tokens,
            blocks=folder.blocks(run.model),
            model=folder.model(run.model),
            fit=folder.fit(run.model),
            output=folder.output(run.model),
            evaluation=folder.evaluation(run.model),
            first_model=folder.model(first),
            heldout=heldout,
            lexicon=self._lexicon(first),
        )

    def _needed(self, arm: Arm | None) -> int:
        """Return the synthetic tokens that the next generation needs; the first model writes for all arms."""
        arms = self.experiment.arms if arm is None else (arm,)
        largest = max(1 - arm.human_share for arm in arms)
        return round(self.experiment.later.tokens * float(largest) * (1 + SAMPLE_SLACK))

    @cached_property
    def _heldout(self) -> Path:
        """Make the held-out set once and return the file with its texts."""
        training_set = self._training_set(heldout_mix(self.experiment))
        return self._texts(training_set, lambda texts: {"texts": texts})

    def _lexicon(self, first: str) -> Path:
        """Return the file with the words of generation 0."""
        path = self.folder.texts(first)
        if read_json(path) is None:
            self._texts(TrainingSet.open(first, self.store), lambda texts: {"counts": Lexicon.of(texts).counts})
        return path

    def _texts(self, training_set: TrainingSet, describe: Callable[[list[str]], dict[str, Any]]) -> Path:
        path = self.folder.texts(training_set.name)
        written = read_json(path)
        if written is None or written["digest"] != training_set.digest:
            texts = [document["text"] for document in training_set]
            write_json(path, {"digest": training_set.digest, **describe(texts)})
        return path

    def _first(self, seed: int) -> TrainingSet:
        """Make generation 0's set, and its tokenizer: the pretrained model's, or one trained on this text."""
        experiment, name = self.experiment, tokenizer_name(self.experiment, seed=seed)
        learner = learner_type(experiment.learner.name)
        if experiment.tokenizer == "own":
            definition = learner.own_tokenizer(experiment.learner)
            if definition is None:  # excluded when the experiment was read
                raise UnknownName("tokenizer of the model", str(experiment.learner.pretrained))
            add_tokenizer(self.store, name, definition)
        training_set = self._training_set(first_mix(experiment, seed=seed))
        if isinstance(experiment.tokenizer, TrainedTokenizer) and not self._has_tokenizer(name):
            texts = (document["text"] for document in training_set)
            trained = learner.train_tokenizer(texts, vocab_size=experiment.tokenizer.vocab_size)
            add_tokenizer(self.store, name, trained.to_str())
        self._lexicon(training_set.name)
        return training_set

    def _has_tokenizer(self, name: str) -> bool:
        try:
            get_tokenizer(self.store, name)
        except UnknownName:
            return False
        return True

    def _training_set(self, spec: MixSpec) -> TrainingSet:
        """Make a training set, or open and verify the one that was made from this specification before."""
        if spec.name not in {info.name for info in list_training_sets(self.store)}:
            return make_training_set(self.store, spec)
        training_set = TrainingSet.open(spec.name, self.store)
        if training_set.spec != spec:
            raise NameTaken("training set", spec.name, "was made from another specification")
        return training_set

    def _export(self, training_set: TrainingSet, tokenizer: str) -> None:
        """Write the training set as token blocks, unless they are there."""
        target = self.folder.blocks(training_set.name)
        if target.exists():
            if _holds(target, training_set):
                return
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        export_tokens(training_set, target, tokenizer=tokenizer, block_length=self.experiment.block_length)


def _holds(blocks: Path, training_set: TrainingSet) -> bool:
    """Return whether a folder holds the blocks of a training set, whole and of these very draws."""
    try:
        digest = TokenBlocks.open(blocks).manifest["training_set"]["digest"]
    except (ProvenanceError, OSError, KeyError):  # incomplete, damaged, or of another kind
        return False
    return bool(digest == training_set.digest)
