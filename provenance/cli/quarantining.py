"""Commands about refused records: quarantine list, export, retry."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import print_json, print_table, say

quarantine_app = typer.Typer(
    help="Refused records: what they are, out to be repaired, in again.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(quarantine_app, name="quarantine")

Ingest = Annotated[
    str | None, typer.Option("--ingest", help="Only what this run refused: its id or the beginning of it.")
]
OfSource = Annotated[str | None, typer.Option("--source", help="Only records of this source.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Only records refused for this reason, as in the list.")]


def _field(what: str) -> Any:
    return typer.Option(help=f"Field that holds {what}.", show_default=False)


@quarantine_app.command("list")
def list_(
    context: typer.Context,
    ingest: Ingest = None,
    source: OfSource = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many records to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Count refused records by reason and show the first."""
    from provenance.ingest.quarantine import choose, summarise, visible

    with shared(context).open() as store, store.read() as connection:
        found = summarise(connection, choose(connection, ingest=ingest, source=source, reason=reason), limit=limit)
    records = [{**row, "begins": visible(row["begins"])} for row in found.records]
    if as_json:
        print_json({"n_records": found.n_records, "reasons": found.reasons, "records": records})
        return
    print_table(
        ("reason", "records", "bytes", "files", "sources"),
        [
            (row["reason"], row["n_records"], row["n_bytes"], row["n_files"], ", ".join(row["sources"]))
            for row in found.reasons
        ],
    )
    if records:
        print_table(
            ("run", "source", "file", "place", "reason", "detail", "begins"),
            [
                (
                    str(row["ingest"])[:8], row["source"], visible(row["file"], limit=200), row["place"], row["reason"],
                    visible(row["detail"], limit=200), row["begins"],
                )
                for row in records
            ],
        )  # fmt: skip
    say(f"{len(records):,} of {found.n_records:,} records")


@quarantine_app.command()
def export(
    context: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write JSON Lines: where each record stood, why it was refused, and its bytes."),
    ] = None,
    raw: Annotated[
        Path | None, typer.Option("--raw", help="Write the bytes alone, a record a line, to be repaired and ingested.")
    ] = None,
    ingest: Ingest = None,
    source: OfSource = None,
    reason: Reason = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Write refused records to files."""
    from provenance.export.files import new_file
    from provenance.ingest.quarantine import choose
    from provenance.ingest.quarantine import export as write

    if out is None and raw is None:
        raise typer.BadParameter("name a file: --out FILE for JSON Lines, --raw FILE for the bytes alone, or both")
    with shared(context).open() as store, ExitStack() as stack:
        with store.read() as connection:
            chosen = choose(connection, ingest=ingest, source=source, reason=reason)

        def opened(target: Path | None) -> IO[bytes] | None:
            if target is None:
                return None
            return stack.enter_context(stack.enter_context(new_file(target, overwrite=overwrite)).open("wb"))

        n = write(store, chosen, as_json=opened(out), as_raw=opened(raw))
    say(f"{n:,} records written to {' and '.join(str(target) for target in (out, raw) if target is not None)}")


@quarantine_app.command()
def retry(
    context: typer.Context,
    ingest: Ingest = None,
    source: OfSource = None,
    reason: Reason = None,
    mapping: Annotated[Path | None, typer.Option("--mapping", help="YAML that names the fields.")] = None,
    text_field: Annotated[str | None, _field("the text")] = None,
    id_field: Annotated[str | None, _field("the record's id")] = None,
    uri_field: Annotated[str | None, _field("the address")] = None,
    author_field: Annotated[str | None, _field("the author")] = None,
    title_field: Annotated[str | None, _field("the title")] = None,
    date_field: Annotated[str | None, _field("when it was written")] = None,
    collected_field: Annotated[str | None, _field("when it was collected")] = None,
    licence_field: Annotated[str | None, _field("the licence")] = None,
    origin_field: Annotated[str | None, _field("the origin")] = None,
    generation_field: Annotated[str | None, _field("the generation")] = None,
    model_field: Annotated[str | None, _field("the model")] = None,
    parent_field: Annotated[str | None, _field("the ids of the documents it was made from")] = None,
    max_record_bytes: Annotated[int | None, typer.Option(min=1, help="Larger records stay in quarantine.")] = None,
    max_quarantined: Annotated[
        float,
        typer.Option(min=0, max=1, help="Stop when a larger share, from the 1,000th record on, is refused again."),
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Read refused records again, after a fix; fields that are not named are those of the run that refused them."""
    from provenance.cli.ingesting import summarise
    from provenance.ingest.mapping import load_mapping
    from provenance.ingest.progress import LineProgress
    from provenance.ingest.quarantine import choose
    from provenance.ingest.retry import RetryOptions, retry_quarantined

    given = {
        "text": text_field, "id": id_field, "uri": uri_field, "author": author_field, "title": title_field,
        "date": date_field, "collected": collected_field, "licence": licence_field, "origin": origin_field,
        "generation": generation_field, "model": model_field, "parent": parent_field,
    }  # fmt: skip
    options = RetryOptions(
        mapping=None if mapping is None else load_mapping(mapping),
        fields={name: value for name, value in given.items() if value is not None},
        max_record_bytes=max_record_bytes,
        max_quarantined=max_quarantined,
    )
    with shared(context).open(writable=True) as store:
        with store.read() as connection:
            chosen = choose(connection, ingest=ingest, source=source, reason=reason)
        reports = retry_quarantined(store, chosen, options=options, progress=LineProgress(sys.stderr))
    if as_json:
        print_json(
            [
                {**one.counts.__dict__, "source": one.source, "ingest": one.ingest_id, "seconds": one.seconds,
                 "reasons": one.reasons}
                for one in reports
            ]
        )  # fmt: skip
        return
    for report in reports:
        summarise(report)
    if not reports:
        say("There is nothing to retry.")
