"""Commands about what came in: ingests, ingest-undo, remove, source remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.ingesting import source_app
from provenance.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from provenance.ingest.removal import Removed
    from provenance.ingest.undo import Undone

Run = Annotated[str, typer.Argument(help="Id of a run, or the beginning of it; see: provenance ingests.")]

_STATES = {"running": "unfinished"}
_AGAIN = {
    ("running", "ingest"): "is unfinished: run the same command again to finish it",
    ("running", "retry"): "is unfinished: run the same retry again to finish it",
    ("stopped", "ingest"): "stopped, because too many records were refused: run the same command again with a larger "
    "--max-quarantined, or another one with the right fields",
    ("stopped", "retry"): "stopped, because too many records were refused again: retry them with the right fields",
}


@app.command()
def ingests(
    context: typer.Context,
    show: Annotated[
        str | None, typer.Option("--show", help="One run, with its files and options: its id or the beginning of it.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only runs of this source.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many to show, the newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """Show who brought what in, when, and what became of it."""
    from provenance.ingest.history import list_runs, show_run

    if show is not None:
        with shared(context).open() as store:
            run = show_run(store, show)
        if as_json:
            print_json(run)
        else:
            _print_run(run)
        return
    with shared(context).open() as store:
        found = list_runs(store, source=source, limit=limit)
    if as_json:
        print_json(found.rows)
        return
    columns = ("run", "started", "source", "state", "files", "read", "inserted", "present", "quarantined", "amended",
               "MB", "seconds", "by")  # fmt: skip
    print_table(
        columns,
        [
            (
                _short(row), f"{row['started_at']:%Y-%m-%d %H:%M:%S}", row["source"], _state(row), row["n_files"],
                row["n_read"], row["n_inserted"], row["n_present"], row["n_quarantined"], row["n_amended"],
                round(row["n_bytes"] / 1e6, 1), round(row["seconds"], 1), row["actor"],
            )
            for row in found.rows
        ],
    )  # fmt: skip
    say(f"{len(found.rows):,} of {found.n_runs:,} runs")
    for row in found.rows:
        _say_what_to_do(row)


def _print_run(run: dict[str, Any]) -> None:
    from provenance.ingest.quarantine import visible

    names = ("ingest_id", "source", "state", "actor", "code_version", "started_at", "finished_at", "seconds", "n_read",
             "n_inserted", "n_present", "n_quarantined", "n_amended", "n_bytes")  # fmt: skip
    rows = [(name.removeprefix("n_"), _state(run) if name == "state" else run[name]) for name in names]
    rows += [(name, value) for name, value in _given(run["options"]).items() if name not in ("files", "n_removed")]
    rows += [(f"{name} now", n) for name, n in run["in_store"].items()]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {_cell(value)}")
    for one in run["files"]:
        print(visible(one["file"], limit=1000))
        print(
            f"  {one['format']}, {_cell(one['size_bytes'])} bytes, {one['n_read']:,} records, "
            f"{one['n_quarantined']:,} quarantined; read to its end {one['finished_at']:%Y-%m-%d %H:%M:%S}"
        )
        print(f"  SHA-256 {_cell(one['sha256'])}")
    given = run["options"].get("files", [])
    left = [name for name in given if name not in {one["file"] for one in run["files"]}]
    if left and run["state"] in ("running", "stopped"):
        say(f"not read to its end: {', '.join(left[:10])}{' …' if len(left) > 10 else ''}")
    _say_what_to_do(run)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that say something."""
    given = {name: _given(value) if isinstance(value, dict) else value for name, value in options.items()}
    return {name: value for name, value in given.items() if value not in (None, {})}


def _say_what_to_do(run: dict[str, Any]) -> None:
    again = _AGAIN.get((run["state"], run["kind"]))
    if again is not None:
        say(f"Run {_short(run)} of {run['source']} {again}; or take it back: provenance ingest-undo {_short(run)}")


def _state(run: dict[str, Any]) -> str:
    state: str = _STATES.get(run["state"], run["state"])
    return state if run["kind"] == "ingest" else f"{run['kind']}, {state}"


def _short(run: dict[str, Any]) -> str:
    from provenance.ingest.history import short

    return short(run["ingest_id"])


def _cell(value: Any) -> str:
    from provenance.cli.output import cell

    return cell(value)


@app.command("ingest-undo")
def ingest_undo(context: typer.Context, run: Run, as_json: Json = False) -> None:
    """Take back a run with everything derived from it; refused where a training set used a document of it."""
    from provenance.ingest.undo import as_dict, undo_ingest

    with shared(context).open(writable=True) as store:
        undone = undo_ingest(store, run)
    if as_json:
        print_json(as_dict(undone))
        return
    _say_undone(undone)


def _say_undone(undone: Undone) -> None:
    from provenance.ingest.history import short

    run = undone.run
    say(f"The {run.kind} {run.short} of {run.source} is undone: {_words(undone.removed)}")
    if undone.retries:
        say(f"  its retries went with it: {', '.join(map(short, undone.retries))}")
    if undone.n_restored:
        say(f"  former description restored of {_n(undone.n_restored, 'document')} of other runs")
    if undone.n_kept:
        say(f"  what later runs said was kept in {_n(undone.n_kept, 'field')}")
    if undone.n_quarantined:
        say(f"  {_n(undone.n_quarantined, 'refused record')} forgotten")
    if undone.source_removed:
        say(f"  source {run.source}, which it had made, is gone: nothing else was in it")
    if undone.models:
        say(f"  models that nothing bears any more are gone: {', '.join(undone.models)}")
    if undone.n_released:
        say(f"  {_n(undone.n_released, 'record')} that it had taken out of quarantine did not go back there: ingest "
            f"the files of run {short(run.options['retry_of'])} again to have them")  # fmt: skip
    for later in undone.later:
        say(f"  run {short(later.ingest_id)} ({later.started_at:%Y-%m-%d %H:%M}) found {later.n_present:,} records "
            f"there already and refused {later.n_quarantined:,}, some perhaps of this run: ingest its files again "
            f"(provenance ingests --show {short(later.ingest_id)})")  # fmt: skip


@app.command("remove")
def remove(
    context: typer.Context,
    documents: Annotated[list[str], typer.Argument(help="Ids of documents, as in the view documents.")],
    as_json: Json = False,
) -> None:
    """Remove documents with everything derived from them; refused where a training set used one."""
    from provenance.ingest.removal import remove

    with shared(context).open(writable=True) as store:
        removed = remove(store, documents)
    if as_json:
        print_json(removed.__dict__)
        return
    say(f"Removed: {_words(removed)}")


@source_app.command("remove")
def source_remove(context: typer.Context, name: str, as_json: Json = False) -> None:
    """Remove a source with all its documents; refused where a training set used one."""
    from provenance.ingest.removal import remove_source

    with shared(context).open(writable=True) as store:
        removed = remove_source(store, name)
    if as_json:
        print_json({**removed.__dict__, "source": name})
        return
    say(f"Removed source {name}: {_words(removed)}; {_n(removed.n_quarantined, 'refused record')} forgotten")
    if removed.models:
        say(f"  models that nothing bears any more are gone: {', '.join(removed.models)}")


def _words(removed: Removed) -> str:
    return (
        f"{_n(removed.n_documents, 'document')} and {_n(removed.n_contents, 'text')} gone, "
        f"{_n(removed.n_clusters, 'cluster')} changed"
    )


def _n(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
