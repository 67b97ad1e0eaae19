"""Commands about judgements by people: curate."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from provenance.curation.queue import Queued
    from provenance.curation.session import Tally
    from provenance.mix.spec import MixSpec


@app.command()
def curate(
    context: typer.Context,
    mix: Annotated[
        Path | None,
        typer.Option("--mix", help="Unknown documents count that this mix would want if people wrote them."),
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only documents of this source.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, those that matter most.")] = 100,
    judge: Annotated[
        str | None, typer.Option("--judge", help="Who judges; by default the user.", show_default=False)
    ] = None,
    only_list: Annotated[bool, typer.Option("--list", help="Print the queue and ask nothing.")] = False,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write the queue to FILE.jsonl or FILE.csv, to be judged elsewhere.")
    ] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="State the judgements of such a file: all of them or none.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge the documents that matter most: in conflict, unknown but wanted, near a detector's threshold.

    A person's judgement has the highest grade of evidence. The store is held only while something is read or written,
    so that several people can judge at once.
    """
    if sum((only_list, export is not None, import_ is not None)) > 1:
        raise typer.BadParameter("--list, --export and --import exclude each other.")
    if as_json and not (only_list or import_):
        raise typer.BadParameter("--json goes with --list or --import.")
    if import_ is not None:
        _import(context, import_, judge, as_json=as_json)
        return
    if only_list:
        _print_queue(_queue(context, mix, source, limit), as_json=as_json)
    elif export is not None:
        _export(context, export, mix, source, limit)
    else:
        _judge(context, mix, source, limit, judge)


def _queue(context: typer.Context, mix: Path | None, source: str | None, limit: int) -> list[Queued]:
    from provenance.curation.queue import find_queue

    with shared(context).open() as store:
        return find_queue(store, mix=_spec(mix), source=source, limit=limit)


def _spec(mix: Path | None) -> MixSpec | None:
    from provenance.mix.spec import MixSpec

    return None if mix is None else MixSpec.from_yaml(mix)


def _judge(context: typer.Context, mix: Path | None, source: str | None, limit: int, judge: str | None) -> None:
    from provenance.curation.judging import require_judge
    from provenance.curation.session import Session
    from provenance.curation.terminal import Terminal, require_terminal

    require_terminal()
    name = require_judge(_named(judge))
    queue = _queue(context, mix, source, limit)
    if not queue:
        say("Nothing is to be judged.")
        return
    session = Session(lambda writable: shared(context).open(writable=writable), Terminal(), queue, judge=name)
    try:
        session.run()
    finally:
        _print_tally(session.tally, name)


def _export(context: typer.Context, file: Path, mix: Path | None, source: str | None, limit: int) -> None:
    from provenance.curation.exchange import export_queue
    from provenance.curation.queue import find_queue

    with shared(context).open() as store:
        n = export_queue(store, find_queue(store, mix=_spec(mix), source=source, limit=limit), file)
    say(f"{n:,} documents written to {file}")
    say("Fill in judgement (human, synthetic, mixed or cannot tell) and judge, then run:")
    say(f"provenance curate --import {file}")


def _import(context: typer.Context, file: Path, judge: str | None, *, as_json: bool) -> None:
    from provenance.curation.exchange import import_judgements

    with shared(context).open(writable=True) as store:
        done = import_judgements(store, file, judge=_named(judge))
    if as_json:
        print_json(done._asdict())
        return
    say(
        f"{done.n_judged:,} documents judged, {done.n_present:,} had this judgement, {done.n_empty:,} lines without one"
    )


def _named(judge: str | None) -> str:
    if judge is not None:
        return judge
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return ""


def _print_queue(queue: list[Queued], *, as_json: bool) -> None:
    if as_json:
        print_json([one.__dict__ for one in queue])
        return
    rows = [(one.document_id, one.score, one.reason, one.source, one.origin, one.n_words) for one in queue]
    print_table(("document", "score", "why", "source", "counts as", "words"), rows)


def _print_tally(tally: Tally, judge: str) -> None:
    said = ", ".join(f"{n:,} {word}" for word, n in tally.judged.items() if n) or "nothing"
    say(f"{judge} judged: {said}; {tally.n_skipped:,} skipped, {tally.n_undone:,} taken back")
    if tally.n_missed:
        say(f"{tally.n_missed:,} had been judged by somebody else, or were gone")
