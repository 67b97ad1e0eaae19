"""Errors of the training loop, part of the one tree under `ProvenanceError`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from provenance.errors import ProvenanceError, did_you_mean, nearest


class UnknownLearner(ProvenanceError, LookupError):
    """No learner of that name is registered."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"There is no learner {name!r}.{did_you_mean(name, self.known)} Expected one of: {', '.join(self.known)}."
        )


class ExperimentInvalid(ProvenanceError, ValueError):
    """An experiment file has an unknown field, a wrong value, or settings that contradict each other."""

    def __init__(self, origin: str, place: str, reason: str) -> None:
        self.origin = origin
        self.place = place
        self.reason = reason
        where = f" at {place}" if place else ""
        super().__init__(f"{origin}{where}: {reason.rstrip('.')}. Correct the experiment file and run it again.")


class UnknownField(ExperimentInvalid):
    """A field that experiments do not have; it is refused because ignoring it would run another experiment."""

    def __init__(self, origin: str, place: str, field: str, known: Iterable[str]) -> None:
        self.field = field
        self.known = tuple(known)
        close = nearest(field, self.known)
        help_ = f"the nearest known one is {close!r}" if close else f"known are {', '.join(self.known)}"
        super().__init__(origin, place, f"unknown field {field!r}, {help_}")


class ExperimentChanged(ProvenanceError, ValueError):
    """The store holds runs of an experiment of this name with other settings."""

    def __init__(self, name: str, field: str, stored: object, given: object) -> None:
        self.name = name
        self.field = field
        self.stored = stored
        self.given = given
        super().__init__(
            f"Experiment {name!r} has runs in this store with {field} = {stored!r}, now it says {given!r}. "
            "Give the changed experiment another name, or run it on another --store."
        )


class UnknownExperiment(ProvenanceError, LookupError):
    """The store has no runs of that experiment."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        have = f"It has: {', '.join(self.known)}." if self.known else "It has none."
        super().__init__(
            f"The store has no runs of an experiment {name!r}.{did_you_mean(name, self.known)} {have} "
            "Make them with: recurse run EXPERIMENT.yaml"
        )


class LossNotFinite(ProvenanceError, ArithmeticError):
    """Training diverged: the loss is NaN or infinite."""

    def __init__(self, step: int, loss: float) -> None:
        self.step = step
        self.loss = loss
        super().__init__(
            f"The loss became {loss} at training step {step}. Everything before this generation is kept; "
            "lower the learning rate in the experiment (under another name) and run it again."
        )


class ModelNotFound(ProvenanceError, FileNotFoundError):
    """A pretrained model is neither a local folder nor reachable by name."""

    def __init__(self, model: str, cause: str) -> None:
        self.model = model
        self.cause = cause
        super().__init__(
            f"The model {model!r} cannot be loaded: {cause}. Give a folder made by save_pretrained, "
            "or a model name on a machine that reaches the model hub."
        )


class CheckpointDamaged(ProvenanceError, ValueError):
    """A saved model does not have the digest that was written beside it."""

    def __init__(self, directory: Path, reason: str) -> None:
        self.directory = directory
        self.reason = reason
        super().__init__(
            f"The saved model in {directory} is damaged: {reason}. Remove that folder and run the experiment again; "
            "it fits this model anew."
        )


class BlocksUnusable(ProvenanceError, ValueError):
    """Token blocks that this learner cannot be fitted on."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The token blocks cannot be used: {reason}. Export them with the learner's tokenizer.")


class TokenizerUnusable(ProvenanceError, ValueError):
    """A learner from scratch was given a tokenizer that does not mark where texts begin."""

    def __init__(self, token: str) -> None:
        self.token = token
        super().__init__(
            f"The tokenizer has no token {token!r}, so texts in one block cannot be told apart. "
            "Let the experiment train a tokenizer, or name a pretrained model together with its own."
        )


class SampleTooSmall(ProvenanceError, ValueError):
    """A model does not give enough usable text."""

    def __init__(self, model: str, wanted: int, got: int, rounds: int) -> None:
        self.model = model
        self.wanted = wanted
        self.got = got
        self.rounds = rounds
        super().__init__(
            f"The model {model!r} gave {got:,} usable tokens in {rounds} rounds of sampling, {wanted:,} are needed: "
            "its output is nearly empty. Train it longer, or ask for fewer tokens a generation."
        )


class OutputTaken(ProvenanceError, FileExistsError):
    """The output folder belongs to another store."""

    def __init__(self, path: Path, store_id: str) -> None:
        self.path = path
        self.store_id = store_id
        super().__init__(f"{path} holds the files of another store ({store_id}). Choose another --out.")
