"""Why a mix is refused, in numbers: what conflicts, what is missing, and what would make it feasible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor

import numpy as np

from provenance.mix.allocate import Allocation, Failure, allocate, largest_document, without_larger
from provenance.mix.errors import Change, InfeasibleMix, Shortfall
from provenance.mix.programme import extreme_share, largest_total
from provenance.mix.rounding import Selection, search
from provenance.mix.strata import Constraint, Strata

#: Up to so many candidates a conflict of whole documents is narrowed down by solving it again and again.
_FEW = 500
#: Up to so many constraints are left out one by one to find an irreducible conflict.
_MOST_NARROWED = 100
#: Beyond so many candidates whole documents hardly ever fail where amounts do not: no search for single ones.
_MANY = 20_000
#: Steps in which a bound gives way where whole documents, not amounts, are the trouble.
_STEPS = tuple(Fraction(n, 1000) for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))


def explain_refusal(strata: Strata, failure: Failure, *, budget: int | None, name: str) -> InfeasibleMix:
    """Return the error that says why the budget cannot be met and what would have to change.

    Parameters
    ----------
    strata : every candidate that is larger than nothing, also those larger than the budget
    budget : None for everything
    """
    asked = int(strata.available.sum()) if budget is None else budget
    fitting = strata if budget is None else without_larger(strata, asked)
    conflict = _conflict(fitting, failure, budget, asked)
    return InfeasibleMix(
        name,
        strata.unit,
        asked,
        int(fitting.available.sum()),
        failure.reason,
        [_shortfall(fitting, constraint, asked) for constraint in conflict],
        _largest_budget(strata, asked),
        _changes(fitting, conflict, failure, budget, asked),
    )


def _conflict(strata: Strata, failure: Failure, budget: int | None, asked: int) -> list[Constraint]:
    """Return an irreducible set of constraints that cannot hold together at this budget."""
    if failure.reason == "not found":
        return []
    if failure.reason == "budget":
        short = [(c, _shortfall(strata, c, asked)) for c in strata.constraints if c.bound == "min"]
        return [constraint for constraint, s in short if s.available < s.needed]
    if budget is None:
        units = strata.available
        broken = [c for c in strata.constraints if c.slack(int(units[c.members].sum()), int(units.sum())) < 0]
        return broken
    if failure.reason == "quotas":
        at_least = max(asked - largest_document(strata) + 1, 1)

        def feasible(constraints: Sequence[Constraint]) -> bool:
            return largest_total(strata, constraints, limit=asked) >= at_least - 1e-6 * asked

        kept = _irreducible(strata.constraints, feasible)
        if len(kept) > _MOST_NARROWED:  # of all the groups those that can exceed their maximum say something
            kept = [c for c in kept if c.bound == "min" or strata.available[c.members].sum() > c.share * asked]
        return kept
    if sum(len(rows) for rows in strata.rows) > _FEW:
        return []

    def whole(constraints: Sequence[Constraint]) -> bool:
        return _feasible(replace(strata, constraints=tuple(constraints)), asked)

    return _irreducible(strata.constraints, whole)


def _irreducible(
    constraints: Sequence[Constraint], feasible: Callable[[Sequence[Constraint]], bool]
) -> list[Constraint]:
    """Return a subset that is infeasible and becomes feasible without any one of its members (a deletion filter).

    Of a quota that holds for very many groups all of them are kept.
    """
    kept = list(constraints)
    for quota in sorted({c.quota for c in kept}):  # whole quotas first: one may hold for thousands of groups
        without = [c for c in kept if c.quota != quota]
        if not feasible(without):
            kept = without
    if len(kept) > _MOST_NARROWED:
        return kept
    for constraint in list(kept):
        without = [c for c in kept if c is not constraint]
        if not feasible(without):
            kept = without
    return kept


def _shortfall(strata: Strata, constraint: Constraint, budget: int) -> Shortfall:
    inside = int(strata.available[constraint.members].sum())
    if constraint.bound == "min":
        needed, available = ceil(constraint.share * budget), inside
    else:
        needed, available = budget - floor(constraint.share * budget), int(strata.available.sum()) - inside
    return Shortfall(constraint.title, constraint.bound, constraint.share, needed, available)


def _largest_budget(strata: Strata, asked: int) -> int:
    """Return the largest budget for which an allocation was really found, 0 where there is none.

    Documents larger than a budget cannot be drawn for it, so the bound is lowered until it holds without them.
    """
    budget = int(strata.available.sum())
    while budget > 0:
        fitting = without_larger(strata, budget)
        bound = floor(largest_total(fitting, fitting.constraints, limit=budget) * (1 + 1e-9))
        if bound >= budget:
            break
        budget = bound
    if budget <= 0:
        return 0
    fitting = without_larger(strata, budget)
    if _feasible(fitting, budget):
        return budget
    if sum(len(rows) for rows in fitting.rows) > _MANY:
        return _next_below(fitting, budget)
    start = Selection(fitting, np.zeros(len(fitting)))
    found = search(start, budget=min(budget, asked), at_least=1, largest=True)
    if found.taken is None:
        return 0
    return sum(int(sizes[t.places()].sum()) for sizes, t in zip(fitting.sizes, found.taken, strict=True))


def _next_below(strata: Strata, bound: int) -> int:
    """Return a budget below the bound that is feasible, the largest that a few attempts find."""
    for per_mille in (999, 995, 990, 970, 950, 900, 800, 500):
        budget = bound * per_mille // 1000
        if budget > 0 and _feasible(without_larger(strata, budget), budget):
            return budget
    return 0


def _changes(
    strata: Strata, conflict: list[Constraint], failure: Failure, budget: int | None, asked: int
) -> list[Change]:
    """Return for every conflicting quota how far it alone would have to give way; the least change first."""
    changes = []
    for quota, bound in dict.fromkeys((c.quota, c.bound) for c in conflict):
        own = [c for c in strata.constraints if (c.quota, c.bound) == (quota, bound)]
        rest = [c for c in strata.constraints if (c.quota, c.bound) != (quota, bound)]
        for to in _candidates(strata, own, rest, failure, asked):
            eased = tuple(replace(c, share=to) for c in own) + tuple(rest)
            if _feasible(replace(strata, constraints=eased), budget):
                changes.append(Change(quota, bound, own[0].share, to))
                break
    return sorted(changes, key=lambda change: abs(change.to - change.share))


def _feasible(strata: Strata, budget: int | None) -> bool:
    """Return whether an allocation is found; among very many candidates without searching for single documents."""
    thorough = sum(len(rows) for rows in strata.rows) <= _MANY
    return isinstance(allocate(strata, budget=budget, thorough=thorough), Allocation)


def _candidates(
    strata: Strata, own: list[Constraint], rest: list[Constraint], failure: Failure, asked: int
) -> list[Fraction]:
    """Return bounds to try for a quota, the nearest to the present one first."""
    share, sign = own[0].share, -1 if own[0].bound == "min" else 1
    start = share
    if failure.reason == "quotas":
        reach = extreme_share(strata, own, rest, total=min(asked, int(strata.available.sum())))
        if reach is None:
            return []
        rounded = floor(reach * 1000 + 1e-6) if sign < 0 else ceil(reach * 1000 - 1e-6)
        start = Fraction(rounded, 1000)
    tried = [start] if start != share else []
    tried += [start + sign * step for step in _STEPS]
    return [to for to in dict.fromkeys(min(max(t, Fraction(0)), Fraction(1)) for t in tried) if sign * (to - share) > 0]
