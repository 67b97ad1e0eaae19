"""Plots as SVG that stand in a page by themselves: bars of shares with their names and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _MARGIN, _LINE, _BAR = 760, 20, 26, 30
_NAME_WIDTH, _VALUE_WIDTH = 230, 210
_INK, _FAINT, _GRID, _PAPER = "#1c1d21", "#5d6069", "#dfe1e6", "#ffffff"
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
#: Names longer than this many characters are cut in the picture; the title of the bar has them whole.
_NAME_CHARACTERS = 32
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
        parts.append(_area(x, top, max(0.0, part - 1.5), 44, bar))
        if part >= _LABEL_WIDTH:
            ink = "#ffffff" if bar.dark else _INK
            parts.append(_text(x + part / 2, top + 27, f"{bar.share:.1%}", ink, anchor="middle", weight=600))
        x += part
    y = top + 44 + 30
    for bar in bars:
        parts.append(f'<rect x="{_MARGIN}" y="{y - 12}" width="14" height="14" rx="3" fill="{bar.colour}"/>')
        parts.append(_text(_MARGIN + 24, y, _cut(bar.name), _INK))
        parts.append(_text(_WIDTH - _MARGIN, y, f"{bar.share:.2%}  ·  {bar.value}", _FAINT, anchor="end"))
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
        parts.append(_text(left - 12, y + 17, _cut(bar.name), _INK, anchor="end"))
        parts.append(_area(left, y + 3, length, _BAR - 10, bar))
        parts.append(_text(left + length + 10, y + 17, f"{bar.share:.2%}  ·  {bar.value}", _FAINT))
        y += _BAR
    parts.append(f'<line x1="{left}" y1="{_MARGIN + 34}" x2="{left}" y2="{y}" stroke="{_GRID}"/>')
    return _picture(title, y + _MARGIN - 6, parts)


def _picture(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}" '
        f'height="{height:g}" role="img" aria-label="{escape(title)}" font-family="{escape(_FONT)}" font-size="14">\n'
        f'<rect width="100%" height="100%" rx="8" fill="{_PAPER}"/>\n'
        + _text(_MARGIN, _MARGIN + 12, title, _INK, weight=600, size=16)
        + "\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _area(x: float, y: float, width: float, height: float, bar: Bar) -> str:
    title = escape(f"{bar.name}: {bar.share:.2%}, {bar.value}")
    return (
        f'<rect x="{x:.2f}" y="{y:g}" width="{width:.2f}" height="{height:g}" rx="3" fill="{bar.colour}">'
        f"<title>{title}</title></rect>"
    )


def _text(x: float, y: float, text: str, ink: str, *, anchor: str = "start", weight: int = 400, size: int = 14) -> str:
    return (
        f'<text x="{x:.2f}" y="{y:g}" fill="{ink}" text-anchor="{anchor}" font-weight="{weight}" '
        f'font-size="{size}">{escape(text)}</text>'
    )


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else name[: _NAME_CHARACTERS - 1] + "…"
