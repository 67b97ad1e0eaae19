"""Commands that bring evidence stronger than a word: early dates, and statements that somebody signed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.claiming import report
from provenance.cli.output import counted, print_json, print_table, say


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date; expected one such as 2026-03-31") from error


@app.command("date")
def state_early(
    context: typer.Context,
    before: Annotated[
        date, typer.Option("--before", parser=_day, metavar="DATE", help="Text published earlier is people's.")
    ] = "2020-01-01",  # type: ignore[assignment]
    source: Annotated[str | None, typer.Option("--source", help="Only documents of this source.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: Json = False,
) -> None:
    """Claim for every document published before a date that people wrote it (grade dated).

    A crawl's own date (collected_at) counts where there is one, otherwise the author's (authored_at). Documents that
    are claimed to be a model's, not only by a detector, get no claim. What dates claimed before and say no more,
    because they were amended or somebody names a model since, is taken back.
    """
    from provenance.evidence.dated import state_dates

    with shared(context).open(writable=not dry_run) as store:
        found = state_dates(store, before=before, source=source, dry_run=dry_run)
    if as_json:
        print_json({"sources": [one.__dict__ for one in found.sources], "n_changed": found.n_changed})
        return
    if not found.sources:
        say(f"No document was published before {before}.")
        return
    first, last = ("to be claimed", "to be taken back") if dry_run else ("claimed now", "taken back")
    columns = ("source", first, "claimed before", "a model's", last, "earliest", "latest")
    print_table(columns, [tuple(one.__dict__.values()) for one in found.sources])
    if not dry_run:
        say(f"{found.n_changed:,} documents show another origin or grade now")


@app.command()
def attest(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Name of the source.")],
    statement: Annotated[Path, typer.Option("--statement", help="The file; its bytes are kept.")],
    signer: Annotated[str, typer.Option("--signer", help="Who signed it.")],
    signed_on: Annotated[date, typer.Option("--signed-on", parser=_day, metavar="DATE", help="When.")],
    expires_on: Annotated[
        date | None, typer.Option("--expires-on", parser=_day, metavar="DATE", help="Until when it holds.")
    ] = None,
    terms: Annotated[str | None, typer.Option("--terms", help="What was agreed, in a few words.")] = None,
    origin: Annotated[str, typer.Option("--origin", help="Who wrote the documents.")] = "human",
    generation: Annotated[int | None, typer.Option("--generation", help="Model generations behind them.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model that wrote them.")] = None,
    signature: Annotated[Path | None, typer.Option("--signature", help="File of a detached signature.")] = None,
    public_key: Annotated[Path | None, typer.Option("--public-key", help="Key to check it with (PEM or DER).")] = None,
    as_json: Json = False,
) -> None:
    """Keep a licence deal or signed statement about a source, and claim what it says (grade attested).

    Keys may be Ed25519, ECDSA or RSA. A signature is made with openssl, for Ed25519 by

    openssl pkeyutl -sign -rawin -inkey key.pem -in deal.pdf -out deal.sig

    and for the others by: openssl dgst -sha256 -sign key.pem -out deal.sig deal.pdf
    """
    from provenance.evidence.attested import Attestation
    from provenance.evidence.attested import attest as keep

    given = Attestation(
        source=source, statement=statement, signer=signer, signed_on=signed_on, expires_on=expires_on, terms=terms,
        origin=origin, generation=generation, model=model, signature=signature, public_key=public_key,
    )  # fmt: skip
    with shared(context).open(writable=True) as store:
        stated = keep(store, given)
    if public_key is not None:
        say("the signature fits the statement and the key")
    elif signature is not None:
        say("the signature is kept unchecked: no --public-key was given")
    report(stated, as_json=as_json)


@app.command()
def attestations(context: typer.Context, as_json: Json = False) -> None:
    """List the attestations; the kept statements and signatures are checked again."""
    from provenance.evidence.attested import attestations as found

    with shared(context).open() as store:
        rows = found(store)
    if as_json:
        print_json(rows)
    elif not rows:
        say("There is none. See: provenance attest --help")
    else:
        names = ("source", "origin", "signer", "signed_on", "expires_on", "terms", "state")
        columns = ("source", "origin", "signer", "signed", "expires", "terms", "state", "SHA-256")
        print_table(columns, [(*(row[name] for name in names), row["statement_digest"][:16]) for row in rows])
    expired = [row for row in rows if row["counts"] and "expired" in row["state"]]
    if expired:
        first = expired[0]["claim_id"][:8]
        say(
            f"Of {counted(len(expired), 'expired statement')} the claim still counts. To end that: "
            f"provenance retract {first}"
        )
    if any(row["state"].startswith("BROKEN") for row in rows):
        say("What is kept of a BROKEN attestation is not what was attested: do not rely on it.")
        raise typer.Exit(1)
