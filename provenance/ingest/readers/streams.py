"""The bytes of an input without its compression, as far as they can be read."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import zstandard

from provenance.errors import UnreadableFile
from provenance.ingest.inputs import HEAD_BYTES, Input, failure

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    # The level, then a block or the end: a text may begin with the first three letters.
    **{b"BZh%d%b" % (level, begin): "bzip2" for level in range(1, 10) for begin in (b"1AY&SY", b"\x17rE8P\x90")},
}
_SUFFIXES = {".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz"}
#: How much of a compressed input is decompressed at a time. What a damaged piece holds before the damage is not read.
_PIECE_BYTES = 2048
_READ_BYTES = 1 << 18
#: How much text a piece gives at a time; a few bytes of bzip2 can stand for 45 MB. Zstandard gives all that a piece
#: holds, which is at most 128 kB for every four bytes.
_PLAIN_BYTES = 1 << 20
_DAMAGED = (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError, ValueError)


def plain_name(name: str) -> str:
    """Return the name of an input in small letters, without query and without the suffix of a compression."""
    bare = name.lower().partition("?")[0] if "://" in name else name.lower()
    return next((bare.removesuffix(suffix) for suffix in _SUFFIXES if bare.endswith(suffix)), bare)


def _is_named_compressed(name: str) -> bool:
    bare = name.lower().partition("?")[0] if "://" in name else name.lower()
    return bare != plain_name(name)


def _is_cut_off(head: bytes) -> bool:
    """Return whether all of a file is too short for a compressed one, or the beginning of a signature."""
    return len(head) < 4 or any(magic.startswith(head) for magic in _MAGIC)


def compression_of(head: bytes) -> str | None:
    """Return the compression of an input from its first bytes; zstd may begin with a frame that is to be skipped."""
    if head[1:4] == b"\x2a\x4d\x18" and head[:1] and head[0] & 0xF0 == 0x50:
        return "zstd"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def plain_head(head: bytes) -> bytes:
    """Return the first bytes of an input without its compression, as far as `head` reaches."""
    compression = compression_of(head)
    if compression is None:
        return head
    if compression == "zstd":
        with _zstd().stream_reader(head, read_across_frames=True) as reader:
            return _at_most(HEAD_BYTES, reader.read)
    return _at_most(HEAD_BYTES, lambda n: _decompressor(compression).decompress(head, n))


def _at_most(n_bytes: int, read: Callable[[int], bytes]) -> bytes:
    try:
        return read(n_bytes)
    except _DAMAGED:
        return b""


def read_plain(file: Input, *, block_bytes: int) -> Iterator[bytes]:
    """Yield the decompressed bytes of an input in blocks of about `block_bytes`.

    Raises
    ------
    UnreadableFile
        If it cannot be read to its end; everything before the damage has been yielded.
    """
    n_bytes = 0
    compression = None
    with file.open() as stream:
        try:
            head = stream.peek(16)[:16]
            compression = compression_of(head)
            if compression is None and file.name.lower().endswith(".bz2") and head.startswith(b"BZh"):
                compression = "bzip2"  # with a damaged first block
            if compression is None and _is_named_compressed(file.name) and _is_cut_off(head):
                raise UnreadableFile(file.name, f"it has {len(head)} bytes, which is no compressed file")
            # `read1`, because `read` loses what it has gathered when reading fails.
            pieces = _pieces(stream, compression) if compression else iter(lambda: stream.read1(block_bytes), b"")
            for block in _gathered(pieces, block_bytes):
                n_bytes += len(block)
                yield block
        except UnreadableFile:
            raise
        except _Damage as error:
            reason = f"the {compression} stream is damaged or cut off after {n_bytes:,} bytes of text"
            raise UnreadableFile(file.name, reason) from error
        except _DAMAGED as error:
            raise UnreadableFile(file.name, f"reading failed after {n_bytes:,} bytes ({failure(error)})") from error


class _Damage(ValueError):
    """The compressed stream is damaged; raised after everything before it was given away."""


def _gathered(pieces: Iterator[bytes], block_bytes: int) -> Iterator[bytes]:
    """Yield pieces joined to blocks; an error of the pieces comes after the last block before it."""
    waiting: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= block_bytes:
                yield b"".join(waiting)
                waiting, size = [], 0
    except _DAMAGED:
        if size:
            yield b"".join(waiting)
        raise
    if size:
        yield b"".join(waiting)


def _pieces(stream: io.BufferedReader, compression: str) -> Iterator[bytes]:
    """Yield what a compressed stream holds; members that follow each other are one stream."""
    decompressor = _decompressor(compression)
    is_open = False  # whether the present member has begun and not ended
    for piece in _cut(stream):
        while piece:
            if not is_open and compression in ("gzip", "xz"):
                piece = piece.lstrip(b"\0")  # padding before and behind a member is allowed
                if not piece:
                    break
            try:
                yield from _expanded(decompressor, piece, compression)
            except _DAMAGED as error:
                raise _Damage from error
            is_open, piece = not decompressor.eof, b""
            if decompressor.eof:
                piece = decompressor.unused_data
                decompressor = _decompressor(compression)
    if is_open:
        raise _Damage


def _cut(stream: io.BufferedReader) -> Iterator[bytes]:
    while block := stream.read1(_READ_BYTES):
        for begin in range(0, len(block), _PIECE_BYTES):
            yield block[begin : begin + _PIECE_BYTES]


def _expanded(decompressor: Any, piece: bytes, compression: str) -> Iterator[bytes]:
    """Yield what a piece gives, a little at a time."""
    if compression == "zstd":
        block = decompressor.decompress(piece)
        if block:
            yield block
        return
    while piece or (compression != "gzip" and not decompressor.needs_input):
        block = decompressor.decompress(piece, _PLAIN_BYTES)
        if block:
            yield block
        if decompressor.eof:
            return
        piece = decompressor.unconsumed_tail if compression == "gzip" else b""


def _decompressor(compression: str) -> Any:
    if compression == "gzip":
        return zlib.decompressobj(wbits=31)
    if compression == "zstd":
        return _zstd().decompressobj()
    return bz2.BZ2Decompressor() if compression == "bzip2" else lzma.LZMADecompressor()


def _zstd() -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(max_window_size=1 << 31)  # as files need that `zstd --long=31` made
