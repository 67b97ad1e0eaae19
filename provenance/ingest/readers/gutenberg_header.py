"""What the header of a text of Project Gutenberg says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: Name of a field in the header, in small letters -> name in the metadata. Several people stand on lines of their own.
_PEOPLE = {
    "editor": "editor",
    "translator": "translator",
    "illustrator": "illustrator",
    "contributor": "contributor",
    "commentator": "commentator",
    "compiler": "compiler",
}
_OTHERS = {
    "language": "language",
    "subtitle": "subtitle",
    "edition": "edition",
    "credits": "credits",
    "produced by": "credits",
    "release date": "released",
    "posting date": "posted",
    "most recently updated": "updated",
    "last updated": "updated",
    "original publication": "original_publication",
    "character set encoding": "encoding",
}
_KNOWN = {"title", "author", *_PEOPLE, *_OTHERS}

_FIELD = re.compile(r"[ \t]*([A-Za-z][A-Za-z ]{2,24}?)[ \t]*:(?:[ \t]+(.*)|$)")
_NUMBER = re.compile(r"\[?\b(?:ebook|etext)[ \t]*#[ \t]*(\d{1,7})\]?", re.IGNORECASE)
_YEAR = re.compile(r"(?<!\d)(1[4-9]\d\d|20\d\d)(?!\d)")
#: The first line of files without fields: `The Project Gutenberg Etext of TITLE, by AUTHOR`, on two lines if long.
_NAMED = r"PROJECT GUTENBERG(?:'S (?:E-?(?:BOOK|TEXT) OF )?| E-?(?:BOOK|TEXT),? OF )"
_FIRST_LINES = (
    re.compile(
        _NAMED + r"(?P<title>\S[^\n]*?(?:\n(?![#*(\s])[^\n]*?)?),?\s+by\s+(?P<author>[^\n]+?)[ \t*]*(?:\n|\Z)",
        re.IGNORECASE,
    ),
    re.compile(_NAMED + r"(?P<title>\S[^\n]*)(?P<author>)", re.IGNORECASE),
)
_FIRST_LINE_CHARACTERS = 1000


@dataclass
class Header:
    """What a header says; None for what it does not.

    Attributes
    ----------
    number : of the ebook
    year : of the original publication, where exactly one is named
    metadata : everything else: language, translator, credits, date of release, …
    """

    number: str | None = None
    title: str | None = None
    author: str | None = None
    year: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def read_header(text: str) -> Header:
    """Return what the text above a book says of it; line ends are newlines."""
    fields = _fields(text)
    found = Header(title=_joined(fields, "title", " "), author=_joined(fields, "author", "; "))
    number = _NUMBER.search(text)
    if number:
        found.number = number[1]
        found.metadata["ebook"] = number[1]
    for names, separator in ((_PEOPLE, "; "), (_OTHERS, " ")):
        for name, key in names.items():
            value = _joined(fields, name, separator)
            if value:
                found.metadata.setdefault(key, value)
    if "released" in found.metadata:
        found.metadata["released"] = _NUMBER.sub("", found.metadata["released"]).strip(" ,")
    years = set(_YEAR.findall(found.metadata.get("original_publication", "")))
    if len(years) == 1:
        found.year = years.pop()
    if found.title is None:
        _read_first_line(text, found)
    return found


def _fields(text: str) -> dict[str, list[str]]:
    """Return the lines of every field; a field goes on over the indented lines below it."""
    fields: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in text.splitlines():
        found = _FIELD.fullmatch(line)
        name = found[1].lower() if found else ""
        if found and name in _KNOWN:
            # Only the first field of a name counts: in the small print and in contents it may stand again.
            lines = [] if name in fields else fields.setdefault(name, [])
            lines.append((found[2] or "").strip())
        elif not line.strip() or not line[0].isspace():
            lines = None
        elif lines is not None:
            lines.append(line.strip())
    return fields


def _joined(fields: dict[str, list[str]], name: str, separator: str) -> str | None:
    return separator.join(filter(None, fields.get(name, []))) or None


def _read_first_line(text: str, found: Header) -> None:
    matches = (pattern.search(text, 0, _FIRST_LINE_CHARACTERS) for pattern in _FIRST_LINES)
    first = next(filter(None, matches), None)
    if first is None:
        return
    found.title = " ".join(first["title"].split()).strip(" ,*") or None
    if found.author is None:
        found.author = first["author"].strip(" ,.*") or None
