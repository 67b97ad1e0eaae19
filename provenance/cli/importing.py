"""The command that takes described datasets in: Croissant files, and dataset cards of the Hugging Face hub."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.ingesting import (
    Generation,
    Licence,
    MaxRecordBytes,
    Model,
    claim_of_options,
    shown_progress,
    summarise,
)
from provenance.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from provenance.imports.described import Described


@app.command("import")
def import_(
    context: typer.Context,
    description: Annotated[
        str,
        typer.Argument(help="Croissant file (path or address), README.md of a dataset, or a folder with one of them."),
    ],
    source: Annotated[str, typer.Option("--source", help="Name of the source that it becomes.")],
    origin: Annotated[
        str | None,
        typer.Option("--origin", help="human, synthetic, mixed or unknown; not needed where every record says it."),
    ] = None,
    generation: Generation = None,
    model: Model = None,
    licence: Licence = None,
    record_set: Annotated[str | None, typer.Option("--record-set", help="Record set of a Croissant file.")] = None,
    config: Annotated[str | None, typer.Option("--config", help="Configuration of a dataset card.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Split of a dataset card; all by default.")] = None,
    text_field: Annotated[str | None, typer.Option("--text-field", help="Field that holds the text.")] = None,
    max_record_bytes: MaxRecordBytes = 16 << 20,
    max_quarantined: Annotated[
        float,
        typer.Option(min=0, max=1, help="Stop when a larger share of the records, from the 1,000th on, is refused."),
    ] = 0.01,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; the result does not depend on it (default: one a core).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the source and the first records; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a described dataset into the store: its licence, address and citation become the source's."""
    from provenance.imports.load import describe, import_described, preview_described
    from provenance.ingest.pipeline import IngestOptions
    from provenance.ingest.workers import database_threads
    from provenance.licences import valid_licence

    licence = licence and valid_licence(licence)
    claim = claim_of_options(origin, generation, model)
    described = describe(description, record_set=record_set, config=config, split=split, text_field=text_field)
    options = IngestOptions(max_record_bytes=max_record_bytes, max_quarantined=max_quarantined)
    if dry_run:
        from provenance.cli.previewing import print_preview

        with shared(context).open() as store:
            found = preview_described(store, described, source=source, claim=claim, licence=licence, options=options)
        if as_json:
            print_json({"description": described.as_json(), **found.as_json()})
            return
        _print_description(described, source, licence)
        print_preview(found)
        return
    n_jobs = jobs or os.cpu_count() or 1
    threads = database_threads(shared(context).path, jobs=n_jobs)
    with shared(context).open(writable=True, threads=threads) as store, ExitStack() as stack:
        report = import_described(
            store,
            described,
            source=source,
            claim=claim,
            licence=licence,
            options=options,
            jobs=n_jobs,
            progress=shown_progress(stack),
        )
    if described.left_out:
        say(f"not read, as they are no columns of the file with the text: {', '.join(described.left_out)}")
    if as_json:
        print_json({"description": described.as_json(), **report.as_json()})
    else:
        summarise(report)


def _print_description(described: Described, source: str, licence: str | None) -> None:
    """Print what a description says, as the source would have it."""
    shown = {
        "source": source,
        "licence": licence or described.licence or ("of every record" if described.says_origin else None),
        "uri": described.uri,
        "note": described.note,
        "origin": "of every record" if described.says_origin else None,
        "not read": ", ".join(described.left_out) or None,
    }
    print_table(["", ""], [(name, value) for name, value in shown.items() if value is not None])
