"""The command that says which human documents stand behind a model or a text."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.cli.app import DEFAULT_STORE, Json, StorePath, Wait, app

if TYPE_CHECKING:
    from training.ancestry import Ancestry


@app.command("ancestry")
def ancestry_command(
    subject: Annotated[str, typer.Argument(metavar="MODEL|DOCUMENT", help="Name of a model, or id of a document.")],
    store: StorePath = DEFAULT_STORE,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Documents to list, the heaviest first.")] = 20,
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """Say which documents stand behind a model or a text through all generations, and with how much weight."""
    from provenance.cli.output import print_json
    from provenance.store.store import Store
    from training.ancestry import ancestry

    with Store.open(store, wait_s=wait) as opened:
        found = ancestry(opened, subject)
    if json:
        print_json(_as_mapping(found))
        return
    _show(found, limit)


def _as_mapping(found: Ancestry) -> dict[str, Any]:
    return {
        "subject": found.subject,
        "model": found.model,
        "generation": found.generation,
        "human_share": float(found.human_share),
        "prompts": list(found.prompts),
        "levels": [
            {
                "depth": level.depth,
                "models": {name: float(weight) for name, weight in level.models.items()},
                "human": float(level.human),
                "other": float(level.other),
                "passed_on": float(level.passed_on),
            }
            for level in found.levels
        ],
        "documents": [asdict(root) for root in found.roots],
    }


def _show(found: Ancestry, limit: int) -> None:
    from provenance.cli.output import print_table, say

    what = f"model {found.subject}" if found.model == found.subject else f"document {found.subject}"
    by = f" by {found.model}" if found.model not in (None, found.subject) else ""
    n = len(found.roots)
    say(f"{what}{by}: {_percent(found.human_share)} of its weight is human; {n:,} documents stand behind it")
    print_table(
        ["depth", "models", "human", "other", "written by models"],
        [
            [
                level.depth,
                ", ".join(level.models) or "–",
                _percent(level.human),
                _percent(level.other),
                _percent(level.passed_on),
            ]
            for level in found.levels
        ],
    )
    if found.prompts:
        say(f"it continues a prompt from: {', '.join(found.prompts)}")
    if limit:
        print_table(
            ["document", "origin", "source", "id there", "weight", "depths"],
            [
                [
                    root.document_id,
                    root.origin,
                    root.source,
                    root.external_id,
                    _percent(root.weight),
                    f"{root.nearest}" if root.nearest == root.farthest else f"{root.nearest}–{root.farthest}",
                ]
                for root in found.roots[:limit]
            ],
        )
    if len(found.roots) > limit:
        say(f"{len(found.roots) - limit:,} more documents: --limit, or --json for all")


def _percent(share: Any) -> str:
    return f"{100 * float(share):.3g} %"
