"""JSON Lines: one object a line, plain or compressed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from provenance.errors import UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Block, Chunk, ReadOptions, Refused, behind
from provenance.ingest.readers.lines import LineCutter, LinesPiece
from provenance.ingest.readers.streams import plain_name, read_plain

_SUFFIXES = (".jsonl", ".ndjson", ".json", ".jsonlines")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_AFTER_BYTES = re.compile(r"after [\d,]+ bytes( of text)?")


class JsonLinesReader:
    """Reads JSON Lines. Blank lines are no records; everything else is a record or refused."""

    name = "jsonl"
    formats = ("JSON Lines (.jsonl, .ndjson, .json)",)

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether the name is one of JSON Lines, or standard input begins like an object."""
        return plain_name(name).endswith(_SUFFIXES) or (name == "-" and head.lstrip().startswith(b"{"))

    def blocks(self, file: Input, options: ReadOptions) -> Iterator[Block]:
        """Yield whole lines."""
        cutter = LineCutter(limit=options.max_record_bytes)
        n_lines = 0
        try:
            for text in read_plain(file, block_bytes=options.chunk_bytes):
                n_new = text.count(b"\n")
                n_lines += n_new
                yield Block(file.name, cutter.feed(text), len(text), file.position(), n_new)
        except UnreadableFile as error:  # people look for lines, not for bytes
            raise UnreadableFile(file.name, _AFTER_BYTES.sub(f"after line {n_lines}", error.reason)) from error
        yield Block(file.name, cutter.end(), 0, file.position())

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the objects of the lines."""
        piece: LinesPiece = block.payload
        chunk = Chunk(block.file, [], [], [])
        for number, line in piece.lines(options.max_record_bytes):
            if isinstance(line, Refused):
                chunk.refused.append(behind(line, chunk))
            else:
                self._parse_line(number, line, chunk)
        return chunk

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return the object of a line."""
        chunk = Chunk(file, [], [], [])
        self._parse_line(1, raw, chunk)
        return chunk

    def _parse_line(self, number: int, line: bytes, chunk: Chunk) -> None:
        assert chunk.raws is not None
        text = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            if text.strip():
                self._refuse(number, _why(text, error), str(error), line, chunk)
            return
        if not isinstance(record, dict):
            self._refuse(number, base.NOT_AN_OBJECT, f"the line is a JSON {_json_kind(record)}", line, chunk)
            return
        chunk.places.append(f"line {number}")
        chunk.records.append(record)
        chunk.raws.append(line)

    @staticmethod
    def _refuse(number: int, reason: str, detail: str, line: bytes, chunk: Chunk) -> None:
        chunk.refused.append(Refused(f"line {number}", reason, detail, line, n_before=len(chunk.records)))


def _why(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return base.INVALID_UTF8
    return base.LONE_SURROGATE if "surrogate" in str(error) else base.BAD_JSON


def _json_kind(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "array", str: "string", bool: "boolean"}.get(type(value), "number")
