"""Commands that show what experiments found."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from training.cli.app import DEFAULT_STORE, ExperimentArgument, Json, StorePath, Wait, app
from training.cli.shipped import experiment_name


@app.command()
def report(
    experiment: ExperimentArgument,
    store: StorePath = DEFAULT_STORE,
    out: Annotated[Path, typer.Option("--out", help="The HTML file to write.")] = Path("report.html"),
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """Write an experiment's report: one HTML page with plots, made from the store alone."""
    from provenance.cli.output import print_json, say
    from provenance.store.store import Store
    from training.report.make import write_report

    name = experiment_name(experiment)
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
    store: StorePath = DEFAULT_STORE,
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """List the models of experiments with their main metrics."""
    from provenance.cli.output import print_json, print_table
    from provenance.store.store import Store
    from training.overview import MAIN_METRICS, run_rows

    with Store.open(store, wait_s=wait) as opened:
        rows = run_rows(opened, None if experiment is None else experiment_name(experiment))
    if json:
        print_json(rows)
        return
    columns = ["experiment", "seed", "arm", "generation", "state", *MAIN_METRICS]
    print_table(columns, [[row.get(column) for column in columns] for row in rows])


@app.command("compare")
def compare_command(
    first: Annotated[str, typer.Argument(metavar="A", help="An experiment, or an arm of one: EXPERIMENT/ARM.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another, or the same experiment's other arm.")],
    store: StorePath = DEFAULT_STORE,
    every: Annotated[bool, typer.Option("--all", help="Every generation, not the last in common only.")] = False,
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """Compare two experiments or two arms: settings that differ, and every metric, paired by seed."""
    from provenance.cli.output import print_json, print_table, say
    from provenance.store.store import Store
    from training.compare import as_mapping, compare, last_rows, table

    with Store.open(store, wait_s=wait) as opened:
        found = compare(opened, first, second)
    if json:
        print_json(as_mapping(found))
        return
    if found.settings:
        print_table(
            ["setting", found.first, found.second],
            [[setting.name, setting.first or "–", setting.second or "–"] for setting in found.settings],
        )
    else:
        say("all settings are the same")
    for side, arms in zip((found.first, found.second), found.only, strict=True):
        if arms:
            say(f"only in {side}: {', '.join(arms)}")
    rows = list(found.differences) if every else last_rows(found)
    print_table(*table(found, rows))


@app.command()
def metrics(
    experiment: ExperimentArgument,
    out: Annotated[Path, typer.Option("--out", help="The file to write; for tensorboard a folder.")],
    format: Annotated[str, typer.Option("--format", help="csv, parquet or tensorboard.")] = "csv",
    store: StorePath = DEFAULT_STORE,
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """Write every metric of an experiment into a file: CSV, Parquet, or TensorBoard's events."""
    from provenance.cli.output import print_json, say
    from provenance.store.store import Store
    from training.metrics_export import export_metrics, format_of

    chosen = format_of(format)
    name = experiment_name(experiment)
    with Store.open(store, wait_s=wait) as opened:
        n_values = export_metrics(opened, name, out, format=chosen)
    if json:
        print_json({"experiment": name, "format": chosen, "values": n_values, "out": out})
        return
    say(f"{n_values:,} values written to {out}")
