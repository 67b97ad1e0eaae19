"""The command that asks: sql."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import write_result


class Format(StrEnum):
    """Output formats of `sql`."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.command()
def sql(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="One reading query over the views; see: provenance schema.")],
    kind: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.table,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead.")] = None,
    as_json: Json = False,
) -> None:
    """Run one query: SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN."""
    with shared(context).open() as store:
        result = store.sql(query)
    write_result(result.arrow(), kind="json" if as_json else kind.value, out=out)
