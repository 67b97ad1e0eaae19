"""Records that are in memory already: what a program made itself, such as a model's output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from provenance.ingest.readers.base import Chunk

_RECORDS = 4096


def chunks_of(records: Iterable[dict[str, Any]], *, name: str = "memory") -> Iterator[Chunk]:
    """Yield chunks of records that need no file; `name` stands for the file in messages."""
    batch: list[dict[str, Any]] = []
    first = 0
    for record in records:
        batch.append(record)
        if len(batch) == _RECORDS:
            yield _chunk(name, batch, first)
            first += len(batch)
            batch = []
    if batch:
        yield _chunk(name, batch, first)


def _chunk(name: str, batch: list[dict[str, Any]], first: int) -> Chunk:
    places = [f"record {first + i + 1}" for i in range(len(batch))]
    return Chunk(name, places, batch, lambda i: _raw(batch[i]))


def _raw(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record, default=repr)
    except orjson.JSONEncodeError:  # a lone surrogate cannot be written as UTF-8
        return repr(record).encode("utf-8", "backslashreplace")
