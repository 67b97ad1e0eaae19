"""The command tree and the options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="recurse",
    help="Train models on the output of models, and see what a quota of human text saves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StorePath = Annotated[Path, typer.Option("--store", envvar="PROVENANCE_STORE", help="The store's file.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for another process that holds the store.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ExperimentArgument = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="A YAML file, or the name of an experiment.")
]

DEFAULT_STORE = Path("provenance.duckdb")


# Each module adds its commands to `app`; they import the parts of the program inside the commands.
from training.cli import reporting, running, tracing  # noqa: E402

__all__ = ["DEFAULT_STORE", "ExperimentArgument", "Json", "StorePath", "Wait", "app", "reporting", "running", "tracing"]
