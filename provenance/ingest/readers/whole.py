"""Inputs that are one document each: read whole, refused in parts where they are too large."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from provenance.errors import UnreadableFile
from provenance.ingest.inputs import STANDARD_INPUT, Input, as_text
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Block, Chunk, ReadOptions, Refused
from provenance.ingest.readers.rows import overlong_parts
from provenance.ingest.readers.streams import read_plain

_PLACE = "whole file"
#: The context of a refused record that stands for a file that could not be read.
_TRY_THE_FILE = b"unreadable"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Unusable(Exception):
    """Raised by `WholeFileReader.record`: there is no document in these bytes, for this reason."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class WholeFileReader(ABC):
    """Reads inputs that hold one document each.

    An input that cannot be read to its end is a refused record, so that a folder of a million files is not given up
    for one; its bytes are those that could be read, and reading it again means to open it again.
    """

    @abstractmethod
    def record(self, name: str, raw: bytes) -> dict[str, Any]:
        """Return the record of the bytes of a file.

        Raises
        ------
        Unusable
            If they hold no document.
        """

    def blocks(self, file: Input, options: ReadOptions) -> Iterator[Block]:
        """Yield the whole input, or what is refused of it."""
        limit = options.max_record_bytes
        waiting: list[bytes] = []
        n_waiting = n_parts = 0
        try:
            for text in read_plain(file, block_bytes=options.chunk_bytes):
                waiting.append(text)
                n_waiting += len(text)
                if n_waiting <= limit:
                    continue
                whole = b"".join(waiting)
                cut = (n_waiting - 1) // limit * limit  # something is left for the last part
                for part in overlong_parts(whole[:cut], _PLACE, limit, "file", first=n_parts):
                    yield _refused(file, part)
                    n_parts += 1
                waiting, n_waiting = [whole[cut:]], n_waiting - cut
        except UnreadableFile as error:
            raw = b"".join(waiting)
            yield _refused(file, Refused(_PLACE, base.UNREADABLE, error.reason, raw, n_parts))
            return
        raw = b"".join(waiting)
        if n_parts:
            for part in overlong_parts(raw, _PLACE, limit, "file", first=n_parts):
                yield _refused(file, part)
        else:
            yield Block(file.name, raw, len(raw), file.position())

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the document of the input."""
        if not isinstance(block.payload, Refused):
            return self._parsed(block.file, block.payload)
        context = _TRY_THE_FILE if block.payload.reason == base.UNREADABLE else None
        return Chunk(block.file, [], [], [], [block.payload], context=context)

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return the document of the bytes; where the file could not be read, that of the file as it is now."""
        if context != _TRY_THE_FILE:
            if len(raw) > options.max_record_bytes:
                return Chunk(file, [], [], [], list(overlong_parts(raw, _PLACE, options.max_record_bytes, "file")))
            return self._parsed(file, raw)
        try:
            if file == STANDARD_INPUT:
                raise UnreadableFile(file, "standard input cannot be read a second time")
            chunks = [self.parse(block, options) for block in self.blocks(Input(file), options)]
        except UnreadableFile as error:  # it is not there any more
            refused = [Refused(_PLACE, base.UNREADABLE, error.reason, raw)]
            return Chunk(file, [], [], [], refused, context=_TRY_THE_FILE)
        chunks[0].refused = [refused for chunk in chunks for refused in chunk.refused]
        return chunks[0]

    def _parsed(self, file: str, raw: bytes) -> Chunk:
        try:
            record = self.record(file, raw)
        except Unusable as error:
            return Chunk(file, [], [], [], [Refused(_PLACE, error.reason, error.detail, raw)])
        return Chunk(file, [_PLACE], [record], [raw])


def _refused(file: Input, part: Refused) -> Block:
    return Block(file.name, part, len(part.raw), file.position(), int(part.part == 0))


def decoded(raw: bytes) -> str:
    """Return bytes of UTF-8 as text, without a byte order mark.

    Raises
    ------
    Unusable
        If they are no UTF-8.
    """
    try:
        return raw.removeprefix(_BYTE_ORDER_MARK).decode("utf-8")
    except UnicodeDecodeError as error:
        place = raw.startswith(_BYTE_ORDER_MARK) * len(_BYTE_ORDER_MARK) + error.start
        looks = "; it begins like UTF-16" if raw.startswith(_UTF_16) else ""
        raise Unusable(base.INVALID_UTF8, f"{error.reason} at byte {place:,}{looks}") from error


def document_name(name: str) -> str | None:
    """Return the name of an input as the id of its document; standard input gives none."""
    return None if name == STANDARD_INPUT else as_text(name)
