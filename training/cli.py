"""The command line `recurse`: run experiments and show them. Data on standard output, messages on standard error.

Exit status 0 means done, 1 refused or failed (one line says why), 2 wrong usage.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from training.experiment import Experiment

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

_DEFAULT_STORE = Path("provenance.duckdb")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the one place where an error of ours becomes a line and an exit status."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except ProvenanceError as error:
        print(f"recurse: {error}", file=sys.stderr)
        raise SystemExit(1) from error


@app.command()
def run(
    experiment: ExperimentArgument,
    store: StorePath = _DEFAULT_STORE,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for exports, models and outputs [default: STORE.recurse].")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Models worked on at a time [default: one a core]. Changes no result."),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of each model.")] = 1,
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """Run an experiment, or what is missing of it: the same command goes on after an interruption."""
    from provenance.cli.output import print_json, say
    from provenance.store.store import Store
    from training.loop import run_experiment
    from training.progress import board_for

    settings = _read(experiment)
    folder = out if out is not None else store.with_suffix(".recurse")
    with Store.open(store, writable=True, wait_s=wait) as opened:
        report = run_experiment(opened, settings, out=folder, jobs=jobs, threads=threads, board=board_for())
    if json:
        print_json({"experiment": report.experiment, "models": report.n_runs, "made_now": report.n_done, "out": folder})
        return
    say(f"{report.n_done} of {report.n_runs} models made now; files are in {folder}")
    say(f"next: recurse report {report.experiment} --store {store}")


@app.command()
def report(
    experiment: ExperimentArgument,
    store: StorePath = _DEFAULT_STORE,
    out: Annotated[Path, typer.Option("--out", help="The HTML file to write.")] = Path("report.html"),
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """Write an experiment's report: one HTML page with plots, made from the store alone."""
    from provenance.cli.output import print_json, say
    from provenance.store.store import Store
    from training.report.make import write_report

    name = _name(experiment)
    with Store.open(store, wait_s=wait) as opened:
        written = write_report(opened, name, out)
    if json:
        print_json({"experiment": name, "report": written.path, "rows": [asdict(row) for row in written.rows]})
        return
    print(written.summary)
    say(f"{written.path} written")


@app.command()
def runs(
    experiment: Annotated[str | None, typer.Argument(metavar="[EXPERIMENT]", help="Only this experiment.")] = None,
    store: StorePath = _DEFAULT_STORE,
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """List the models of experiments with their main metrics."""
    from provenance.cli.output import print_json, print_table
    from provenance.store.store import Store
    from training.overview import MAIN_METRICS, run_rows

    with Store.open(store, wait_s=wait) as opened:
        rows = run_rows(opened, None if experiment is None else _name(experiment))
    if json:
        print_json(rows)
        return
    columns = ["experiment", "seed", "arm", "generation", "state", *MAIN_METRICS]
    print_table(columns, [[row.get(column) for column in columns] for row in rows])


def shipped_experiments() -> list[str]:
    """Return the names of the experiments that come with the package."""
    folder = resources.files("training") / "experiments"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def _read(experiment: str) -> Experiment:
    """Return an experiment from its file, or one that comes with the package by its name."""
    from training.experiment import Experiment

    if experiment in shipped_experiments() and not Path(experiment).exists():
        return Experiment.from_yaml(Path(str(resources.files("training"))) / "experiments" / f"{experiment}.yaml")
    return Experiment.from_yaml(experiment)


def _name(experiment: str) -> str:
    """Return the name of an experiment that is given by name or by file."""
    if experiment.endswith((".yaml", ".yml")):
        return _read(experiment).name
    return experiment
