"""Commands that run experiments and list those that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.cli.app import DEFAULT_STORE, ExperimentArgument, Json, StorePath, Wait, app
from training.cli.shipped import read_experiment, shipped_experiments


@app.command()
def run(
    experiment: ExperimentArgument,
    store: StorePath = DEFAULT_STORE,
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

    settings = read_experiment(experiment)
    folder = out if out is not None else store.with_suffix(".recurse")
    with Store.open(store, writable=True, wait_s=wait) as opened, board_for() as board:
        report = run_experiment(opened, settings, out=folder, jobs=jobs, threads=threads, board=board)
    if json:
        print_json({"experiment": report.experiment, "models": report.n_runs, "made_now": report.n_done, "out": folder})
        return
    say(f"{report.n_done} of {report.n_runs} models made now; files are in {folder}")
    say(f"next: recurse report {report.experiment} --store {store}")


@app.command()
def experiments(json: Json = False) -> None:
    """List the experiments that come with the package: `recurse run NAME` runs one."""
    from provenance.cli.output import print_json, print_table

    rows = []
    for name in shipped_experiments():
        found = read_experiment(name)
        rows.append(
            {
                "name": name,
                "learner": found.learner.name,
                "arms": len(found.arms),
                "generations": found.generations,
                "seeds": len(found.seeds),
                "description": " ".join(found.description.split()),
            }
        )
    if json:
        print_json(rows)
        return
    print_table(list(rows[0]), [list(row.values()) for row in rows])
