"""Commands that bring documents in: source add, ingest."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import print_json, say

if TYPE_CHECKING:
    from provenance.ingest.mapping import FieldMapping
    from provenance.ingest.pipeline import IngestReport
    from provenance.ingest.progress import Progress
    from provenance.records import Claim

source_app = typer.Typer(help="Sources: where documents come from.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(source_app, name="source")

Origin = Annotated[str | None, typer.Option("--origin", help="human, synthetic, mixed or unknown.")]
Generation = Annotated[
    int | None, typer.Option("--generation", help="Model generations between the text and people; 0 is human.")
]
Model = Annotated[str | None, typer.Option("--model", help="The model that wrote it.")]
Licence = Annotated[str | None, typer.Option("--licence", help="SPDX expression, for records without one.")]
MaxRecordBytes = Annotated[int, typer.Option(min=1, help="Larger records are quarantined.")]


def _field(what: str) -> Any:
    return typer.Option(help=f"Field that holds {what}.", rich_help_panel=None, show_default=False)


@source_app.command("add")
def source_add(
    context: typer.Context,
    name: str,
    origin: Annotated[str, typer.Option("--origin", help="human, synthetic, mixed or unknown.")],
    generation: Generation = None,
    model: Model = None,
    licence: Licence = None,
    uri: Annotated[str | None, typer.Option("--uri", help="Where the source is described or lies.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Anything else about it.")] = None,
) -> None:
    """Enter a source and what is claimed of all its documents."""
    from provenance.ingest.sources import Source, add_source
    from provenance.licences import valid_licence
    from provenance.records import Claim

    licence = licence and valid_licence(licence)
    claim = Claim.make(origin, generation=generation, model=model)
    with shared(context).open(writable=True) as store:
        is_new = add_source(store, Source(name, claim, licence, uri, note))
    say(f"source {name}: {'added' if is_new else 'already there'}")


@app.command()
def ingest(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(help="Files, folders, patterns, addresses (s3://…), datasets:NAME, or - for standard input."),
    ],
    source: Annotated[str, typer.Option("--source", help="Source; made on the fly when --origin is given.")],
    origin: Origin = None,
    generation: Generation = None,
    model: Model = None,
    licence: Licence = None,
    mapping: Annotated[Path | None, typer.Option("--mapping", help="YAML that names the fields.")] = None,
    text_field: Annotated[str | None, _field("the text (default: text)")] = None,
    id_field: Annotated[str | None, _field("the record's id (default: id)")] = None,
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
    format_name: Annotated[
        str | None, typer.Option("--format", help="Format of all inputs; found for each when not given.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="What parts the columns of CSV; found when not given.")] = None,
    max_record_bytes: MaxRecordBytes = 16 << 20,
    max_quarantined: Annotated[
        float,
        typer.Option(min=0, max=1, help="Stop when a larger share of the records, from the 1,000th on, is refused."),
    ] = 0.01,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; the result does not depend on it (default: one a core).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the first records as they would be stored; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read documents into the store; the same file twice changes nothing."""
    from provenance.ingest.pipeline import IngestOptions, ingest_files
    from provenance.ingest.workers import database_threads
    from provenance.licences import valid_licence

    licence = licence and valid_licence(licence)
    claim = claim_of_options(origin, generation, model)
    fields = {
        "text": text_field, "id": id_field, "uri": uri_field, "author": author_field, "title": title_field,
        "date": date_field, "collected": collected_field, "licence": licence_field, "origin": origin_field,
        "generation": generation_field, "model": model_field, "parent": parent_field,
    }  # fmt: skip
    options = IngestOptions(
        mapping=_mapping(mapping, fields),
        format_name=format_name,
        delimiter=delimiter,
        max_record_bytes=max_record_bytes,
        max_quarantined=max_quarantined,
    )
    if dry_run:
        _preview(context, files, source, claim, licence, options, as_json=as_json)
        return
    n_jobs = jobs or os.cpu_count() or 1
    threads = database_threads(shared(context).path, jobs=n_jobs)
    with shared(context).open(writable=True, threads=threads) as store, ExitStack() as stack:
        report = ingest_files(
            store,
            files,
            source=source,
            claim=claim,
            licence=licence,
            options=options,
            jobs=n_jobs,
            progress=shown_progress(stack),
        )
    if as_json:
        print_json(report.as_json())
    else:
        summarise(report)


def claim_of_options(origin: str | None, generation: int | None, model: str | None) -> Claim | None:
    """Return the claim that options make, None where there is none."""
    from provenance.records import Claim

    if origin is not None:
        return Claim.make(origin, generation=generation, model=model)
    if generation is not None or model is not None:
        raise typer.BadParameter("--generation and --model say nothing without --origin.")
    return None


def _mapping(file: Path | None, fields: dict[str, str | None]) -> FieldMapping:
    """Return the mapping of the file, if there is one, with what the options name instead."""
    from dataclasses import replace

    from provenance.ingest.mapping import FieldMapping, load_mapping

    begin = FieldMapping() if file is None else load_mapping(file)
    return replace(begin, **{name: field for name, field in fields.items() if field is not None})


def _preview(context: typer.Context, files: list[str], source: str, claim: Any, licence: Any, options: Any, *,
             as_json: bool) -> None:  # fmt: skip
    from provenance.cli.previewing import print_preview
    from provenance.ingest.preview import preview

    with shared(context).open() as store:
        found = preview(store, files, source=source, claim=claim, licence=licence, options=options)
    print_preview(found, as_json=as_json)


def shown_progress(stack: ExitStack) -> Progress:
    """Return the progress that standard error shows: live on a terminal, else now and then a line."""
    from provenance.ingest.progress import LineProgress, LiveProgress

    if sys.stderr.isatty():
        return stack.enter_context(LiveProgress(sys.stderr))
    return LineProgress(sys.stderr)


def summarise(report: IngestReport) -> None:
    """Say what an ingest did."""
    counts = report.counts
    rate = counts.n_bytes / 1e6 / report.seconds if report.seconds else 0.0
    if report.n_skipped_files:
        say(f"{report.source}: {report.n_skipped_files:,} files were read before the interruption and not again")
    amended = f" ({counts.n_amended:,} amended)" if counts.n_amended else ""
    say(
        f"{report.source}: {counts.n_read:,} records read = {counts.n_inserted:,} inserted + "
        f"{counts.n_present:,} already there{amended} + {counts.n_quarantined:,} quarantined; "
        f"{counts.n_bytes / 1e6:,.1f} MB in {report.seconds:.1f} s ({rate:.1f} MB/s)"
    )
    for reason, n in sorted(report.reasons.items()):
        say(f"  quarantined, {reason}: {n:,}")
    if report.reasons:
        say("  See them with: provenance quarantine list")
