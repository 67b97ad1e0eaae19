"""Plots as SVG that stand in a page by themselves: bars of shares with their names and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance import svg

_WIDTH, _MARGIN, _LINE, _BAR = 760, 20, 26, 30
_NAME_WIDTH, _VALUE_WIDTH = 230, 210
_INK, _FAINT, _GRID, _PAPER = "#1c1d21", "#5d6069", "#dfe1e6", "#ffffff"
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
#: Names and titles that are wider are cut in the picture; the title of the bar has its name whole.
_NAME_LETTERS, _TITLE_LETTERS = 26, 72
#: A part of the whole that is narrower than this many units has no label inside.
_LABEL_WIDTH = 46


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes
    ----------
    name : what it stands for
    share : 0..1
    value : what stands behind it, in words
    colour : of its area
    dark : whether text on it is white
    """

    name: str
    share: float
    value: str
    colour: str
    dark: bool = True


def stacked(title: str, bars: Sequence[Bar]) -> str:
    """Return one bar that is cut into parts, with a key below."""
    width = _WIDTH - 2 * _MARGIN
    top = _MARGIN + 34
    parts, x = [], float(_MARGIN)
    for bar in bars:
        part = bar.share * width
        parts.append(_area(bar, x=x, y=top, width=max(0.0, part - 1.5), height=44))
        if part >= _LABEL_WIDTH:
            ink = "#ffffff" if bar.dark else _INK
            inside = {"text_anchor": "middle", "font_weight": 600}
            parts.append(svg.text(x + part / 2, top + 27, f"{bar.share:.1%}", fill=ink, **inside))
        x += part
    y = top + 44 + 30
    for bar in bars:
        parts.append(svg.tag("rect", x=_MARGIN, y=y - 12, width=14, height=14, rx=3, fill=bar.colour))
        parts.append(svg.text(_MARGIN + 24, y, svg.cut(bar.name, _NAME_LETTERS)))
        parts.append(svg.text(_WIDTH - _MARGIN, y, _value(bar), fill=_FAINT, text_anchor="end"))
        y += _LINE
    return _picture(title, y - _LINE + _MARGIN, parts)


def ranked(title: str, bars: Sequence[Bar]) -> str:
    """Return a bar for each part, one below the other; the longest fills the width."""
    most = max((bar.share for bar in bars), default=1.0) or 1.0
    left = _MARGIN + _NAME_WIDTH
    room = _WIDTH - left - _VALUE_WIDTH - _MARGIN
    parts = []
    y = _MARGIN + 34
    for bar in bars:
        length = max(2.0, bar.share / most * room)
        parts.append(svg.text(left - 12, y + 17, svg.cut(bar.name, _NAME_LETTERS), text_anchor="end"))
        parts.append(_area(bar, x=left, y=y + 3, width=length, height=_BAR - 10))
        parts.append(svg.text(left + length + 10, y + 17, _value(bar), fill=_FAINT))
        y += _BAR
    parts.append(svg.tag("line", x1=left, y1=_MARGIN + 34, x2=left, y2=y, stroke=_GRID))
    return _picture(title, y + _MARGIN - 6, parts)


def _picture(title: str, height: float, parts: Sequence[str]) -> str:
    paper = svg.tag("rect", width="100%", height="100%", rx=8, fill=_PAPER)
    heading = svg.text(_MARGIN, _MARGIN + 12, svg.cut(title, _TITLE_LETTERS), font_weight=600, font_size=16)
    font = {"font_family": _FONT, "font_size": 14, "fill": _INK}
    return svg.page(_WIDTH, height, (paper, heading, *parts), role="img", aria_label=title, **font)


def _area(bar: Bar, **place: float) -> str:
    return svg.tag("rect", svg.title(f"{bar.name}: {_value(bar)}"), **place, rx=3, fill=bar.colour)


def _value(bar: Bar) -> str:
    return f"{bar.share:.2%} · {bar.value}"
