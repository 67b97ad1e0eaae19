"""Where the records of a WARC file begin and end, in damaged files too.

A record ends where its Content-Length says, if a blank line, another record or the end of the file stands there.
Otherwise its length is wrong, and it reaches to the next thing that looks like the beginning of a record, so that one
wrong length costs one record.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

from provenance.errors import UnreadableFile

#: Types of records that hold documents; all others are skipped.
DOCUMENT_TYPES = ("response", "resource", "conversion")

_MAGIC = b"WARC/"
_START = re.compile(rb"WARC/\d\.\d{1,2}\r?\n(?:WARC|Content)-[A-Za-z-]{1,40}[ \t]{0,8}:", re.IGNORECASE)
#: So many bytes tell whether a record begins.
_START_BYTES = 72
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_NO_NEWLINE = re.compile(rb"[^\r\n]")
_TRAILER_BYTES = 4
_LINE_BREAKS = re.compile(rb"[\r\n]{0,16}")
_BREAKS_BYTES = 16
_HEADER_STEP = 4096
#: A longer header is no header.
MAX_HEADER_BYTES = 1 << 16
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


class Piece(NamedTuple):
    """The bytes of a record, or of what stands between records.

    Attributes
    ----------
    offset : where it begins in the uncompressed file, from 0
    raw : its bytes
    part : number of the part of a record that is too large; None for a whole one
    """

    offset: int
    raw: bytes
    part: int | None = None

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"byte {self.offset}"


def header_end(raw: bytes, begin: int = 0) -> int | None:
    """Return the place behind the blank line that ends the header of a record; None where it has no such end."""
    found = _BLANK_LINE.search(raw, begin, begin + MAX_HEADER_BYTES)
    return found.end() if found else None


def header_fields(header: bytes) -> dict[str, str]:
    """Return name in small letters -> value of the fields of a header of WARC or HTTP; of several the first."""
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError:
        text = header.decode("latin-1")
    fields: dict[str, str] = {}
    name = None
    for line in text.replace("\r\n", "\n").split("\n")[1:]:
        if line[:1] in (" ", "\t"):  # a continued line
            if name is not None:
                fields[name] += " " + line.strip()
            continue
        key, colon, value = line.partition(":")
        name = key.strip().lower() if colon and key.strip().lower() not in fields else None
        if name is not None:
            fields[name] = value.strip()
    return fields


def content_length(fields: dict[str, str]) -> int | None:
    """Return the length of the block; None where it is not given as a number."""
    length = fields.get("content-length", "")
    return int(length) if _LENGTH.fullmatch(length) else None


class Window:
    """The part of a file that is looked at; all places are offsets in the uncompressed file.

    Damage ends the file like its end does, but is remembered in `failure`.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._data = b""
        self._begin = 0  # of the data in the file
        self._kept = 0  # what stands before is not needed any more
        self._at_end = False
        self.failure: UnreadableFile | None = None
        self.end = 0

    def has(self, end: int) -> bool:
        """Return whether the file reaches to `end`, and have the bytes before it."""
        if end <= self.end or self._at_end:
            return end <= self.end
        pieces = [self._data[self._kept - self._begin :]]
        while self.end < end and not self._at_end:
            block = self._next()
            self.end += len(block)
            pieces.append(block)
        self._data, self._begin = b"".join(pieces), self._kept
        return end <= self.end

    def _next(self) -> bytes:
        try:
            block = next(self._blocks, None)
        except UnreadableFile as error:
            self.failure, block = error, None
        self._at_end = block is None
        return block or b""

    def forget(self, before: int) -> None:
        """Let go of the bytes before a place."""
        self._kept = before

    def between(self, begin: int, end: int) -> bytes:
        """Return the bytes between two places, as far as they are there."""
        return self._data[begin - self._begin : max(end, begin) - self._begin]

    def match(self, pattern: re.Pattern[bytes], at: int) -> int | None:
        """Return the end of a match at a place."""
        found = pattern.match(self._data, at - self._begin)
        return found.end() + self._begin if found else None

    def search(self, pattern: re.Pattern[bytes], begin: int, end: int) -> tuple[int, int] | None:
        """Return begin and end of the first match between two places."""
        found = pattern.search(self._data, begin - self._begin, end - self._begin)
        return (found.start() + self._begin, found.end() + self._begin) if found else None

    def next_start(self, begin: int, end: int) -> int | None:
        """Return the first place from `begin` on and before `end` where a record seems to begin."""
        at = begin - self._begin
        while (at := self._data.find(_MAGIC, at, end - self._begin + len(_MAGIC))) >= 0:
            if at >= end - self._begin:
                return None
            if _START.match(self._data, at):
                return at + self._begin
            at += 1
        return None


class _Reach(NamedTuple):
    """How far a record reaches.

    Attributes
    ----------
    end : its end as its header says; None where that is wrong or not said
    searched : no other record begins before
    is_dropped : whether it holds no document
    """

    end: int | None
    searched: int
    is_dropped: bool = False


def cut(window: Window, *, limit: int) -> Iterator[Piece]:
    """Yield the records of a file, and what stands between them, in order.

    Well-formed records of other types than `DOCUMENT_TYPES` are left out. What is larger than `limit` bytes comes in
    parts of that size, so that memory is bounded by it.

    Raises
    ------
    UnreadableFile
        If the file is damaged, when everything that is whole before the damage has been yielded.
    """
    at = 0
    while (begin := _without_blank(window, at)) is not None:
        at = yield from _pieces(window, begin, _reach(window, begin, limit), limit)
    if window.failure is not None:
        raise window.failure


def _without_blank(window: Window, at: int) -> int | None:
    """Return the next place where no line break stands; None at the end of the file."""
    while True:
        window.forget(at)
        if not window.has(at + 1):
            return None
        found = window.search(_NO_NEWLINE, at, window.end)
        if found is not None:
            window.forget(found[0])
            return found[0]
        at = window.end


def _reach(window: Window, begin: int, limit: int) -> _Reach:
    """Return how far the record that begins at a place reaches."""
    window.has(begin + _START_BYTES)
    header = _header_end(window, begin) if window.between(begin, begin + len(_MAGIC)) == _MAGIC else None
    # A header that was cut off ends in that of the next record.
    if header is None or window.next_start(begin + 1, header) is not None:
        return _Reach(None, begin + 1)
    fields = header_fields(window.between(begin, header))
    length = content_length(fields)
    kind = fields.get("warc-type", "").lower()
    is_dropped = bool(kind) and kind not in DOCUMENT_TYPES
    if length is None:
        return _Reach(None, header)
    if header + length - begin > limit:
        return _Reach(header + length, header - 1, is_dropped)  # an empty block too is searched for its end
    if not _ends_at(window, header, header + length):
        return _Reach(None, header)
    return _Reach(header + length, header + length, is_dropped)


def _header_end(window: Window, begin: int) -> int | None:
    n_bytes = _HEADER_STEP
    while True:
        is_there = window.has(begin + n_bytes)
        stop = min(begin + MAX_HEADER_BYTES, window.end)
        found = window.search(_BLANK_LINE, begin, stop)
        if found is not None:
            return found[1]
        if not is_there or n_bytes >= MAX_HEADER_BYTES or window.next_start(begin + 1, stop) is not None:
            return None
        n_bytes *= 2


def _ends_at(window: Window, begin: int, end: int) -> bool:
    """Return whether the block of a record between two places does end there."""
    if not window.has(end):
        return False
    window.has(end + _TRAILER_BYTES)
    behind = window.match(_BLANK_LINE, end)
    if behind is not None and window.next_start(begin, end) is None:
        return True
    # Without a blank line, or where the block seems to hold another record, only what is sure to stand behind counts.
    window.has(end + _BREAKS_BYTES + _START_BYTES)
    at = window.match(_LINE_BREAKS, end)
    return at is None or at == window.end or window.match(_START, at) is not None


def _pieces(window: Window, begin: int, reach: _Reach, limit: int) -> Generator[Piece, None, int]:
    """Yield a record, in parts where it is too large, and return where it ends."""
    if reach.searched == reach.end:  # it is there as a whole
        if not reach.is_dropped:
            yield Piece(begin, window.between(begin, reach.end))
        return reach.end
    first, n_parts, searched = begin, 0, reach.searched
    while True:
        window.forget(begin)
        is_there = window.has(begin + limit + _START_BYTES)
        stop = window.end if reach.end is None else min(reach.end, window.end)
        end = window.next_start(searched, stop) if searched < stop else None
        if end is None and (stop == reach.end or not is_there):
            end = stop
            if stop != reach.end and window.failure is not None and not n_parts:  # cut off by the damage
                return window.end
        is_last = end is not None and end - begin <= limit
        raw = window.between(begin, end if is_last and end is not None else begin + limit)
        if not reach.is_dropped:
            yield Piece(first, raw, None if is_last and not n_parts else n_parts)
        begin, n_parts = begin + len(raw), n_parts + 1
        if is_last:
            return begin
        searched = max(searched, window.end - _START_BYTES if end is None else end)
