"""Commands that ask: sql, clusters."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import print_json, print_table, say, write_result


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


@app.command()
def clusters(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Option("--source", help="Only clusters with a document of this source.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many to show, largest first.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what is a copy of what: clusters of two documents or more."""
    from provenance.dedup.browse import largest_clusters

    with shared(context).open() as store:
        found = largest_clusters(store, source=source, limit=limit)
    if as_json:
        print_json(found.rows)
        return
    columns = ("cluster", "documents", "texts", "lowest score", "sources", "origins", "models", "begins")
    print_table(
        columns,
        [
            (
                str(row["cluster_id"])[:8], row["n_documents"], row["n_contents"], row["lowest_score"],
                ", ".join(row["sources"]), ", ".join(row["origins"]), ", ".join(row["models"] or []), row["begins"],
            )
            for row in found.rows
        ],
    )  # fmt: skip
    say(f"{len(found.rows):,} of {found.n_clusters:,} clusters")
