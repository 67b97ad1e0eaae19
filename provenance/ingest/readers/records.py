"""Records that are in memory already: what a program made itself, such as a model's output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from provenance.ingest.readers.base import Block, Chunk, ReadOptions, chunk_of_json

_RECORDS = 4096


class RecordsReader:
    """Makes records of blocks of records; it reads no file, so it is none of `READERS`."""

    name = "records"

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the records of a block."""
        first, records = block.payload
        return Chunk(block.file, [f"record {first + i + 1}" for i in range(len(records))], records, None)

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return a record that is kept as JSON."""
        return chunk_of_json(file, raw)


def blocks_of(records: Iterable[dict[str, Any]], *, name: str = "memory") -> Iterator[Block]:
    """Yield blocks of records that need no file; `name` stands for the file in messages."""
    iterator = iter(records)
    first = 0
    while batch := list(islice(iterator, _RECORDS)):
        yield Block(name, (first, batch), n_records=len(batch))
        first += len(batch)
