"""Where the rows of CSV end, and what is wrong with a quote.

A field is quoted when its first character is a quote; inside, a quote is written twice, and line breaks and delimiters
are text. Everywhere else a quote is wrong (RFC 4180), so that the number of quotes before a byte tells whether it is
quoted, and the fragments of a torn row do not pass for rows: the one that holds the closing quote has it in a wrong
place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from provenance.ingest.readers import base
from provenance.ingest.readers.base import Refused

STRAY = "a quote stands inside a field that is not quoted"
UNESCAPED = "text stands behind a closing quote; a quote inside a quoted field is written twice"
UNCLOSED = "a quote is opened and never closed"

_QUOTE = 0x22
_NEWLINE = 0x0A
#: So many fields are matched at a time: every one costs memory until the match ends.
_FIELDS_A_TIME = 1000
#: This share of the lines must be rows for an opening quote before them to be a mistake.
_ROWS_FRAC = (9, 10)


class RowSyntax:
    """Where rows end, for one delimiter (a single byte) and one number of fields."""

    def __init__(self, delimiter: bytes, n_fields: int) -> None:
        parted = re.escape(delimiter)
        one = rb'(?:"[^"]*+(?:""[^"]*+)*+"(?:\r+(?=\n|\Z))?|[^"\n%b]*+)' % parted
        self._delimiter = delimiter
        self._n_fields = n_fields
        self._first = re.compile(rb"%b(?:%b%b){0,%d}" % (one, parted, one, _FIELDS_A_TIME))
        self._more = re.compile(rb"(?:%b%b){1,%d}" % (parted, one, _FIELDS_A_TIME))
        self._whole = re.compile(rb"%b(?:%b%b){%d}\Z" % (one, parted, one, n_fields - 1))

    def scan(self, data: bytes, start: int, end: int) -> tuple[int, str | None]:
        """Return where the row that begins at `start` ends or goes wrong, and what is wrong.

        The row ends at a line break or, as far as it is known, at `end`.
        """
        at = _end_of(self._first, data, start, end)
        while at < end and data[at : at + 1] == self._delimiter:
            at = _end_of(self._more, data, at, end)
        if at == end or data[at] == _NEWLINE:
            return at, None
        if data[at] != _QUOTE:
            return at, UNESCAPED
        is_opening = at == start or data[at - 1 : at] == self._delimiter
        return at, UNCLOSED if is_opening else STRAY

    def are_rows(self, text: bytes, *, n_least: int) -> bool:
        """Return whether nearly all lines are rows of the right number of fields, and there are `n_least` of them.

        The last may have an open quote.

        With a single column every line is a row, which tells nothing: then this is false too.
        """
        lines = text.split(b"\n")
        if self._n_fields == 1 or len(lines) < n_least:
            return False
        n_rows = sum(self._whole.match(line) is not None for line in lines)
        if self.scan(lines[-1], 0, len(lines[-1]))[1] == UNCLOSED:
            n_rows += 1
        return n_rows * _ROWS_FRAC[1] >= len(lines) * _ROWS_FRAC[0]


def _end_of(pattern: re.Pattern[bytes], data: bytes, start: int, end: int) -> int:
    found = pattern.match(data, start, end)
    assert found is not None  # a field may be empty
    return found.end()


def end_of_row(data: bytes, at: int, is_quoted: bool) -> tuple[int | None, bool]:
    """Return the place of the first line break outside quotes, None if there is none, and whether the end is quoted."""
    while True:
        quote = data.find(b'"', at)
        if not is_quoted:
            newline = data.find(b"\n", at, None if quote < 0 else quote)
            if newline >= 0:
                return newline, False
        if quote < 0:
            return None, is_quoted
        at, is_quoted = quote + 1, not is_quoted


def is_blank(line: bytes) -> bool:
    """Return whether a line is no row."""
    return not line or line == b"\r"


@dataclass(frozen=True)
class Rows:
    """Consecutive whole lines whose quotes are all in place.

    Attributes
    ----------
    first_line : number of the first line, from 1
    text : the lines, the last one with or without its line break
    """

    first_line: int
    text: bytes

    def rows(self, syntax: RowSyntax) -> Iterator[tuple[int, bytes]]:
        """Yield (number of its first line, row without its line break), blank lines included."""
        at, number, text = 0, self.first_line, self.text
        while at < len(text):
            quote = text.find(b'"', at)
            start = len(text) if quote < 0 else text.rfind(b"\n", at, quote) + 1 or at
            if start > at:
                lines = text[at:start].removesuffix(b"\n").split(b"\n")
                yield from enumerate(lines, start=number)
                number += len(lines)
            if start < len(text):
                end, _ = syntax.scan(text, start, len(text))
                yield number, text[start:end]
                number += 1 + text.count(b"\n", start, end)
                start = end + 1
            at = start


def overlong_parts(raw: bytes, place: str, limit: int, what: str, *, first: int = 0) -> Iterator[Refused]:
    """Yield what is too large in refused parts of `limit` bytes."""
    detail = f"the {what} is longer than {limit:,} bytes"
    for i, cut in enumerate(range(0, len(raw), limit)):
        yield Refused(place, base.TOO_LARGE, detail, raw[cut : cut + limit], first + i)
