"""The driver: mix, export, fit, sample, evaluate, ingest the output as the next generation, and again.

All arms and seeds go from generation to generation together, so that what a training set can draw from never depends
on which of them was faster. While models are fitted the store's file is let go of.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from provenance.mix.manifest import store_id
from provenance.store.store import Store
from training.experiment import SHARED_ARM, Arm, Experiment
from training.files import Folder, read_json
from training.mixes import model_name
from training.progress import Board, NoBoard
from training.records import (
    Run,
    begin_run,
    check_unchanged,
    enter_model,
    finish_run,
    finished_runs,
    ingest_output,
    near_duplicate_metrics,
)
from training.steps import Preparation
from training.work import GenerationTask
from training.workers import Workers


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
    InfeasibleMix : there is not enough text for a generation
    LossNotFinite, SampleTooSmall, ModelNotFound : see the learners
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

    def run(self, jobs: int | None) -> LoopReport:
        n_done = 0
        generations = range(self.experiment.generations + 1)
        runs = {generation: list(self._runs(generation)) for generation in generations}
        self.board.begin([run for generation in generations for run, _ in runs[generation]], self._is_finished)
        workers = Workers(jobs=jobs or default_jobs(self.experiment), threads=self.threads, progress=self.board.update)
        preparation = Preparation(self.store, self.experiment, self.folder)
        with workers:
            for generation in generations:
                todo = [(run, arm) for run, arm in runs[generation] if self._is_needed(run, arm)]
                n_done += self._generation(todo, preparation, workers)
        self.board.end()
        return LoopReport(self.experiment.name, sum(map(len, runs.values())), n_done, self.out)

    def _runs(self, generation: int) -> Iterator[tuple[Run, Arm | None]]:
        """Yield the runs of a generation; the first belongs to no arm."""
        experiment = self.experiment
        for seed in experiment.seeds:
            for arm in experiment.arms if generation else (None,):
                label = arm.name if arm is not None else SHARED_ARM
                name = model_name(experiment, arm=label, seed=seed, generation=generation)
                yield Run(experiment.name, label, seed, generation, name), arm

    def _is_finished(self, run: Run) -> bool:
        return run.run_id in self.finished

    def _is_needed(self, run: Run, arm: Arm | None) -> bool:
        """Whether a run is to be made: it is not finished, or a later one needs files of it that are gone."""
        if not self._is_finished(run):
            return True
        if self.folder.has_model(run.model):
            return False
        later = range(run.generation + 1, self.experiment.generations + 1)
        followers = [(r, a) for generation in later for r, a in self._runs(generation) if r.seed == run.seed]
        return any(not self._is_finished(r) for r, a in followers if arm is None or a == arm)

    def _generation(self, todo: list[tuple[Run, Arm | None]], preparation: Preparation, workers: Workers) -> int:
        """Make the runs of one generation and return how many were not there before."""
        if not todo:
            return 0
        tasks = []
        for run, arm in todo:
            self.board.update(run.model, "mix", 0, 1)
            tasks.append(preparation.task(run, arm))
            begin_run(self.store, run, training_set=run.model, config=self.experiment.as_mapping())
            workers.start(tasks[-1])  # it reads files only: the next arm's set is made meanwhile
        with self.store.suspended():
            outcomes = workers.finish()
        failures = []
        n_new = 0
        for (run, _), task, outcome in zip(todo, tasks, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                failures.append(outcome)
                continue
            self.board.update(run.model, "ingest", 0, 1)
            n_new += self._record(run, task, outcome)
        if failures:
            raise failures[0]
        return n_new

    def _record(self, run: Run, task: GenerationTask, outcome: dict[str, Any]) -> bool:
        """Enter model, output and metrics; return False where they were entered before."""
        account, evaluation = outcome["fit_and_sample"], outcome["evaluate"]
        generation = enter_model(
            self.store, run, account=account, learner=self.experiment.learner.name, path=str(task.model)
        )
        if self._is_finished(run):
            return False
        samples = {"arm": read_json(task.output)["texts"], "t1": read_json(task.evaluation)["texts"]}
        ingest_output(self.store, run, samples, generation=generation, decoding=task.decoding)
        seconds = {**account["seconds"], **evaluation["seconds"]}
        metrics = {
            **evaluation["metrics"],
            **near_duplicate_metrics(self.store, run),
            "fit_tokens": float(account["fit_tokens"]),
            "sample_tokens": float(account["sample_tokens"] + evaluation["n_tokens"]),
            "train_loss": float(account["loss"]),
            **{f"{phase}_seconds": float(value) for phase, value in seconds.items()},
        }
        finish_run(self.store, run, metrics=metrics, seconds=seconds)
        self.finished.add(run.run_id)
        self.board.finish(run, metrics)
        return True
