"""The command that writes training sets to files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.cli.app import app, shared
from provenance.cli.output import say

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet


class ExportFormat(StrEnum):
    """Formats of `export`."""

    jsonl = "jsonl"
    parquet = "parquet"
    tokens = "tokens"
    nanogpt = "nanogpt"
    megatron = "megatron"
    olmo = "olmo"
    manifest = "manifest"


@app.command()
def export(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Training set.")],
    kind: Annotated[ExportFormat, typer.Option("--format", help="What to write.")],
    out: Annotated[Path, typer.Option("--out", help="File for jsonl and parquet, folder for the others.")],
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", help="Stored tokenizer, for tokens; that of the set by default.")
    ] = None,
    block_length: Annotated[int, typer.Option(min=2, help="Tokens in a block, for tokens, nanogpt and olmo.")] = 128,
) -> None:
    """Write a verified training set to files, complete or not at all."""
    from provenance.mix.training_set import TrainingSet

    with shared(context).open() as store:
        opened = TrainingSet.open(name, store)
        _write(opened, kind, out, tokenizer, block_length)
    say(f"wrote {name} ({len(opened):,} documents) to {out}")


def _write(opened: TrainingSet, kind: ExportFormat, out: Path, tokenizer: str | None, block_length: int) -> None:
    if kind is ExportFormat.jsonl:
        from provenance.export.jsonl import export_jsonl

        export_jsonl(opened, out)
    elif kind is ExportFormat.parquet:
        from provenance.export.parquet import export_parquet

        export_parquet(opened, out)
    elif kind is ExportFormat.manifest:
        from provenance.export.draws import export_manifest

        export_manifest(opened, out)
    elif kind is ExportFormat.megatron:
        from provenance.export.megatron import export_megatron

        export_megatron(opened, out, tokenizer=tokenizer)
    else:
        from provenance.export.tokens import EXPORTS

        EXPORTS[kind.value](opened, out, tokenizer=tokenizer, block_length=block_length)
