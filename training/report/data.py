"""The runs of one experiment, read from the store and shaped by arm, seed and generation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import select

from provenance.store import schema, views
from provenance.store.store import Store
from training.errors import UnknownExperiment
from training.experiment import SHARED_ARM
from training.report.arms import arm_settings, is_plain, own_decoding, parse_json, share_of
from training.report.errors import NothingToReport
from training.report.intervals import Estimate, estimate

#: The regime that every other arm is compared with, and the one without any human text.
CONTROL_REGIME, REPLACE_REGIME, QUOTA_REGIME = "human", "replace", "quota"

_METRICS = "SELECT arm, seed, generation, metric, value FROM runs WHERE experiment = :experiment"
_EXPERIMENTS = "SELECT DISTINCT experiment FROM training_run ORDER BY experiment"

Key = tuple[str, int, int]
"""Arm, seed, generation."""


@dataclass(frozen=True)
class Run:
    """One generation of one arm and seed."""

    arm: str
    seed: int
    generation: int
    finished: bool
    training_set: str | None
    model: str | None
    finished_at: datetime | None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Arm, seed and generation."""
        return self.arm, self.seed, self.generation


@dataclass(frozen=True)
class Arm:
    """One way of making the next generation's training set.

    Attributes
    ----------
    human_share : mean over generations (after 0) and seeds of the share of human text as drawn, 0..1
    quota : the share that the experiment asks for, where it asks for one
    decoding : how its text is drawn, as the experiment says it
    human : `fresh` or `fixed`, its human text
    plain : whether it weighs and filters nothing, so that only regime and share set it apart
    """

    name: str
    regime: str
    is_control: bool
    human_share: float | None
    quota: float | None
    decoding: str | None
    human: str = "fresh"
    plain: bool = True


@dataclass(frozen=True)
class Results:
    """Everything that the runs of an experiment measured."""

    experiment: str
    config: Mapping[str, Any]
    arms: tuple[Arm, ...]
    runs: tuple[Run, ...]

    @cached_property
    def finished(self) -> dict[Key, Run]:
        """Finished runs by arm, seed and generation."""
        return {run.key: run for run in self.runs if run.finished}

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the finished runs."""
        return tuple(sorted({run.seed for run in self.finished.values()}))

    @cached_property
    def generations(self) -> tuple[int, ...]:
        """Generations with a finished run."""
        return tuple(sorted({run.generation for run in self.finished.values()}))

    @property
    def control(self) -> Arm | None:
        """The human control, if the experiment has one."""
        return next((arm for arm in self.arms if arm.is_control), None)

    def control_of(self, arm: Arm) -> Arm | None:
        """Return the human control of an arm: the one that draws its text in the same way, else the first."""
        controls = [other for other in self.arms if other.regime == CONTROL_REGIME]
        return next((other for other in controls if other.decoding == arm.decoding), self.control)

    def run(self, arm: str, seed: int, generation: int) -> Run | None:
        """Return a finished run; for generation 0 the one that all arms share."""
        return self.finished.get((arm, seed, generation)) or (
            self.finished.get((SHARED_ARM, seed, 0)) if generation == 0 else None
        )

    def value(self, metric: str, arm: str, seed: int, generation: int) -> float | None:
        """Return a metric of a finished run, None where it was not measured."""
        run = self.run(arm, seed, generation)
        return None if run is None else run.metrics.get(metric)

    def values(self, metric: str, arm: str, generation: int, *, seeds: Iterable[int] | None = None) -> list[float]:
        """Return a metric for every seed that has it."""
        chosen = self.seeds if seeds is None else seeds
        found = (self.value(metric, arm, seed, generation) for seed in chosen)
        return [value for value in found if value is not None]

    def mean(self, metric: str, arm: str, generation: int, *, seeds: Iterable[int] | None = None) -> Estimate | None:
        """Return mean and interval of a metric over seeds."""
        return estimate(self.values(metric, arm, generation, seeds=seeds))

    def excess(self, metric: str, arm: str, generation: int, *, seeds: Iterable[int] | None = None) -> Estimate | None:
        """Return how far an arm is above the human control of the same generation and seed, paired by seed."""
        known = next((each for each in self.arms if each.name == arm), None)
        control = self.control if known is None else self.control_of(known)
        if control is None:
            return None
        differences = []
        for seed in self.seeds if seeds is None else seeds:
            value = self.value(metric, arm, seed, generation)
            reference = self.value(metric, control.name, seed, generation)
            if value is not None and reference is not None:
                differences.append(value - reference)
        return estimate(differences)

    def complete_seeds(self, generation: int) -> tuple[int, ...]:
        """Return the seeds for which every arm has finished a generation."""
        return tuple(
            seed for seed in self.seeds if all(self.run(arm.name, seed, generation) is not None for arm in self.arms)
        )

    @cached_property
    def last_generation(self) -> int:
        """The last generation that all arms finished for one seed at least: the one that arms are compared at."""
        return max((g for g in self.generations if self.complete_seeds(g)), default=0)

    @cached_property
    def last_seeds(self) -> tuple[int, ...]:
        """The seeds that the arms are compared on."""
        return self.complete_seeds(self.last_generation)

    @cached_property
    def unfinished(self) -> tuple[str, ...]:
        """What the numbers lack yet: runs begun and not finished, arms not begun, generations still to come."""
        lacking = [f"{run.arm} (seed {run.seed}) is in generation {run.generation}" for run in self._open_runs()]
        planned = self.config.get("generations")
        seeds = self.config.get("seeds")
        known = {arm.name for arm in self.arms}
        lacking += [f"{name} has not begun" for name in arm_settings(self.config) if name not in known]
        if isinstance(seeds, Sequence) and not isinstance(seeds, str):
            lacking += [f"seed {seed} has not begun" for seed in seeds if seed not in self.seeds]
        if isinstance(planned, int) and planned > self.last_generation:
            lacking.append(f"{self.last_generation} of {planned} generations are finished by all arms")
        elif len(self.last_seeds) < len(self.seeds):
            lacking.append(f"{len(self.last_seeds)} of {len(self.seeds)} seeds are finished by all arms")
        return tuple(lacking)

    def _open_runs(self) -> list[Run]:
        return [run for run in self.runs if not run.finished]


def read_results(store: Store, experiment: str) -> Results:
    """Read the runs of an experiment.

    Raises
    ------
    UnknownExperiment
        If the store has no run of it.
    NothingToReport
        If no generation after 0 is finished.
    """
    run = schema.training_run
    rows = store.fetch(
        select(
            run.c.arm, run.c.seed, run.c.generation, run.c.state, run.c.training_set, run.c.model, run.c.config,
            run.c.finished_at,
        )
        .where(run.c.experiment == experiment)
        .order_by(run.c.started_at, run.c.seed, run.c.generation, run.c.arm)
    ).to_pylist()  # fmt: skip
    if not rows:
        raise UnknownExperiment(experiment, store.fetch(_EXPERIMENTS).column("experiment").to_pylist())
    if not any(row["state"] == "finished" and row["generation"] > 0 for row in rows):
        raise NothingToReport(experiment, len(rows))
    metrics = _read_metrics(store, experiment)
    runs = tuple(_run(row, metrics) for row in rows)
    config = _config(rows)
    return Results(experiment, config, _arms(store, runs, config), runs)


def _config(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the experiment as the newest run has it, with the arms of older runs that it no longer lists."""
    newest_first = [parse_json(row["config"]) for row in reversed(rows)]
    arms: dict[str, Mapping[str, Any]] = {}
    for config in newest_first:
        arms = {**arms, **{name: said for name, said in arm_settings(config).items() if name not in arms}}
    return {**newest_first[0], "arms": [{"name": name, **said} for name, said in arms.items()]}


def _read_metrics(store: Store, experiment: str) -> dict[Key, dict[str, float]]:
    found: dict[Key, dict[str, float]] = {}
    for row in store.fetch(_METRICS, {"experiment": experiment}).to_pylist():
        if math.isfinite(row["value"]):
            found.setdefault((row["arm"], row["seed"], row["generation"]), {})[row["metric"]] = row["value"]
    return found


def _run(row: Mapping[str, Any], metrics: Mapping[Key, dict[str, float]]) -> Run:
    return Run(
        arm=row["arm"],
        seed=row["seed"],
        generation=row["generation"],
        finished=row["state"] == "finished",
        training_set=row["training_set"],
        model=row["model"],
        finished_at=row["finished_at"],
        metrics=metrics.get((row["arm"], row["seed"], row["generation"]), {}),
    )


def _arms(store: Store, runs: Sequence[Run], config: Mapping[str, Any]) -> tuple[Arm, ...]:
    """Return the arms with a finished generation after 0, the control last, otherwise as the experiment lists them."""
    begun = dict.fromkeys(run.arm for run in runs if run.finished and run.generation > 0)
    settings = arm_settings(config)
    names = [name for name in settings if name in begun] + [name for name in begun if name not in settings]
    regimes = {name: str(settings.get(name, {}).get("regime", name)) for name in names}
    control = next((name for name in names if regimes[name] == CONTROL_REGIME), None)
    names.sort(key=lambda name: name == control)
    shares = _human_shares(store, runs)
    return tuple(
        Arm(
            name=name,
            regime=regimes[name],
            is_control=name == control,
            human_share=shares.get(name),
            quota=share_of(settings.get(name, {}).get("share")),
            decoding=own_decoding(config, settings.get(name, {})),
            human=str(settings.get(name, {}).get("human") or "fresh"),
            plain=is_plain(settings.get(name, {})),
        )
        for name in names
    )


def _human_shares(store: Store, runs: Sequence[Run]) -> dict[str, float]:
    sets = views.training_sets
    by_set = {run.training_set: run.arm for run in runs if run.finished and run.generation > 0 and run.training_set}
    rows = store.fetch(select(sets.c.name, sets.c.human_share).where(sets.c.name.in_(list(by_set)))).to_pylist()
    drawn: dict[str, list[float]] = {}
    for row in rows:
        drawn.setdefault(by_set[row["name"]], []).append(row["human_share"])
    return {arm: math.fsum(values) / len(values) for arm, values in drawn.items()}
