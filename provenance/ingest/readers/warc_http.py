"""The body of an HTTP response as it was kept by a crawler, without chunks and compression, in bounded memory."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import zstandard

from provenance.ingest.readers import base
from provenance.ingest.readers.warc_cutter import MAX_HEADER_BYTES, header_end, header_fields
from provenance.ingest.readers.whole import Unusable

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]{0,1000})?\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_MOST_CODINGS = 3
#: Each member copies what is left of the body.
_MOST_MEMBERS = 100
_ZSTD_WINDOW_BYTES = 8 << 20  # what RFC 9659 allows on the web
#: How HTML begins; no compressed body does.
_LIKE_HTML = (b"<", b"\xef\xbb\xbf<")
_CUT_OFF = "the {} body is cut off"


class Response(NamedTuple):
    """An HTTP response: status, header fields by small name, and the body as it stands in the record."""

    status: int
    fields: dict[str, str]
    body: bytes


def parse_response(block: bytes) -> Response:
    """Return the parts of a response.

    Raises
    ------
    Unusable
        If the block has no status line.
    """
    status = _STATUS.match(block)
    if status is None:
        raise Unusable(base.BAD_RECORD, "it begins with no HTTP status line")
    behind = header_end(block)
    header = block[: MAX_HEADER_BYTES if behind is None else behind]
    return Response(int(status[1]), header_fields(header), b"" if behind is None else block[behind:])


def transferred(response: Response, *, is_truncated: bool) -> bytes:
    """Return the body without chunks; a body that has none, whatever the header says, as it is.

    Raises
    ------
    Unusable
        If the body ends within a chunk and is not known to be truncated.
    """
    body = response.body
    if "chunked" not in response.fields.get("transfer-encoding", "").lower() or not _CHUNK_SIZE.match(body):
        return body
    chunks: list[bytes] = []
    at = 0
    while size := _CHUNK_SIZE.match(body, at):
        n_bytes = int(size[1], 16)
        if n_bytes == 0:
            return b"".join(chunks)
        chunks.append(body[size.end() : size.end() + n_bytes])
        line_end = _LINE_END.match(body, size.end() + n_bytes)
        at = len(body) if line_end is None else line_end.end()
    if not is_truncated:
        raise Unusable(base.BAD_RECORD, _CUT_OFF.format("chunked"))
    return b"".join(chunks)


def decompressed(body: bytes, codings: str, *, limit: int, is_truncated: bool) -> bytes:
    """Return a body without its content codings; HTML that is not compressed, whatever the header says, as it is.

    Raises
    ------
    Unusable
        If a coding is not known, the body is damaged, or it expands beyond `limit` bytes.
    """
    names = [name for one in codings.split(",") if (name := one.strip().lower()) not in ("", "identity")]
    if len(names) > _MOST_CODINGS:
        raise Unusable(base.NO_TEXT, f"{len(names)} content encodings")
    for name in reversed(names):
        if body.lstrip().startswith(_LIKE_HTML):
            return body
        body = _expanded(body, name.removeprefix("x-"), limit, is_truncated)
    return body


def _expanded(body: bytes, coding: str, limit: int, is_truncated: bool) -> bytes:
    if not body:
        return body
    pieces: list[bytes] = []
    n_bytes = 0
    try:
        for piece in _opened(body, coding, limit, is_truncated):
            pieces.append(piece)
            n_bytes += len(piece)
            if n_bytes > limit:
                raise Unusable(base.TOO_LARGE, f"the {coding} body is longer than {limit:,} bytes without compression")
    except (zlib.error, zstandard.ZstdError, ValueError, EOFError) as error:
        if not (is_truncated and pieces):
            raise Unusable(base.BAD_RECORD, f"the {coding} body is damaged") from error
    return b"".join(pieces)


def _opened(body: bytes, coding: str, limit: int, is_truncated: bool) -> Iterator[bytes]:
    """Yield what a body holds, in pieces of at most about `limit` bytes."""
    if coding == "gzip":
        yield from _inflated(body, 31, coding, limit, is_truncated)
    elif coding == "deflate":  # with the wrapper of zlib by the standard, without it by some servers
        is_wrapped = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
        yield from _inflated(body, 15 if is_wrapped else -15, coding, limit, is_truncated)
    elif coding == "zstd":
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        with decompressor.stream_reader(body, read_across_frames=True) as reader:
            yield reader.read(limit + 1)
    elif coding == "br":
        yield from _of_brotli(body, limit, is_truncated)
    else:
        raise Unusable(base.NO_TEXT, f"content encoding {coding}")


def _inflated(body: bytes, wbits: int, coding: str, limit: int, is_truncated: bool) -> Iterator[bytes]:
    for _ in range(_MOST_MEMBERS):
        decompressor = zlib.decompressobj(wbits)
        yield decompressor.decompress(body, limit + 1)
        if decompressor.unconsumed_tail:  # more than the limit: the caller has stopped
            return
        if not decompressor.eof and not is_truncated:
            raise Unusable(base.BAD_RECORD, _CUT_OFF.format(coding))
        body = decompressor.unused_data if coding == "gzip" else b""
        if not body.startswith(b"\x1f\x8b"):  # some servers send more
            return
    raise Unusable(base.BAD_RECORD, f"the {coding} body has more than {_MOST_MEMBERS} members")


def _of_brotli(body: bytes, limit: int, is_truncated: bool) -> Iterator[bytes]:
    try:
        import brotli
    except ImportError as error:
        raise Unusable(base.NO_TEXT, "content encoding br") from error
    decompressor: Any = brotli.Decompressor()
    try:
        piece = decompressor.process(body, output_buffer_limit=limit + 1)
        while piece:
            yield piece
            piece = decompressor.process(b"", output_buffer_limit=limit + 1)
    except TypeError as error:  # before version 1.2 nothing bounds the memory
        raise Unusable(base.NO_TEXT, "content encoding br") from error
    except brotli.error as error:
        raise ValueError("damaged") from error
    if not decompressor.is_finished() and not is_truncated:
        raise Unusable(base.BAD_RECORD, _CUT_OFF.format("br"))
