"""CSV and TSV: a header, then one record a row, plain or compressed."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from provenance.errors import FieldMissing, UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Block, Chunk, ReadOptions, Refused, behind
from provenance.ingest.readers.row_cutter import RowCutter
from provenance.ingest.readers.rows import Rows, RowSyntax, end_of_row, is_blank, overlong_parts
from provenance.ingest.readers.streams import plain_name, read_plain

_TABS = (".tsv", ".tab")
#: In the order in which they are taken where the header has as many of one as of another.
_DELIMITERS = b",;\t|"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_MAX_HEADER_BYTES = 1 << 20
_AFTER_BYTES = re.compile(r"after [\d,]+ bytes( of text)?")


class CsvReader:
    """Reads CSV and TSV (RFC 4180) with a header; every row is a record, blank lines are none.

    An empty cell is left out of the record, unless the mapping names its column. What a wrong quote costs is said in
    the module `rows`.
    """

    name = "csv"
    formats = ("CSV (.csv, .tsv, .tab)",)

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether the name is one of CSV or TSV."""
        return plain_name(name).endswith((".csv", *_TABS))

    def blocks(self, file: Input, options: ReadOptions) -> Iterator[Block]:
        """Yield whole rows."""
        begin = _Beginning(file.name, options)
        cutter: RowCutter | None = None
        n_lines = 0
        try:
            for text in read_plain(file, block_bytes=options.chunk_bytes):
                n_new = text.count(b"\n")
                n_lines += n_new
                if cutter is None:
                    cutter = begin.feed(text)
                    pieces = cutter.cut(at_end=False) if cutter else []
                else:
                    pieces = cutter.feed(text)
                yield Block(file.name, _Piece(begin.context, pieces), len(text), file.position(), n_new)
        except UnreadableFile as error:  # people look for lines, not for bytes
            if cutter:
                yield Block(file.name, _Piece(begin.context, cutter.cut(at_end=False)), 0, file.position())
            raise UnreadableFile(file.name, _AFTER_BYTES.sub(f"after line {n_lines}", error.reason)) from error
        cutter = cutter or begin.end()
        yield Block(file.name, _Piece(begin.context, cutter.cut(at_end=True)), 0, file.position())

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the rows as records."""
        piece: _Piece = block.payload
        chunk = Chunk(block.file, [], [], [], context=piece.context)
        if not piece.rows:
            return chunk
        table = _Table(piece.context, options)
        with _fields_up_to(options.max_record_bytes):
            for one in piece.rows:
                if isinstance(one, Refused):
                    chunk.refused.append(behind(one, chunk))
                else:
                    table.take(one, chunk)
        return chunk

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return the record of a row; the context is the delimiter and the header of its file."""
        if not context:
            return Chunk(file, [], [], [], [Refused("line 1", base.BAD_ROW, "the header of its file is lost", raw)])
        cutter = RowCutter(_layout(context).syntax, limit=options.max_record_bytes, begin=raw)
        return self.parse(Block(file, _Piece(context, cutter.cut(at_end=True))), options)


@dataclass(frozen=True)
class _Piece:
    """What is parsed without the rest: the delimiter and the header, then rows."""

    context: bytes
    rows: list[Rows | Refused]


@dataclass(frozen=True)
class _Layout:
    """What a delimiter and a header say of the rows below them."""

    delimiter: str
    names: tuple[str, ...]
    syntax: RowSyntax


@lru_cache(maxsize=64)
def _layout(context: bytes) -> _Layout:
    """Return the layout; raise `ValueError` or `csv.Error` where the header is none."""
    delimiter, header = chr(context[0]), context[1:].decode("utf-8")
    with _fields_up_to(len(context)):
        (names,) = csv.reader((header,), delimiter=delimiter, strict=True)
    syntax = RowSyntax(context[:1], len(names))
    _, fault = syntax.scan(context, 1, len(context))
    if fault is not None:
        raise ValueError(fault)
    return _Layout(delimiter, tuple(names), syntax)


class _Beginning:
    """Finds the header in the first blocks.

    Attributes
    ----------
    context : the delimiter, one byte, and the header; empty as long as it is not known
    """

    def __init__(self, name: str, options: ReadOptions) -> None:
        self.context = b""
        self._name = name
        self._options = options
        self._data = b""

    def feed(self, block: bytes) -> RowCutter | None:
        """Return the cutter for the rows, with everything behind the header, or None as long as that goes on.

        Raises
        ------
        UnreadableFile, FieldMissing
            If the header is none, names a column twice, or lacks one that must be there.
        """
        self._data += block
        return self._cutter(at_end=False)

    def end(self) -> RowCutter:
        """Return the cutter for a file without a line break behind its header."""
        cutter = self._cutter(at_end=True)
        if cutter is None:
            raise UnreadableFile(self._name, "it is empty, expected a header with the names of the columns")
        return cutter

    def _cutter(self, *, at_end: bool) -> RowCutter | None:
        data = self._data
        if data.startswith(_UTF_16):
            raise UnreadableFile(self._name, "it is UTF-16, expected UTF-8")
        at, line = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) else 0, 1
        while True:
            end, is_quoted = end_of_row(data, at, False)
            if end is None and len(data) - at > _MAX_HEADER_BYTES:
                raise UnreadableFile(self._name, f"its header does not end within {_MAX_HEADER_BYTES:,} bytes")
            if end is None and (not at_end or is_blank(data[at:])):
                return None
            header = data[at:end]
            if not is_blank(header):
                break
            at, line = at + len(header) + 1, line + 1
        if is_quoted:
            raise UnreadableFile(self._name, "its header has a quote that is never closed")
        layout = self._understood(header)
        behind_header = at + len(header) + 1
        line += header.count(b"\n") + 1
        limit = self._options.max_record_bytes
        return RowCutter(layout.syntax, limit=limit, begin=data[behind_header:], line=line)

    def _understood(self, header: bytes) -> _Layout:
        if b"\r" in _unquoted(header).rstrip(b"\r"):
            raise UnreadableFile(self._name, "its header holds a carriage return, expected lines ended by LF or CR LF")
        self.context = _delimiter(self._name, self._options, header) + header
        try:
            layout = _layout(self.context)
        except (csv.Error, ValueError) as error:
            raise UnreadableFile(self._name, f"its header cannot be read ({error})") from error
        names = layout.names
        for field in self._options.fields:
            if field not in names:
                raise FieldMissing(self._name, field, names)
        twice = sorted(name for name, n in Counter(names).items() if n > 1)
        if twice:
            raise UnreadableFile(self._name, f"it has two columns named {twice[0]!r}, expected distinct names")
        return layout


def _delimiter(name: str, options: ReadOptions, header: bytes) -> bytes:
    """Return the delimiter: the one that was named, a tab by the name of the file, or the likeliest of the header."""
    named = {"\\t": "\t"}.get(options.delimiter or "", options.delimiter)
    if named is not None:
        if len(named) != 1 or not named.isascii() or named in '"\r\n':
            raise UnreadableFile(name, f"{named!r} cannot part columns, expected an ASCII character but quotes")
        return named.encode()
    if plain_name(name).endswith(_TABS):
        return b"\t"
    return bytes([max(_DELIMITERS, key=_unquoted(header).count)])


def _unquoted(row: bytes) -> bytes:
    return re.sub(rb'"[^"]*"', b"", row)


@contextmanager
def _fields_up_to(n_bytes: int) -> Iterator[None]:
    """Let the csv module read fields of this size; its own limit is 128 kB, for the whole process."""
    before = csv.field_size_limit(n_bytes)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class _Table:
    """Makes records of rows by one header."""

    def __init__(self, context: bytes, options: ReadOptions) -> None:
        layout = _layout(context)
        self._names = layout.names
        self._syntax = layout.syntax
        self._limit = options.max_record_bytes
        self._kept = frozenset(options.fields)
        self._feed = _Feed()
        self._reader = csv.reader(self._feed, delimiter=layout.delimiter, strict=True)

    def take(self, rows: Rows, chunk: Chunk) -> None:
        """Append the records of the rows to a chunk, and what is none to its refused ones."""
        assert chunk.raws is not None
        for number, raw in rows.rows(self._syntax):
            if is_blank(raw):
                continue
            place = f"line {number}"
            if len(raw) > self._limit:
                parts = overlong_parts(raw, place, self._limit, "row")
                chunk.refused.extend(behind(part, chunk) for part in parts)
                continue
            record = self._record(raw)
            if isinstance(record, dict):
                chunk.places.append(place)
                chunk.records.append(record)
                chunk.raws.append(raw)
            else:
                chunk.refused.append(Refused(place, *record, raw, n_before=len(chunk.records)))

    def _record(self, raw: bytes) -> dict[str, Any] | tuple[str, str]:
        """Return the record of a row, or the reason and detail for which there is none."""
        try:
            self._feed.row = raw.decode("utf-8")
            values = next(self._reader)
        except UnicodeDecodeError as error:
            return base.INVALID_UTF8, f"{error.reason} at byte {error.start} of the row"
        except csv.Error as error:
            return base.BAD_ROW, str(error).partition(" - ")[0]
        if len(values) != len(self._names):
            return base.BAD_ROW, f"{len(values):,} fields, expected {len(self._names):,}"
        cells = zip(self._names, values, strict=True)
        if "" not in values:
            return dict(cells)
        return {name: value for name, value in cells if value or name in self._kept}


class _Feed:
    """Hands one row at a time to a reader of the csv module, so that each gives its fields or its own error."""

    row: str | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        row, self.row = self.row, None
        if row is None:
            raise StopIteration
        return row
