"""What a stream reads: packed blocks, an exported Parquet file, or the draws in a store. Importing loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from provenance.errors import MissingExtra
from provenance.export.schedule import Schedule
from provenance.mix.errors import WorkersNotSupported

if TYPE_CHECKING:
    from pathlib import Path

    from provenance.export.blocks import TokenBlocks
    from provenance.export.documents import ExportedDocuments
    from provenance.export.stream import Stream
    from provenance.mix.training_set import TrainingSet


class Source(Protocol):
    """Samples by number, of the training set `name`. A copy in another process reads the same."""

    name: str

    def __len__(self) -> int:
        """Return the number of samples."""

    def read(self, low: int, high: int) -> Any:
        """Return the samples from one number to another as a batch."""

    def sample(self, number: int) -> Any:
        """Return one sample."""

    def require_workers(self) -> None:
        """Raise `WorkersNotSupported` if other processes cannot read this."""


def stream_of(source: Source, *, rank: int, world_size: int, batch_size: int | None, drop_last: bool) -> Stream:
    """Return the stream of a source; see `Stream`.

    Raises
    ------
    MissingExtra
        If torch is not installed.
    ValueError
        If there is no such rank, or a batch has no sample for every rank.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtra("torch", "train") from error
    from provenance.export.stream import Stream

    if batch_size is None and world_size > 1:
        raise ValueError("several ranks need a batch_size: the samples of all ranks together")
    schedule = Schedule(len(source), batch_size or 1, rank, world_size, drop_last)
    return Stream(source, schedule, batched=batch_size is not None)


class BlockSource:
    """Blocks of tokens, mapped from their file in every process."""

    def __init__(self, blocks: TokenBlocks) -> None:
        self.name = str(blocks.manifest["training_set"]["name"])
        self._place = (blocks.path, blocks.manifest)
        self._blocks = np.asarray(blocks.blocks)  # a view of the map that is quicker to slice

    def __len__(self) -> int:
        return len(self._blocks)

    def read(self, low: int, high: int) -> dict[str, Any]:
        """Return `input_ids`, `labels` (the same tensor), both (n, block_length) int64, and `block` (n,) int64."""
        import torch

        ids = torch.from_numpy(self._blocks[low:high].astype(np.int64))
        return {"input_ids": ids, "labels": ids, "block": torch.from_numpy(np.arange(low, high))}

    def sample(self, number: int) -> dict[str, Any]:
        """Return one block, without the first dimension of a batch."""
        return {name: tensor[0] for name, tensor in self.read(number, number + 1).items()}

    def require_workers(self) -> None:
        """Do nothing: a file can be read by all."""

    def __getstate__(self) -> tuple[Path, dict[str, Any]]:
        return self._place  # never the tokens themselves

    def __setstate__(self, place: tuple[Path, dict[str, Any]]) -> None:
        from provenance.export.blocks import map_blocks

        self.name = str(place[1]["training_set"]["name"])
        self._place = place
        self._blocks = np.asarray(map_blocks(*place))


class _Rows:
    """Rows that come in tables one after the other, of which the last one is kept."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self._size = size
        self._tables: Iterator[pa.Table] | None = None
        self._rows: list[dict[str, Any]] = []
        self._first = 0

    def _from(self, start: int) -> Iterator[pa.Table]:
        raise NotImplementedError

    def __len__(self) -> int:
        return self._size

    def sample(self, number: int) -> dict[str, Any]:
        """Return one row."""
        return self.read(number, number + 1)[0]

    def read(self, low: int, high: int) -> list[dict[str, Any]]:
        """Return the rows from one number to another."""
        if self._tables is None or low < self._first:
            self._restart(low)
        found: list[dict[str, Any]] = []
        while low < high:
            while low >= self._first + len(self._rows):
                self._next()
            part = self._rows[low - self._first : high - self._first]
            found += part
            low += len(part)
        return found

    def _restart(self, start: int) -> None:
        self._tables, self._rows, self._first = self._from(start), [], start

    def _next(self) -> None:
        assert self._tables is not None
        self._first += len(self._rows)
        table = next(self._tables, None)
        if table is None:
            raise IndexError(f"{self.name} has {self._size} documents")
        self._rows = table.to_pylist()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_tables": None, "_rows": [], "_first": 0}


class DrawSource(_Rows):
    """The draws of a training set in an open store, read on from where the last batch ended."""

    def __init__(self, training_set: TrainingSet) -> None:
        super().__init__(training_set.name, len(training_set))
        self._training_set = training_set

    def _from(self, start: int) -> Iterator[pa.Table]:
        return self._training_set.batches(start=start)

    def require_workers(self) -> None:
        """Raise, because one process holds the store."""
        raise WorkersNotSupported(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _NoSource, (self.name, len(self))


class _NoSource:
    """What becomes of a store's draws in another process."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self._size = size

    def __len__(self) -> int:
        return self._size

    def require_workers(self) -> None:
        raise WorkersNotSupported(self.name)

    def read(self, low: int, high: int) -> Any:
        raise WorkersNotSupported(self.name)

    def sample(self, number: int) -> Any:
        raise WorkersNotSupported(self.name)


class DocumentSource(_Rows):
    """The rows of an exported Parquet file, opened by every process for itself."""

    def __init__(self, documents: ExportedDocuments) -> None:
        super().__init__(str(documents.manifest["training_set"]["name"]), len(documents))
        self._documents = documents

    def _from(self, start: int) -> Iterator[pa.Table]:
        return self._documents.batches(start=start)

    def require_workers(self) -> None:
        """Do nothing: a file can be read by all."""
