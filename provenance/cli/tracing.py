"""The command that shows what something came from and what came of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import print_json, say

if TYPE_CHECKING:
    from provenance.lineage.graph import Direction


class LineageFormat(StrEnum):
    """How a lineage is printed."""

    tree = "tree"
    dot = "dot"
    json = "json"


class LineageKind(StrEnum):
    """What a name can be of."""

    document = "document"
    model = "model"
    set = "set"


@app.command()
def lineage(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(help="Id of a document (or its first 8 digits), model or training set.")],
    up: Annotated[bool, typer.Option("--up", help="Only what it came from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what came of it.")] = False,
    kind: Annotated[LineageKind | None, typer.Option("--kind", help="What it is, where several share a name.")] = None,
    form: Annotated[
        LineageFormat | None, typer.Option("--format", help="tree unless it is drawn; dot is for Graphviz.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Draw it into this file: .svg, or with Graphviz .png or .pdf.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most nodes in each direction.")] = 200,
    as_json: Json = False,
) -> None:
    """Show what a document, model or training set came from, and what came of it."""
    from provenance.lineage.drawing import draw
    from provenance.lineage.graph import lineage as walked
    from provenance.lineage.text import dot, tree

    directions: list[Direction] = []
    directions += ["up"] if up or not down else []
    directions += ["down"] if down or not up else []
    named: Any = None if kind is None else kind.value
    with shared(context).open() as store:
        found = walked(store, subject, kind=named, directions=directions, limit=limit)
    if picture is not None:
        draw(found, picture)
        say(f"drew {len(found.nodes):,} nodes into {picture}")
    if as_json or form is LineageFormat.json:
        print_json(found.as_mapping())
    elif form is LineageFormat.dot:
        print(dot(found))
    elif picture is None or form is LineageFormat.tree:
        titles = {"up": "It came from:", "down": "Of it came:"}
        for one in directions:
            print(titles[one])
            for line in tree(found, one):
                print(f"  {line}")
    if found.is_cut:
        say(f"There is more than {limit:,} nodes in a direction; see more with --limit.")
