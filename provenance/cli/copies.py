"""Commands about copies: clusters, dedup rebuild."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import print_json, print_table, say, say_progress
from provenance.visible import visible

if TYPE_CHECKING:
    from provenance.dedup.browse import Cluster

dedup_app = typer.Typer(help="The search for copies.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(dedup_app, name="dedup")


class Within(StrEnum):
    """Where the copies of a cluster have to lie."""

    store = "store"
    source = "source"
    ingest = "ingest"


@app.command()
def clusters(
    context: typer.Context,
    show: Annotated[
        str | None, typer.Option("--show", help="One cluster: its id or that of a document, or the beginning of it.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--diff", help="With --show: the document to compare with the representative.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Only clusters with a document of this source.")
    ] = None,
    within: Annotated[
        Within, typer.Option("--within", help="Only clusters with two documents in one source, or of one ingest.")
    ] = Within.store,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many to show, largest first.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what is a copy of what: clusters of two documents or more, or one with its members and a word diff."""
    from provenance.dedup.browse import find_cluster, largest_clusters

    if show is not None:
        with shared(context).open() as store:
            one = find_cluster(store, show)
        _print_cluster(one, against, as_json=as_json)
        return
    with shared(context).open() as store:
        found = largest_clusters(store, source=source, within=within.value, limit=limit)
    if as_json:
        print_json(found.rows)
        return
    columns = ("cluster", "documents", "texts", "rules", "lowest score", "sources", "origins", "models", "begins")
    print_table(
        columns,
        [
            (
                str(row["cluster_id"])[:8], row["n_documents"], row["n_contents"], ", ".join(row["rules"] or ["exact"]),
                row["lowest_score"], ", ".join(row["sources"]), ", ".join(row["origins"]),
                ", ".join(row["models"] or []), row["begins"],
            )
            for row in found.rows
        ],
    )  # fmt: skip
    say(f"{len(found.rows):,} of {found.n_clusters:,} clusters; look into one with: provenance clusters --show CLUSTER")


@dedup_app.command("rebuild")
def dedup_rebuild(
    context: typer.Context,
    bands: Annotated[int | None, typer.Option(help="Bands of a signature.")] = None,
    rows: Annotated[int | None, typer.Option(help="Hash values in a band.")] = None,
    shingle: Annotated[int | None, typer.Option(help="Tokens in a shingle.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Smallest estimated Jaccard similarity.")] = None,
    containment: Annotated[
        float | None, typer.Option(help="Smallest share of a text inside another; switches containment on.")
    ] = None,
    no_containment: Annotated[bool, typer.Option("--no-containment", help="Switch containment off.")] = False,
    as_json: Json = False,
) -> None:
    """Search the whole store for copies anew; what is not given stays as it is."""
    from provenance.dedup.rebuild import rebuild

    if no_containment and containment is not None:
        raise typer.BadParameter("--containment and --no-containment contradict each other.")
    given = {"n_bands": bands, "rows_per_band": rows, "shingle_tokens": shingle, "threshold": threshold,
             "containment": containment}  # fmt: skip
    changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if no_containment:
        changed["containment"] = None
    with shared(context).open(writable=True) as store:
        parameters = replace(store.dedup, **changed)
        before, now = rebuild(store, parameters, progress=say_progress)
    if as_json:
        print_json({"before": before.__dict__, "now": now.__dict__, "parameters": parameters.__dict__})
        return
    for what, then, there in (("pairs", before.n_edges, now.n_edges), ("clusters", before.n_clusters, now.n_clusters)):
        say(f"{what}: {there:,} (before: {then:,})")
    say(f"{now.n_contents:,} texts searched")


def _print_cluster(cluster: Cluster, against: str | None, *, as_json: bool) -> None:
    from provenance.dedup.worddiff import shortened, word_diff
    from provenance.errors import UnknownName

    first, *others = cluster.members
    second = next((one for one in others if one["content_id"] != first["content_id"]), None)
    if against is not None:
        second = next((one for one in cluster.members if str(one["document_id"]).startswith(against.lower())), None)
        if second is None:
            known = [str(one["document_id"]) for one in cluster.members]
            raise UnknownName("document of this cluster", against, known)
    if as_json:
        members = [{name: value for name, value in one.items() if name != "text"} for one in cluster.members]
        print_json({"cluster_id": cluster.cluster_id, "members": members, "edges": cluster.edges})
        return
    columns = ("document", "text", "", "source", "id", "origin", "licence class", "written", "words")
    print_table(
        columns,
        [
            (
                str(one["document_id"])[:8], str(one["content_id"])[:8],
                "representative" if one["is_representative"] else "", one["source"], one["external_id"], one["origin"],
                one["licence_class"], one["authored_at"] and str(one["authored_at"])[:10], one["n_words"],
            )
            for one in cluster.members
        ],
    )  # fmt: skip
    if cluster.edges:
        edges = [(str(e["content_a"])[:8], str(e["content_b"])[:8], e["rule"], e["score"]) for e in cluster.edges]
        print_table(("text", "text", "rule", "score"), edges)
    if second is None:
        print("All texts of this cluster are the same, byte for byte.")
        return
    print(f"From {str(first['document_id'])[:8]} to {str(second['document_id'])[:8]}:")
    print(" ".join(_painted(piece.kind, piece.words) for piece in shortened(word_diff(first["text"], second["text"]))))


def _painted(kind: str, words: list[str]) -> str:
    """Return words in colour on a terminal, elsewhere in the brackets of wdiff."""
    text = visible(" ".join(words))
    if kind == "same":
        return text
    if sys.stdout.isatty():
        return f"\x1b[{'31;9' if kind == 'removed' else '32;1'}m{text}\x1b[0m"
    return f"[-{text}-]" if kind == "removed" else f"{{+{text}+}}"
