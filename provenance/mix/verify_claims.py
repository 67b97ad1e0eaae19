"""Claims of a manifest that its draws alone decide: form, order, digests, sums, budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.mix.digest import draws_digest, items_digest
from provenance.mix.errors import Violation
from provenance.mix.manifest_form import FORMAT
from provenance.mix.spec import MixSpec
from provenance.mix.verdict import differs
from provenance.mix.verify_rows import Rows
from provenance.records import GRADES

#: The fields of a manifest.
_FIELDS = {
    "format", "name", "digest", "items_digest", "spec", "seed", "store", "code_version", "tokenizer", "budget",
    "totals", "distinct_documents", "candidates", "quotas", "human", "composition", "order", "phases", "decontaminate",
    "strata",
}  # fmt: skip
_COLUMNS = {"words": "n_words", "bytes": "n_bytes", "tokens": "n_tokens"}


def form_claims(claims: dict[str, Any], spec: MixSpec) -> Iterator[Violation]:
    """Check that the manifest has the layout that is verified, and agrees with its own specification."""
    yield from differs("layout of the manifest", FORMAT, claims["format"])
    yield from differs("fields of the manifest", sorted(_FIELDS), sorted(claims))
    yield from differs("specification in full", spec.as_mapping(), claims["spec"])
    yield from differs("name in the specification", claims["name"], spec.name)
    yield from differs("seed", spec.seed, claims["seed"])
    yield from differs("order", spec.as_mapping()["order"], claims["order"])
    yield from differs("tokenizer", spec.tokenizer, (claims["tokenizer"] or {}).get("name"))
    against = None if spec.decontaminate is None else spec.decontaminate.tokens
    yield from differs("length of a run to decontaminate by", against, (claims["decontaminate"] or {}).get("tokens"))


def draw_claims(items: pa.Table, claims: dict[str, Any]) -> Iterator[Violation]:
    """Check number, positions and digests of the draws."""
    yield from differs("number of draws", claims["totals"]["documents"], items.num_rows)
    places = items["position"].to_numpy()
    if not np.array_equal(places, np.arange(len(places))):
        yield Violation("drawn", "positions run from 0 without gaps", f"0..{len(places) - 1}", "gaps or repetitions")
    yield from differs("digest over the ordered draws", claims["digest"], draws_digest(items))
    yield from differs("digest over the draws' labels", claims["items_digest"], items_digest(items))
    first = int(pc.sum(pc.equal(items["repeat"], 0)).as_py() or 0)
    yield from differs("documents that are drawn once or more", claims["distinct_documents"], first)


def sum_claims(items: pa.Table, claims: dict[str, Any], spec: MixSpec) -> Iterator[Violation]:
    """Check totals, human shares and composition."""
    composition = _composition(items)
    yield from differs("composition by origin, generation and evidence", claims["composition"], composition)
    yield from differs("units that are counted", ["documents", *_COLUMNS], list(claims["totals"]))
    for unit in claims["totals"]:
        uncounted = unit == "tokens" and any(row[unit] is None for row in composition)
        total = None if uncounted and composition else sum(row[unit] or 0 for row in composition)
        human = sum(row[unit] or 0 for row in composition if row["origin"] == "human")
        yield from differs(f"total of {unit}", claims["totals"][unit], total)
        share = None if total is None else {"human": human, "total": total, "share": human / total if total else 0.0}
        yield from differs(f"human share of {unit}", claims["human"][unit], share)


def _composition(items: pa.Table) -> list[dict[str, Any]]:
    keys = ["origin", "generation", "evidence_rank"]
    sums = [(column, "sum") for column in _COLUMNS.values()]
    grouped = items.group_by(keys).aggregate([([], "count_all"), *sums, ("n_tokens", "count")])
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
    budget, spec, total = claims["budget"], drawn.spec, int(drawn.sizes.sum())
    yield from differs("unit of the budget", spec.budget.unit, budget["unit"])
    yield from differs("budget asked for", spec.budget.amount or "all", budget["asked"])
    yield from differs("units of the budget that are used", budget["used"], total)
    largest = int(drawn.sizes.max(initial=0))
    if largest > budget["one_document"]:
        yield Violation(
            "drawn", "units of the largest candidate", f"at least {largest:,}", f"{budget['one_document']:,}"
        )
    if spec.budget.amount is not None:
        left = spec.budget.amount - total
        if left < 0:
            yield Violation("drawn", "the budget", f"at most {spec.budget.amount:,}", f"{total:,}")
        elif left >= budget["one_document"]:
            yield Violation("drawn", "what is left of the budget", f"less than {budget['one_document']:,}", f"{left:,}")
