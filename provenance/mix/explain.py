"""What a feasible mix leaves free and what each quota costs: slack in units, and the dual values in words.

A dual value says how much an optimum changes when a bound is tightened a little. Two optima matter to people: the
largest budget that the candidates allow, and how near the set comes to its weights (or, without weights, to the
proportions of what is there).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from provenance.mix.draw import I64
from provenance.mix.errors import need_text, share_text
from provenance.mix.make import Plan
from provenance.mix.programme import balance, budget_prices
from provenance.mix.refusal import shortfall_of
from provenance.mix.strata import Constraint, Strata

#: A bound is tightened by one hundredth of what it is a share of.
_POINT = Fraction(1, 100)
#: Bounds that a report lists in full.
_SHOWN = 20


@dataclass(frozen=True)
class QuotaCost:
    """One bound of a feasible mix.

    Attributes
    ----------
    quota : name, with group and phase
    bound, share : `min` or `max`, and the bound
    needed, available : units that the bound asks for and that there are, as in a refusal
    units, total : units that count, and those that they are a share of
    slack : whole units by which the bound is kept
    budget_loss : by how many units the largest feasible budget would fall if the bound were one point (0.01) tighter
    distance_gain : by how many units the set would be further from its weights then
    """

    quota: str
    bound: str
    share: Fraction
    needed: int
    available: int
    units: int
    total: int
    slack: int
    budget_loss: int
    distance_gain: int


@dataclass(frozen=True)
class Explanation:
    """What a feasible mix leaves free.

    Attributes
    ----------
    name, unit, budget : the mix
    used : units that would be drawn
    available : units of all candidates
    largest_budget : units up to which parts of documents could keep every quota
    distance : units that the set is away from its weights, summed over their values; without weights from proportions
    is_weighted : whether there are weights
    quotas : every bound, the most costly first
    """

    name: str
    unit: str
    budget: int | None
    used: int
    available: int
    largest_budget: int
    distance: int
    is_weighted: bool
    quotas: tuple[QuotaCost, ...]

    def as_mapping(self) -> dict[str, Any]:
        """Return the explanation as plain data, shares as text."""
        quotas = [asdict(quota) | {"share": share_text(quota.share)} for quota in self.quotas]
        return asdict(self) | {"quotas": quotas}


def explain(plan: Plan) -> Explanation:
    """Return what a planned mix leaves free and what each of its quotas costs.

    Notes
    -----
    The prices are the dual values of the linear programme over parts of documents, times one point: exact for a small
    enough change, an estimate for a whole point.
    """
    strata, budget = plan.candidates.strata(plan.spec), plan.spec.budget.amount
    units = np.array(plan.allocation.units, dtype=np.int64)
    used = int(units.sum())
    largest, losses = budget_prices(strata)
    balanced = balance(strata, limit=budget or used)
    gains = balanced.prices if balanced else np.zeros(len(strata.constraints))
    costs = [
        _cost(constraint, strata, units, budget or used, float(loss) * largest, float(gain) * used)
        for constraint, loss, gain in zip(strata.constraints, losses, gains, strict=True)
    ]
    costs.sort(key=lambda cost: (-cost.budget_loss, -cost.distance_gain, cost.slack))
    distance = round(balanced.distance) if balanced else 0
    return Explanation(
        plan.spec.name,
        strata.unit,
        budget,
        used,
        strata.total_available,
        int(largest + 1e-6 * largest),
        distance,
        bool(plan.spec.weights),
        tuple(costs),
    )


def _cost(constraint: Constraint, strata: Strata, units: I64, budget: int, loss: float, gain: float) -> QuotaCost:
    counted, total = constraint.counted(units)
    shortfall = shortfall_of(strata, constraint, budget)
    point = float(_POINT * constraint.part)
    return QuotaCost(
        constraint.title,
        constraint.bound,
        constraint.share,
        shortfall.needed,
        shortfall.available,
        counted,
        total,
        constraint.slack(counted, total) // constraint.share.denominator,
        round(max(0.0, loss) * point),
        round(max(0.0, gain) * point),
    )


def render_explanation(explanation: Explanation) -> str:
    """Return the explanation as a report of several lines for a terminal."""
    e = explanation
    asked = "everything" if e.budget is None else f"{e.budget:,} {e.unit}"
    lines = [f"Feasible: mix {e.name!r} of {asked}; {e.used:,} {e.unit} would be drawn of {e.available:,} available."]
    lines.append(f"Largest feasible budget: {e.largest_budget:,} {e.unit}.")
    target = "its weights" if e.is_weighted else "the proportions of what is available"
    near = "keeps to" if not e.distance else f"is {e.distance:,} {e.unit} (summed over all shares) away from"
    lines.append(f"The set {near} {target}.")
    lines += ["", *(line for cost in e.quotas[:_SHOWN] for line in _lines(cost, e))]
    if len(e.quotas) > _SHOWN:
        lines.append(f"  - and {len(e.quotas) - _SHOWN} more bounds that cost no more than these (all: --json)")
    return "\n".join(lines).rstrip()


def _lines(cost: QuotaCost, e: Explanation) -> list[str]:
    shown = need_text(cost.quota, cost.bound, cost.share, cost.needed, cost.available, e.unit)
    drawn = f"{cost.units:,} of {cost.total:,} {e.unit} drawn, {cost.slack:,} to spare"
    prices = []
    if cost.budget_loss:
        prices.append(f"the largest feasible budget by {cost.budget_loss:,} {e.unit}")
    if cost.distance_gain:
        where = "its weights" if e.is_weighted else "the proportions of what is available"
        prices.append(f"{cost.distance_gain:,} {e.unit} of nearness to {where}")
    price = f"one point tighter would cost {' and '.join(prices)}" if prices else "tightening it a little costs nothing"
    return [f"  - {shown}", f"    {drawn}; {price}"]
