"""Patterns of addresses: `*` stands for anything, `?` for one character, `[ab]` for one of some.

Two ways to write one address are one: percent-encoded or not, composed characters or not, capitals in the scheme and
the host or not. In the rest of an address capitals and small letters differ, as they do on the web.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

_PIECES = re.compile(r"\*|\?|\[!?\]?[^\]]*\]|[^*?\[]+|\[")
#: The scheme and the host of a pattern.
_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_WILD = {"*": ".*", "?": "."}
#: What a wildcard stands for where addresses stand among words.
_WILD_IN_TEXT = {"*": r"[^\s\"'<>]*", "?": r"[^\s\"'<>]"}
#: A pattern that says less in its own characters than this is found in anything.
_LEAST = 8


def plain(text: str) -> str:
    """Return an address as it is compared: see the module."""
    try:
        text = unquote(text, errors="strict")
    except UnicodeDecodeError:
        pass  # as it stands: so does the database with what is no UTF-8
    return unicodedata.normalize("NFC", text)


def regular(pattern: str) -> str:
    """Return the regular expression that a whole address as `plain` gives it has to match."""
    host = _HOST.match(pattern)
    end = host.end() if host else 0
    return f"(?s:(?i:{_translated(pattern[:end], _WILD)}){_translated(pattern[end:], _WILD)})"


def inside(pattern: str) -> re.Pattern[str] | None:
    """Return what finds the addresses of a pattern inside a text, or None where that would be found in anything."""
    if len(words_of(pattern)) < _LEAST:
        return None
    return re.compile(_translated(pattern, _WILD_IN_TEXT), re.IGNORECASE)


def words_of(pattern: str) -> str:
    """Return the longest piece of a pattern that stands for itself."""
    return max((plain(one) for one in _PIECES.findall(pattern) if one[0] not in "*?["), key=len, default="")


def _translated(pattern: str, wild: dict[str, str]) -> str:
    return "".join(_pieces(pattern, wild))


def _pieces(pattern: str, wild: dict[str, str]) -> Iterator[str]:
    for piece in _PIECES.findall(pattern):
        if piece in wild:
            yield wild[piece]
        elif len(piece) > 2 and piece[0] == "[":
            yield _one_of(piece)
        else:
            yield re.escape(plain(piece))


def _one_of(piece: str) -> str:
    negated = piece[1] == "!"
    inner = re.sub(r"([\\\[\]^])", r"\\\1", piece[2 if negated else 1 : -1])
    expression = f"[{'^' if negated else ''}{inner}]"
    try:
        re.compile(expression)
    except re.error:  # such as [z-a]
        return re.escape(piece)
    return expression
