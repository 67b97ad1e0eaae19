"""The command that proves training sets, in the store or from files alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import print_json

if TYPE_CHECKING:
    from provenance.mix.verdict import Verdict

#: Endings of exported files.
_EXPORTED = (".jsonl", ".gz", ".zst", ".parquet")


@app.command()
def verify(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|MANIFEST|EXPORT",
            help="Training set, its manifest as JSON, or an exported file or folder, verified without a store.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Recompute every claim of a training set's manifest and name each that does not hold."""
    from provenance.mix.verify_export import is_export

    path = Path(name)
    is_from_files = is_export(path)
    verdict = _of_files(path) if is_from_files else _of_store(context, name, path)
    if as_json:
        print_json(
            {
                "name": verdict.name,
                "from": str(path) if is_from_files else str(shared(context).path),
                "n_documents": verdict.n_documents,
                "violations": [violation.__dict__ for violation in verdict.violations],
                "unchecked": [one.__dict__ for one in verdict.unchecked],
            }
        )
    else:
        _print_verdict(verdict, f"the files of {path} alone" if is_from_files else "", is_from_files=is_from_files)
    if verdict.violations:
        raise typer.Exit(1)


def _of_files(path: Path) -> Verdict:
    from provenance.mix.verify_files import verify_files

    return verify_files(path)


def _of_store(context: typer.Context, name: str, path: Path) -> Verdict:
    from provenance.errors import UnknownName
    from provenance.mix.verify import verify as verify_set
    from provenance.mix.verify_errors import ManifestUnreadable, NothingToVerify
    from provenance.mix.verify_export import read_manifest

    manifest = None
    if path.is_file() and path.suffix in _EXPORTED:
        raise NothingToVerify(name, f"there is no {path.name}.manifest.json beside it")
    if path.is_file():
        manifest = read_manifest(path)
        if not isinstance(manifest.get("name"), str):
            raise ManifestUnreadable(path, "it names no training set")
        name = manifest["name"]
    elif "/" in name or "\\" in name:  # no name of a training set
        raise NothingToVerify(name, "there is no manifest.json in it" if path.is_dir() else "there is no such file")
    try:
        with shared(context).open() as store:
            return verify_set(store, name, manifest=manifest)
    except UnknownName as error:
        if path.is_dir():
            raise NothingToVerify(name, "no training set is called so, nor is there a manifest.json in it") from error
        raise


def _print_verdict(verdict: Verdict, place: str, *, is_from_files: bool) -> None:
    for violation in verdict.violations:
        print(f"violated: {violation}")
    reasons: dict[str, list[str]] = {}
    for one in verdict.unchecked:
        reasons.setdefault(one.reason, []).append(one.claim)
    for reason, claims in reasons.items():
        print(f"not checked: {'; '.join(claims)} ({reason})")
    drawn = "holds" if not verdict.as_drawn else f"{len(verdict.as_drawn)} violations"
    now = "holds" if not verdict.as_of_now else f"{len(verdict.as_of_now)} violations"
    verdicts = f"as drawn: {drawn}" if is_from_files else f"as drawn: {drawn}; by today's labels: {now}"
    print(f"{verdict.name}: {verdict.n_documents:,} draws{', from ' + place if place else ''}; {verdicts}")
