"""The verifier from exported files alone: no store is opened, and what the files cannot tell is listed.

Everything that the rows of an export decide is computed anew by the same checks as against the store. Labels are those
as drawn, which the digest of the draws covers; how they are today only the store knows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from provenance.mix.errors import Violation
from provenance.mix.spec import MixSpec
from provenance.mix.verdict import Finding, Unchecked, Verdict, differs, guarded, verdict_of
from provenance.mix.verify import of_draws, of_items
from provenance.mix.verify_claims import UNKNOWABLE, form_claims
from provenance.mix.verify_export import TOKENS, Export, file_claims, find_export
from provenance.mix.verify_exported import FACTS, ITEMS, TextChecks, exported_rows, items_of
from provenance.mix.verify_rows import Counts, Rows, sizes_of
from provenance.mix.verify_terms import ExportedTerms, in_memory
from provenance.mix.verify_texts import known_runs
from provenance.mix.verify_tokens import token_claims

_NO_STORE = "only the store knows; verify the training set there"


def verify_files(path: str | os.PathLike[str]) -> Verdict:
    """Return which claims of an export's manifest do not hold, by its files alone.

    Parameters
    ----------
    path : an exported file with its manifest beside it, that manifest, or an exported folder

    Raises
    ------
    NothingToVerify
        If there is no such export.
    ManifestUnreadable
        If the manifest is none.
    """
    export = find_export(Path(path))
    totals = export.claims.get("totals")
    n = totals.get("documents") if isinstance(totals, dict) else None
    return verdict_of(str(export.claims["name"]), n if isinstance(n, int) else 0, guarded(_findings(export)))


def _findings(export: Export) -> Iterator[Finding]:
    yield from guarded(file_claims(export))
    spec = MixSpec.from_mapping(export.claims["spec"])
    yield from guarded(form_claims(export.claims, spec))
    if export.kind in TOKENS:
        yield from guarded(token_claims(export, spec))
    else:
        yield from guarded(_rows(export, spec))
    yield from guarded(_unknown(export, spec))
    yield from UNKNOWABLE


def _rows(export: Export, spec: MixSpec) -> Iterator[Finding]:
    """Check what the rows decide, and that the texts in them are those that the rows speak of."""
    claims, has_text = export.claims, export.kind != "manifest"
    if not export.rows_path.is_file():  # which was said
        return
    known, unchecked = known_runs(claims, spec) if has_text else (None, [])
    yield from unchecked
    terms = ExportedTerms(spec, set(ITEMS) | ({*FACTS, "content_id"} if has_text else set()))
    checks = TextChecks(known)
    try:
        items, drawn = _read(export, terms, checks, {s["stratum"]: s["counts"] for s in claims["strata"]})
    except (OSError, EOFError, ValueError, TypeError) as error:  # cut off, no such format, other columns or types
        yield Violation("drawn", f"rows of {export.rows_path.name}", "they can be read", str(error))
        return
    if export.described is not None:
        yield from differs("draws in the export's manifest", export.described["n_documents"], items.num_rows)
    yield from of_items(items, claims)
    yield from of_draws(items, drawn, claims)
    yield from differs("draws that do not pass the filter", 0, int((~drawn.mask("passes")).sum()))
    yield from differs("used documents where unused ones were wanted", 0, int(drawn.spoilt().sum()))
    yield from terms.unchecked
    if has_text:
        yield from checks.violations()
    else:
        yield Unchecked("sizes and ids of draws", "their texts are not in the files")
        if spec.decontaminate is not None:
            yield Unchecked("decontaminate", "the texts of the draws are not in the files")


def _read(export: Export, terms: ExportedTerms, checks: TextChecks, counts: Counts) -> tuple[pa.Table, Rows]:
    items: list[pa.Table] = []
    standing: list[pa.Table] = []
    with in_memory() as connection:
        for rows in exported_rows(export.rows_path, export.kind):
            items.append(items_of(rows))
            rows = checks.look_at(rows) if "text" in rows.column_names else rows
            standing.append(terms.standing(connection, rows, counts))
    if not items:
        raise ValueError("there is no draw in the file")
    whole = pa.concat_tables(items)
    return whole, Rows(pa.concat_tables(standing), sizes_of(whole, terms.spec.budget.unit), terms.spec)


def _unknown(export: Export, spec: MixSpec) -> Iterator[Unchecked]:
    """Yield what no file tells."""
    yield Unchecked("labels of today", _NO_STORE)
    yield Unchecked("spec", f"whether it is the one that was asked for {_NO_STORE}")
    yield Unchecked("store.store_id", "no store is asked")
    if spec.exclude.training_sets:
        names = ", ".join(spec.exclude.training_sets)
        yield Unchecked(f"exclude: nothing of {names}", "their draws are not in the files")
    if spec.tokenizer is not None and export.kind not in TOKENS:
        yield Unchecked("tokenizer.digest", "the tokenizer is not in the files, nor can tokens be counted again")
