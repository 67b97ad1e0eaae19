"""Blocks of CSV cut at the ends of rows, in bounded memory; what a wrong quote costs is decided here.

A row with a wrong quote, or one that is still open at the size limit or at the end of the file, is

- one line, if nearly all lines behind its first one are rows of the right number of fields (at the size limit, of at
  least 20 lines): then a quote was opened there by mistake, and reading goes on with the second line;
- else everything up to the end of the line where the quote is wrong;
- else, where the limit comes first, everything up to the end of the row, in parts. After `MOST_LIMITS` times the limit
  without an end reading goes on with the next line.

No line is looked at more than twice, and nothing depends on how the bytes are cut into blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from provenance.ingest.readers import base
from provenance.ingest.readers.base import Refused
from provenance.ingest.readers.rows import UNCLOSED, Rows, RowSyntax, end_of_row, overlong_parts

#: How often the size limit a row may reach before the rest of the file is no longer taken for a part of it.
MOST_LIMITS = 8
#: From so few lines nothing is concluded where a large cell, too, would explain what is seen.
_EVIDENCE_LINES = 20


class _Bad(NamedTuple):
    """A row that is refused.

    Attributes
    ----------
    end : end of its bytes; None where the size limit comes before it
    why : what is wrong; None for nothing but the size
    at : where a quote is wrong, or the beginning
    """

    end: int | None
    why: str | None
    at: int


@dataclass
class _Overlong:
    """A row above the size limit that is given away in parts while it is read.

    Attributes
    ----------
    line : number of its first line
    is_quoted : whether the next byte stands inside quotes; None where quotes no longer count
    n_bytes, n_parts : how much was read of it and given away
    rest, n_rest : what was read and not given away
    """

    line: int
    is_quoted: bool | None = False
    n_bytes: int = 0
    n_parts: int = 0
    rest: list[bytes] = field(default_factory=list)
    n_rest: int = 0

    def take(self, piece: bytes) -> None:
        """Add bytes."""
        self.rest.append(piece)
        self.n_rest += len(piece)
        self.n_bytes += len(piece)

    def parts(self, limit: int, *, is_whole: bool) -> Iterator[Refused]:
        """Yield the whole parts, and what is left when the row has ended."""
        if self.n_rest <= limit and not is_whole:
            return
        rest = b"".join(self.rest)
        cut = len(rest) if is_whole else (len(rest) - 1) // limit * limit  # something is left for the last part
        for part in overlong_parts(rest[:cut], f"line {self.line}", limit, "row", first=self.n_parts):
            yield part
            self.n_parts += 1
        self.rest, self.n_rest = [rest[cut:]], len(rest) - cut


class RowCutter:
    """Cuts blocks of bytes at the ends of rows and keeps the unfinished row, about `limit` bytes at most.

    Parameters
    ----------
    limit : longer rows are given away in parts, bytes
    begin : the first bytes
    line : number of the line at which they begin
    """

    def __init__(self, syntax: RowSyntax, *, limit: int, begin: bytes = b"", line: int = 1) -> None:
        self._syntax = syntax
        self._limit = limit
        self._line = line
        self._waiting = [begin]
        self._n_waiting = len(begin)
        self._n_wanted = 0
        self._overlong: _Overlong | None = None

    def feed(self, block: bytes) -> list[Rows | Refused]:
        """Return the rows that are known to end with this block, or none yet."""
        self._waiting.append(block)
        self._n_waiting += len(block)
        return self.cut(at_end=False) if self._n_waiting >= self._n_wanted else []

    def cut(self, *, at_end: bool) -> list[Rows | Refused]:
        """Return the rows that end in what was fed; at the end of the file the last one ends too."""
        data = b"".join(self._waiting)
        pieces: list[Rows | Refused] = []
        begin = at = 0  # where rows begin that were not given away, and those that were not looked at
        while at < len(data):
            if self._overlong is not None:
                begin = at = self._swallow(self._overlong, data, at, pieces)
                continue
            quote = data.find(b'"', at)
            # Whole lines before a quote are rows.
            start = data.rfind(b"\n", at, None if quote < 0 else quote) + 1 or at
            at = start
            if start == len(data):
                break
            end = self._row_end(data, start, at_end=at_end)
            if end is None:
                break
            if isinstance(end, int):
                at = end
                continue
            self._give(pieces, data[begin:start])
            begin = at = self._refuse(pieces, data, start, end)
        self._give(pieces, data[begin:at])
        if at_end and self._overlong is not None:
            pieces.extend(self._overlong.parts(self._limit, is_whole=True))
        self._keep(data[at:])
        return pieces

    def _keep(self, rest: bytes) -> None:
        self._waiting, self._n_waiting = [rest], len(rest)
        # An unfinished row is looked at again when there is twice as much of it, so that no byte is looked at often.
        self._n_wanted = min(2 * len(rest), self._limit + 1)

    def _give(self, pieces: list[Rows | Refused], text: bytes) -> None:
        if text:
            pieces.append(Rows(self._line, text))
            self._line += text.count(b"\n")

    def _row_end(self, data: bytes, start: int, *, at_end: bool) -> int | _Bad | None:
        """Return where the row behind the one at `start` begins, or what is wrong; None if the row goes on."""
        stop = start + self._limit + 1
        is_full = len(data) >= stop
        end = min(len(data), stop)
        at, fault = self._syntax.scan(data, start, end)
        if fault is None and at < end:
            return at + 1
        if fault is None or fault == UNCLOSED:  # the row goes on
            if not is_full and not at_end:
                return None
            if fault is None:
                return _Bad(None, None, start) if is_full else end
            # Line breaks at the end of the file belong to no row.
            last = data.rfind(b"\n", start, end) if is_full else len(data.rstrip(b"\n"))
            whole = None if is_full else last
        else:
            last = data.find(b"\n", at, end)
            if last < 0 and not is_full and not at_end:
                return None
            whole = last if last >= 0 else None if is_full else end
            last = data.rfind(b"\n", start, end) if whole is None else whole
        second = data.find(b"\n", start, max(last, start)) + 1
        n_least = 1 if whole is not None else _EVIDENCE_LINES
        if second and self._syntax.are_rows(data[second:last], n_least=n_least):
            return _Bad(second - 1, UNCLOSED, start)
        return _Bad(whole, fault, at)

    def _refuse(self, pieces: list[Rows | Refused], data: bytes, start: int, bad: _Bad) -> int:
        """Give a bad row away, or begin to where it is too large, and return where reading goes on."""
        if bad.end is not None:
            raw = data[start : bad.end]
            pieces.append(Refused(f"line {self._line}", base.BAD_ROW, bad.why, raw))
            self._line += raw.count(b"\n") + 1
            return bad.end + 1
        self._overlong = _Overlong(self._line)
        if bad.why is None or bad.why == UNCLOSED:
            return start
        self._overlong.is_quoted = None
        self._overlong.take(data[start : bad.at])
        self._line += data.count(b"\n", start, bad.at)
        return bad.at

    def _swallow(self, row: _Overlong, data: bytes, at: int, pieces: list[Rows | Refused]) -> int:
        """Take the bytes of an overlong row and return where reading goes on."""
        end: int | None
        if row.is_quoted is None:
            end = data.find(b"\n", at)
            end = None if end < 0 else end
        else:
            end, row.is_quoted = end_of_row(data, at, row.is_quoted)
        given_up = data.find(b"\n", at + max(0, MOST_LIMITS * self._limit - row.n_bytes))
        if given_up >= 0 and (end is None or given_up < end):
            end = given_up
        piece = data[at:end]
        row.take(piece)
        pieces.extend(row.parts(self._limit, is_whole=end is not None))
        self._line += piece.count(b"\n")
        if end is None:
            return len(data)
        self._line += 1
        self._overlong = None
        return end + 1
