"""The corpus that comes with the package: all annual messages of US presidents, 1790 to 2026."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
import zstandard

FILE_NAME = "annual_messages.jsonl.zst"


def corpus_path() -> Path:
    """Return where the corpus lies: zstd-compressed JSON Lines, ready for `provenance ingest`."""
    return Path(str(resources.files("provenance.demo"))) / "data" / FILE_NAME


def read_corpus() -> Iterator[dict[str, Any]]:
    """Yield the documents, oldest address first, each with the fields that the datasheet beside it describes.

    Examples
    --------
    >>> first = next(read_corpus())
    >>> first["id"], first["author"], first["date"]
    ('1790-Washington-1/001', 'George Washington', '1790-01-08')
    """
    with corpus_path().open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for line in io.BufferedReader(stream):
            yield orjson.loads(line)
