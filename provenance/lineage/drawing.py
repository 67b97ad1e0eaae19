"""A lineage as a picture: by Graphviz where it is installed, otherwise an SVG of our own."""

from __future__ import annotations

import shutil
import subprocess
from html import escape
from pathlib import Path

from provenance.lineage.errors import PictureNotDrawn
from provenance.lineage.graph import Lineage, Node
from provenance.lineage.text import dot, told_of

_LINE, _PAD, _GAP_X, _GAP_Y, _LETTER = 15, 8, 70, 14, 6.7
_STYLE = """
    svg { background: #fff; color: #1f2430; font: 11px ui-sans-serif, system-ui, sans-serif; }
    rect { fill: #f3f5f9; stroke: #8a93a6; } .model rect { fill: #e6eefc; } .set rect { fill: #eaf6ec; }
    .root rect { stroke-width: 2.5; stroke: #2457c5; } text { fill: currentColor; }
    path { fill: none; stroke: #8a93a6; } .how { fill: #697184; font-size: 10px; }
    @media (prefers-color-scheme: dark) {
        svg { background: #14171f; color: #e8eaf0; } rect { fill: #222734; } .model rect { fill: #1d2b47; }
        .set rect { fill: #1c3324; } .how { fill: #a3abbd; }
    }
"""


def draw(found: Lineage, path: Path) -> None:
    """Draw a lineage into a file, earlier things to the left.

    Raises
    ------
    PictureNotDrawn
        If the file's name asks for what only Graphviz draws, and it is not there, or if the file cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("svg", "png", "pdf"):
        raise PictureNotDrawn(path, "expected a name that ends in .svg, .png or .pdf")
    try:
        graphviz = shutil.which("dot")
        if graphviz is not None:
            command = [graphviz, f"-T{kind}"]
            drawn = subprocess.run(command, input=dot(found).encode(), capture_output=True, check=False)  # noqa: S603
            if drawn.returncode:
                raise PictureNotDrawn(path, f"Graphviz failed: {drawn.stderr.decode(errors='replace').strip()[:200]}")
            path.write_bytes(drawn.stdout)
        elif kind != "svg":
            raise PictureNotDrawn(path, "only Graphviz draws that, and there is no program `dot`; .svg needs nothing")
        else:
            path.write_text(svg(found), encoding="utf-8")
    except OSError as error:
        if isinstance(error, PictureNotDrawn):
            raise
        raise PictureNotDrawn(path, error.strerror or str(error)) from error


def svg(found: Lineage) -> str:
    """Return the picture as SVG, for light and dark pages."""
    columns: dict[int, list[Node]] = {}
    for key, column in _columns(found).items():
        columns.setdefault(column, []).append(found.nodes[key])
    places: dict[str, tuple[float, float, float, float]] = {}
    x, height = 20.0, 0.0
    for column in sorted(columns):
        width = max(_width(node) for node in columns[column])
        y = 20.0
        for node in columns[column]:
            tall = _LINE * len(_lines(node)) + 2 * _PAD
            places[node.key] = (x, y, width, tall)
            y += tall + _GAP_Y
        x += width + _GAP_X
        height = max(height, y)
    size = f"{x - _GAP_X + 20:.0f} {height + 6:.0f}"
    width_px, height_px = size.split()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{width_px}" height="{height_px}">',
        f"<style>{_STYLE}</style>",
    ]
    parts += [_arrow(places[edge.earlier], places[edge.later], edge.relation) for edge in found.edges]
    parts += [_box(node, places[node.key], is_root=node.key == found.root) for node in found.nodes.values()]
    return "\n".join([*parts, "</svg>"])


def _columns(found: Lineage) -> dict[str, int]:
    """Return the column of every node: as many steps from the root as the shortest way to it takes."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for edge in found.edges:
        before.setdefault(edge.later, []).append(edge.earlier)
        after.setdefault(edge.earlier, []).append(edge.later)
    column = {found.root: 0}
    for neighbours, step in ((before, -1), (after, 1)):
        frontier = [found.root]
        while frontier:
            reached = []
            for key in frontier:
                for one in neighbours.get(key, ()):
                    if one not in column:
                        column[one] = column[key] + step
                        reached.append(one)
            frontier = reached
    return {key: column.get(key, 0) for key in found.nodes}


def _lines(node: Node) -> list[str]:
    head, _, rest = told_of(node).partition(": ")
    return [head, *(rest.split(", ") if rest else [])] if node.kind != "model" else told_of(node).split(", ")


def _width(node: Node) -> float:
    return max(len(line) for line in _lines(node)) * _LETTER + 2 * _PAD


def _box(node: Node, place: tuple[float, float, float, float], *, is_root: bool) -> str:
    x, y, width, height = place
    lines = "".join(
        f'<text x="{x + _PAD:.1f}" y="{y + _PAD + _LINE * (i + 0.75):.1f}">{escape(line)}</text>'
        for i, line in enumerate(_lines(node))
    )
    kind = f"{node.kind} root" if is_root else node.kind
    frame = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5"/>'
    return f'<g class="{kind}"><title>{escape(node.name)}</title>{frame}{lines}</g>'


def _arrow(start: tuple[float, float, float, float], end: tuple[float, float, float, float], how: str) -> str:
    x1, y1 = start[0] + start[2], start[1] + start[3] / 2
    x2, y2 = end[0], end[1] + end[3] / 2
    bend = (x2 - x1) / 2
    line = f'<path d="M{x1:.1f},{y1:.1f} C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"/>'
    head = f'<path d="M{x2 - 6:.1f},{y2 - 4:.1f} L{x2:.1f},{y2:.1f} L{x2 - 6:.1f},{y2 + 4:.1f}"/>'
    label = f'<text class="how" x="{(x1 + x2) / 2:.1f}" y="{(y1 + y2) / 2 - 4:.1f}" text-anchor="middle">'
    return f"{line}{head}{label}{escape(how)}</text>"
