"""Training a causal LM with `transformers.Trainer`. Mixed precision, several GPUs and machines are its launcher's."""

from __future__ import annotations

import math
import tempfile
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from training.errors import LossNotFinite
from training.learners.base import FitResult, Progress
from training.learners.configs import TransformerConfig

#: Steps between two looks at the loss.
LOGGING_STEPS = 10


class BlockDataset(Dataset[dict[str, torch.Tensor]]):
    """Token blocks as a Trainer reads them, in their own order."""

    def __init__(self, blocks: npt.NDArray[np.integer[Any]]) -> None:
        self.blocks = blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(self.blocks[index].astype(np.int64))  # (block_length,)
        return {"input_ids": ids, "labels": ids}


class Watch(TrainerCallback):
    """Reports progress and stops a training whose loss is no longer a number."""

    def __init__(self, progress: Progress, tokens_per_step: int) -> None:
        self.progress = progress
        self.tokens_per_step = tokens_per_step
        self.losses: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell how far the training is, in tokens."""
        self.progress(state.global_step * self.tokens_per_step, state.max_steps * self.tokens_per_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Look at the loss."""
        if logs is None or "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise LossNotFinite(state.global_step, loss)
        self.losses.append(loss)


def fit_model(
    model: Any,
    blocks: npt.NDArray[np.integer[Any]],
    *,
    config: TransformerConfig,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    seed: int,
    progress: Progress,
) -> FitResult:
    """Train `model` in place.

    Raises
    ------
    LossNotFinite : the loss or the gradient became NaN or infinite
    """
    started = time.perf_counter()
    watch = Watch(progress, batch_size * blocks.shape[1])
    with tempfile.TemporaryDirectory(prefix="recurse-fit-") as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            num_train_epochs=epochs,
            learning_rate=learning_rate,
            lr_scheduler_type=config.schedule,
            warmup_steps=config.warmup_frac,
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            per_device_train_batch_size=batch_size,
            # The order of a training set carries its quotas: never shuffle it again.
            train_sampling_strategy="sequential",
            seed=seed,
            data_seed=seed,
            save_strategy="no",
            logging_steps=LOGGING_STEPS,
            logging_nan_inf_filter=False,
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=torch.cuda.is_available(),
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=BlockDataset(blocks), callbacks=[watch])
        trainer.remove_callback(PrinterCallback)
        outcome = trainer.train()
    _check_weights(model, outcome.global_step)
    last = watch.losses[-max(1, len(watch.losses) // 10) :] or [float(outcome.training_loss)]
    return FitResult(
        n_steps=outcome.global_step,
        n_tokens=epochs * blocks.size,
        loss=float(np.mean(last)),
        seconds=time.perf_counter() - started,
    )


def _check_weights(model: Any, step: int) -> None:
    """Refuse weights that are not numbers: the last steps may lie after the last look at the loss."""
    for parameter in model.parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise LossNotFinite(step, float("nan"))
