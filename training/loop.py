"""The driver: mix, export, fit, sample, evaluate, ingest the output as the next generation, and again.

All arms and seeds go from generation to generation together, so that what a training set can draw from never depends
on which of them was faster. While models are fitted the store's file is let go of.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from provenance.mix.manifest import store_id
from provenance.store.store import Store
from training.experiment import SHARED_ARM, Experiment
from training.files import Folder, read_json
from training.learners import runtime
from training.metrics.near_duplicates import near_duplicate_metrics
from training.metrics.registry import chosen
from training.mixes import evaluation_source, model_name
from training.plan import Plan, Step
from training.preflight import check_human_text
from training.progress import Board, NoBoard
from training.records import (
    Run,
    begin_run,
    check_unchanged,
    enter_model,
    finish_run,
    finished_runs,
    forget_path,
    ingest_output,
)
from training.steps import Preparation
from training.work import GenerationTask
from training.workers import Workers

#: After so many seconds of waiting for the store the user is told.
_SAY_AFTER_S = 2.0


@dataclass(frozen=True)
class LoopReport:
    """What a call of the driver did.

    Attributes
    ----------
    experiment : its name
    n_runs : models that the experiment has
    n_done : those among them that this call made; the others were there already
    out : where exports, models and outputs lie
    """

    experiment: str
    n_runs: int
    n_done: int
    out: Path


def run_experiment(
    store: Store,
    experiment: Experiment,
    *,
    out: Path,
    jobs: int | None = None,
    threads: int = 1,
    board: Board | None = None,
) -> LoopReport:
    """Run an experiment, or what is missing of it.

    Parameters
    ----------
    out : folder for exports, models and outputs; belongs to this store
    jobs : models worked on at a time; by default as many as there are arms and cores. Numbers do not depend on it
    threads : threads of each

    Raises
    ------
    ExperimentChanged : the store has runs of this name with other settings
    OutputTaken : `out` belongs to another store
    NotEnoughHumanText : some generation of an arm would lack fresh human text; nothing was trained
    InfeasibleMix : there is not enough text for a generation
    TrainingDiverged, SampleTooSmall, ModelNotFound : see the learners; what other arms made is kept
    OutputNotWritten, StoreWriteFailed : the disk is full; what was finished before is kept
    WorkerLost : a process that worked on a model was killed
    """
    return _Loop(store, experiment, out, board or NoBoard(), threads).run(jobs)


def default_jobs(experiment: Experiment) -> int:
    """Return how many models to work on at a time: one where they are large, else one a core."""
    if experiment.learner.pretrained is not None:
        return 1
    return max(1, min(len(experiment.arms) * len(experiment.seeds), os.cpu_count() or 1))


class _Loop:
    """One call of the driver."""

    def __init__(self, store: Store, experiment: Experiment, out: Path, board: Board, threads: int) -> None:
        check_unchanged(store, experiment)
        self.store = store
        self.experiment = experiment
        self.board = board
        self.threads = threads
        self.out = out
        self.folder = Folder.claim(out, experiment=experiment.name, store_id=store_id(store))
        self.finished: set[UUID] = finished_runs(store, experiment.name)
        self.plan = Plan(
            experiment, is_finished=lambda run: run.run_id in self.finished, has_model=self.folder.has_model
        )

    def run(self, jobs: int | None) -> LoopReport:
        runtime.set_threads(self.threads)
        n_done = 0
        runs = [step.run for step in self.plan.steps]
        self.board.begin(runs, lambda run: run.run_id in self.finished)
        workers = Workers(jobs=jobs or default_jobs(self.experiment), threads=self.threads, progress=self.board.update)
        preparation = Preparation(self.store, self.experiment, self.folder)
        with workers:
            self._begin(preparation, workers)
            for generation in range(self.experiment.generations + 1):
                todo = self.plan.todo(generation)
                if todo:
                    n_done += self._generation(todo, preparation, workers)
                self._tidy(generation)
        self.board.end()
        return LoopReport(self.experiment.name, len(runs), n_done, self.out)

    def _begin(self, preparation: Preparation, workers: Workers) -> None:
        """Make what every generation of a seed needs, and see whether there is human text for all of them."""
        for seed in self.experiment.seeds:
            if all(step.run.run_id in self.finished for step in self.plan.steps if step.run.seed == seed):
                continue
            workers.warm(self.experiment.learner.name)  # meanwhile
            preparation.begin(seed)
            for said in check_human_text(self.store, self.experiment, seed=seed):
                self.board.note(f"seed {seed}: {said}")

    def _generation(self, todo: list[Step], preparation: Preparation, workers: Workers) -> int:
        """Make the runs of one generation and return how many were not there before."""
        tasks = []
        for run, arm in todo:
            self.board.update(run.model, "mix", 0, 1)
            tasks.append(preparation.task(run, arm))
            begin_run(self.store, run, training_set=run.model, config=self.experiment.as_mapping())
            workers.start(tasks[-1])  # it reads files only: the next arm's set is made meanwhile
        failures = []
        n_new = 0
        # In the order of the plan, whichever is done first: what the store holds must not depend on the machine.
        for step, task, outcome in zip(todo, tasks, workers.finish(self._suspended), strict=True):
            if isinstance(outcome, BaseException):
                failures.append(outcome)
                continue
            self.board.update(step.run.model, "ingest", 0, 1)
            n_new += self._record(step, task, outcome)
        for failure in failures[1:]:
            self.board.note(f"also: {failure}")
        if failures:
            raise failures[0]
        return n_new

    @contextmanager
    def _suspended(self) -> Iterator[None]:
        """Let go of the store; say so where another process does not give it back at once."""
        said = f"waiting for {self.store.path}: another process holds it"
        timer = threading.Timer(_SAY_AFTER_S, self.board.note, args=(said,))
        timer.daemon = True
        try:
            with self.store.suspended():
                yield
                timer.start()
        finally:
            timer.cancel()

    def _record(self, step: Step, task: GenerationTask, outcome: dict[str, Any]) -> bool:
        """Enter model, output and metrics; return False where they were entered before."""
        run = step.run
        account, evaluation = outcome["fit_and_sample"], outcome["evaluate"]
        generation = enter_model(
            self.store, run, account=account, learner=self.experiment.learner.name, path=str(task.model)
        )
        if run.run_id in self.finished:
            return False
        outputs = {"arm": read_json(task.output), "t1": read_json(task.evaluation)}
        if task.follow:
            outputs["followed"] = {"texts": outputs["t1"]["followed"], "prompts": task.follow}
        refused = ingest_output(self.store, run, outputs, generation=generation, decoding=task.decoding)
        self._say_refused(task, outputs["arm"], refused["arm"])
        seconds = {**account["seconds"], **evaluation["seconds"]}
        metrics = {
            **evaluation["metrics"],
            **self._near_duplicates(run, evaluation["n_documents"]),
            "fit_tokens": float(account["fit_tokens"]),
            "sample_tokens": float(account["sample_tokens"] + evaluation["n_tokens"]),
            "train_loss": float(account["loss"]),
            **{f"{kind}_quarantined": float(refused[kind]) for kind in ("arm", "t1")},
            **{f"{phase}_seconds": float(value) for phase, value in seconds.items()},
        }
        finish_run(self.store, run, metrics=metrics, seconds=seconds)
        self.finished.add(run.run_id)
        self.board.finish(run, metrics)
        return True

    def _near_duplicates(self, run: Run, n_documents: dict[str, int]) -> dict[str, float]:
        """Return how many near-copies the texts hold that the other metrics looked at, if anybody wants to know."""
        wanted = self.experiment.metrics
        if wanted is not None and not any("near_duplicates" in name for name in wanted):
            return {}
        first = model_name(self.experiment, arm=SHARED_ARM, seed=run.seed, generation=0)
        sources = {"arm": run.model, "t1": evaluation_source(run.model)}
        found = near_duplicate_metrics(self.store, sources=sources, n_documents=n_documents, human_set=first)
        return chosen(found, wanted)

    def _say_refused(self, task: GenerationTask, output: dict[str, Any], n_refused: int) -> None:
        if n_refused:
            n = len(output["texts"])
            self.board.note(f"{task.name}: {n_refused:,} of {n:,} samples are empty or unreadable: in quarantine")

    def _tidy(self, generation: int) -> None:
        """Remove the models that `keep` says, once no run needs them."""
        for run in self.plan.removable(generation):
            if self.folder.has_any_of(run.model):
                forget_path(self.store, run.model)  # first: a kill between the two leaves files, which are found again
                self.folder.remove_model(run.model)
