"""Learners: whatever the loop trains, behind one interface, found by name."""

from training.learners.base import Decoding, FitData, FitResult, Learner, Progress, Prompts, Sample, TokenNll
from training.learners.registry import config_type, learner_type, load_learner

__all__ = [
    "Decoding",
    "FitData",
    "FitResult",
    "Learner",
    "Progress",
    "Prompts",
    "Sample",
    "TokenNll",
    "config_type",
    "learner_type",
    "load_learner",
]
