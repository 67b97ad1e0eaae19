"""Which models an experiment has, which of them are still to be made, and which need not be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

from training.experiment import SHARED_ARM, Arm, Experiment
from training.mixes import model_name
from training.records import Run


class Step(NamedTuple):
    """One model that is made; generation 0 belongs to no arm."""

    run: Run
    arm: Arm | None


class Plan:
    """The models of an experiment in the order in which they are made.

    Parameters
    ----------
    is_finished : whether a run's output and metrics are in the store
    has_model : whether a model's files are there
    """

    def __init__(
        self, experiment: Experiment, *, is_finished: Callable[[Run], bool], has_model: Callable[[str], bool]
    ) -> None:
        self.experiment = experiment
        self._is_finished = is_finished
        self._has_model = has_model

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """All models, generation by generation."""
        return tuple(self._steps())

    def _steps(self) -> Iterator[Step]:
        experiment = self.experiment
        for generation in range(experiment.generations + 1):
            for seed in experiment.seeds:
                for arm in experiment.arms if generation else (None,):
                    label = arm.name if arm is not None else SHARED_ARM
                    name = model_name(experiment, arm=label, seed=seed, generation=generation)
                    yield Step(Run(experiment.name, label, seed, generation, name), arm)

    def todo(self, generation: int) -> list[Step]:
        """Return the models of a generation that are to be made: not finished, or gone and needed by later ones."""
        return [step for step in self.steps if step.run.generation == generation and self._is_needed(step)]

    def _is_needed(self, step: Step) -> bool:
        if not self._is_finished(step.run):
            return True
        return not self._has_model(step.run.model) and any(map(self._is_needed, self._readers(step)))

    def _readers(self, step: Step) -> Iterator[Step]:
        """Yield the later models whose making reads the files of this one.

        Generation 0's model looks at the output of all; a model that begins from the one before it reads that.
        """
        begins_from = self.experiment.later.init == "previous"
        for other in self.steps:
            if other.run.seed != step.run.seed or other.run.generation <= step.run.generation:
                continue
            if step.arm is None:
                yield other
            elif begins_from and other.arm == step.arm and other.run.generation == step.run.generation + 1:
                yield other

    def removable(self, generation: int) -> list[Run]:
        """Return the runs whose models need not be kept once `generation` is made.

        `keep: all` removes nothing, `last` keeps generation 0's model and the newest of every arm, `none` keeps none;
        but what an unfinished run reads stays until it is finished.
        """
        keep = self.experiment.keep
        if keep == "all":
            return []
        removable = []
        for step in self.steps:
            if step.run.generation > generation or not self._is_finished(step.run):
                continue
            if any(not self._is_finished(reader.run) for reader in self._readers(step)):
                continue
            if keep == "last" and (step.arm is None or step.run.generation == generation):
                continue
            removable.append(step.run)
        return removable
