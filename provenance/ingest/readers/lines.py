"""Blocks of bytes cut at the ends of lines; a line above the size limit is given away in parts while it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provenance.ingest.readers import base
from provenance.ingest.readers.base import Refused


@dataclass(frozen=True)
class LinesPiece:
    """Consecutive lines.

    Attributes
    ----------
    first_line : number of the first line of `text`, from 1
    text : whole lines, parted by newlines, the last one without its newline; None for no line
    before : refused parts of the overlong line that ends before `text`
    behind : refused parts of the overlong line that begins behind `text`
    """

    first_line: int
    text: bytes | None
    before: tuple[Refused, ...] = ()
    behind: tuple[Refused, ...] = ()

    def lines(self, limit: int) -> Iterator[tuple[int, bytes | Refused]]:
        """Yield (number, line) in order; of a line longer than `limit` bytes its parts, as refused."""
        yield from ((self.first_line - 1, part) for part in self.before)
        number = self.first_line - 1
        for number, line in enumerate([] if self.text is None else self.text.split(b"\n"), start=self.first_line):
            if len(line) <= limit:
                yield number, line
            else:
                yield from ((number, part) for part in _parts(line, number, limit))
        yield from ((number + 1, part) for part in self.behind)


class LineCutter:
    """Cuts blocks of bytes at the ends of lines and keeps the unfinished line, never more than `limit` bytes of it."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._next_line = 1
        self._rest: list[bytes] = []
        self._n_rest = 0
        self._n_parts = 0  # parts given away of the unfinished line

    def feed(self, block: bytes) -> LinesPiece:
        """Return the lines that end in this block."""
        cut = block.rfind(b"\n")
        if cut < 0:
            self._keep(block)
            return LinesPiece(self._next_line, None, (), self._give_away())
        first_end = block.find(b"\n")
        before = self._finish_overlong(block[:first_end]) if self._n_parts else ()
        first = self._next_line + bool(before)
        if before:
            text = block[first_end + 1 : cut] if first_end < cut else None
        else:
            text = b"".join((*self._rest, block[:cut]))
        self._rest, self._n_rest = [], 0
        self._next_line = first + (0 if text is None else text.count(b"\n") + 1)
        self._keep(block[cut + 1 :])
        return LinesPiece(first, text, before, self._give_away())

    def end(self) -> LinesPiece:
        """Return the last line, where it does not end with a newline."""
        if self._n_parts:
            return LinesPiece(self._next_line + 1, None, self._finish_overlong(b""))
        text = b"".join(self._rest)
        return LinesPiece(self._next_line, text or None)

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._rest.append(piece)
            self._n_rest += len(piece)

    def _give_away(self) -> tuple[Refused, ...]:
        """Return the whole parts of an unfinished line that is too long already."""
        if self._n_rest <= self._limit:
            return ()
        line = b"".join(self._rest)
        n_whole = (len(line) - 1) // self._limit  # something is left for the last part
        parts = _parts(line[: n_whole * self._limit], self._next_line, self._limit, first=self._n_parts)
        self._n_parts += n_whole
        self._rest, self._n_rest = [line[n_whole * self._limit :]], len(line) - n_whole * self._limit
        return parts

    def _finish_overlong(self, end: bytes) -> tuple[Refused, ...]:
        parts = _parts(b"".join((*self._rest, end)), self._next_line, self._limit, first=self._n_parts)
        self._n_parts = 0
        return parts


def _parts(line: bytes, number: int, limit: int, *, first: int = 0) -> tuple[Refused, ...]:
    detail = f"the line is longer than {limit:,} bytes"
    cuts = range(0, len(line), limit)
    return tuple(
        Refused(f"line {number}", base.TOO_LARGE, detail, line[cut : cut + limit], first + i)
        for i, cut in enumerate(cuts)
    )
