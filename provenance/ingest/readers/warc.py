"""WARC and WET: pages as a crawler fetched them, or the texts that were taken from them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provenance.errors import UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.readers.base import Block, Chunk, ReadOptions, Refused, behind
from provenance.ingest.readers.rows import overlong_parts
from provenance.ingest.readers.streams import plain_name, read_plain
from provenance.ingest.readers.warc_cutter import Piece, Window, cut
from provenance.ingest.readers.warc_payload import Libraries, record_of
from provenance.ingest.readers.whole import Unusable

_SUFFIXES = (".warc", ".wet")
_BEGIN = re.compile(rb"WARC/\d\.\d")
_WHAT = "record"


class WarcReader:
    """Reads WARC files: fetched pages (`response` with HTTP status 200, `resource`) and texts of pages (`conversion`).

    The text of a page of HTML is its main text, that of other text the whole. The id is that of the WARC record,
    without `<urn:uuid:` and `>`. Records of other types (`request`, `metadata`, `revisit`, …) are not counted; pages
    without text, such as images and errors, are refused.
    """

    name = "warc"
    formats = ("WARC and WET (.warc, .wet)",)

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether the name is one of WARC, or the input begins like a record."""
        return plain_name(name).endswith(_SUFFIXES) or _BEGIN.match(head) is not None

    def blocks(self, file: Input, options: ReadOptions) -> Iterator[Block]:
        """Yield consecutive records, about `chunk_bytes` a block.

        Raises
        ------
        UnreadableFile
            If the input is damaged or vanishes; everything readable before the damage has been yielded.
        MissingExtra
            If the library that finds the text of a page is not installed.
        """
        Libraries()  # better now than in another process
        window = Window(read_plain(file, block_bytes=options.chunk_bytes))
        waiting: list[Piece] = []
        n_waiting = n_done = 0
        failure: UnreadableFile | None = None
        try:
            for piece in cut(window, limit=options.max_record_bytes):
                waiting.append(piece)
                n_waiting += len(piece.raw)
                if n_waiting >= options.chunk_bytes:
                    yield _block(file, waiting, window.end - n_done)
                    waiting, n_waiting, n_done = [], 0, window.end
        except UnreadableFile as error:
            failure = error
        yield _block(file, waiting, window.end - n_done)
        if failure is not None:
            raise failure

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the documents of the records."""
        libraries = Libraries()
        chunk = Chunk(block.file, [], [], [])
        pieces: list[Piece] = block.payload
        for piece in pieces:
            if piece.part is None:
                _take(piece, chunk, libraries, options.max_record_bytes)
            else:
                limit = options.max_record_bytes
                for part in overlong_parts(piece.raw, piece.place, limit, _WHAT, first=piece.part):
                    chunk.refused.append(behind(part, chunk))
        return chunk

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return the document of a record."""
        part = 0 if len(raw) > options.max_record_bytes else None
        return self.parse(Block(file, [Piece(0, raw, part)]), options)


def _block(file: Input, pieces: list[Piece], n_bytes: int) -> Block:
    n_records = sum(not piece.part for piece in pieces)
    return Block(file.name, pieces, n_bytes, file.position(), n_records)


def _take(piece: Piece, chunk: Chunk, libraries: Libraries, limit: int) -> None:
    """Append the document of a record to a chunk, or why there is none."""
    assert chunk.raws is not None
    try:
        record = record_of(piece.raw, libraries, limit=limit)
    except Unusable as error:
        chunk.refused.append(behind(Refused(piece.place, error.reason, error.detail, piece.raw), chunk))
        return
    if record is not None:
        chunk.places.append(piece.place)
        chunk.records.append(record)
        chunk.raws.append(piece.raw)
