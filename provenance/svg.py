"""Elements of SVG as text: names of any characters stay well-formed, and keep to the room that there is for them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from html import escape

#: What XML 1.0 lacks even as a reference; whoever reads a picture would stop there.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACES = re.compile(r"\s")


def tag(name: str, *inside: str, **attributes: object) -> str:
    """Return an element; `inside` is SVG, `font_size=9` becomes `font-size="9"`, `class_="a"` becomes `class="a"`.

    Examples
    --------
    >>> tag("line", x1=0.5, x2=1 / 3, stroke_width=2)
    '<line x1="0.5" x2="0.33" stroke-width="2"/>'
    """
    begin = name + "".join(
        f' {key.rstrip("_").replace("_", "-")}="{words(_number(value))}"' for key, value in attributes.items()
    )
    return f"<{begin}>{''.join(inside)}</{name}>" if inside else f"<{begin}/>"


def text(x: float, y: float, said: str, **attributes: object) -> str:
    """Return text that begins at a place, or stands around or ends at it with `text_anchor="middle"` or `"end"`."""
    return tag("text", words(_SPACES.sub(" ", said)), x=x, y=y, **attributes)


def title(said: str) -> str:
    """Return what is shown when the pointer rests on the element that it stands in."""
    return tag("title", words(said))


def page(width: float, height: float, parts: Iterable[str], **attributes: object) -> str:
    """Return a picture of a size, an element a line."""
    size = {"viewBox": f"0 0 {width:.0f} {height:.0f}", "width": f"{width:.0f}", "height": f"{height:.0f}"}
    inside = "".join(f"\n{part}" for part in parts) + "\n"
    return tag("svg", inside, xmlns="http://www.w3.org/2000/svg", **size, **attributes) + "\n"


def words(said: str) -> str:
    """Return text as it stands between elements and in attributes, with a sign for characters that XML lacks.

    Examples
    --------
    >>> words("a < b")
    'a &lt; b'
    """
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", said))


def columns(said: str) -> int:
    """Return the width of text in letters; those of East Asia and pictures take two, marks none.

    Examples
    --------
    >>> columns("abc"), columns("文書")
    (3, 4)
    """
    return sum(_width(one) for one in said)


def cut(said: str, most: int) -> str:
    """Return text that is at most so many letters wide, with its end after the gap: names differ there.

    Examples
    --------
    >>> cut("loop.quota.s1.g12", 12)
    'loop.q…1.g12'
    """
    if columns(said) <= most:
        return said
    n_end = (most - 1) // 2
    begin, end = _fitting(said, most - 1 - n_end), _fitting(said[::-1], n_end)[::-1]
    return f"{begin}…{end}"


def _fitting(said: str, most: int) -> str:
    """Return the first characters that are together at most so many letters wide."""
    taken = 0
    for i, one in enumerate(said):
        taken += _width(one)
        if taken > most:
            return said[:i]
    return said


def _width(one: str) -> int:
    if unicodedata.category(one) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1


def _number(value: object) -> str:
    return f"{round(value, 2):.15g}" if isinstance(value, float) else str(value)
