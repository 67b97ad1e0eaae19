"""Commands that compare training sets: with each other, and with today's labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import cell, percent, print_json, print_table, say

if TYPE_CHECKING:
    from provenance.mix.compare import Difference, Group
    from provenance.mix.stale import StaleSet

#: Groups that are printed of every kind; JSON has all.
_SHOWN = 20


@app.command()
def diff(
    context: typer.Context,
    a: Annotated[str, typer.Argument(help="Training set.")],
    b: Annotated[str, typer.Argument(help="Training set to compare it with.")],
    as_json: Json = False,
) -> None:
    """Show how two training sets differ: documents, human share, specification, and what a larger budget lost."""
    from provenance.mix.compare import compare

    with shared(context).open() as store:
        found = compare(store, a, b)
    if as_json:
        print_json(found.as_mapping())
        return
    if found.is_empty:
        say(f"{a} and {b} do not differ.")
        return
    _print_sets(found)
    _print_parts(found)
    for dimension, groups in found.groups.items():
        _print_groups(found, dimension, groups)
    _print_fields(found)
    _print_losses(found)


def _print_sets(found: Difference) -> None:
    rows = [
        (of.name, side.documents, side.draws, side.words, *(percent(of.human[unit]) for unit in of.human))
        for of, side in ((found.a, found.total.a), (found.b, found.total.b))
    ]
    shares = (f"human {unit}" for unit in found.a.human)
    print_table(("set", "documents", "draws", "words", *shares), rows)


def _print_parts(found: Difference) -> None:
    rows: list[tuple[str, int, int, int]] = []
    for of, side in ((found.a, found.total.a), (found.b, found.total.b)):
        rows.append((f"only in {of.name}", side.only_documents, side.only_draws, side.only_words))
    both = [
        (side.documents - side.only_documents, side.draws - side.only_draws, side.words - side.only_words)
        for side in (found.total.a, found.total.b)
    ]
    if both[0] == both[1]:
        rows.append(("in both", *both[0]))
    else:
        rows += [(f"in both, as in {of.name}", *counts) for of, counts in zip((found.a, found.b), both, strict=True)]
    print_table(("part", "documents", "draws", "words"), rows)


def _print_groups(found: Difference, dimension: str, groups: list[Group]) -> None:
    a, b = found.a.name, found.b.name
    columns = (dimension, f"draws {a}", f"draws {b}", f"words {a}", f"words {b}", f"only in {a}", f"only in {b}",
               "moved")  # fmt: skip
    rows = [
        (
            group.value, group.a.draws, group.b.draws, group.a.words, group.b.words, group.a.only_documents,
            group.b.only_documents, group.a.moved + group.b.moved,
        )
        for group in groups[:_SHOWN]
    ]  # fmt: skip
    print_table(columns, rows, title=f"By {dimension}")
    _say_more(groups, f"by {dimension}, which differ less")


def _print_fields(found: Difference) -> None:
    if found.fields:
        rows = [(field.field, cell(_said(field.a)), cell(_said(field.b))) for field in found.fields]
        print_table(("field", found.a.name, found.b.name), rows, title="Specification")


def _said(value: Any) -> Any:
    """Return a value of a specification without the fields that say nothing."""
    if isinstance(value, dict):
        return {name: _said(one) for name, one in value.items() if one not in (None, [], {})}
    return [_said(one) for one in value] if isinstance(value, list) else value


def _print_losses(found: Difference) -> None:
    a, b = found.a.name, found.b.name
    for title, groups in (("Strata that shrank", found.shrunk), ("Strata that did not shrink, but lost", found.lost)):
        if groups:
            columns = ("stratum", f"draws {a}", f"draws {b}", "lost", "moved")
            rows = [(g.value, g.a.draws, g.b.draws, g.lost, g.a.moved) for g in groups[:_SHOWN]]
            print_table(columns, rows, title=title)
            _say_more(groups, title.lower())
    n_strata = sum(group.a.draws > 0 for group in found.groups["stratum"])
    print(f"{b} keeps every draw of {a} in {len(found.kept):,} of its {n_strata:,} strata.")


def _say_more(groups: list[Group], what: str) -> None:
    if len(groups) > _SHOWN:
        say(f"{len(groups) - _SHOWN:,} more {what}; --json has all")


@app.command()
def stale(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also the training sets of which nothing changed.")] = False,
    as_json: Json = False,
) -> None:
    """List the training sets whose documents were relabelled, removed or taken down since they were drawn."""
    from provenance.mix.stale import stale_sets

    with shared(context).open() as store:
        found = stale_sets(store, every=every)
    if not any(one.is_stale for one in found):
        say("No document of a training set was relabelled or removed since it was drawn.")
    if as_json:
        print_json([one.as_mapping() for one in found])
    elif found:
        _print_stale(found)


#: What a quota that is met, that is not met, and that cannot be told reads like.
_QUOTAS = {True: "hold", False: "fail", None: "see verify"}


def _print_stale(found: list[StaleSet]) -> None:
    from provenance.mix.stale import LABELS

    words = [label.replace("_", " ").removesuffix(" class").removesuffix(" rank") for label in LABELS]
    rows = [
        (
            one.name, one.n_draws, one.relabelled, *one.labels.values(), one.attributes, one.cluster, one.gone_draws,
            one.taken_down, _QUOTAS[one.meets_quotas],
        )
        for one in found
    ]  # fmt: skip
    columns = ("set", "draws", "relabelled", *words, "attributes", "cluster", "gone", "taken down", "quotas today")
    print_table(columns, rows)
    for one in found:
        for violation in one.violations:
            print(f"{one.name}: {violation}")
