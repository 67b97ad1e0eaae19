"""Claims of a manifest that its draws alone decide: form, positions, digests, sums, budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.mix.digest import draws_digest, items_digest
from provenance.mix.errors import Violation
from provenance.mix.spec import MixSpec
from provenance.mix.verdict import Unchecked, differs
from provenance.mix.verify_rows import Rows
from provenance.records import GRADES

#: The layout that is verified, and the fields of its records.
_FORMAT = 2
_FIELDS = (
    "format", "name", "digest", "items_digest", "spec", "seed", "store", "code_version", "tokenizer", "budget",
    "totals", "distinct_documents", "candidates", "quotas", "human", "composition", "order", "phases", "decontaminate",
    "strata",
)  # fmt: skip
_RECORDS = {
    "store": ("store_id", "revision", "snapshot"),
    "tokenizer": ("name", "digest"),
    "budget": ("unit", "asked", "used", "one_document"),
    "totals": ("documents", "words", "bytes", "tokens"),
    "human": ("documents", "words", "bytes", "tokens"),
    "candidates": ("documents", "units", "left_out"),
    "decontaminate": ("tokens", "n_excluded", "files"),
}
_LISTED = {
    "quotas": ("phase", "quota", "group", "bound", "share", "units", "total", "prefix_slack"),
    "phases": ("phase", "share", "position", "documents", "units"),
    "strata": (
        "stratum", "phase", "counts", "available_documents", "available_units", "documents", "units", "first",
        "prefix", "skipped", "added",
    ),
}  # fmt: skip
_LEFT_OUT = ("empty", "used", "spans", "contaminated", "too_large")
_COLUMNS = {"words": "n_words", "bytes": "n_bytes", "tokens": "n_tokens"}

_THEN = "known only while the store was as it was then"
#: What no verifier can tell later, by the name of the field.
UNKNOWABLE = (
    Unchecked("store.snapshot", _THEN),
    Unchecked("store.revision", _THEN),
    Unchecked("candidates", f"{_THEN}; at least what was drawn, and what the strata had"),
    Unchecked("budget.one_document", f"{_THEN}; at least the largest draw, at most the budget"),
    Unchecked("strata.available_documents, strata.available_units", f"{_THEN}; at least what was drawn"),
    Unchecked("strata.prefix, strata.skipped, strata.added", f"{_THEN}; they give as many as were drawn"),
    Unchecked("strata of which nothing was drawn", "their names and what they count for show in no draw"),
    Unchecked("code_version", "the program that drew the set is not there to be asked"),
)


def form_claims(claims: dict[str, Any], spec: MixSpec) -> Iterator[Violation]:
    """Check that the manifest has the layout that is verified, and agrees with its own specification."""
    yield from differs("layout of the manifest", _FORMAT, claims["format"])
    yield from _fields("the manifest", _FIELDS, claims)
    for name, fields in _RECORDS.items():
        if claims[name] is not None or name not in ("tokenizer", "decontaminate"):
            yield from _fields(name, fields, claims[name])
    for name, fields in _LISTED.items():
        for record in claims[name]:
            yield from _fields(name, fields, record)
    yield from _fields("candidates.left_out", _LEFT_OUT, claims["candidates"]["left_out"])
    yield from differs("specification in full", spec.as_mapping(), claims["spec"])
    yield from differs("name in the specification", claims["name"], spec.name)
    yield from differs("seed", spec.seed, claims["seed"])
    yield from differs("unit of the budget", spec.budget.unit, claims["budget"]["unit"])
    yield from differs("budget asked for", spec.budget.amount or "all", claims["budget"]["asked"])
    yield from differs("order", spec.as_mapping()["order"], claims["order"])
    yield from differs("tokenizer", spec.tokenizer, (claims["tokenizer"] or {}).get("name"))
    against = claims["decontaminate"] or {}
    length = None if spec.decontaminate is None else spec.decontaminate.tokens
    yield from differs("length of a run to decontaminate by", length, against.get("tokens"))
    n_left_out = claims["candidates"]["left_out"]["contaminated"]
    yield from differs("candidates left out as contaminated", against.get("n_excluded", 0), n_left_out)
    for text in (claims["store"]["snapshot"], claims["store"]["revision"], claims["code_version"]):
        yield from differs("snapshot, revision and code version are texts", "str", type(text).__name__)
    numbers = [claims["candidates"][n] for n in ("documents", "units")] + [*claims["candidates"]["left_out"].values()]
    yield from differs("numbers of candidates, 0 and more", [], [n for n in numbers if not _is_count(n)])


def _fields(place: str, expected: Iterable[str], record: Mapping[str, Any]) -> Iterator[Violation]:
    yield from differs(f"fields of {place}", sorted(expected), sorted(record))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def draw_claims(items: pa.Table, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check number, positions and digests of the draws."""
    yield from differs("number of draws", claims["totals"]["documents"], items.num_rows)
    yield from position_claims(items)
    yield from differs("digest over the ordered draws", claims["digest"], draws_digest(items))
    yield from differs("digest over the draws' labels", claims["items_digest"], items_digest(items))
    yield from differs("documents that are drawn once or more", claims["distinct_documents"], n_distinct(items))


def position_claims(items: pa.Table) -> Iterator[Violation]:
    """Check that the draws are numbered without gaps."""
    places = items["position"].to_numpy()
    if not np.array_equal(places, np.arange(len(places))):
        yield Violation("drawn", "positions run from 0 without gaps", f"0..{len(places) - 1}", "gaps or repetitions")


def n_distinct(items: pa.Table) -> int:
    """Return the number of first draws."""
    return int(pc.sum(pc.equal(items["repeat"], 0)).as_py() or 0)


def sum_claims(items: pa.Table, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check totals, human shares and composition."""
    composition = _composition(items)
    yield from differs("composition by origin, generation and evidence", claims["composition"], composition)
    for unit in ("documents", *_COLUMNS):
        uncounted = unit == "tokens" and items["n_tokens"].null_count > 0
        total = None if uncounted else sum(row[unit] or 0 for row in composition)
        human = sum(row[unit] or 0 for row in composition if row["origin"] == "human")
        yield from differs(f"total of {unit}", claims["totals"][unit], total)
        share = None if total is None else {"human": human, "total": total, "share": human / total if total else 0.0}
        yield from differs(f"human share of {unit}", claims["human"][unit], share)


def _composition(items: pa.Table) -> list[dict[str, Any]]:
    keys = ["origin", "generation", "evidence_rank"]
    sums = [(column, "sum") for column in _COLUMNS.values()]
    grouped = items.group_by(keys).aggregate([([], "count_all"), *sums])
    rows = grouped.sort_by([(key, "ascending") for key in keys]).to_pylist()
    return [
        {
            "origin": row["origin"],
            "generation": row["generation"],
            "evidence_grade": GRADES[row["evidence_rank"]],
            "documents": row["count_all"],
            **{unit: row[f"{column}_sum"] for unit, column in _COLUMNS.items()},
        }
        for row in rows
    ]


def budget_claims(drawn: Rows, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check how much was asked for, how much was used, and that less than one document was left over."""
    budget, spec, total = claims["budget"], drawn.spec, drawn.units
    yield from differs("units of the budget that are used", budget["used"], total)
    largest, one = int(drawn.sizes.max(initial=0)), budget["one_document"]
    most = spec.budget.amount
    limit = 1 if spec.budget.unit == "documents" else most
    if not _is_count(one) or one < largest or (limit is not None and one > limit):
        limits = f"at least {largest:,}" + (f", at most {limit:,}" if limit is not None else "")
        yield Violation("drawn", "units of the largest candidate", limits, str(one))
    if most is None:
        yield from differs("units of a budget of all", claims["candidates"]["units"], total)
        yield from differs("documents of a budget of all", claims["candidates"]["documents"], len(drawn.sizes))
    elif total > most:
        yield Violation("drawn", "the budget", f"at most {most:,}", f"{total:,}")
    elif most - total >= one:
        yield Violation("drawn", "what is left of the budget", f"less than {one:,}", f"{most - total:,}")
