"""Commands about generated text that passes for people's, and about what models repeat."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import counted, percent, print_json, print_table, say, say_progress, warn_of_uncompared

if TYPE_CHECKING:
    from provenance.laundering.listing import Listing
    from provenance.laundering.memorisation import Memorisation

#: Rows that are listed at most; JSON has all.
_SHOWN = 20


@app.command()
def laundering(
    context: typer.Context,
    model: Annotated[str | None, typer.Option("--model", help="Only likenesses to texts of this model.")] = None,
    verdict: Annotated[str | None, typer.Option("--verdict", help="Only this one: conflict or memorisation.")] = None,
    rescan: Annotated[
        bool, typer.Option("--rescan", help="Compare everything with every model's text first.")
    ] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show documents that are, or hold, text of a model, and documents that a model repeats."""
    from provenance.laundering.listing import list_laundering
    from provenance.laundering.rescan import rescan as compare_all

    with shared(context).open(writable=rescan) as store:
        if rescan:
            done = compare_all(store, progress=say_progress)
            say(
                f"compared {counted(done.n_texts, 'text')} with {counted(done.n_outputs, 'text')} of models; in "
                f"conflict that were not, or no more: {counted(done.n_changed, 'document')}"
            )
        warn_of_uncompared(store)
        found = list_laundering(store, model=model, verdict=verdict, most=None if as_json else _SHOWN)
    if as_json:
        print_json(asdict(found))
    else:
        _show(found)


def _show(found: Listing) -> None:
    if not found.rows:
        print("No document is like a text of a model.")
        return
    columns = ("verdict", "ground", "kind", "model", "documents")
    print_table(columns, [tuple(row[one] for one in (*columns[:4], "n_documents")) for row in found.counts])
    shown = [
        (row["verdict"], row["kind"], row["score"], row["n_words"], row["document_id"][:8], row["source"],
         row["external_id"], row["synthetic_id"][:8], row["model"])
        for row in found.rows
    ]  # fmt: skip
    names = ("verdict", "kind", "score", "words", "document", "source", "its id", "output", "model")
    n_pairs = "The first pairs" if len(shown) == _SHOWN else "Pairs"
    print_table(names, shown, title=n_pairs)
    print(
        f"{counted(found.totals['conflict'], 'document')} in conflict, which no human quota takes; "
        f"{counted(found.totals['memorisation'], 'document')} that models repeat, which are people's all the same"
    )


@app.command()
def memorisation(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Name of a model that was trained on one of the store's sets.")],
    sample: Annotated[int, typer.Option("--sample", min=1, help="How many of its texts are looked at.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Which ones.")] = 0,
    as_json: Json = False,
) -> None:
    """Show how much of what a model wrote stands in what it, and the models behind it, were trained on."""
    from provenance.laundering.memorisation import measure_memorisation

    with shared(context).open() as store:
        found = measure_memorisation(store, model, sample=sample, seed=seed, progress=say_progress)
    if as_json:
        print_json({**asdict(found), "share": found.share})
    else:
        _show_repeated(found)


def _show_repeated(found: Memorisation) -> None:
    if found.repeated:
        rows = [
            (one.written[:8], one.kind, one.score, one.n_words, one.trained_on["document_id"][:8],
             one.trained_on["source"], one.trained_on["external_id"])
            for one in found.repeated[:_SHOWN]
        ]  # fmt: skip
        names = ("written", "kind", "score", "words", "trained on", "source", "its id")
        print_table(names, rows, title=f"What {found.model} repeats" + (", the most first" if len(rows) > 1 else ""))
    sets = ", ".join(found.training_sets)
    print(
        f"{found.n_repeated:,} of {found.n_sampled:,} texts by {found.model} ({percent(found.share)}) stand in what it "
        f"was trained on ({sets}), with {percent(found.n_words_repeated / found.n_words)} of their words"
    )
