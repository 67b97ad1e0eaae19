"""The manifest: the record that lets anyone replay and verify a training set.

It is a pure function of the store's state, the specification and the version of the code: no clock, no host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import __version__
from provenance.mix.allocate import Allocation
from provenance.mix.candidates import Candidates
from provenance.mix.digest import draws_digest, items_digest
from provenance.mix.errors import QuotaNotMet, share_text
from provenance.mix.order import Order
from provenance.mix.spec import MixSpec
from provenance.mix.strata import Constraint, Strata
from provenance.records import GRADES
from provenance.store.migrate import head_revision

if TYPE_CHECKING:
    from provenance.mix.draw import I64
    from provenance.store.store import Store

#: Version of the manifest's layout.
FORMAT = 1
_UNIT_COLUMNS = {"words": "n_words", "bytes": "n_bytes", "tokens": "n_tokens"}


def build_manifest(
    store: Store, spec: MixSpec, candidates: Candidates, allocation: Allocation, order: Order, items: pa.Table
) -> dict[str, Any]:
    """Return the manifest of a training set from the draws themselves.

    Raises
    ------
    QuotaNotMet
        If the draws miss a quota: every share is counted again from the rows that would be written.
    """
    unit, total = spec.budget.unit, int(unit_sizes(items, spec.budget.unit).sum())
    counted = recount(allocation.strata, items, unit)
    for constraint, units in zip(allocation.strata.constraints, counted, strict=True):
        require_met(constraint, units, total, unit)
    return {
        "format": FORMAT,
        "name": spec.name,
        "digest": draws_digest(items),
        "items_digest": items_digest(items),
        "spec": spec.as_mapping(),
        "seed": spec.seed,
        "store": {"store_id": store_id(store), "revision": head_revision()},
        "code_version": __version__,
        "tokenizer": _tokenizer(store, spec),
        "budget": {
            "unit": unit,
            "asked": spec.budget.amount or "all",
            "used": total,
            "one_document": allocation.one_document,
        },
        "totals": totals(items),
        "candidates": _candidates(candidates, allocation),
        "quotas": [
            _quota(constraint, units, total, order.prefix_slack[i] if order.prefix_slack else None)
            for i, (constraint, units) in enumerate(zip(allocation.strata.constraints, counted, strict=True))
        ],
        "human": human_shares(items),
        "composition": composition(items),
        "order": spec.order,
        "strata": _strata(candidates, allocation),
    }


def store_id(store: Store) -> str:
    """Return the id that the store was given when it was made."""
    return str(store.setting("store_id"))


def unit_sizes(items: pa.Table, unit: str) -> I64:
    """Return the units of every draw."""
    if unit == "documents":
        return np.ones(items.num_rows, dtype=np.int64)
    sizes: I64 = items[_UNIT_COLUMNS[unit]].to_numpy().astype(np.int64)
    return sizes


def recount(strata: Strata, items: pa.Table, unit: str) -> list[int]:
    """Return the units that count for every constraint, from the draws' own rows."""
    per_label: dict[str, int] = dict.fromkeys(strata.labels, 0)
    table = pa.table({"stratum": items["stratum"], "units": unit_sizes(items, unit)})
    for row in table.group_by("stratum").aggregate([("units", "sum")]).to_pylist():
        per_label[row["stratum"]] += row["units_sum"]
    units = [per_label[label] for label in strata.labels]
    return [sum(u for u, member in zip(units, c.members, strict=True) if member) for c in strata.constraints]


def require_met(constraint: Constraint, units: int, total: int, unit: str) -> None:
    """Raise `QuotaNotMet` unless the constraint holds exactly."""
    if constraint.slack(units, total) < 0:
        raise QuotaNotMet(constraint.title, constraint.bound, constraint.share, units, total, unit)


def totals(items: pa.Table) -> dict[str, int | None]:
    """Return documents, words, bytes and (where counted) tokens of the draws."""
    counted: dict[str, int | None] = {"documents": items.num_rows}
    for unit, column in _UNIT_COLUMNS.items():
        missing = items.num_rows and items[column].null_count
        counted[unit] = None if missing else int(pc.sum(items[column]).as_py() or 0)
    return counted


def human_shares(items: pa.Table) -> dict[str, Any]:
    """Return for every unit how much of the draws is human."""
    whole, human = totals(items), totals(items.filter(pc.equal(items["origin"], "human")))
    shares = {}
    for unit, total in whole.items():
        units = human[unit] or 0
        shares[unit] = (
            None if total is None else {"human": units, "total": total, "share": units / total if total else 0.0}
        )
    return shares


def composition(items: pa.Table) -> list[dict[str, Any]]:
    """Return documents, words, bytes and tokens by origin, generation and grade of evidence, as drawn."""
    keys = ["origin", "generation", "evidence_rank"]
    sums = [("n_words", "sum"), ("n_bytes", "sum"), ("n_tokens", "sum")]
    grouped = items.group_by(keys).aggregate([([], "count_all"), *sums])
    rows = grouped.sort_by([(key, "ascending") for key in keys]).to_pylist()
    return [
        {
            "origin": row["origin"],
            "generation": row["generation"],
            "evidence_grade": GRADES[row["evidence_rank"]],
            "documents": row["count_all"],
            "words": row["n_words_sum"],
            "bytes": row["n_bytes_sum"],
            "tokens": row["n_tokens_sum"],
        }
        for row in rows
    ]


def _quota(constraint: Constraint, units: int, total: int, slack: int | None) -> dict[str, Any]:
    return {
        "quota": constraint.quota,
        "group": constraint.group,
        "bound": constraint.bound,
        "share": share_text(constraint.share),
        "units": units,
        "total": total,
        "prefix_slack": slack,
    }


def _candidates(candidates: Candidates, allocation: Allocation) -> dict[str, Any]:
    fitting = sum(len(rows) for rows in allocation.strata.rows)
    return {
        "documents": fitting,
        "units": int(allocation.strata.available.sum()),
        "left_out": {**candidates.left_out, "too_large": candidates.table.num_rows - fitting},
    }


def _strata(candidates: Candidates, allocation: Allocation) -> list[dict[str, Any]]:
    strata = allocation.strata
    described = []
    for k, taken in enumerate(allocation.taken):
        described.append(
            {
                "stratum": strata.labels[k],
                "counts": strata.counts[k],
                "available_documents": len(strata.rows[k]),
                "available_units": int(strata.available[k]),
                "documents": len(taken),
                "units": allocation.units[k],
                "prefix": taken.prefix,
                "skipped": _ids(candidates, strata.rows[k], taken.skipped),
                "added": _ids(candidates, strata.rows[k], taken.added),
            }
        )
    return described


def _ids(candidates: Candidates, rows: I64, places: Sequence[int]) -> list[str]:
    ids: list[str] = candidates.table["document_id"].take(pa.array(rows[list(places)], pa.int64())).to_pylist()
    return ids


def _tokenizer(store: Store, spec: MixSpec) -> dict[str, str] | None:
    if spec.tokenizer is None:
        return None
    from provenance.mix.tokens import get_tokenizer

    return {"name": spec.tokenizer, "digest": get_tokenizer(store, spec.tokenizer).digest}
