"""What stands around a training: trackers, errors of settings that are not possible here, and the model as it was."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.errors import BatchNotDivisible, TrainingUnavailable
from training.learners.configs import TransformerConfig

#: Where trackers are told their folder.
_TRACKER_FOLDERS = ("TENSORBOARD_LOGGING_DIR", "WANDB_DIR")
#: Whether this process leaves its group of processes at its end: one entry, or none.
_leaves: list[bool] = []
#: Weights of a model whose memory does not matter.
_SMALL = 20_000_000


@contextmanager
def said_what_is_missing(config: TransformerConfig) -> Iterator[None]:
    """Turn what the Trainer says about a setting that is not possible here into our error.

    Raises
    ------
    TrainingUnavailable : mixed precision without the device, or a tracker that is unknown or not installed
    """
    try:
        yield
    except BatchNotDivisible:
        raise
    except (ImportError, RuntimeError, ValueError) as error:
        asked = {"mixed_precision": config.mixed_precision != "no", "report_to": bool(config.report_to)}
        settings = ", ".join(f"{name}: {getattr(config, name)!r}" for name, given in asked.items() if given)
        if not settings:
            raise
        raise TrainingUnavailable(settings, str(error).splitlines()[0]) from error


@contextmanager
def as_it_was(model: Any) -> Iterator[None]:
    """Undo what training does to a model beside its weights: no cache, and a forward pass in mixed precision."""
    use_cache, forward = getattr(model.config, "use_cache", None), model.__dict__.get("forward")
    try:
        yield
    finally:
        model.config.use_cache = use_cache
        model.__dict__.pop("forward", None)
        model.__dict__.pop("_original_forward", None)
        if forward is not None:
            model.forward = forward


def leave_the_others_at_exit() -> None:
    """Let a process of several leave their group when it ends; otherwise some abort, their work done, in a race."""
    if not _leaves:
        _leaves.append(True)
        atexit.register(_leave)


def _leave() -> None:
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def heap_left_alone(model: Any) -> Iterator[None]:
    """Keep the garbage collector off what is there already, where a model is small.

    Notes
    -----
    Every training begins with a collection that looks at all that was ever imported: a fifth of a second, as long as
    six steps of the tiny transformer. A large model's training is not to begin with another model's memory still held.
    """
    if sum(parameter.numel() for parameter in model.parameters()) > _SMALL:
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def trackers(config: TransformerConfig, run: str | None) -> Iterator[None]:
    """Tell trackers where to write, and end their run with the training: the next model is another run."""
    before = {name: os.environ.get(name) for name in _TRACKER_FOLDERS}
    if config.logging_dir is not None:
        folder = Path(config.logging_dir).expanduser() / (run or time.strftime("%Y%m%d-%H%M%S"))
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.update(dict.fromkeys(_TRACKER_FOLDERS, str(folder)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if "wandb" in config.report_to:
            importlib.import_module("wandb").finish()
