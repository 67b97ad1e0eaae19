"""What a reader is: it turns an input into records and says what it could not read.

Reading has two halves. `Reader.blocks` goes through an input once, from its beginning to its end, and cuts it into
blocks with as little work as it can; `Reader.parse` makes records of one block and nothing else, so that blocks are
parsed in several processes at once. A new format is one module with a `Reader` and one line in `readers.READERS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from provenance.ingest.inputs import Input

#: Fixed phrases for why a record was refused.
BAD_JSON = "bad JSON"
NOT_AN_OBJECT = "no JSON object"
BAD_ROW = "malformed row"
BAD_RECORD = "malformed record"
NO_TEXT = "no readable text"
INVALID_UTF8 = "invalid UTF-8"
LONE_SURROGATE = "lone surrogate"
NUL_CHARACTER = "NUL character"
MISSING_FIELD = "missing field"
EMPTY_TEXT = "empty text"
TOO_LARGE = "too large"
WRONG_TYPE = "wrong type"
CONTRADICTION = "contradictory origin"
UNREADABLE = "unreadable file"
TAKEN_DOWN = "taken down"
REASONS = (
    BAD_JSON, NOT_AN_OBJECT, BAD_ROW, BAD_RECORD, NO_TEXT, INVALID_UTF8, LONE_SURROGATE, NUL_CHARACTER, MISSING_FIELD,
    EMPTY_TEXT, TOO_LARGE, WRONG_TYPE, CONTRADICTION, UNREADABLE, TAKEN_DOWN,
)  # fmt: skip

DEFAULT_MAX_RECORD_BYTES = 16 << 20


@dataclass(frozen=True)
class ReadOptions:
    """How files are read.

    Attributes
    ----------
    source : name of the source that the records belong to; ids of documents depend on it
    max_record_bytes : larger records are refused
    chunk_bytes : how much a reader hands over at a time, about
    delimiter : what parts the columns of CSV; None finds it
    fields : fields that an input with named columns must have, because the mapping names them
    """

    source: str = ""
    max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES
    chunk_bytes: int = 4 << 20
    delimiter: str | None = None
    fields: tuple[str, ...] = ("text",)


@dataclass(frozen=True)
class Refused:
    """A record that was not taken, with the bytes as they stood in the file.

    A record above the size limit comes in several parts; only part 0 counts as a record.

    Attributes
    ----------
    place : where it stands, such as "line 17"
    reason : one of `REASONS`
    detail : what exactly was wrong
    raw : its bytes; `Reader.reread` makes the record of them again
    part : number of the part
    n_before : how many readable records of the same chunk stand before it
    """

    place: str
    reason: str
    detail: str | None
    raw: bytes
    part: int = 0
    n_before: int = 0


@dataclass
class Block:
    """A piece of one input that is parsed without the rest.

    Attributes
    ----------
    file : name of the input
    payload : what the reader's `parse` takes; can be pickled
    n_bytes : uncompressed size of this piece
    position : how far into the input as it lies there this block reaches, in bytes
    n_records : about how many records it holds
    """

    file: str
    payload: Any
    n_bytes: int = 0
    position: int = 0
    n_records: int = 1


@dataclass(frozen=True)
class Ground:
    """What a record's own claim about its origin rests on.

    Attributes
    ----------
    method : how it is known, in a few words, such as "log of the model's output"
    note : particulars, such as the decoding parameters as JSON
    """

    method: str
    note: str | None = None


@dataclass
class Chunk:
    """Consecutive records of one input.

    Attributes
    ----------
    file : name of the input, for people
    places : where each record stands, such as "line 17"
    records : one mapping a record
    raws : the bytes of each record as they stood in the input; None where it has none (a row of Parquet), then a
        record is kept as JSON
    refused : what could not be read at all, in order
    grounds : what the claim of each record rests on, where the reader knows; None for none
    context : what `Reader.reread` needs beside the bytes of a record, such as the header of a CSV file
    """

    file: str
    places: list[str]
    records: list[dict[str, Any]]
    raws: list[bytes] | None
    refused: list[Refused] = field(default_factory=list)
    grounds: list[Ground | None] | None = None
    context: bytes | None = None

    @property
    def n_records(self) -> int:
        """Number of records, refused ones included."""
        return len(self.records) + sum(one.part == 0 for one in self.refused)

    def raw(self, i: int) -> bytes:
        """Return the bytes of the i-th record."""
        return self.raws[i] if self.raws is not None else record_as_json(self.records[i])


def behind(refused: Refused, chunk: Chunk) -> Refused:
    """Return a refused record as one that stands behind the records that the chunk has so far."""
    return replace(refused, n_before=len(chunk.records))


def record_as_json(record: dict[str, Any]) -> bytes:
    """Return a record that has no bytes of its own as JSON."""
    try:
        return orjson.dumps(record, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:  # a lone surrogate cannot be written as UTF-8
        return repr(record).encode("utf-8", "backslashreplace")


def chunk_of_json(file: str, raw: bytes) -> Chunk:
    """Return the chunk of a record that was kept by `record_as_json`."""
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return Chunk(file, [], [], [], [Refused("record 1", BAD_JSON, str(error), raw)])
    if not isinstance(record, dict):
        return Chunk(file, [], [], [], [Refused("record 1", NOT_AN_OBJECT, None, raw)])
    return Chunk(file, ["record 1"], [record], [raw])


class Reader(Protocol):
    """Reads one kind of input."""

    @property
    def name(self) -> str:
        """The format in one word, as `--format` takes it."""
        ...

    @property
    def formats(self) -> tuple[str, ...]:
        """The kinds of input in words, for messages."""
        ...

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether this reader takes an input, from its name and its first bytes."""
        ...

    def blocks(self, file: Input, options: ReadOptions) -> Iterator[Block]:
        """Yield the pieces of the input in order.

        Raises
        ------
        UnreadableFile
            If the input is damaged or vanishes; everything readable before the damage has been yielded.
        FieldMissing
            If the input as a whole has no text field.
        """
        ...

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the records of one block; never raises for bad data."""
        ...

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return the record (or records) that a refused record's bytes make, for another try."""
        ...
