"""A lineage as a picture: by Graphviz where it is installed, otherwise an SVG of our own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from provenance.lineage.errors import PictureNotDrawn
from provenance.lineage.graph import Lineage, Node
from provenance.lineage.text import dot, lines_of, visible
from provenance.svg import columns, cut, page, tag, text, title

_LINE, _PAD, _GAP_X, _GAP_Y, _LETTER, _MARGIN = 15, 8, 70, 14, 6.7, 20
#: Letters of a relation that fit between two columns.
_HOW = 12
#: Graphviz needs longer than this only for what nobody can look at: thousands of nodes.
_PATIENCE_S = 120
_STYLE = """
    svg { background: #fff; color: #1f2430; font: 11px ui-sans-serif, system-ui, sans-serif; }
    rect { fill: #f3f5f9; stroke: #8a93a6; } .model rect { fill: #e6eefc; } .set rect { fill: #eaf6ec; }
    .root rect { stroke-width: 2.5; stroke: #2457c5; } text { fill: currentColor; }
    path { fill: none; stroke: #8a93a6; }
    .how { fill: #697184; font-size: 10px; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
    @media (prefers-color-scheme: dark) {
        svg { background: #14171f; color: #e8eaf0; } rect { fill: #222734; } .model rect { fill: #1d2b47; }
        .set rect { fill: #1c3324; } .how { fill: #a3abbd; stroke: #14171f; }
    }
"""


class Place(NamedTuple):
    """Where the box of a node stands: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


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
    graphviz = shutil.which("dot")
    if graphviz is None and kind != "svg":
        raise PictureNotDrawn(path, "only Graphviz draws that, and there is no program `dot`; .svg needs nothing")
    try:
        path.write_bytes(svg(found).encode() if graphviz is None else _drawn(graphviz, found, path, kind))
    except OSError as error:
        if isinstance(error, PictureNotDrawn):
            raise
        raise PictureNotDrawn(path, error.strerror or str(error)) from error


def _drawn(graphviz: str, found: Lineage, path: Path, kind: str) -> bytes:
    """Return the picture as Graphviz draws it."""
    command = [graphviz, f"-T{kind}"]
    try:
        done = subprocess.run(  # noqa: S603
            command, input=dot(found).encode(), capture_output=True, check=False, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        reason = f"Graphviz was not done after {_PATIENCE_S} s; draw fewer nodes with --limit, --up or --down"
        raise PictureNotDrawn(path, reason) from error
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise PictureNotDrawn(path, f"Graphviz failed: {said[:200] or f'exit status {done.returncode}'}")
    return done.stdout


def svg(found: Lineage) -> str:
    """Return the picture as SVG, for light and dark pages."""
    places, width, height = _places(found)
    parts = [
        tag("style", _STYLE),
        *(_arrow(places[edge.earlier], places[edge.later]) for edge in found.edges),
        *(_how(places[edge.earlier], places[edge.later], edge.relation) for edge in found.edges),
        *(_box(node, places[node.key], is_root=node.key == found.root) for node in found.nodes.values()),
    ]
    return page(width, height, parts)


def _places(found: Lineage) -> tuple[dict[str, Place], float, float]:
    """Return the place of every node, and width and height of the whole."""
    in_column: dict[int, list[Node]] = {}
    for key, column in _columns(found).items():
        in_column.setdefault(column, []).append(found.nodes[key])
    places: dict[str, Place] = {}
    x, height = float(_MARGIN), 0.0
    for column in sorted(in_column):
        width = max(_width(node) for node in in_column[column])
        y = float(_MARGIN)
        for node in in_column[column]:
            places[node.key] = Place(x, y, width, _LINE * len(lines_of(node)) + 2 * _PAD)
            y += places[node.key].height + _GAP_Y
        x += width + _GAP_X
        height = max(height, y)
    return places, x - _GAP_X + _MARGIN, height - _GAP_Y + _MARGIN


def _columns(found: Lineage) -> dict[str, int]:
    """Return the column of every node: as many steps from the root as the longest way to it takes."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for edge in found.edges:
        before.setdefault(edge.later, []).append(edge.earlier)
        after.setdefault(edge.earlier, []).append(edge.later)
    column = dict.fromkeys(found.nodes, 0)
    for neighbours, step in ((before, -1), (after, 1)):
        order = _in_order(found.root, neighbours)
        rank = {key: i for i, key in enumerate(order)}
        for key in order:
            for one in neighbours.get(key, ()):
                if rank[one] > rank[key]:  # else it closes a circle
                    column[one] = step * max(abs(column[one]), abs(column[key]) + 1)
    return column


def _in_order(root: str, neighbours: dict[str, list[str]]) -> list[str]:
    """Return what can be reached, everything after all that leads to it, circles apart."""
    finished: list[str] = []
    seen = {root}
    walk = [(root, iter(neighbours.get(root, ())))]
    while walk:
        key, waiting = walk[-1]
        for one in waiting:
            if one not in seen:
                seen.add(one)
                walk.append((one, iter(neighbours.get(one, ()))))
                break
        else:
            finished.append(key)
            walk.pop()
    return finished[::-1]


def _width(node: Node) -> float:
    return max(columns(line) for line in lines_of(node)) * _LETTER + 2 * _PAD


def _box(node: Node, place: Place, *, is_root: bool) -> str:
    x, y, width, height = place
    lines = [text(x + _PAD, y + _PAD + _LINE * (i + 0.75), line) for i, line in enumerate(lines_of(node))]
    frame = tag("rect", x=x, y=y, width=width, height=height, rx=5)
    return tag("g", title(node.name), frame, *lines, class_=f"{node.kind} root" if is_root else node.kind)


def _arrow(start: Place, end: Place) -> str:
    x1, y1, x2, y2 = _ends(start, end)
    bend = max(abs(x2 - x1) / 2, _GAP_X / 2)
    line = f"M{x1:.1f},{y1:.1f} C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
    return tag("path", d=f"{line} M{x2 - 6:.1f},{y2 - 4:.1f} L{x2:.1f},{y2:.1f} L{x2 - 6:.1f},{y2 + 4:.1f}")


def _how(start: Place, end: Place, relation: str) -> str:
    x1, y1, x2, y2 = _ends(start, end)
    return text((x1 + x2) / 2, (y1 + y2) / 2 - 4, cut(visible(relation), _HOW), class_="how", text_anchor="middle")


def _ends(start: Place, end: Place) -> tuple[float, float, float, float]:
    return start.x + start.width, start.y + start.height / 2, end.x, end.y + end.height / 2
