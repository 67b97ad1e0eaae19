"""`transformers.Trainer` as the learner uses it: blocks in their order, weighted loss, losses of all steps, states."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback

from training.errors import LossNotFinite
from training.learners.base import Progress
from training.learners.batches import NO_LOSS, BlockBatches, load_batches
from training.learners.checkpoints import CheckpointFolder
from training.learners.configs import TransformerConfig


class OrderedTrainer(Trainer):
    """A Trainer that reads `BlockBatches`.

    Attributes
    ----------
    batches : what it reads; its split must be that of the processes there are
    folder : where it keeps its states; None to keep none
    losses : mean loss of every step so far in nats per token, over all processes
    """

    def __init__(self, *, batches: BlockBatches, **arguments: Any) -> None:
        super().__init__(train_dataset=batches, **arguments)
        self.batches = batches
        self.folder: CheckpointFolder | None = None
        self.losses: list[float] = []
        self._new: list[torch.Tensor] = []
        # The model's own loss does not do where tokens have weights, or where it does not know its whole step.
        whole = self.args.world_size == 1 and self.args.gradient_accumulation_steps == 1
        self._own_loss = batches.weights is not None or not (self.model_accepts_loss_kwargs or whole)
        # The loss below is that of a part's share in the whole step.
        self.loss_is_scaled_for_ga = True if self._own_loss else None

    def get_train_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        """Return the batches of this process; they are divided already, so accelerate must not divide them again."""
        return load_batches(self.batches, pin_memory=self.args.dataloader_pin_memory)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *arguments: Any, **named: Any) -> Any:
        """Return the mean loss of a batch's tokens, each counted by its weight, as a share of its whole step's."""
        if not self._own_loss:
            return super().compute_loss(model, inputs, *arguments, **named)
        labels = inputs["labels"][:, 1:]
        logits = model(input_ids=inputs["input_ids"]).logits[:, :-1].float()
        nats = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=NO_LOSS, reduction="none"
        )
        weighted = nats @ inputs["weights"][:, 1:].flatten() / inputs["total_weight"]
        # The processes' gradients are averaged, here they are to be added.
        return weighted * self.args.world_size

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        """Take a part of a step and note its loss."""
        loss: torch.Tensor = super().training_step(*arguments, **named)
        if len(self.losses) + len(self._new) == self.state.global_step:
            self._new.append(loss)
        else:
            self._new[-1] = self._new[-1] + loss
        return loss

    def note_losses(self) -> None:
        """Bring the losses of the last steps from the device; all processes do so at the same step.

        Raises
        ------
        LossNotFinite : one of them is not
        """
        if not self._new:
            return
        losses = torch.stack(self._new)
        if self.args.world_size > 1:
            losses = self.accelerator.reduce(losses, reduction="mean")
        self._new = []
        self.losses += losses.double().tolist()
        first = len(self.losses) - len(losses)
        for step, loss in enumerate(self.losses[first:], start=first + 1):
            if not math.isfinite(loss):
                raise self.not_finite(step, loss)

    def check_weights(self) -> None:
        """Refuse weights that are not numbers.

        Raises
        ------
        LossNotFinite : the last step spoiled them
        """
        assert self.model is not None
        for parameter in self.model.parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise self.not_finite(self.state.global_step, float("nan"))

    def not_finite(self, step: int, loss: float) -> LossNotFinite:
        """Return the error that says where training diverged, and where its last good state is."""
        return LossNotFinite(step, loss, None if self.folder is None else self.folder.latest())

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Look at the losses before anybody is told of them."""
        self.note_losses()
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Count none: nobody asks, and counting goes through all weights in every step."""
        return 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        assert self.folder is not None
        self.note_losses()
        self.check_weights()
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            self.folder.seal(self.state.global_step, np.array(self.losses, np.float64))


class Watch(TrainerCallback):
    """Reports progress, and says when to keep the state and when to stop early."""

    def __init__(self, progress: Progress, config: TransformerConfig, *, tokens_per_step: int, keeps: bool) -> None:
        self.progress = progress
        self.config = config
        self.tokens_per_step = tokens_per_step
        self.keeps = keeps
        self.kept_at = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell how far the training is, in tokens, and look at the clock."""
        step, last = state.global_step, min(state.max_steps, self.config.max_steps or state.max_steps)
        self.progress(step * self.tokens_per_step, last * self.tokens_per_step)
        if step >= last:
            control.should_training_stop = True
        elif self.keeps and self._is_due(step, args):
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock anew."""
        self.kept_at = time.monotonic()

    def _is_due(self, step: int, args: Any) -> bool:
        every, seconds = self.config.checkpoint_steps, self.config.checkpoint_seconds
        if every is not None and step % every == 0:
            return True
        if seconds is None:
            return False
        due = time.monotonic() - self.kept_at >= seconds
        if args.world_size == 1:
            return due
        if step % self.config.logging_steps:
            return False
        # The clocks differ, but all must come to save: the first process says when.
        said = torch.tensor(int(due), device=args.device)
        torch.distributed.broadcast(said, src=0)
        return bool(said)
