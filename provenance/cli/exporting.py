"""The command that writes training sets to files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.cli.app import Shared, app, shared
from provenance.cli.output import say

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet


@dataclass(frozen=True)
class ExportOptions:
    """Options of `export` that some formats heed."""

    tokenizer: str | None
    block_length: int
    creator: str | None


def _jsonl(opened: TrainingSet, out: Path, options: ExportOptions) -> None:
    from provenance.export.jsonl import export_jsonl

    export_jsonl(opened, out)


def _parquet(opened: TrainingSet, out: Path, options: ExportOptions) -> None:
    from provenance.export.parquet import export_parquet

    export_parquet(opened, out)


def _manifest(opened: TrainingSet, out: Path, options: ExportOptions) -> None:
    from provenance.export.draws import export_manifest

    export_manifest(opened, out)


def _megatron(opened: TrainingSet, out: Path, options: ExportOptions) -> None:
    from provenance.export.megatron import export_megatron

    export_megatron(opened, out, tokenizer=options.tokenizer)


def _blocks(kind: str) -> _Writer:
    def write(opened: TrainingSet, out: Path, options: ExportOptions) -> None:
        from provenance.export.tokens import EXPORTS

        EXPORTS[kind](opened, out, tokenizer=options.tokenizer, block_length=options.block_length)

    return write


def _croissant(opened: TrainingSet, out: Path, options: ExportOptions) -> None:
    from provenance.export.croissant import export_croissant

    export_croissant(opened, out, creator=options.creator)


def _prov(opened: TrainingSet, out: Path, options: ExportOptions) -> None:
    from provenance.export.prov_json import export_prov

    export_prov(opened, out)


def _card(opened: TrainingSet, out: Path, options: ExportOptions) -> None:
    from provenance.export.card import export_card

    export_card(opened, out, creator=options.creator)


_Writer = Callable[["TrainingSet", Path, ExportOptions], None]

#: Format -> what writes it. A new format is one line here.
WRITERS: dict[str, _Writer] = {
    "jsonl": _jsonl,
    "parquet": _parquet,
    "tokens": _blocks("tokens"),
    "nanogpt": _blocks("nanogpt"),
    "megatron": _megatron,
    "olmo": _blocks("olmo"),
    "manifest": _manifest,
    "croissant": _croissant,
    "card": _card,
    "prov": _prov,
}
ExportFormat = StrEnum("ExportFormat", {name: name for name in WRITERS})  # type: ignore[misc]


@app.command()
def export(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Training set.")],
    kind: Annotated[ExportFormat, typer.Option("--format", help="What to write.")],
    out: Annotated[Path, typer.Option("--out", help="File for jsonl, parquet and prov, folder for the others.")],
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", help="Stored tokenizer, for tokens; that of the set by default.")
    ] = None,
    block_length: Annotated[int, typer.Option(min=2, help="Tokens in a block, for tokens, nanogpt and olmo.")] = 128,
    creator: Annotated[str | None, typer.Option("--creator", help="Who publishes it, for croissant and card.")] = None,
) -> None:
    """Write a verified training set to files, complete or not at all."""
    from provenance.mix.training_set import TrainingSet

    options = shared(context)
    with options.open() as store:
        opened = TrainingSet.open(name, store)
        WRITERS[kind.value](opened, out, ExportOptions(tokenizer, block_length, creator))
    say(f"wrote {name} ({len(opened):,} documents) to {out}")
    _record(options, opened, kind.value, out)


def _record(options: Shared, opened: TrainingSet, kind: str, out: Path) -> None:
    """Enter the export in the store, which was open for reading only while it was written."""
    from provenance.export.record import try_to_record

    problem = try_to_record(options.path, opened, kind=kind, target=out, wait_s=options.wait_s)
    if problem is not None:
        say(
            f"WARNING: the store does not know of this export, and a takedown will not name {out}: {problem} "
            "Export it once more, to another place, when the store can be written."
        )
