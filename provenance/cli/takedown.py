"""Commands that erase for good, and repair what hung on it: takedown, repair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.app import Json, Shared, app, shared
from provenance.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from provenance.store.compact import CompactReport
    from provenance.takedown.erase import TakenDown
    from provenance.takedown.repair import Repaired
    from provenance.takedown.select import Selection
    from provenance.takedown.touched import Copies, Touched

_Values = list[str] | None


@app.command()
def takedown(
    context: typer.Context,
    documents: Annotated[
        _Values, typer.Argument(help="Ids of documents, as in the view documents, or beginnings of ids.")
    ] = None,
    author: Annotated[
        _Values, typer.Option("--author", help="All documents that name this author, now or before an amendment.")
    ] = None,
    source: Annotated[
        _Values, typer.Option("--source", help="All documents of this source, and its refused records.")
    ] = None,
    licence: Annotated[_Values, typer.Option("--licence", help="All documents with this licence as claimed.")] = None,
    url: Annotated[
        _Values,
        typer.Option(
            "--url",
            metavar="PATTERN",
            help="All documents whose uri matches: * stands for anything, ? for one character; case matters.",
        ),
    ] = None,
    with_copies: Annotated[
        bool, typer.Option("--with-copies", help="Also documents with the same text, and near-copies.")
    ] = False,
    keep_copies: Annotated[
        bool, typer.Option("--keep-copies", help="Keep other documents with the same text, and so the text.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Erase; without it, only what is touched is shown.")] = False,
    yes_all: Annotated[
        int | None,
        typer.Option("--yes-all", min=0, metavar="N", help="Erase N documents, more than half of the store."),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it stays in the store.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Draw the training sets concerned anew, without what was erased.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Write the file anew after a takedown that was interrupted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what documents have touched, and with --yes erase them for good: a tombstone refuses them from then on."""
    options = shared(context)
    selection = _selection(
        {"document": documents, "author": author, "source": source, "licence": licence, "url": url}, finish=finish
    )
    if with_copies and keep_copies:
        raise typer.BadParameter("--with-copies and --keep-copies exclude each other")
    if selection is None:
        _finish(options, as_json=as_json)
        return
    copies: Copies = "erase" if with_copies else "keep" if keep_copies else "ask"
    if not (yes or yes_all is not None):
        _look(options, selection, copies, as_json=as_json)
        return
    _erase(options, selection, copies, reason, yes_all, repair=repair, as_json=as_json)


def _selection(given: dict[str, _Values], *, finish: bool) -> Selection | None:
    """Return what is to be taken down, or None for the rest of an interrupted takedown."""
    from provenance.takedown.select import Selection

    named = {kind: tuple(values) for kind, values in given.items() if values}
    if finish and named:
        raise typer.BadParameter("--finish goes on with what was erased already; it takes no documents")
    if finish:
        return None
    if len(named) != 1:
        raise typer.BadParameter(
            "say what to take down, in one way: ids of documents, --author, --source, --licence or --url; each can be "
            "given several times"
        )
    ((kind, values),) = named.items()
    if any(not value.strip() for value in values):
        raise typer.BadParameter("a name, id or pattern is empty")
    return Selection(kind, values)  # type: ignore[arg-type]  # the keys are the kinds


def _look(options: Shared, selection: Selection, copies: Copies, *, as_json: bool) -> None:
    from provenance.takedown.erase import look

    with options.open() as store:
        touched = look(store, selection, copies=copies)
    if as_json:
        print_json({"erased": False, **touched.as_mapping()})
        return
    _print_touched(touched, copies, is_done=False)
    say("Nothing was changed. To erase them: --yes --reason TEXT")


def _erase(
    options: Shared,
    selection: Selection,
    copies: Copies,
    reason: str | None,
    yes_all: int | None,
    *,
    repair: bool,
    as_json: bool,
) -> None:
    from provenance.takedown.erase import finish, take_down

    with options.open(writable=True) as store:
        done = take_down(store, selection, reason=reason, copies=copies, yes_all=yes_all)
        store_id = str(store.setting("store_id"))
    rewritten = finish(options.path, wait_s=options.wait_s)
    backups = _backups(options.path, store_id)
    names = [row["training_set"] for row in done.touched.training_sets]
    repaired = _repair_all(options, names) if repair else {}
    if as_json:
        print_json(
            {
                "erased": True,
                "takedown_id": done.takedown_id,
                **done.touched.as_mapping(),
                "rewritten": rewritten.__dict__,
                "backups": backups,
                "repaired": {
                    n: {"refused": one} if isinstance(one, str) else one.__dict__ for n, one in repaired.items()
                },
            }
        )
    else:
        _print_done(done, copies, rewritten, backups, options.path)
        for name, one in repaired.items():
            _print_repaired(name, one)
    if any(isinstance(one, str) for one in repaired.values()):
        raise typer.Exit(1)


def _backups(path: Path, store_id: str) -> list[str]:
    from provenance.store.backup import copies_beside

    return [str(one) for one in copies_beside(path, store_id)]


def _finish(options: Shared, *, as_json: bool) -> None:
    from provenance.takedown.erase import finish, is_pending

    with options.open() as store:
        pending, store_id = is_pending(store), str(store.setting("store_id"))
    rewritten = finish(options.path, wait_s=options.wait_s) if pending else None
    backups = _backups(options.path, store_id)
    if as_json:
        print_json({"rewritten": rewritten.__dict__ if rewritten else None, "backups": backups})
        return
    if rewritten is None:
        say("Nothing is left to do: the file was written anew after the last takedown.")
    else:
        _say_rewritten(rewritten, options.path)
    _say_backups(backups)


def _print_touched(touched: Touched, copies: Copies, *, is_done: bool) -> None:
    verb = "Erased" if is_done else "To be erased"
    rows: list[tuple[str, str, Any, Any]] = [
        ("documents", row["source"], row["n_documents"], row["n_words"]) for row in touched.documents
    ]
    also = {"ask": ", not yet decided", "erase": ", erased too", "keep": ", kept"}[copies]
    near = ", erased too" if copies == "erase" else ", kept"
    rows += [(f"same text{also}", row["source"], row["n_documents"], row["n_words"]) for row in touched.exact_copies]
    rows += [(f"near-copies{near}", row["source"], row["n_documents"], row["n_words"]) for row in touched.near_copies]
    rows += [("made from them", row["source"], row["n_documents"], None) for row in touched.derived]
    if rows:
        print_table(("what", "source", "documents", "words"), rows)
    print(
        f"{verb}: {touched.n_documents:,} of {touched.n_store:,} documents, {touched.n_texts:,} texts that nobody else "
        f"has, {touched.n_words:,} words; the bytes of {touched.n_quarantined:,} refused records"
    )
    if touched.nearest and copies != "erase":
        columns = ("near-copy", "source", "by", "similarity")
        print_table(columns, [tuple(row.values()) for row in touched.nearest])
    _print_sets(touched)
    _print_exports(touched)
    for row in touched.mentions:
        print(f"The name also stands in {row['place']} ({row['n_rows']:,}), which is not touched.")


def _print_sets(touched: Touched) -> None:
    if not touched.training_sets:
        print("No training set holds any of them.")
        return
    columns = ("training set", "documents", "draws", "of draws")
    print_table(columns, [tuple(row.values()) for row in touched.training_sets])
    rows = [
        (
            step.step, ", ".join(step.training_sets), ", ".join(step.models) or None,
            ", ".join(f"{one['n_documents']:,} of generation {_generation(one)}" for one in step.generated) or None,
        )
        for step in touched.steps
    ]  # fmt: skip
    print_table(("step", "training sets", "models trained on them", "documents that these wrote"), rows)


def _generation(row: dict[str, Any]) -> str:
    return "unknown" if row["generation"] is None else str(row["generation"])


def _print_exports(touched: Touched) -> None:
    words = {True: "yes", False: "no", None: "other host"}
    rows = [
        (row["training_set"], row["format"], row["path"], row["host"], f"{row['exported_at']:%Y-%m-%d %H:%M}",
         words[row["is_there"]])
        for row in touched.exports
    ]  # fmt: skip
    if rows:
        print_table(("training set", "format", "export", "host", "exported (UTC)", "there"), rows)


def _print_done(done: TakenDown, copies: Copies, rewritten: CompactReport, backups: list[str], path: Path) -> None:
    _print_touched(done.touched, copies, is_done=True)
    say(f"Takedown {done.takedown_id} is done.")
    _say_rewritten(rewritten, path)
    _say_backups(backups)
    there = [row for row in done.touched.exports if row["is_there"] is not False]
    if there:
        say(f"{len(there):,} exports above may still hold the texts: delete them yourself.")
    if done.touched.models:
        say(f"Models that have seen them, or output of one that has: {', '.join(done.touched.models)}")


def _say_rewritten(rewritten: CompactReport, path: Path) -> None:
    before, after = rewritten.before_bytes / 1e6, rewritten.after_bytes / 1e6
    say(f"{path} was written anew: {after:,.1f} MB (before: {before:,.1f} MB), in {rewritten.seconds:.1f} s")


def _say_backups(backups: list[str]) -> None:
    for one in backups:
        say(f"{one} is a copy of this store from another time, and may still hold the texts: delete it yourself.")


def _repair_all(options: Shared, names: list[str]) -> dict[str, Repaired | str]:
    """Return for every training set its repaired one, or why there is none."""
    from provenance.errors import ProvenanceError
    from provenance.takedown.repair import repair as repair_set

    found: dict[str, Repaired | str] = {}
    with options.open(writable=True) as store:
        for name in names:
            try:
                found[name] = repair_set(store, name)
            except ProvenanceError as error:
                found[name] = str(error)
    return found


def _print_repaired(name: str, one: Repaired | str) -> None:
    if isinstance(one, str):
        say(f"{name} was not repaired: {one}")
        return
    print(
        f"{name} is repaired as {one.name}: {one.n_draws:,} draws, {one.n_kept:,} of the {one.n_left:,} that were left "
        f"of {one.n_before:,}, and {one.n_draws - one.n_kept:,} others; digest {one.digest[:12]}"
    )


@app.command()
def repair(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Training set that holds documents taken down.")],
    new_name: Annotated[
        str | None, typer.Option("--as", metavar="NEWNAME", help="What to call the repaired one (NAME-repaired).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a training set anew without what was taken down, as near to it as its quotas allow, or refuse."""
    from provenance.cli.mixing import print_refusal
    from provenance.mix.errors import InfeasibleMix
    from provenance.takedown.repair import repair as repair_set

    with shared(context).open(writable=True) as store:
        try:
            one = repair_set(store, name, new_name=new_name)
        except InfeasibleMix as refusal:
            print_refusal(refusal, as_json=as_json)
            raise typer.Exit(1) from refusal
    if as_json:
        print_json(one.__dict__)
    else:
        _print_repaired(name, one)
