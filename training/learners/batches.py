"""Batches of token blocks in the order of the training set, on one process or on many, each batch one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from training.errors import BatchNotDivisible

#: Label of a token that has no loss, as PyTorch has it.
NO_LOSS = -100


@dataclass(frozen=True)
class Split:
    """How the blocks of one optimizer step are divided.

    Attributes
    ----------
    batch_size : blocks of a step, over all processes and parts
    n_parts : forward and backward passes of a step, one after the other
    n_processes, process : how many share the work, and which of them this is

    Notes
    -----
    Step s has the blocks from s · batch_size on, in their order: first those of its first part, in it first those of
    process 0. So the same blocks stand in the same step on any number of processes.
    """

    batch_size: int
    n_parts: int = 1
    n_processes: int = 1
    process: int = 0

    def __post_init__(self) -> None:
        if self.batch_size % (self.n_parts * self.n_processes):
            raise BatchNotDivisible(self.batch_size, self.n_processes, self.n_parts)

    @property
    def size(self) -> int:
        """Blocks of one part on one process."""
        return self.batch_size // (self.n_parts * self.n_processes)

    def n_batches(self, n_blocks: int) -> int:
        """Return the number of parts in which `n_blocks` are read once, the same on every process."""
        return -(-n_blocks // (self.size * self.n_processes))

    def rows(self, batch: int, n_blocks: int) -> range:
        """Return the blocks of this process in a part; the last part may leave it none."""
        first = (batch * self.n_processes + self.process) * self.size
        return range(min(first, n_blocks), min(first + self.size, n_blocks))

    def step_rows(self, batch: int, n_blocks: int) -> range:
        """Return the blocks of all processes in the step that a part belongs to."""
        first = batch // self.n_parts * self.batch_size
        return range(first, min(first + self.batch_size, n_blocks))


class BlockBatches(Dataset[dict[str, torch.Tensor]]):
    """Blocks, and the weights of their tokens, as a `DataLoader` reads them: a batch at a time."""

    def __init__(
        self, blocks: npt.NDArray[np.integer[Any]], weights: npt.NDArray[np.float32] | None, split: Split
    ) -> None:
        self.blocks = blocks
        self.weights = weights
        self.split = split

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitems__(self, batch: int) -> dict[str, torch.Tensor]:
        """Return a batch: `input_ids` and `labels` (n, block_length); with weights, these and their sum in the step."""
        rows = self.split.rows(batch, len(self.blocks))
        # A process without blocks takes part with one that has no loss: the others wait for its gradient.
        read = rows if rows else range(len(self.blocks) - 1, len(self.blocks))
        ids = torch.from_numpy(self.blocks[read.start : read.stop].astype(np.int64))
        labels = ids if rows else torch.full_like(ids, NO_LOSS)
        if self.weights is None:
            return {"input_ids": ids, "labels": labels}
        step = self.split.step_rows(batch, len(self.blocks))
        # The first token of a block is predicted from nothing, so it has no loss.
        total = self.weights[step.start : step.stop, 1:].sum(dtype=np.float64)
        weights = torch.from_numpy(np.array(self.weights[read.start : read.stop], np.float32))
        weights = weights if rows else torch.zeros_like(weights)
        return {"input_ids": ids, "labels": labels, "weights": weights, "total_weight": torch.tensor(float(total))}


class _InOrder:
    """The numbers of the batches of an epoch."""

    def __init__(self, n_batches: int) -> None:
        self.n_batches = n_batches

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.n_batches))


def load_batches(dataset: BlockBatches, *, pin_memory: bool) -> DataLoader[dict[str, torch.Tensor]]:
    """Return what gives the batches of an epoch; `accelerate.skip_first_batches` can begin it later."""
    order = _InOrder(dataset.split.n_batches(len(dataset)))
    return DataLoader(dataset, batch_sampler=order, collate_fn=_as_it_is, pin_memory=pin_memory)  # type: ignore[arg-type]


def _as_it_is(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return batch
