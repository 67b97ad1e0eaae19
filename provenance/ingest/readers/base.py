"""What a reader is: it turns a file into chunks of records and says what it could not read.

A new format is one module with a `Reader` and one line in `readers.READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

#: Fixed phrases for why a record was refused.
BAD_JSON = "bad JSON"
NOT_AN_OBJECT = "no JSON object"
INVALID_UTF8 = "invalid UTF-8"
LONE_SURROGATE = "lone surrogate"
NUL_CHARACTER = "NUL character"
MISSING_FIELD = "missing field"
EMPTY_TEXT = "empty text"
TOO_LARGE = "too large"
WRONG_TYPE = "wrong type"
CONTRADICTION = "contradictory origin"
REASONS = (
    BAD_JSON, NOT_AN_OBJECT, INVALID_UTF8, LONE_SURROGATE, NUL_CHARACTER, MISSING_FIELD, EMPTY_TEXT, TOO_LARGE,
    WRONG_TYPE, CONTRADICTION,
)  # fmt: skip

DEFAULT_MAX_RECORD_BYTES = 16 << 20


@dataclass(frozen=True)
class ReadOptions:
    """How files are read.

    Attributes
    ----------
    text_field : field that holds the text
    id_field : field that holds the record's id in its source
    max_record_bytes : larger records are refused
    chunk_bytes : how much a reader hands over at a time, about
    """

    text_field: str = "text"
    id_field: str = "id"
    max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES
    chunk_bytes: int = 8 << 20


@dataclass(frozen=True)
class Refused:
    """A record that was not taken, with the bytes as they stood in the file.

    A record above the size limit comes in several parts; only part 0 counts as a record.
    """

    place: str
    reason: str
    detail: str | None
    raw: bytes
    part: int = 0


@dataclass
class Chunk:
    """Consecutive records of one file.

    Attributes
    ----------
    file : name of the file, for people
    places : where each record stands, such as "line 17"
    records : one mapping a record
    raw : returns the bytes of the i-th record as they stood in the file
    refused : what could not be read at all
    n_bytes : uncompressed size of this part of the input
    position : how far into the file as it lies on disk this chunk reaches, in bytes
    """

    file: str
    places: list[str]
    records: list[dict[str, Any]]
    raw: Callable[[int], bytes]
    refused: list[Refused] = field(default_factory=list)
    n_bytes: int = 0
    position: int = 0


class Reader(Protocol):
    """Reads one kind of file."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The kinds of file in words, for messages."""
        ...

    def matches(self, path: Path, head: bytes) -> bool:
        """Return whether this reader takes the file, from its name and its first bytes."""
        ...

    def read(self, path: Path, options: ReadOptions) -> Iterator[Chunk]:
        """Yield the records of the file in order.

        Raises
        ------
        UnreadableFile
            If the file is damaged or vanishes; everything readable before the damage has been yielded.
        FieldMissing
            If the file as a whole has no text field.
        """
        ...
