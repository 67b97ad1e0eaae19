"""The command that attaches scores and labels to documents: annotate."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import print_json, say

if TYPE_CHECKING:
    from provenance.annotations.annotate import AnnotateReport


class Key(StrEnum):
    """What the keys in the files are."""

    document_id = "document_id"
    external_id = "external_id"
    content_id = "content_id"


@app.command()
def annotate(
    context: typer.Context,
    files: Annotated[
        list[str], typer.Argument(help="JSON Lines, CSV or Parquet: a key and values a record; - for standard input.")
    ],
    key: Annotated[
        Key, typer.Option("--key", help="What the keys are; one that stands for several documents annotates them all.")
    ] = Key.document_id,
    key_field: Annotated[
        str | None,
        typer.Option(help="Field that holds the key (default: the one named like it, or id).", show_default=False),
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only documents of this source.")] = None,
    fields: Annotated[
        str | None, typer.Option("--fields", help="Fields to take, parted by commas (default: all but the key).")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option("--rename", metavar="FIELD=NAME", help="Another name for a field's attribute.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="NAME=KIND", help="Take an attribute's values as number, text or boolean."),
    ] = None,
    tool: Annotated[str | None, typer.Option("--tool", help="What made the values.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="What the values mean.")] = None,
    ignore_missing: Annotated[
        bool, typer.Option("--ignore-missing", help="Leave out keys without a document, instead of refusing.")
    ] = False,
    format_name: Annotated[
        str | None, typer.Option("--format", help="Format of all files; found for each when not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Attach scores or labels to documents: typed, in the view attributes, and usable in mixes."""
    from provenance.annotations.annotate import annotate as attach

    with shared(context).open(writable=True) as store:
        report = attach(
            store,
            files,
            key=key.value,
            key_field=key_field,
            source=source,
            attributes=None if fields is None else [one.strip() for one in fields.split(",")],
            rename=_pairs(rename, "--rename FIELD=NAME"),
            kinds=_pairs(kind, "--kind NAME=KIND"),
            tool=tool,
            note=note,
            ignore_missing=ignore_missing,
            format_name=format_name,
        )
    if as_json:
        print_json({**report.__dict__, "attributes": [one.__dict__ for one in report.attributes]})
    else:
        _summarise(report)


def _pairs(given: list[str] | None, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one in given or ():
        name, equals, value = one.rpartition("=")
        if not (name and equals and value) or name in pairs:
            raise typer.BadParameter(f"{one!r}: expected {form}, once for every name.")
        pairs[name] = value
    return pairs


def _summarise(report: AnnotateReport) -> None:
    lines = [
        f"{one.name}: {one.kind}, {one.n_new:,} new, {one.n_changed:,} changed, {one.n_same:,} the same"
        for one in report.attributes
    ] or [f"nothing to annotate in {report.n_records:,} records"]
    if report.n_several:
        lines[-1] += f"; {report.n_several:,} keys that stand for several documents, all of them annotated"
    if report.n_missing:
        lines[-1] += f"; {report.n_missing:,} keys without a document"
    for line in lines:
        say(line)
