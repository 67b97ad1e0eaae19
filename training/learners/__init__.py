"""Learners: whatever the loop trains, behind one interface, found by name."""

from training.learners.base import Decoding, FitResult, Learner, Progress, Sample, TokenNll
from training.learners.registry import config_type, learner_type, load_learner

__all__ = [
    "Decoding",
    "FitResult",
    "Learner",
    "Progress",
    "Sample",
    "TokenNll",
    "config_type",
    "learner_type",
    "load_learner",
]
