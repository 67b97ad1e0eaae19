"""Learners by name. A learner's module is imported when it is asked for, so that `ngram` needs no torch."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import NamedTuple, cast

from training.errors import CheckpointDamaged, UnknownLearner
from training.learners.base import CARD, Learner
from training.learners.configs import (
    CategoricalConfig,
    GaussianConfig,
    LearnerConfig,
    NgramConfig,
    RegressionConfig,
    TransformerConfig,
)


class Entry(NamedTuple):
    """Where a learner is found and what settings it takes."""

    module: str
    class_name: str
    config: type[LearnerConfig]


LEARNERS: dict[str, Entry] = {
    "ngram": Entry("training.learners.ngram", "NgramLearner", NgramConfig),
    "transformer": Entry("training.learners.transformer", "TransformerLearner", TransformerConfig),
    "categorical": Entry("training.learners.categorical", "CategoricalLearner", CategoricalConfig),
    "gaussian": Entry("training.learners.gaussian", "GaussianLearner", GaussianConfig),
    "regression": Entry("training.learners.regression", "RegressionLearner", RegressionConfig),
}


def _entry(name: str) -> Entry:
    if name not in LEARNERS:
        raise UnknownLearner(name, LEARNERS)
    return LEARNERS[name]


def config_type(name: str) -> type[LearnerConfig]:
    """Return the settings class of a learner, without importing the learner.

    Raises
    ------
    UnknownLearner : no learner has this name
    """
    return _entry(name).config


def learner_type(name: str) -> type[Learner]:
    """Return the class of a learner.

    Raises
    ------
    UnknownLearner : no learner has this name
    """
    entry = _entry(name)
    return cast(type[Learner], getattr(importlib.import_module(entry.module), entry.class_name))


def load_learner(directory: Path) -> Learner:
    """Load a fitted learner of any kind from the folder it was saved in, and check its digest.

    Raises
    ------
    CheckpointDamaged : the folder is incomplete, or its weights have another digest than when they were saved
    """
    try:
        card = json.loads((directory / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointDamaged(directory, f"{CARD} cannot be read ({error})") from error
    return learner_type(card["learner"]).load(directory)
