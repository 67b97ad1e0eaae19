"""The command tree and the options that all commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from provenance.store.store import Store

app = typer.Typer(
    name="provenance",
    help="Who wrote every document of a corpus, and training sets whose human share is proved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@dataclass(frozen=True)
class Shared:
    """Options given before the command."""

    path: Path
    wait_s: float

    def open(self, *, writable: bool = False, threads: int | None = None) -> Store:
        """Open the store that the options name."""
        from provenance.store.store import Store

        return Store.open(self.path, writable=writable, wait_s=self.wait_s, threads=threads)


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def shared_options(
    context: typer.Context,
    store: Annotated[Path, typer.Option("--store", envvar="PROVENANCE_STORE", help="The store's file.")] = Path(
        "provenance.duckdb"
    ),
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait for another process that holds the store.")
    ] = 10.0,
) -> None:
    """Keep the options that all commands share."""
    context.obj = Shared(store, wait)


def shared(context: typer.Context) -> Shared:
    """Return the options given before the command."""
    options: Any = context.obj
    assert isinstance(options, Shared)  # set by `shared_options` before any command runs
    return options


# Each module adds its commands to `app`; they import the parts of the program inside the commands.
from provenance.cli import (  # noqa: E402
    annotating,
    attesting,
    claiming,
    comparing,
    copies,
    curating,
    detecting,
    exporting,
    importing,
    ingesting,
    laundering,
    mixing,
    quarantining,
    querying,
    retracting,
    runs,
    storing,
    takedown,
    tracing,
    verifying,
)

__all__ = [
    "annotating",
    "app",
    "attesting",
    "claiming",
    "comparing",
    "copies",
    "curating",
    "detecting",
    "exporting",
    "importing",
    "ingesting",
    "laundering",
    "mixing",
    "quarantining",
    "querying",
    "retracting",
    "runs",
    "storing",
    "takedown",
    "tracing",
    "verifying",
]
