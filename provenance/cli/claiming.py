"""Commands about claims: state, take back, list, and why a document has its origin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import cell, counted, print_json, print_table, printable, say

if TYPE_CHECKING:
    from provenance.evidence.claims import SubjectKind
    from provenance.evidence.statements import Stated
    from provenance.evidence.why import Why

_Source = Annotated[str | None, typer.Option("--source", help="About all documents of a source.")]
_Ingest = Annotated[str | None, typer.Option("--ingest", help="About all documents of an ingest run.")]
#: Claims that are listed at most; JSON has all.
_SHOWN = 100


@app.command()
def claim(
    context: typer.Context,
    documents: Annotated[list[str] | None, typer.Argument(metavar="[DOCUMENT]...", help="Ids of documents.")] = None,
    source: _Source = None,
    ingest: _Ingest = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="State the claims of a JSON Lines file, all or none.")
    ] = None,
    origin: Annotated[str | None, typer.Option("--origin", help="human, synthetic, mixed or unknown.")] = None,
    generation: Annotated[int | None, typer.Option("--generation", help="Model generations behind it.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model that wrote it.")] = None,
    method: Annotated[
        str, typer.Option("--method", help="The ground: declared, detector, 'published before a cutoff', 'licence "
                          "deal', 'signed statement' or 'judged by a person'.")
    ] = "declared",
    grade: Annotated[str | None, typer.Option("--grade", help="Grade of the evidence; that of the method.")] = None,
    confidence: Annotated[float | None, typer.Option("--confidence", help="0 to 1.")] = None,
    author: Annotated[
        str | None, typer.Option("--author", help="Who claims it; else the user who runs this.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="When it was claimed (UTC); else now.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Particulars.")] = None,
    support: Annotated[
        str | None, typer.Option("--support", help="File whose bytes are kept, or address, that supports it.")
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Claim who wrote documents, all documents of a source, or all of an ingest run."""
    from provenance.evidence.claim_files import parse_time, state_file
    from provenance.evidence.statements import Statement, state
    from provenance.ingest.runs import user

    subjects: list[tuple[SubjectKind, str]] = [("document", one) for one in documents or ()]
    subjects += [] if source is None else [("source", source)]
    subjects += [] if ingest is None else [("ingest", ingest)]
    if (file is None) == (not subjects) or (file is None) != (origin is not None):
        raise typer.BadParameter("Give documents, --source or --ingest with --origin; or --file alone.")
    name = user() if author is None else author
    with shared(context).open(writable=True) as store:
        if file is not None:
            stated = state_file(store, file, author=name)
        else:
            when = None if at is None else parse_time(at)
            more = {"generation": generation, "model": model, "method": method, "grade": grade, "note": note,
                    "confidence": confidence, "at": when, "support": support}  # fmt: skip
            statements = [
                Statement(kind=kind, subject=one, author=name, origin=str(origin), **more)  # type: ignore[arg-type]
                for kind, one in subjects
            ]
            stated = state(store, statements)
    report(stated, as_json=as_json)


@app.command("claims")
def list_claims(
    context: typer.Context,
    document: Annotated[str | None, typer.Option("--document", help="About this document alone.")] = None,
    source: _Source = None,
    ingest: _Ingest = None,
    author: Annotated[str | None, typer.Option("--author", help="Of this author.")] = None,
    as_json: Json = False,
) -> None:
    """List claims, the last first."""
    from provenance.evidence.listing import list_claims as found_claims

    limit = None if as_json else _SHOWN
    with shared(context).open() as store:
        found, n = found_claims(store, document=document, source=source, ingest=ingest, author=author, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            str(one["claim_id"])[:8], one["subject_kind"], _subject(one), one["origin"], one["generation"],
            one["model"], one["method"], one["rank"], one["author"], f"{one['stated_at']:%Y-%m-%d %H:%M}",
            _standing(one),
        )
        for one in found
    ]  # fmt: skip
    columns = ("claim", "about", "which", "origin", "gen", "model", "method", "rank", "author", "stated", "")
    print_table(columns, rows)
    if n > len(found):
        say(f"{n - len(found):,} more; --json has all")


def report(stated: Stated, *, as_json: bool) -> None:
    """Print what became of claims that were stated."""
    settled = stated.settled
    if as_json:
        print_json({"claims": stated.ids, "n_documents": stated.n_documents, "n_changed": settled.n_changed,
                    "n_dependent": settled.n_dependent})  # fmt: skip
        return
    shown = ", ".join(map(str, stated.ids[:3])) + (", ..." if len(stated.ids) > 3 else "")
    say(
        f"stated {counted(len(stated.ids), 'claim')} ({shown}) about {counted(stated.n_documents, 'document')}: "
        f"{settled.n_changed:,} changed, and {settled.n_dependent:,} of models trained on them"
    )


def _standing(one: dict[str, Any]) -> str:
    if one["is_retracted"]:
        return "taken back"
    return f"takes back {str(one['retracts'])[:8]}" if one["retracts"] else ""


def _subject(one: dict[str, Any]) -> str:
    return one["source"] or str(one["ingest_id"] or one["document_id"])[:8]


@app.command("why")
def explain(
    context: typer.Context,
    document: Annotated[str, typer.Argument(help="Id of the document, or its first 8 digits.")],
    as_json: Json = False,
) -> None:
    """Show why a document has its origin: its claims, what the rule makes of each, and the outcome."""
    from provenance.evidence.why import why

    with shared(context).open() as store:
        found = why(store, document)
    if as_json:
        print_json(found.as_mapping())
        return
    _print_why(found)


def _print_why(found: Why) -> None:
    about = found.document
    facts = [f"{name} {about[name]}" for name in ("source", "external_id", "title", "uri") if about[name]]
    facts += [f"{name} {about[name]:%Y-%m-%d}" for name in ("authored_at", "collected_at") if about[name]]
    print(f"Document {about['document_id']}\n{printable(', '.join(facts))}, {about['n_words']:,} words\n")
    rows = [
        (
            one["claim_id"][:8], one["subject_kind"], one["origin"], one["generation"], one["model"], one["grade"],
            _ground(one), one["author"], f"{one['stated_at']:%Y-%m-%d %H:%M}", one["fate"],
        )
        for one in found.claims
    ]  # fmt: skip
    columns = ("claim", "about", "origin", "gen", "model", "grade", "ground", "author", "stated (UTC)", "the rule")
    print_table(columns, rows, title="Claims, the last first")
    if found.laundering:
        fields = ("model", "kind", "score", "n_words", "verdict", "ground")
        outputs = [(one["synthetic_id"][:8], *(one[name] for name in fields)) for one in found.laundering]
        titles = ("output", "model", "kind", "score", "words", "verdict", "ground")
        print_table(titles, outputs, title="Text of models in it (step 6)")
    if found.model is not None and found.model["training_set"] is not None:
        _print_model(found.model)
    _print_outcome(found)


def _ground(one: dict[str, Any]) -> str:
    """Return on what a claim rests: method, note, confidence, and the file or address that supports it."""
    said = [f"{one['method']}: {one['note']}" if one["note"] else one["method"]]
    said += [f"confidence {one['confidence']:.3g}"] if one["confidence"] is not None else []
    said += [f"{one['support_name']}, SHA-256 {one['support_digest'][:12]}"] if one["support_digest"] else []
    said += [one["support_uri"]] if one["support_uri"] else []
    return "; ".join(said)


def _print_model(model: dict[str, Any]) -> None:
    names = ("name", "training_set", "generation", "generation_is_bound", "human_ancestry", "mean_ancestry")
    columns = ("model", "trained on", "generation", "lower bound", "human ancestry", "mean ancestry")
    print_table(columns, [tuple(model[name] for name in names)], title="Its model is one of ours (step 8)")


def _print_outcome(found: Why) -> None:
    from provenance.evidence.why import STEPS

    said = found.outcome
    parts = [f"{said['origin']}, grade {said['evidence_grade']} ({said['evidence_rank']})"]
    if said["generation"] is not None and said["origin"] != "human":
        parts.append(f"generation {'at least ' if said['generation_is_bound'] else ''}{said['generation']}")
    if said["model"] is not None:
        parts.append(f"model {printable(said['model'])}")
    if said["human_ancestry"] is not None and said["origin"] != "human":
        parts.append(f"human ancestry {cell(said['human_ancestry'])}, mean ancestry {cell(said['mean_ancestry'])}")
    print("The rule, in steps")
    for number, step in enumerate(STEPS, start=1):
        print(f"{number}. {step}")
    print(f"\nOutcome: {'; '.join(parts)}")
    if said["conflict"] is not None:
        print(f"In conflict ({said['conflict']}), so it counts as unknown. {found.remedy}")
