"""Figures of matplotlib as inline SVG that takes its colours and fonts from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from training.report.palette import FAINT, GRID, Colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Settings for every figure: no background, text as text, the page's own font.
_SETTINGS: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass
class Ink:
    """Gives every colour of the page a stand-in that matplotlib understands and that is replaced in the SVG."""

    colours: dict[str, Colour] = field(default_factory=dict)

    def __call__(self, colour: Colour) -> str:
        """Return the stand-in for a colour."""
        for stand_in, known in self.colours.items():
            if known == colour:
                return stand_in
        stand_in = f"#f0e1{len(self.colours):02x}"
        self.colours[stand_in] = colour
        return stand_in


@contextmanager
def figure(width: float, height: float) -> Iterator[tuple[Figure, Ink]]:
    """Yield an empty figure of a size in inches, and the ink to draw with."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ink = Ink()
    neutral = {"text.color": ink(FAINT), "axes.labelcolor": ink(FAINT), "axes.edgecolor": ink(GRID)}
    ticks = {"xtick.labelcolor": ink(FAINT), "ytick.labelcolor": ink(FAINT), "grid.color": ink(GRID)}
    settings: Any = {**_SETTINGS, **neutral, **ticks}
    with mpl.rc_context(settings):
        yield Figure(figsize=(width, height), layout="constrained"), ink


def inline_svg(drawn: Figure, ink: Ink, *, name: str, label: str) -> str:
    """Return a figure as an SVG element to put into a page.

    Parameters
    ----------
    name : unique in the page; becomes part of every id
    label : what the figure shows, for those who do not see it
    """
    buffer = io.StringIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    view_box = re.search(r'viewBox="([^"]+)"', text)
    if view_box is None:  # pragma: no cover (matplotlib always writes one)
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    body = text[text.index(">") + 1 :]
    return f'<svg viewBox="{view_box[1]}" role="img" aria-label="{escape(label)}">' + _adapted(body, ink, name)


def _adapted(body: str, ink: Ink, name: str) -> str:
    """Return the inside of an SVG with the page's colours and font, and ids that are unique in the page."""
    body = body.replace("xlink:href", "href")
    used = set(re.findall(r'href="#([^"]+)"', body)) | set(re.findall(r"url\(#([^)]+)\)", body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px var(--sans)", body)
    body = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", body)
    for stand_in, colour in ink.colours.items():
        body = re.sub(stand_in, colour.css, body, flags=re.IGNORECASE)
    return re.sub(r"\s*\n\s*", "\n", body)
