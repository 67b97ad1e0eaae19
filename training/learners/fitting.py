"""Training a causal LM with `transformers.Trainer`. Several GPUs and machines are its launcher's (`torchrun`)."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PrinterCallback, TrainingArguments

from training.errors import BlocksUnusable, WeightsUnusable
from training.learners.base import FitData, FitResult, Progress
from training.learners.batches import BlockBatches, Split
from training.learners.checkpoints import CheckpointFolder, digest_of, read_losses
from training.learners.configs import TransformerConfig
from training.learners.surroundings import (
    as_it_was,
    heap_left_alone,
    leave_the_others_at_exit,
    said_what_is_missing,
    trackers,
)
from training.learners.trainer import OrderedTrainer, Watch

#: Settings that the result does not depend on.
_NO_MATTER = {
    "checkpoint_steps",
    "checkpoint_seconds",
    "logging_steps",
    "logging_dir",
    "report_to",
    "sample_batch",
    "sample_length",
}


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Attributes
    ----------
    batch_size : blocks of a step, over all processes and parts
    """

    config: TransformerConfig
    epochs: int
    learning_rate: float
    batch_size: int
    seed: int


def fit_model(
    model: Any, data: FitData, training: Training, *, checkpoints: Path | None, begun_as: str, progress: Progress
) -> FitResult:
    """Train `model` in place.

    Parameters
    ----------
    begun_as : digest of the model as it is given; states in `checkpoints` of another are not continued

    Raises
    ------
    LossNotFinite : the loss or the weights became NaN or infinite
    BatchNotDivisible : processes and parts do not divide a batch
    WeightsUnusable : a weight is negative or no number, or there are only zeros in a step
    TrainingUnavailable : a setting asks for a device or a package that is not here
    """
    started = time.perf_counter()
    _check(data, training.batch_size)
    with ExitStack() as stack:
        folder = checkpoints or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recurse-fit-")))
        stack.enter_context(trackers(training.config, folder.name if checkpoints else None))
        stack.enter_context(as_it_was(model))
        stack.enter_context(heap_left_alone(model))
        trainer = _trainer(model, data, training, folder=folder, keeps=checkpoints is not None, progress=progress)
        state = _claim(trainer, checkpoints, training, begun_as) if checkpoints is not None else None
        trainer.train(resume_from_checkpoint=None if state is None else str(state))
        trainer.note_losses()
        trainer.check_weights()
    return _result(trainer, training.batch_size, seconds=time.perf_counter() - started)


def _trainer(
    model: Any, data: FitData, training: Training, *, folder: Path, keeps: bool, progress: Progress
) -> OrderedTrainer:
    blocks, config = _blocks(data), training.config
    watch = Watch(progress, config, tokens_per_step=training.batch_size * blocks.shape[1], keeps=keeps)
    with said_what_is_missing(config):
        arguments = _arguments(training, folder)
        n_parts, n_processes = config.gradient_accumulation, arguments.world_size
        if n_processes > 1:
            leave_the_others_at_exit()
        split = Split(training.batch_size, n_parts, n_processes, arguments.process_index)
        arguments.per_device_train_batch_size = split.size
        batches = BlockBatches(blocks, data.weights, split)
        trainer = OrderedTrainer(model=model, args=arguments, batches=batches, callbacks=[watch])
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(training: Training, folder: Path) -> TrainingArguments:
    config = training.config
    has_accelerator = torch.accelerator.is_available()
    if config.mixed_precision == "fp16" and not has_accelerator:
        raise ValueError("fp16 needs a GPU, and there is none")
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return TrainingArguments(
        output_dir=str(folder),
        run_name=folder.name,
        num_train_epochs=training.epochs,
        learning_rate=training.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup_frac,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        gradient_accumulation_steps=config.gradient_accumulation,
        bf16=config.mixed_precision == "bf16",
        fp16=config.mixed_precision == "fp16",
        seed=training.seed,
        data_seed=training.seed,
        # `Watch` says when.
        save_strategy="no",
        logging_steps=config.logging_steps,
        logging_nan_inf_filter=False,
        report_to=list(config.report_to),
        disable_tqdm=True,
        use_cpu=not has_accelerator,
        ddp_backend="gloo" if several and not has_accelerator else None,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _claim(trainer: OrderedTrainer, checkpoints: Path, training: Training, begun_as: str) -> Path | None:
    """Give a trainer its folder; return the state to go on from, if there is one."""
    weights = trainer.batches.weights
    made_from = {
        "model": begun_as,
        "settings": training.config.model_dump(mode="json", exclude=_NO_MATTER),
        "epochs": training.epochs,
        "learning_rate": training.learning_rate,
        "batch_size": training.batch_size,
        "seed": training.seed,
        "blocks": digest_of(trainer.batches.blocks),
        "weights": None if weights is None else digest_of(weights),
    }
    trainer.folder = CheckpointFolder(checkpoints, made_from)
    if trainer.args.should_save:
        trainer.folder.claim()
    trainer.accelerator.wait_for_everyone()
    state = trainer.folder.latest()
    if state is not None:
        trainer.losses = read_losses(state)
    return state


def _result(trainer: OrderedTrainer, batch_size: int, *, seconds: float) -> FitResult:
    n_steps, blocks = trainer.state.global_step, trainer.batches.blocks
    epochs, steps = divmod(n_steps, -(-len(blocks) // batch_size))
    return FitResult(
        n_steps=n_steps,
        n_tokens=(epochs * len(blocks) + steps * batch_size) * blocks.shape[1],
        loss=float(np.mean(trainer.losses[-max(1, n_steps // 10) :])),
        seconds=seconds,
    )


def _blocks(data: FitData) -> npt.NDArray[np.integer[Any]]:
    assert data.blocks is not None
    return data.blocks


def _check(data: FitData, batch_size: int) -> None:
    """Refuse blocks in which nothing is predicted, and weights that are none."""
    blocks, weights = _blocks(data), data.weights
    if blocks.shape[1] < 2:
        raise BlocksUnusable("a block of one token has nothing to predict")
    if weights is None:
        return
    if weights.shape != blocks.shape:
        raise WeightsUnusable(f"their shape is {weights.shape}, that of the blocks {blocks.shape}")
    for first in range(0, len(weights), batch_size):
        step = weights[first : first + batch_size, 1:]
        if not bool(np.isfinite(step).all() and (step >= 0).all()):
            raise WeightsUnusable(f"one of the blocks from {first:,} on has a weight that is negative or no number")
        if not step.any():
            raise WeightsUnusable(f"the batch of blocks from {first:,} on has only weights of 0")
