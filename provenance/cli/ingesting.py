"""Commands that bring documents in: source add, ingest."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import print_json, say

if TYPE_CHECKING:
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
    from provenance.records import Claim

    claim = Claim.make(origin, generation=generation, model=model)
    with shared(context).open(writable=True) as store:
        is_new = add_source(store, Source(name, claim, licence, uri, note))
    say(f"source {name}: {'added' if is_new else 'already there'}")


@app.command()
def ingest(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="JSON Lines (plain, gzip, zstd) or Parquet.")],
    source: Annotated[str, typer.Option("--source", help="Source; made on the fly when --origin is given.")],
    origin: Origin = None,
    generation: Generation = None,
    model: Model = None,
    licence: Licence = None,
    text_field: Annotated[str, typer.Option(help="Field that holds the text.")] = "text",
    id_field: Annotated[str, typer.Option(help="Field that holds the record's id.")] = "id",
    max_record_bytes: Annotated[int, typer.Option(min=1, help="Larger records are quarantined.")] = 16 << 20,
    as_json: Json = False,
) -> None:
    """Read files into the store; the same file twice changes nothing."""
    from provenance.ingest.pipeline import ingest_files
    from provenance.ingest.readers.base import ReadOptions

    claim = _claim(origin, generation, model)
    options = ReadOptions(text_field=text_field, id_field=id_field, max_record_bytes=max_record_bytes)
    with shared(context).open(writable=True) as store, ExitStack() as stack:
        report = ingest_files(
            store,
            files,
            source=source,
            claim=claim,
            licence=licence,
            options=options,
            progress=_progress(stack),
        )
    if as_json:
        print_json({**report.counts.__dict__, "source": report.source, "ingest": report.ingest_id,
                    "seconds": report.seconds, "reasons": report.reasons})  # fmt: skip
    else:
        _summarise(report)


def _claim(origin: str | None, generation: int | None, model: str | None) -> Claim | None:
    from provenance.records import Claim

    if origin is not None:
        return Claim.make(origin, generation=generation, model=model)
    if generation is not None or model is not None:
        raise typer.BadParameter("--generation and --model say nothing without --origin.")
    return None


def _progress(stack: ExitStack) -> Progress:
    from provenance.ingest.progress import LineProgress, LiveProgress

    if sys.stderr.isatty():
        return stack.enter_context(LiveProgress(sys.stderr))
    return LineProgress(sys.stderr)


def _summarise(report: IngestReport) -> None:
    counts = report.counts
    rate = counts.n_bytes / 1e6 / report.seconds if report.seconds else 0.0
    say(
        f"{report.source}: {counts.n_read:,} records read = {counts.n_inserted:,} inserted + "
        f"{counts.n_present:,} already there + {counts.n_quarantined:,} quarantined; "
        f"{counts.n_bytes / 1e6:,.1f} MB in {report.seconds:.1f} s ({rate:.1f} MB/s)"
    )
    for reason, n in sorted(report.reasons.items()):
        say(f"  quarantined, {reason}: {n:,}")
    if report.reasons:
        say('  See them with: provenance sql "SELECT file, place, reason, detail FROM quarantined"')
