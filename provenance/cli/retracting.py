"""Taking claims back: one by one, or all that have something in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import counted, print_json, print_table, say

if TYPE_CHECKING:
    from provenance.evidence.retract import Choice, Chosen, Retracted


@app.command()
def retract(
    context: typer.Context,
    claims: Annotated[
        list[str] | None, typer.Argument(metavar="[CLAIM]...", help="Ids of claims, or their first 8 digits.")
    ] = None,
    claimed_by: Annotated[
        str | None, typer.Option("--claimed-by", help="All claims of this author or detector (name@version).")
    ] = None,
    method: Annotated[str | None, typer.Option("--method", help="All claims on this ground.")] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="All claims about a source, its runs and its documents.")
    ] = None,
    ingest: Annotated[
        str | None, typer.Option("--ingest", help="All claims about an ingest run and its documents.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Of these, what was claimed then or later (UTC).")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="TIME", help="Of these, what was claimed earlier (UTC).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take them back; without it, they are only shown.")] = False,
    author: Annotated[str | None, typer.Option("--author", help="Who takes them back; else the user.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Why.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Take claims back: some by their ids, or all that the options together choose. They stay, and count no more.

    A claim that was taken back is made valid by claiming it again.
    """
    from provenance.evidence.claim_files import parse_time
    from provenance.evidence.retract import Choice, look, retract_all
    from provenance.evidence.retract import retract as take_back
    from provenance.ingest.runs import user

    choice = Choice(
        author=claimed_by, method=method, source=source, ingest=ingest,
        since=None if since is None else parse_time(since), before=None if before is None else parse_time(before),
    )  # fmt: skip
    _require_one_way(claims, choice, yes=yes)
    name = user() if author is None else author
    if claims:
        with shared(context).open(writable=True) as store:
            done = take_back(store, *claims, author=name, note=note)
    elif yes:
        with shared(context).open(writable=True) as store:
            done = retract_all(store, choice, author=name, note=note)
    else:
        with shared(context).open() as store:
            _show(look(store, choice), as_json=as_json)
        return
    _report(done, as_json=as_json)


def _require_one_way(claims: list[str] | None, choice: Choice, *, yes: bool) -> None:
    given = {name for name, value in choice.__dict__.items() if value is not None}
    if claims and (given or yes):
        raise typer.BadParameter("Ids of claims take no options that choose claims, and no --yes.")
    if not claims and not given - {"since", "before"}:
        raise typer.BadParameter("Give ids of claims; or --claimed-by, --method, --source or --ingest.")


def _as_mapping(chosen: Chosen) -> dict[str, object]:
    return {"n_claims": chosen.n_claims, "n_documents": chosen.n_documents, "groups": chosen.groups}


def _show(chosen: Chosen, *, as_json: bool) -> None:
    if as_json:
        print_json({"retracted": False, **_as_mapping(chosen)})
        return
    rows = [
        (one["author"], one["method"], one["subject_kind"], one["origin"], one["n_claims"],
         f"{one['first_at']:%Y-%m-%d %H:%M}", f"{one['last_at']:%Y-%m-%d %H:%M}")
        for one in chosen.groups
    ]  # fmt: skip
    print_table(("author", "method", "about", "origin", "claims", "first (UTC)", "last (UTC)"), rows)
    print(f"{counted(chosen.n_claims, 'claim')} about {counted(chosen.n_documents, 'document')}")
    say("Nothing was changed. To take them back: --yes --note TEXT")


def _report(done: Retracted, *, as_json: bool) -> None:
    settled = done.settled
    if as_json:
        changed = {"n_changed": settled.n_changed, "n_dependent": settled.n_dependent}
        print_json({"retracted": True, **_as_mapping(done), **changed})
        return
    say(
        f"took back {counted(done.n_claims, 'claim')} about {counted(done.n_documents, 'document')}: "
        f"{settled.n_changed:,} changed, and {settled.n_dependent:,} of models trained on them"
    )
