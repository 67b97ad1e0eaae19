"""Commands about the store itself: init, migrate, check, schema, stats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import percent, print_json, print_table, say


@app.command()
def init(
    context: typer.Context,
    bands: Annotated[int, typer.Option(help="Bands of a signature.")] = 14,
    rows: Annotated[int, typer.Option(help="Hash values in a band.")] = 8,
    shingle: Annotated[int, typer.Option(help="Tokens in a shingle.")] = 5,
    threshold: Annotated[float, typer.Option(help="Smallest estimated Jaccard similarity of near-duplicates.")] = 0.7,
    containment: Annotated[
        float | None,
        typer.Option(help="Find texts inside others as well: smallest share of a text, such as 0.8 (keeps more data)."),
    ] = None,
) -> None:
    """Make a new store."""
    from provenance.dedup.parameters import DedupParameters
    from provenance.store.store import Store

    dedup = DedupParameters(
        n_bands=bands, rows_per_band=rows, shingle_tokens=shingle, threshold=threshold, containment=containment
    )
    path = shared(context).path
    Store.create(path, dedup=dedup).close()
    say(f"Made {path}. Next: provenance ingest FILE --source NAME --origin ORIGIN")


@app.command()
def migrate(context: typer.Context) -> None:
    """Bring a store to the schema revision of this program."""
    from provenance.store.store import Store

    options = shared(context)
    before, after = Store.migrate(options.path, wait_s=options.wait_s)
    say(f"{options.path}: {'already at' if before == after else f'{before} →'} revision {after}")


@app.command()
def backup(
    context: typer.Context,
    to: Annotated[Path, typer.Argument(metavar="TO", help="The copy's file; it must not exist.")],
    as_json: Json = False,
) -> None:
    """Copy the store as it is at one moment, and verify the copy."""
    from provenance.store.backup import backup as make_backup

    options = shared(context)
    report = make_backup(options.path, to, wait_s=options.wait_s)
    if as_json:
        print_json({**report.__dict__, "path": str(to)})
        return
    size = report.size_bytes / 1e6
    say(f"{to}: {size:,.1f} MB copied and verified in {report.seconds:.1f} s, SHA-256 {report.sha256}")


@app.command()
def compact(context: typer.Context, as_json: Json = False) -> None:
    """Write the store anew, so that removed and changed rows take no space any more."""
    from provenance.store.compact import compact as make_compact

    options = shared(context)
    report = make_compact(options.path, wait_s=options.wait_s)
    if as_json:
        print_json(report.__dict__)
        return
    before, after = report.before_bytes / 1e6, report.after_bytes / 1e6
    say(f"{options.path}: {after:,.1f} MB (before: {before:,.1f} MB), compared row for row, in {report.seconds:.1f} s")


@app.command()
def check(context: typer.Context, as_json: Json = False) -> None:
    """Prove the store's integrity: ids, references, counts, and every stored result computed again."""
    from provenance.store.check import check_store

    with shared(context).open() as store:
        findings = list(check_store(store))
    broken = [finding for finding in findings if finding.n_violations]
    if as_json:
        print_json([finding.__dict__ for finding in findings])
    else:
        for finding in broken:
            print(
                f"violated {finding.n_violations:,} times: {finding.check} (for example {', '.join(finding.examples)})"
            )
    say(f"{len(findings)} checks, {len(broken)} violated")
    if broken:
        raise typer.Exit(1)


@app.command()
def schema(context: typer.Context, as_json: Json = False) -> None:
    """Print the SQL views with the meaning of every column."""
    from provenance.store.documentation import describe_views

    with shared(context).open() as store:
        views = describe_views(store)
    if as_json:
        print_json([{**v.__dict__, "columns": [c.__dict__ for c in v.columns]} for v in views])
        return
    for view in views:
        print(f"\n{view.name} — {view.meaning}")
        width = max(len(column.name) for column in view.columns)
        kind = max(len(column.kind) for column in view.columns)
        for column in view.columns:
            print(f"  {column.name:{width}}  {column.kind:{kind}}  {column.meaning}")


@app.command()
def stats(context: typer.Context, as_json: Json = False) -> None:
    """Show what the store holds by source, origin and generation, and how human it is."""
    from provenance.records import GRADES
    from provenance.store.stats import read_stats

    with shared(context).open() as store:
        found = read_stats(store)
    if as_json:
        print_json(found.as_dict())
        return
    totals = found.totals
    if not totals["n_documents"]:
        say("The store is empty. Next: provenance ingest FILE --source NAME --origin ORIGIN")
        return
    columns = ("source", "origin", "generation", "documents", "unique", "words", "bytes", "% of words")
    rows = [
        (
            row["source"], row["origin"], row["generation"], row["n_documents"], row["n_representatives"],
            row["n_words"], row["n_bytes"], percent(row["n_words"] / totals["n_words"] if totals["n_words"] else None),
        )
        for row in found.rows
    ]  # fmt: skip
    print_table(columns, rows)
    print(
        f"{totals['n_documents']:,} documents, {totals['n_words']:,} words, {totals['n_bytes']:,} bytes; "
        f"{totals['n_representatives']:,} represent a cluster, with {totals['representative_words']:,} words"
    )
    print(f"human: {percent(found.human_share('words'))} of words, {percent(found.human_share('bytes'))} of bytes")
    for rank, words in found.human_evidence.items():
        print(f"  on evidence of grade {GRADES[rank]}: {words:,} words")
    print(f"{found.n_quarantined:,} quarantined, {found.n_training_sets:,} training sets, {found.n_models:,} models")
