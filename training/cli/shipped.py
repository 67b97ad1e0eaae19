"""Experiments by name or by file: those that come with the package, and a user's own."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.experiment import Experiment


def shipped_experiments() -> list[str]:
    """Return the names of the experiments that come with the package."""
    folder = resources.files("training") / "experiments"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read_experiment(experiment: str) -> Experiment:
    """Return an experiment from its file, or one that comes with the package by its name."""
    from training.experiment import Experiment

    if experiment in shipped_experiments() and not Path(experiment).is_file():
        return Experiment.from_yaml(Path(str(resources.files("training"))) / "experiments" / f"{experiment}.yaml")
    return Experiment.from_yaml(experiment)


def experiment_name(experiment: str) -> str:
    """Return the name of an experiment that is given by name or by file."""
    if experiment.endswith((".yaml", ".yml")):
        return read_experiment(experiment).name
    return experiment
