"""Text files: each is one document."""

from __future__ import annotations

import re
from typing import Any

from provenance.ingest.readers.streams import plain_name
from provenance.ingest.readers.whole import WholeFileReader, decoded, document_name

_MARKDOWN = (".md", ".markdown")
_SUFFIXES = (".txt", ".text", ".rst", *_MARKDOWN)
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n.*?^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
#: What stands in a list, a quotation, a table or a code block is not underlined as a heading.
_NO_PARAGRAPH = ("    ", "\t", ">", "- ", "* ", "+ ", "|")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*")


class TextReader(WholeFileReader):
    """Reads text and Markdown files: the name of the file is the id of its document, line ends stay as they are."""

    name = "text"
    formats = ("text and Markdown (.txt, .md, .rst)",)

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether the name is one of text or Markdown."""
        return plain_name(name).endswith(_SUFFIXES)

    def record(self, name: str, raw: bytes) -> dict[str, Any]:
        """Return the document; the first heading of a Markdown file is its title."""
        text = decoded(raw)
        record: dict[str, Any] = {"text": text}
        path = document_name(name)
        if path is not None:
            record |= {"id": path, "metadata": {"path": path}}
        title = first_heading(text) if plain_name(name).endswith(_MARKDOWN) else None
        if title:
            record["title"] = title
        return record


def first_heading(markdown: str) -> str | None:
    """Return the text of the first heading, `# Title` or underlined; not of one in front matter or in a code block."""
    front = _FRONT_MATTER.match(markdown)
    fence = ""
    before = ""  # the line above, where an underline makes it a heading
    for line in markdown[front.end() if front else 0 :].splitlines():
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence) and not line[found.end() :].strip():
                fence = ""
        elif found:
            fence, before = found[1], ""
        else:
            title = before if _UNDERLINE.fullmatch(line) else _marked_heading(line)
            if title:
                return title
            before = "" if line.startswith(_NO_PARAGRAPH) else line.strip()
    return None


def _marked_heading(line: str) -> str:
    """Return the text of a line `# Title` or `# Title #`, without the signs."""
    text = line.lstrip(" ")
    title = text.lstrip("#")
    if not 1 <= len(text) - len(title) <= 6 or len(line) - len(text) > 3 or not title.startswith((" ", "\t")):
        return ""
    title = title.strip()
    bare = title.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else title
