"""Samples for training, in one order for any number of ranks and workers. Importing this loads torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from provenance.export.errors import PositionInvalid, PositionUnknown, SinglesNotSupported
from provenance.export.schedule import Schedule, Step
from provenance.export.sources import Source


class _Part(IterableDataset[Any]):
    """The batches from a position to the end of its epoch, of which every worker makes its own."""

    def __init__(self, source: Source, schedule: Schedule, position: int, *, batched: bool) -> None:
        self.source = source
        self.schedule = schedule
        self.position = position
        self.batched = batched

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        number, n_workers = (worker.id, worker.num_workers) if worker else (0, 1)
        for i, step in enumerate(self.schedule.steps(self.position)):
            if i % n_workers == number:  # a DataLoader takes one batch from every worker in turn
                yield self.read(step)

    def read(self, step: Step) -> Any:
        """Return this rank's part of a batch."""
        return self.source.read(step.low, step.high) if self.batched else self.source.sample(step.low)


class Stream(IterableDataset[Any]):
    """The samples of a training set in its order, for one rank.

    Iterating gives this rank's part of every global batch from the position on, up to the end of the epoch; iterating
    again goes on from there. The order of the global batches is the same for any world size, and, by `loader`, for any
    number of workers. The position counts the samples that all ranks were given, so that the state of any rank goes to
    all ranks, of the same or of another number, which continue with neither loss nor repetition.

    In the last batch of an epoch, unless it is dropped, there may be fewer samples than ranks: then some ranks get an
    empty batch, so that all take the same number of steps.

    Attributes
    ----------
    source : what is read
    schedule : the order
    position : samples that were given so far, over all ranks and epochs
    """

    def __init__(self, source: Source, schedule: Schedule, *, batched: bool) -> None:
        self.source = source
        self.schedule = schedule
        self.position = 0
        self._batched = batched
        # Shared with worker processes that a caller's own DataLoader starts: nobody here sees what those give.
        self._given_elsewhere = torch.zeros(1, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self.schedule)

    @property
    def epoch(self) -> int:
        """How often all samples were given."""
        return self.position // self.schedule.n_samples if self.schedule.n_samples else 0

    def __iter__(self) -> Iterator[Any]:
        part = _Part(self.source, self.schedule, self.position, batched=self._batched)
        if get_worker_info() is not None:
            self.source.require_workers()
            if not self._batched:
                raise SinglesNotSupported(self.source.name)
            self._given_elsewhere[0] = 1
            yield from part
            return
        for step in self.schedule.steps(self.position):
            batch = part.read(step)
            self.position = step.after  # before the caller goes on: a state taken now counts this batch
            yield batch

    def loader(self, *, num_workers: int = 0, **options: Any) -> Loader:
        """Return an iterable over the same batches that worker processes read ahead.

        Parameters
        ----------
        num_workers : processes; 0 reads here
        options : of `torch.utils.data.DataLoader`, such as `pin_memory` or `prefetch_factor`

        Raises
        ------
        WorkersNotSupported
            If the samples are in an open store, which other processes cannot read.
        """
        if num_workers:
            self.source.require_workers()
        return Loader(self, num_workers, options)

    def state_dict(self) -> dict[str, int]:
        """Return the position: what was given, not what workers have read ahead.

        Raises
        ------
        PositionUnknown
            If a DataLoader of the caller's own has read this by worker processes.
        """
        if int(self._given_elsewhere[0]):
            raise PositionUnknown()
        return {"position": self.position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a position.

        Raises
        ------
        PositionInvalid
            If that is no state of a stream.
        """
        position = state.get("position")
        if not isinstance(position, int) or isinstance(position, bool) or position < 0:
            raise PositionInvalid(position)
        self.position = position
        self._given_elsewhere[0] = 0


class Loader:
    """The batches of a stream, read ahead by worker processes; see `Stream.loader`."""

    def __init__(self, stream: Stream, num_workers: int, options: dict[str, Any]) -> None:
        self.stream = stream
        self.num_workers = num_workers
        self.options = options

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self.stream)

    def __iter__(self) -> Iterator[Any]:
        stream = self.stream
        part = _Part(stream.source, stream.schedule, stream.position, batched=stream._batched)
        loader = DataLoader(part, batch_size=None, num_workers=self.num_workers, **self.options)
        for step, batch in zip(stream.schedule.steps(stream.position), loader, strict=True):
            stream.position = step.after
            yield batch
