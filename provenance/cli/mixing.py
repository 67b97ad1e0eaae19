"""Commands that build, prove, list and export training sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import percent, print_json, print_table, say, warn_of_uncompared

if TYPE_CHECKING:
    from provenance.mix.errors import InfeasibleMix
    from provenance.mix.spec import MixSpec
    from provenance.mix.training_set import TrainingSet
    from provenance.store.store import Store

tokenizer_app = typer.Typer(help="Tokenizers: what budgets in tokens count with.", no_args_is_help=True)
app.add_typer(tokenizer_app, name="tokenizer")


@app.command()
def mix(
    context: typer.Context,
    spec: Annotated[Path | None, typer.Argument(help="Specification in YAML.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of specifications.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Draw nothing: say what each quota leaves free and what it costs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Draw a training set that keeps its quotas, or refuse with numbers."""
    from provenance.mix.errors import InfeasibleMix
    from provenance.mix.make import make_training_set
    from provenance.mix.spec import MixSpec

    if schema:
        print_json(MixSpec.model_json_schema())
        return
    if spec is None:
        raise typer.BadParameter("name the specification: provenance mix SPEC.yaml (or --schema)")
    wanted = MixSpec.from_yaml(spec)
    with shared(context).open(writable=True) as store:
        warn_of_uncompared(store)
        try:
            if explain:
                _explain(store, wanted, as_json=as_json)
                return
            made = make_training_set(store, wanted)
        except InfeasibleMix as refusal:
            print_refusal(refusal, as_json=as_json)
            raise typer.Exit(1) from refusal
    if as_json:
        print_json(made.manifest)
    else:
        _describe(made)


def _explain(store: Store, spec: MixSpec, *, as_json: bool) -> None:
    from provenance.mix.explain import explain, render_explanation
    from provenance.mix.make import plan_mix

    explanation = explain(plan_mix(store, spec))
    if as_json:
        print_json(explanation.as_mapping())
    else:
        print(render_explanation(explanation))


def print_refusal(refusal: InfeasibleMix, *, as_json: bool) -> None:
    """Say why a mix cannot be made; with `as_json` its numbers on standard output too."""
    from provenance.mix.errors import render_refusal

    if as_json:
        print_json(refusal.as_mapping())
    say(render_refusal(refusal))


def _describe(made: TrainingSet) -> None:
    from provenance.mix.spec_fields import exact

    manifest: dict[str, Any] = made.manifest
    totals, unit = manifest["totals"], manifest["budget"]["unit"]
    counts = ", ".join(f"{count:,} {name}" for name, count in totals.items() if count is not None)
    print(f"{made.name}: {counts}")
    print(f"digest {made.digest}")
    words = {"min": "at least", "max": "at most"}
    rows = [
        (
            quota["quota"] + (f": {quota['group']}" if quota["group"] is not None else ""),
            f"{words[quota['bound']]} {percent(float(exact(quota['share'])))}",
            quota["units"],
            percent(quota["units"] / quota["total"] if quota["total"] else None),
        )
        for quota in manifest["quotas"]
    ]
    if rows:
        print_table(("quota", "bound", unit, "drawn"), rows)
    human = ", ".join(f"{percent(of['share'])} of {name}" for name, of in manifest["human"].items() if of)
    print(f"human: {human}")


@app.command("training-sets")
def training_sets(context: typer.Context, as_json: Json = False) -> None:
    """List the training sets."""
    from provenance.mix.training_set import list_training_sets

    with shared(context).open() as store:
        found = list_training_sets(store)
    if as_json:
        print_json([info.__dict__ for info in found])
        return
    columns = ("name", "made (UTC)", "documents", "words", "tokens", "human", "of", "taken down", "digest")
    print_table(
        columns,
        [
            (
                info.name, f"{info.created_at:%Y-%m-%d %H:%M}", info.n_documents, info.n_words, info.n_tokens,
                percent(info.human_share), info.budget_unit, info.n_taken_down or None, info.digest[:12],
            )
            for info in found
        ],
    )  # fmt: skip


@tokenizer_app.command("add")
def tokenizer_add(
    context: typer.Context,
    name: str,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="tokenizer.json of Hugging Face.")],
) -> None:
    """Keep a tokenizer in the store, so that token counts can be repeated."""
    from provenance.mix.tokens import add_tokenizer

    with shared(context).open(writable=True) as store:
        stored = add_tokenizer(store, name, file.read_text("utf-8"))
    say(f"tokenizer {stored.name}: {stored.vocab_size:,} types, digest {stored.digest[:12]}")
