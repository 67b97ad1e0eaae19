"""Readers by format."""

from __future__ import annotations

from pathlib import Path

from provenance.errors import UnknownFormat, UnreadableFile
from provenance.ingest.readers.base import Reader
from provenance.ingest.readers.jsonl import JsonLinesReader
from provenance.ingest.readers.parquet import ParquetReader

READERS: tuple[Reader, ...] = (ParquetReader(), JsonLinesReader())


def reader_for(path: Path) -> Reader:
    """Return the reader that takes a file.

    Raises
    ------
    UnreadableFile
        If the file is not there or cannot be opened.
    UnknownFormat
        If no reader takes it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise UnreadableFile(str(path), error.strerror or str(error)) from error
    for reader in READERS:
        if reader.matches(path, head):
            return reader
    raise UnknownFormat(str(path), [name for reader in READERS for name in reader.formats])
