"""Texts of Project Gutenberg: header, licence and credits are cut off, author, title and year are read."""

from __future__ import annotations

import codecs
import re
from typing import Any

from provenance.ingest.readers import base
from provenance.ingest.readers.gutenberg_header import read_header
from provenance.ingest.readers.streams import plain_name
from provenance.ingest.readers.whole import Unusable, WholeFileReader, decoded, document_name

_LIKE_TEXT = (".txt", ".text")
_PROJECT = b"project gutenberg"

# Every generation of their files has its own marks; the last one before the end is where the text begins.
# Repetitions are bounded, so that no line of a million spaces takes a million times a million steps.
_START = re.compile(
    r"^[ \t]{0,80}\*{3}[ \t]{0,9}START OF TH(?:E|IS) PROJECT GUTENBERG"
    r"(?:[^*\r\n]*(?:\r?\n[^*\r\n]+){0,3}\*{3}[* \t\r]{0,80}$|[^\n]*$)"
    r"|^[ \t]{0,80}\*END[ \t]?\*?[ \t]?THE SMALL PRINT![^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
_NEW_START = re.compile(
    r"^[ \t]{0,80}\*{3}[ \t]{0,9}START OF TH(?:E|IS) PROJECT GUTENBERG", re.IGNORECASE | re.MULTILINE
)
_END = re.compile(
    r"^[*\[( \t]{0,80}(?:(?:THE )?END OF (?:THE |THIS )?PROJECT GUTENBERG\b"
    r"|START:? (?:OF )?(?:THE )?FULL (?:PROJECT GUTENBERG )?LICENSE"
    r"|THE FULL PROJECT GUTENBERG LICENSE"
    r"|UPDATED EDITIONS WILL REPLACE THE PREVIOUS ONE)",
    re.IGNORECASE | re.MULTILINE,
)
#: Words of their licence: a text that still holds them was not cut rightly.
_LICENCE_WORDS = re.compile(
    r"THE SMALL PRINT!|Literary Archive Foundation|Project Gutenberg(?:-tm|™|\(TM\))? Licen[sc]e", re.IGNORECASE
)
#: Paragraphs at the beginning of the text that say who made the file.
_CREDITS = re.compile(
    r"(?:(?:Produced|Prepared|Scanned|Transcribed|Typed|Digitized|Proofed|Created) (?:by|from)\b"
    r"|(?:This )?(?:E-?text|E-?book|HTML version|Project Gutenberg E-?(?:text|book)) (?:was |is )?"
    r"(?:produced|prepared|scanned|transcribed|typed|created|provided) (?:by|from)\b"
    r"|Note: (?:Project Gutenberg|Images of the original))",
    re.IGNORECASE,
)
_BLANK_LINES = re.compile(r"(?:[ \t]*\r?\n)+")
_PARAGRAPH_END = re.compile(r"\r?\n[ \t]*\r?\n|\Z")
_COPYRIGHTED = re.compile(r"COPYRIGHTED Project Gutenberg|FOR COPYRIGHT PROTECTED ETEXTS", re.IGNORECASE)
_CHARSET = re.compile(rb"^Character set encoding:[ \t]*([^\r\n]{1,80})", re.IGNORECASE | re.MULTILINE)
_HEADER_BYTES = 1 << 16
#: Beginnings of names of codecs that a file may declare; not those that do more than to map bytes to characters.
_CODECS = ("ascii", "iso8859", "cp", "mac-", "koi8", "big5", "gb", "shift_jis", "euc")


class GutenbergReader(WholeFileReader):
    """Reads plain text of Project Gutenberg: each file is one document.

    The number of the ebook is the id, and the year of the original publication the date where the header states one;
    the date of release is kept as metadata, because it says nothing about when the text was written. Nothing of
    header, licence and credits remains in the text: a file in which the marks that part them are missing is refused.
    """

    name = "gutenberg"
    formats = ("Project Gutenberg (.txt)",)

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether a text file names the project at its beginning."""
        return plain_name(name).endswith(_LIKE_TEXT) and _PROJECT in head.lower()

    def record(self, name: str, raw: bytes) -> dict[str, Any]:
        """Return the text without what the project added, and what the header says of it."""
        text = _text_of(raw)
        begin, end = _limits(text)
        header = text[:begin]
        body, credits = _without_credits(text[begin:end])
        if not body:
            raise Unusable(base.BAD_RECORD, "nothing stands between the marks")
        if _LICENCE_WORDS.search(body):
            raise Unusable(base.BAD_RECORD, "words of the licence stand inside the text")
        known = read_header(header.replace("\r\n", "\n"))
        metadata = known.metadata
        if credits:
            metadata.setdefault("credits", credits)
        if end == len(text):
            metadata["note"] = "no mark at the end of the text"
        path = document_name(name)
        if path is not None:
            metadata["path"] = path
        record: dict[str, Any] = {
            "text": body, "id": known.number or path, "title": known.title, "author": known.author,
            "date": known.year, "uri": known.number and f"https://www.gutenberg.org/ebooks/{known.number}",
            "licence": "LicenseRef-ProjectGutenberg-Copyrighted" if _COPYRIGHTED.search(header) else None,
            "metadata": metadata,
        }  # fmt: skip
        return {field: value for field, value in record.items() if value}


def _text_of(raw: bytes) -> str:
    """Return the bytes as text: UTF-8, or else what the file itself declares."""
    try:
        return decoded(raw)
    except Unusable as error:
        declared = _CHARSET.search(raw, 0, _HEADER_BYTES)
        if declared is None:
            raise
        words = declared[1].decode("ascii", "replace").strip()
        codec = _codec(words)
        try:
            if codec:
                return raw.decode(codec)
        except UnicodeDecodeError:
            pass
        raise Unusable(error.reason, f"{error.detail}, and the file declares {words!r}") from error


def _codec(words: str) -> str | None:
    """Return the codec that a declaration such as "ISO-8859-1" or "ISO Latin-1" means."""
    for word in re.findall(r"[\w.-]+", words):
        try:
            name = codecs.lookup(word).name
        except LookupError:
            continue
        if name.startswith(_CODECS):
            return name
    return None


def _limits(text: str) -> tuple[int, int]:
    """Return where the text of the book begins and ends."""
    starts = list(_START.finditer(text))
    if not starts:
        raise Unusable(base.BAD_RECORD, "no line `*** START OF THE PROJECT GUTENBERG EBOOK` or the like")
    first = _NEW_START.search(text)
    # Old files may carry the small print, with its own mark, behind the text: it is no start then.
    end = _END.search(text, first.start() if first else starts[0].end())
    n_end = end.start() if end else len(text)
    if first and _NEW_START.search(text, n_end):
        raise Unusable(base.BAD_RECORD, "more than one text of Project Gutenberg, expected one a file")
    return max(start.end() for start in starts if start.start() < n_end), n_end


def _without_credits(body: str) -> tuple[str, str | None]:
    """Return the text without blank lines around it and without the paragraphs that say who made the file."""
    said = []
    begin = 0
    while True:
        blank = _BLANK_LINES.match(body, begin)
        begin = blank.end() if blank else begin
        if not _CREDITS.match(body, begin):
            break
        found = _PARAGRAPH_END.search(body, begin)
        assert found is not None  # the end of the text is one
        said.append(" ".join(body[begin : found.start()].split()))
        begin = found.end()
    return body[begin:].rstrip(), " ".join(said) or None
