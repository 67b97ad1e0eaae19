"""The manifest: the record that lets anyone replay and verify a training set.

It is a pure function of the store's state, the specification and the version of the code: no clock, no host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import __version__
from provenance.mix.allocate import Allocation
from provenance.mix.candidates import Candidates
from provenance.mix.digest import draws_digest, items_digest
from provenance.mix.draws import Draws
from provenance.mix.errors import QuotaNotMet, share_text
from provenance.mix.manifest_form import FORMAT
from provenance.mix.spec import MixSpec
from provenance.mix.strata import Constraint, Strata
from provenance.records import GRADES
from provenance.store.migrate import head_revision

if TYPE_CHECKING:
    from provenance.mix.draw import I64
    from provenance.store.store import Store

_UNIT_COLUMNS = {"words": "n_words", "bytes": "n_bytes", "tokens": "n_tokens"}


def build_manifest(
    store: Store,
    spec: MixSpec,
    candidates: Candidates,
    allocation: Allocation,
    draws: Draws,
    items: pa.Table,
    *,
    snapshot: str,
) -> dict[str, Any]:
    """Return the manifest of a training set from the draws themselves.

    Parameters
    ----------
    snapshot : digest of the candidates

    Raises
    ------
    QuotaNotMet
        If the draws miss a quota: every share is counted again from the rows that would be written.
    """
    unit, strata = spec.budget.unit, allocation.strata
    sizes = unit_sizes(items, unit)
    units = units_of_strata(strata, items, sizes)
    for constraint in strata.constraints:
        require_met(constraint, units, unit)
    slack = draws.order.prefix_slack
    return {
        "format": FORMAT,
        "name": spec.name,
        "digest": draws_digest(items),
        "items_digest": items_digest(items),
        "spec": spec.as_mapping(),
        "seed": spec.seed,
        "store": {"store_id": store_id(store), "revision": head_revision(), "snapshot": snapshot},
        "code_version": __version__,
        "tokenizer": _tokenizer(store, spec),
        "budget": {
            "unit": unit,
            "asked": spec.budget.amount or "all",
            "used": int(sizes.sum()),
            "one_document": allocation.one_document,
        },
        "totals": totals(items),
        "distinct_documents": int((draws.repeats == 0).sum()),
        "candidates": _candidates(candidates, allocation),
        "quotas": [_quota(c, units, slack[i] if slack else None) for i, c in enumerate(strata.constraints)],
        "human": human_shares(items),
        "composition": composition(items),
        "order": spec.as_mapping()["order"],
        "phases": _phases(spec, strata, draws, sizes),
        "decontaminate": _decontaminate(spec, candidates),
        "strata": _strata(spec, allocation, units),
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


def units_of_strata(strata: Strata, items: pa.Table, sizes: I64) -> I64:
    """Return the units of every stratum, from the draws' own rows."""
    table = pa.table({"stratum": items["stratum"], "units": sizes})
    found = table.group_by("stratum").aggregate([("units", "sum")])
    per_label = dict(zip(found["stratum"].to_pylist(), found["units_sum"].to_pylist(), strict=True))
    return np.array([per_label.get(label, 0) for label in strata.labels], dtype=np.int64)


def require_met(constraint: Constraint, units: I64, unit: str) -> None:
    """Raise `QuotaNotMet` unless the constraint holds exactly for these units of every stratum."""
    if not constraint.holds(units):
        title, bound, share = constraint.title, constraint.bound, constraint.share
        raise QuotaNotMet(title, bound, share, *constraint.counted(units), unit)


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


def _quota(constraint: Constraint, units: I64, slack: int | None) -> dict[str, Any]:
    counted, total = constraint.counted(units)
    return {
        "phase": constraint.phase.name if constraint.phase else None,
        "quota": constraint.quota,
        "group": constraint.group,
        "bound": constraint.bound,
        "share": share_text(constraint.share),
        "units": counted,
        "total": total,
        "prefix_slack": slack,
    }


def _candidates(candidates: Candidates, allocation: Allocation) -> dict[str, Any]:
    strata = allocation.strata
    fitting = int((candidates.sizes <= max(allocation.one_document, 0)).sum())
    return {
        "documents": fitting,
        "units": strata.total_available,
        "left_out": {**candidates.left_out, "too_large": len(candidates.sizes) - fitting},
    }


def _phases(spec: MixSpec, strata: Strata, draws: Draws, sizes: I64) -> list[dict[str, Any]]:
    described, position = [], 0
    for phase, extent in zip(spec.phases, strata.extents, strict=True):
        inside = extent.members[draws.stratum]
        n, units = int(inside.sum()), int(sizes[inside].sum())
        share = share_text(phase.share)
        described.append({"phase": phase.name, "share": share, "position": position, "documents": n, "units": units})
        position += n
    return described


def _decontaminate(spec: MixSpec, candidates: Candidates) -> dict[str, Any] | None:
    if spec.decontaminate is None:
        return None
    return {
        "tokens": spec.decontaminate.tokens,
        "n_excluded": candidates.left_out["contaminated"],
        "files": candidates.evaluation_files,
    }


def _strata(spec: MixSpec, allocation: Allocation, units: I64) -> list[dict[str, Any]]:
    strata = allocation.strata
    names: list[str | None] = [phase.name for phase in spec.phases] or [None]
    per_phase = len(strata) // len(names)
    return [
        {
            "stratum": strata.labels[k],
            "phase": names[k // per_phase],
            "counts": strata.counts[k],
            "available_documents": len(strata.rows[k]),
            "available_units": int(strata.available[k]),
            "documents": len(taken),
            "units": int(units[k]),
            "first": int(strata.first[k]),
            "prefix": taken.prefix,
            "skipped": list(taken.skipped),
            "added": list(taken.added),
        }
        for k, taken in enumerate(allocation.taken)
    ]


def _tokenizer(store: Store, spec: MixSpec) -> dict[str, str] | None:
    if spec.tokenizer is None:
        return None
    from provenance.mix.tokens import get_tokenizer

    return {"name": spec.tokenizer, "digest": get_tokenizer(store, spec.tokenizer).digest}
