"""WikiText (WikiText-2, WikiText-103): articles of Wikipedia, one behind the other, each below a heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from provenance.ingest.inputs import STANDARD_INPUT, Input, as_text
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Block, Chunk, ReadOptions, Refused
from provenance.ingest.readers.rows import overlong_parts
from provenance.ingest.readers.streams import plain_name, read_plain

_NAMES = re.compile(r"(?:.*/)?(?:wiki\.[^/]*\.(?:tokens|raw)|[^/]*\.wikitext)")
_LIKE_TEXT = (".txt", ".text")

# ` = Title = ` between blank lines: sections have more signs, formulas and keys of tables no blank lines around them.
# The lengths are bounded so that a few bytes at the end of a block tell whether a heading may begin there.
_BLANK = rb"[ \t\r]{0,8}\n"
_LINE = rb" = (?!= )(?P<title>[^\n]{1,1000}?)(?<! =) = ?\r?"
_MARK = b"\xef\xbb\xbf"
_BEFORE = rb"(?:\n%b|\A\n\n%b(?:%b)?)" % (_BLANK, _MARK, _BLANK)
_HEADING = re.compile(rb"%b(?P<line>%b)\n(?=%b)" % (_BEFORE, _LINE, _BLANK))
_HEADING_AT_END = re.compile(rb"%b(?P<line>%b)(?:\n(?:%b|[ \t\r]{0,8}\Z)|\Z)" % (_BEFORE, _LINE, _BLANK))
_OWN_HEADING = re.compile(rb"%b(?:\n|\Z)" % _LINE)
_HEADING_BYTES = 1100
#: Stands before the first line of a file, which is as good as a blank line before it.
_START = b"\n\n"


class WikiTextReader:
    """Reads WikiText: every article is a record with its title.

    The text is the article as it stands in the file, with its own heading and the headings of its sections, without
    blank lines at its end. The id is the name of the file and the number of the article.
    """

    name = "wikitext"
    formats = ("WikiText (wiki.*.tokens, wiki.*.raw, .wikitext)",)

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether the name is one of WikiText, or that of a text file that begins with such a heading."""
        plain = plain_name(name)
        if _NAMES.fullmatch(plain):
            return True
        found = _HEADING.search(_START + head) if plain.endswith(_LIKE_TEXT) else None
        return found is not None and _is_blank(head[: found.start("line") - len(_START)])

    def blocks(self, file: Input, options: ReadOptions) -> Iterator[Block]:
        """Yield the articles, one a block: which number one has is known here only."""
        cutter = _Cutter(limit=options.max_record_bytes)
        for text in read_plain(file, block_bytes=options.chunk_bytes):
            n_bytes = len(text)
            for article in cutter.feed(text):
                yield Block(file.name, article, n_bytes, file.position())
                n_bytes = 0
            if n_bytes:
                yield Block(file.name, None, n_bytes, file.position(), 0)
        for article in cutter.end():
            yield Block(file.name, article, 0, file.position())

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the article."""
        article: _Article | None = block.payload
        chunk = Chunk(block.file, [], [], [])
        if article is None:
            return chunk
        chunk.context = b"%d %d" % (article.number, article.line)
        if article.part is not None:
            parts = overlong_parts(article.raw, article.place, options.max_record_bytes, "article", first=article.part)
            chunk.refused.extend(parts)
        else:
            _take(article, chunk)
        return chunk

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return the article; the context is its number and line."""
        number, line = map(int, (context or b"1 1").split())
        part = 0 if len(raw) > options.max_record_bytes else None
        return self.parse(Block(file, _Article(number, line, raw, part)), options)


@dataclass(frozen=True)
class _Article:
    """The bytes from one heading to the next.

    Attributes
    ----------
    number : from 1; 0 is what stands before the first heading
    line : number of its first line
    raw : its bytes, or those of a part
    part : number of the part; None for a whole article
    """

    number: int
    line: int
    raw: bytes
    part: int | None = None

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"line {self.line}"


class _Cutter:
    """Cuts blocks of bytes at headings and keeps the unfinished article, about `limit` bytes of it at most."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._number = 0
        self._line = self._next_line = 1
        self._part: int | None = None
        self._data = _START
        self._begin = len(_START)  # of the article in the data
        self._searched = 0  # no heading begins before

    def feed(self, block: bytes) -> Iterator[_Article]:
        """Yield the articles that are known to end with this block, and parts of one that is too large."""
        self._data += block
        yield from self._cut(_HEADING)
        self._searched = max(self._searched, len(self._data) - _HEADING_BYTES)
        while len(self._data) - self._begin > self._limit + _HEADING_BYTES:
            self._part = self._part or 0
            yield self._take(self._begin + self._limit)
            self._part += 1
        if self._begin > len(_START):
            self._data, self._searched, self._begin = self._data[self._begin :], self._searched - self._begin, 0

    def end(self) -> Iterator[_Article]:
        """Yield the last article."""
        yield from self._cut(_HEADING_AT_END)
        yield from self._finish(len(self._data))

    def _cut(self, heading: re.Pattern[bytes]) -> Iterator[_Article]:
        while found := heading.search(self._data, self._searched):
            yield from self._finish(found.start("line"))
            self._number, self._line = self._number + 1, self._next_line

    def _finish(self, end: int) -> Iterator[_Article]:
        """Yield the article, or the last of its parts, that ends at `end`."""
        is_overlong = self._part is not None or end - self._begin > self._limit
        self._part = self._part or 0 if is_overlong else None
        article = self._take(end)
        self._part = None
        if self._number or article.part is not None or not _is_blank(article.raw):
            yield article

    def _take(self, end: int) -> _Article:
        raw = self._data[self._begin : end]
        self._next_line += raw.count(b"\n")
        self._begin, self._searched = end, max(self._searched, end)
        return _Article(self._number, self._line, raw, self._part)


def _is_blank(raw: bytes) -> bool:
    """Return whether the bytes before the first heading are nothing: blank lines, a byte order mark."""
    return not raw.removeprefix(_MARK).strip()


def _take(article: _Article, chunk: Chunk) -> None:
    """Append the record of an article to a chunk, or why there is none."""
    assert chunk.raws is not None
    heading = _OWN_HEADING.match(article.raw) if article.number else None
    try:
        if heading is None:
            reason, detail = base.BAD_RECORD, "no heading ` = Title = ` stands before it"
        elif not article.raw[heading.end() :].strip():
            reason, detail = base.NO_TEXT, "nothing stands below the heading"
        else:
            record = {"text": article.raw.decode("utf-8").rstrip(), "title": heading["title"].decode("utf-8").strip()}
            if chunk.file != STANDARD_INPUT:
                record["id"] = f"{_file_name(chunk.file)}#{article.number}"
            chunk.places.append(article.place)
            chunk.records.append(record)
            chunk.raws.append(article.raw)
            return
    except UnicodeDecodeError as error:
        reason, detail = base.INVALID_UTF8, f"{error.reason} at byte {error.start:,} of the article"
    chunk.refused.append(Refused(article.place, reason, detail, article.raw))


def _file_name(name: str) -> str:
    """Return the last part of the name of an input, without the suffix of a compression."""
    return as_text(name[: len(plain_name(name))].rpartition("/")[2])
