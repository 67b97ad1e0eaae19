"""The order in which samples are read: a function of one position, the same for any number of ranks and workers.

Samples are numbered through all epochs: sample `g` is sample `g % n` of epoch `g // n`. A global batch is the next
`batch_size` samples, of which every rank gets its part; it ends where its epoch ends. So what has been read is always a
prefix of one order, and the position, the number of samples read, says everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Step(NamedTuple):
    """One global batch.

    Attributes
    ----------
    low, high : the part of it that this rank reads, as numbers of samples of one epoch; may be empty
    after : the position when it has been read
    """

    low: int
    high: int
    after: int


@dataclass(frozen=True)
class Schedule:
    """Which samples a rank reads from a position on.

    Attributes
    ----------
    n_samples : in an epoch
    batch_size : samples of a global batch, over all ranks
    rank, world_size : which part of every batch is read here
    drop_last : leave the last batch of an epoch out when it is not full

    Raises
    ------
    ValueError
        If no rank or batch can be like that.
    """

    n_samples: int
    batch_size: int = 1
    rank: int = 0
    world_size: int = 1
    drop_last: bool = False

    def __post_init__(self) -> None:
        if self.world_size < 1 or not 0 <= self.rank < self.world_size:
            raise ValueError(f"there is no rank {self.rank} of {self.world_size}")
        if self.batch_size < self.world_size:
            raise ValueError(
                f"a batch of {self.batch_size} has no sample for each of {self.world_size} ranks: batch_size counts "
                "the samples of all ranks together"
            )
        if self.drop_last and 0 < self.n_samples < self.batch_size:
            raise ValueError(f"{self.n_samples} samples fill no batch of {self.batch_size}: drop_last leaves nothing")

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.n_samples // self.batch_size if self.drop_last else -(-self.n_samples // self.batch_size)

    def steps(self, position: int) -> Iterator[Step]:
        """Yield the batches from a position to the end of its epoch."""
        if not self.n_samples:
            return
        low = self._skip_rest(position)
        start = low - low % self.n_samples
        end = start + self.n_samples
        full = self._shares(self.batch_size)
        while low < end:
            high = min(low + self.batch_size, end)
            mine, others = full if high - low == self.batch_size else self._shares(high - low)
            after = self._skip_rest(high) if end - high < self.batch_size else high
            yield Step(low - start + mine, low - start + others, after)
            low = after

    def _shares(self, size: int) -> tuple[int, int]:
        """Return where this rank's part of a batch begins and ends; the parts' sizes differ by one at most."""
        return -(-size * self.rank // self.world_size), -(-size * (self.rank + 1) // self.world_size)

    def _skip_rest(self, position: int) -> int:
        """Return the position where the next batch begins: behind what `drop_last` leaves out."""
        rest = -position % self.n_samples
        return position + rest if self.drop_last and 0 < rest < self.batch_size else position
