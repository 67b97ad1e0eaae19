"""Readers by format."""

from __future__ import annotations

from provenance.errors import UnknownFormat, UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.readers.base import Reader
from provenance.ingest.readers.chat import ChatReader
from provenance.ingest.readers.csv import CsvReader
from provenance.ingest.readers.gutenberg import GutenbergReader
from provenance.ingest.readers.huggingface import HuggingFaceReader
from provenance.ingest.readers.jsonl import JsonLinesReader
from provenance.ingest.readers.parquet import ParquetReader
from provenance.ingest.readers.streams import plain_head
from provenance.ingest.readers.text import TextReader
from provenance.ingest.readers.warc import WarcReader
from provenance.ingest.readers.wikitext import WikiTextReader

#: In the order in which they are asked whether they take an input.
READERS: tuple[Reader, ...] = (
    HuggingFaceReader(),
    ParquetReader(),
    WikiTextReader(),
    GutenbergReader(),
    WarcReader(),
    CsvReader(),
    ChatReader(),
    JsonLinesReader(),
    TextReader(),
)


def reader_for(file: Input, format_name: str | None = None) -> Reader:
    """Return the reader that takes an input, or the one of that name.

    Raises
    ------
    UnreadableFile
        If the input is not there or cannot be opened.
    UnknownFormat
        If no reader takes it, or none has that name.
    """
    if format_name is not None:
        return reader_named(format_name)
    try:
        head, failure = plain_head(file.head()), None
    except UnreadableFile as error:  # a reader of whole files refuses such a one and goes on with the next
        head, failure = b"", error
    for reader in READERS:
        if reader.matches(file.name, head):
            return reader
    if failure is not None:
        raise failure
    raise UnknownFormat(file.name, [name for reader in READERS for name in reader.formats])


def reader_named(name: str) -> Reader:
    """Return the reader of a format.

    Raises
    ------
    UnknownFormat
        If there is none of that name.
    """
    found = next((reader for reader in READERS if reader.name == name), None)
    if found is None:
        raise UnknownFormat(f"--format {name}", [reader.name for reader in READERS])
    return found
