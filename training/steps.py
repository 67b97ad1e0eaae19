"""From the store to files: training sets are made, verified and exported, and what evaluation needs is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from provenance.errors import NameTaken, ProvenanceError, UnknownName
from provenance.export.documents import ExportedDocuments
from provenance.export.parquet import export_parquet
from provenance.export.record import record_once
from provenance.export.tokens import TokenBlocks, export_tokens
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer, get_tokenizer
from provenance.mix.training_set import TrainingSet, list_training_sets
from provenance.store.store import Store
from training.curation import Curation
from training.experiment import SHARED_ARM, Arm, Experiment, TrainedTokenizer
from training.files import Folder, read_json, write_json
from training.learners.base import Learner
from training.learners.configs import Init
from training.learners.registry import learner_type
from training.metrics.words import Lexicon
from training.mixes import first_mix, heldout_mix, largest_synthetic_share, later_mix, model_name, tokenizer_name
from training.prompts import PromptSource
from training.records import Run
from training.seeds import derive_seed
from training.work import GenerationTask

#: Output beyond what the next generation needs: its text is excluded where it resembles held-out text.
SAMPLE_SLACK = 0.1
#: How many times as much a model writes whose output is filtered.
CURATED_FACTOR = 2


class Preparation:
    """Makes what a generation's task reads; everything is found again when it is there already."""

    def __init__(self, store: Store, experiment: Experiment, folder: Folder) -> None:
        self.store = store
        self.experiment = experiment
        self.folder = folder
        self.curation = Curation(store, experiment, folder)

    def begin(self, seed: int) -> None:
        """Make the held-out set, and generation 0's set and tokenizer."""
        if self.experiment.heldout is not None:
            self._heldout  # noqa: B018 (what every later set excludes is made first)
        self._first(seed)

    def task(self, run: Run, arm: Arm | None) -> GenerationTask:
        """Make, verify and export the training set of a run and return the task that fits a model on it.

        Raises
        ------
        InfeasibleMix : there is not enough text
        NameTaken : the store has a training set of that name from another specification
        """
        seed = run.seed
        first = model_name(self.experiment, arm=SHARED_ARM, seed=seed, generation=0)
        if arm is None:
            training_set = self._training_set(first_mix(self.experiment, seed=seed))
        else:
            if not self._has_training_set(run.model):
                self.curation.before_mix(arm, seed=seed, generation=run.generation)
            training_set = self._training_set(later_mix(self.experiment, arm, seed=seed, generation=run.generation))
        self._export(training_set, seed)
        return self._task(run, arm, first=first)

    def _task(self, run: Run, arm: Arm | None, *, first: str) -> GenerationTask:
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
            reads=self._learner.reads,
            unit=self._learner.unit,
            init=init,
            previous=previous,
            block_length=experiment.block_length,
            epochs=phase.epochs,
            learning_rate=phase.learning_rate,
            batch_size=experiment.batch_size,
            seed=derive_seed(run.seed, run.arm, run.generation),
            decoding=experiment.decoding_of(arm).model_dump(mode="json"),
            prompts=self._prompts(run, first),
            human_weight=arm.human_loss_weight if arm is not None and arm.human_loss_weight is not None else 1.0,
            n_sampled=max(experiment.evaluation.tokens, self._needed(arm)),
            n_evaluated=experiment.evaluation.tokens,
            n_heldout=experiment.evaluation.heldout_tokens,
            metrics=experiment.metrics,
            follow=experiment.follow,
            exported=self._exported(run.model),
            model=folder.model(run.model),
            fit=folder.fit(run.model),
            checkpoints=folder.checkpoints(run.model),
            output=folder.output(run.model),
            evaluation=folder.evaluation(run.model),
            first_model=folder.model(first),
            heldout=None if experiment.heldout is None else self._heldout,
            lexicon=self._lexicon(first),
        )

    @cached_property
    def _learner(self) -> type[Learner]:
        return learner_type(self.experiment.learner.name)

    def _prompts(self, run: Run, first: str) -> PromptSource | None:
        """Return what the samples of a model continue: the same human prompts in the same order in every arm."""
        experiment = self.experiment
        if experiment.prompt_source == "bos":
            return None
        return PromptSource(
            blocks=self._exported(first if experiment.prompt_source == "human" else run.model),
            length=experiment.prompt_tokens or experiment.block_length,
            new_tokens=experiment.new_tokens or experiment.block_length,
            seed=derive_seed(run.seed, "prompts", run.generation),
        )

    def _needed(self, arm: Arm | None) -> int:
        """Return the synthetic tokens (or documents) that the next generation needs; the first model writes for all."""
        arms = self.experiment.arms if arm is None else (arm,)
        largest = largest_synthetic_share(arms)
        if any(one.filter is not None for one in arms):
            largest *= CURATED_FACTOR
        slack = SAMPLE_SLACK if self._learner.unit == "tokens" else 0
        return round(self.experiment.later.size * float(largest) * (1 + slack))

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
            record_once(self.store, training_set, kind="texts", target=path)  # first: a file that is there is known
            write_json(path, {"digest": training_set.digest, **describe(texts)})
        return path

    def _first(self, seed: int) -> TrainingSet:
        """Make generation 0's set, and its tokenizer: the pretrained model's, or one trained on this text, or none."""
        experiment, name = self.experiment, tokenizer_name(self.experiment, seed=seed)
        if experiment.tokenizer == "own":
            definition = self._learner.own_tokenizer(experiment.learner)
            if definition is None:  # excluded when the experiment was read
                raise UnknownName("tokenizer of the model", str(experiment.learner.pretrained))
            add_tokenizer(self.store, name, definition)
        training_set = self._training_set(first_mix(experiment, seed=seed))
        if isinstance(experiment.tokenizer, TrainedTokenizer) and not self._has_tokenizer(name):
            texts = (document["text"] for document in training_set)
            trained = self._learner.train_tokenizer(texts, vocab_size=experiment.tokenizer.vocab_size)
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
        if not self._has_training_set(spec.name):
            return make_training_set(self.store, spec)
        training_set = TrainingSet.open(spec.name, self.store)
        if training_set.spec != spec:
            raise NameTaken("training set", spec.name, "was made from another specification")
        return training_set

    def _has_training_set(self, name: str) -> bool:
        return any(info.name == name for info in list_training_sets(self.store))

    def _exported(self, training_set: str) -> Path:
        """Return where a training set is exported to: blocks, or documents, as the learner reads them."""
        reads_documents = self._learner.reads == "documents"
        return self.folder.documents(training_set) if reads_documents else self.folder.blocks(training_set)

    def _export(self, training_set: TrainingSet, seed: int) -> None:
        """Write the training set as its learner reads it, unless it is there, and enter where it lies."""
        target = self._exported(training_set.name)
        reads_documents = self._learner.reads == "documents"
        if not _holds(target, training_set):
            target.parent.mkdir(parents=True, exist_ok=True)
            if reads_documents:
                export_parquet(training_set, target, overwrite=True)
            else:
                tokenizer = tokenizer_name(self.experiment, seed=seed)
                shutil.rmtree(target, ignore_errors=True)
                export_tokens(training_set, target, tokenizer=tokenizer, block_length=self.experiment.block_length)
        record_once(self.store, training_set, kind="parquet" if reads_documents else "tokens", target=target)


def _holds(target: Path, training_set: TrainingSet) -> bool:
    """Return whether an export of a training set is there, whole and of these very draws."""
    if not target.exists():
        return False
    try:
        opened = TokenBlocks.open(target) if target.is_dir() else ExportedDocuments.open(target)
        digest = opened.manifest["training_set"]["digest"]
    except (ProvenanceError, OSError, KeyError):  # incomplete, damaged, or of another kind
        return False
    return bool(digest == training_set.digest)
