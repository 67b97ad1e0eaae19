"""JSON Lines: one object a line, plain or compressed with gzip or zstd."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import zstandard

from provenance.errors import UnreadableFile
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Chunk, ReadOptions, Refused

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_COMPRESSED = {".gz", ".gzip", ".zst", ".zstd"}
_PLAIN = {".jsonl", ".ndjson", ".json", ".jsonlines"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: How much of a damaged stream is decompressed at a time: what lies in the damaged piece is not read.
_SALVAGE_BYTES = 1024


class JsonLinesReader:
    """Reads JSON Lines. Blank lines are no records; everything else is a record or refused."""

    formats = ("JSON Lines (.jsonl, .ndjson, .json; plain, .gz, .zst)",)

    def matches(self, path: Path, head: bytes) -> bool:
        """Return whether the name, without the suffix of a compression, is one of JSON Lines."""
        suffixes = [suffix.lower() for suffix in path.suffixes]
        if suffixes and suffixes[-1] in _COMPRESSED:
            suffixes.pop()
        return bool(suffixes) and suffixes[-1] in _PLAIN

    def read(self, path: Path, options: ReadOptions) -> Iterator[Chunk]:
        """Yield the objects of the file."""
        try:
            with path.open("rb") as file:
                yield from self._read_open(file, path, options)
        except UnreadableFile:
            raise
        except OSError as error:
            reason = error.strerror or str(error).splitlines()[0]
            raise UnreadableFile(str(path), f"reading failed ({reason})") from error

    def _read_open(self, file: IO[bytes], path: Path, options: ReadOptions) -> Iterator[Chunk]:
        head = file.read(4)
        file.seek(0)
        compression = _compression(head)
        if compression is None and len(head) < 4 and path.suffix.lower() in _COMPRESSED:
            raise UnreadableFile(str(path), f"it has {len(head)} bytes, which is no compressed file")
        stream: Any = pa.CompressedInputStream(pa.PythonFile(file, "r"), compression) if compression else file
        lines = _Lines(str(path), options)
        n_bytes = 0
        while True:
            try:
                block = stream.read(options.chunk_bytes)
            except OSError as error:
                if compression is None:
                    raise
                for block in _salvage(path, compression, n_bytes):  # a failed read gives nothing of what it had
                    yield lines.feed(block, file.tell())
                reason = f"the {compression} stream is damaged or cut off after line {lines.n_lines}"
                raise UnreadableFile(str(path), reason) from error
            n_bytes += len(block)
            yield lines.feed(block, file.tell())
            if not block:
                return


def _compression(head: bytes) -> str | None:
    """Return the compression of a file from its first bytes; zstd may begin with a frame that is to be skipped."""
    if head[1:] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        return "zstd"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def _salvage(path: Path, compression: str, n_known: int) -> Iterator[bytes]:
    """Yield what a damaged stream holds before the damage, but for the first `n_known` bytes."""
    n_bytes = 0
    with path.open("rb") as file:
        decompressor = _decompressor(compression)
        while piece := file.read(_SALVAGE_BYTES):
            while piece:
                try:
                    block = decompressor.decompress(piece)
                except (zlib.error, zstandard.ZstdError):
                    return
                n_bytes += len(block)
                if n_bytes > n_known and block:
                    yield block[max(0, len(block) - (n_bytes - n_known)) :]
                piece = decompressor.unused_data if decompressor.eof else b""
                if decompressor.eof:
                    decompressor = _decompressor(compression)


def _decompressor(compression: str) -> Any:
    return zlib.decompressobj(wbits=31) if compression == "gzip" else zstandard.ZstdDecompressor().decompressobj()


class _Lines:
    """Cuts blocks into lines, keeps the unfinished one, and parses each line as soon as it is whole.

    A line above the size limit is given away in parts while it is read, so that memory stays bounded.
    """

    def __init__(self, file: str, options: ReadOptions) -> None:
        self.n_lines = 0
        self._file = file
        self._limit = options.max_record_bytes
        self._rest = b""
        self._n_parts = 0  # parts given away of the unfinished line

    def feed(self, block: bytes, position: int) -> Chunk:
        """Return the lines that end in this block; an empty block is the end of the file."""
        raws: list[bytes] = []
        chunk = Chunk(self._file, [], [], raws.__getitem__, n_bytes=len(block), position=position)
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop() if block else b""
        for line in lines:
            self.n_lines += 1
            if self._n_parts or len(line) > self._limit:
                self._refuse_parts(line, chunk)
                self._n_parts = 0
            else:
                self._parse(line, chunk, raws)
        if len(self._rest) > self._limit:
            self._rest = self._refuse_parts(self._rest, chunk, keep_rest=True)
        return chunk

    def _refuse_parts(self, line: bytes, chunk: Chunk, *, keep_rest: bool = False) -> bytes:
        """Refuse an overlong line, or as much of it as there is; return what is left for the next block."""
        place = f"line {self.n_lines + 1 if keep_rest else self.n_lines}"
        detail = f"the line is longer than {self._limit:,} bytes"
        while len(line) > self._limit or (line and not keep_rest):
            part, line = line[: self._limit], line[self._limit :]
            chunk.refused.append(Refused(place, base.TOO_LARGE, detail, part, self._n_parts))
            self._n_parts += 1
        return line

    def _parse(self, line: bytes, chunk: Chunk, raws: list[bytes]) -> None:
        content = line.removeprefix(_BYTE_ORDER_MARK) if self.n_lines == 1 else line
        try:
            record = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            if content.strip():
                chunk.refused.append(Refused(f"line {self.n_lines}", _why(line, error), str(error), line))
            return
        if not isinstance(record, dict):
            detail = f"the line is a JSON {_json_kind(record)}"
            chunk.refused.append(Refused(f"line {self.n_lines}", base.NOT_AN_OBJECT, detail, line))
            return
        chunk.places.append(f"line {self.n_lines}")
        chunk.records.append(record)
        raws.append(line)


def _why(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return base.INVALID_UTF8
    return base.LONE_SURROGATE if "surrogate" in str(error) else base.BAD_JSON


def _json_kind(value: object) -> str:
    if value is None:
        return "null"
    return {list: "array", str: "string", bool: "boolean"}.get(type(value), "number")
