"""Inputs cut into tasks: pieces of about equal size, each of which becomes one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from provenance.errors import UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.prepare import FinishedFile, Task
from provenance.ingest.readers.base import Block, Reader, ReadOptions
from provenance.ingest.readers.records import RecordsReader

#: A task is complete when its blocks reach this size, or their records this number, as far as that is known.
TASK_BYTES = 32 << 20
TASK_RECORDS = 65_536
#: Every batch looks through the whole store for copies, so tasks grow with it: by one such measure for every so many
#: texts, up to so many measures in all, which bounds the memory.
_GROWTH_TEXTS = 2_000_000
_MOST_MEASURES = 3


class InputTasks:
    """The tasks that some inputs make.

    Parameters
    ----------
    inputs : each with its reader; None for one that is not read again
    n_stored : texts in the store

    Attributes
    ----------
    error : what ended the reading before its time; to be raised when the tasks before it are stored
    """

    def __init__(
        self, inputs: Sequence[tuple[Input, Reader] | None], options: ReadOptions, *, n_stored: int = 0
    ) -> None:
        self.error: Exception | None = None
        self._inputs = inputs
        self._options = options
        self._n_stored = n_stored
        sizes = [one[0].size_bytes for one in inputs if one is not None]
        known = [size for size in sizes if size is not None]
        self._total = sum(known) if len(known) == len(sizes) else 0

    def __iter__(self) -> Iterator[Task]:
        builder = _Builder(n_stored=self._n_stored)
        before = 0
        for place, one in enumerate(self._inputs):
            if one is None:
                continue
            file, reader = one
            try:
                for block in reader.blocks(file, self._options):
                    if builder.add(reader, block):
                        yield builder.task(self._fraction(before + block.position))
                finished = FinishedFile(place, file.name, reader.name, file.size_bytes, file.stamp, _digest(file))
            except Exception as error:  # kept until what was read before it is stored
                self.error = error
                break
            builder.finished.append(finished)
            before += file.size_bytes or 0
        if builder.pieces or builder.finished:
            yield builder.task(self._fraction(before))

    def _fraction(self, n_read: int) -> float | None:
        return min(1.0, n_read / self._total) if self._total else None


def _digest(file: Input) -> str | None:
    try:
        return file.digest()
    except UnreadableFile:  # its reader has refused it as such, and went on
        return None


def record_tasks(blocks: Iterable[Block]) -> Iterator[Task]:
    """Yield the tasks of records that are in memory."""
    builder, reader = _Builder(), RecordsReader()
    for block in blocks:
        if builder.add(reader, block):
            yield builder.task(None)
    if builder.pieces:
        yield builder.task(None)


class _Builder:
    """Gathers blocks until they make a task."""

    def __init__(self, *, n_stored: int = 0) -> None:
        self._n_texts = n_stored
        self.pieces: list[tuple[Reader | RecordsReader, Block]] = []
        self.finished: list[FinishedFile] = []
        self._n_bytes = self._n_records = 0

    def add(self, reader: Reader | RecordsReader, block: Block) -> bool:
        """Add a block and return whether the task is complete."""
        self.pieces.append((reader, block))
        self._n_bytes += block.n_bytes
        self._n_records += block.n_records
        measures = min(1 + self._n_texts // _GROWTH_TEXTS, _MOST_MEASURES)
        return self._n_bytes >= measures * TASK_BYTES or self._n_records >= measures * TASK_RECORDS

    def task(self, fraction: float | None) -> Task:
        """Return the task and begin the next."""
        task = Task(self.pieces, self.finished, fraction)
        self._n_texts += self._n_records
        self.pieces, self.finished, self._n_bytes, self._n_records = [], [], 0, 0
        return task
