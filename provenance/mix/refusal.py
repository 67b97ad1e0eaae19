"""Why a mix is refused, in numbers: what conflicts, what is missing, and what would make it feasible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

import numpy as np

from provenance.mix.allocate import Allocation, Failure, allocate
from provenance.mix.candidates import Candidates
from provenance.mix.errors import Change, InfeasibleMix, Shortfall
from provenance.mix.programme import extreme_share, largest_total
from provenance.mix.rounding import Selection, search
from provenance.mix.spec import MixSpec
from provenance.mix.strata import Constraint, Strata, largest_document

#: Up to so many candidates single documents are searched for again and again.
_FEW = 500
#: Up to so many constraints are left out one by one to find an irreducible conflict.
_MOST_NARROWED = 100
#: Beyond so many candidates whole documents hardly ever fail where amounts do not: no search for single ones.
_MANY = 20_000
#: Steps in which a bound gives way where whole documents, not amounts, are the trouble.
_MOST_REPEATS = 64
_STEPS = tuple(Fraction(n, 1000) for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))


@dataclass(frozen=True)
class _Mix:
    """A mix that cannot be made.

    Attributes
    ----------
    grouped : its candidates, also those larger than the budget
    """

    candidates: Candidates
    spec: MixSpec
    grouped: Strata

    def at(self, budget: int | None) -> Strata:
        """Return the strata for another budget."""
        return self.candidates.fitted(self.grouped, self.spec, budget)


def explain_refusal(candidates: Candidates, strata: Strata, failure: Failure, spec: MixSpec) -> InfeasibleMix:
    """Return the error that says why the budget cannot be met and what would have to change.

    Parameters
    ----------
    strata : the candidates, fit for the budget
    """
    budget = spec.budget.amount
    asked = strata.total_available if budget is None else budget
    few = len(candidates.sizes) <= _MANY
    mix = _Mix(candidates, spec, candidates.grouped(spec, budget=None if few else asked))
    conflict = _conflict(strata, failure, budget, asked)
    changes = _changes(strata, conflict, failure, budget, asked)
    return InfeasibleMix(
        spec.name,
        strata.unit,
        asked,
        strata.total_available,
        failure.reason,
        [shortfall_of(strata, constraint, asked) for constraint in conflict],
        _largest_budget(mix, asked),
        changes + _more_repeats(mix, strata, budget),
    )


def _conflict(strata: Strata, failure: Failure, budget: int | None, asked: int) -> list[Constraint]:
    """Return an irreducible set of constraints that cannot hold together at this budget."""
    if failure.reason == "not found":
        return []
    if failure.reason == "budget":
        short = [(c, shortfall_of(strata, c, asked)) for c in strata.constraints if c.bound == "min"]
        return [constraint for constraint, s in short if s.available < s.needed]
    if budget is None:
        return [c for c in strata.constraints if not c.holds(strata.available)]
    if failure.reason == "quotas":
        at_least = max(asked - largest_document(strata) + 1, 1)

        def feasible(constraints: Sequence[Constraint]) -> bool:
            return largest_total(strata, constraints, limit=asked) >= at_least - 1e-6 * asked

        kept = _irreducible(strata.constraints, feasible)
        if len(kept) > _MOST_NARROWED:  # of all the groups those that can exceed their maximum say something
            kept = [
                c for c in kept if c.bound == "min" or strata.units_of_members(c.members) > c.share * c.part * asked
            ]
        return kept
    if strata.n_rows > _FEW:
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


def _most(constraint: Constraint, budget: int) -> Fraction:
    return constraint.share * constraint.part * budget


def shortfall_of(strata: Strata, constraint: Constraint, budget: int) -> Shortfall:
    """Return what a bound asks for at a budget, and what there is of it."""
    whole = constraint.part * budget
    if constraint.bound == "min":
        needed, available = ceil(constraint.share * whole), strata.units_of_members(constraint.members)
    else:
        base = np.ones(len(strata), dtype=bool) if constraint.base is None else constraint.base
        needed = ceil(whole) - floor(constraint.share * whole)
        available = strata.units_of_members(base & ~constraint.members)
    return Shortfall(constraint.title, constraint.bound, constraint.share, needed, available)


def _largest_budget(mix: _Mix, asked: int) -> int:
    """Return the largest budget for which an allocation was really found, 0 where there is none.

    Documents larger than a budget cannot be drawn for it, so the bound is lowered until it holds without them.
    """
    budget = mix.grouped.total_available
    while budget > 0:
        fitting = mix.at(budget)
        bound = floor(largest_total(fitting, fitting.constraints, limit=budget) * (1 + 1e-9))
        if bound >= budget:
            break
        budget = bound
    if budget <= 0:
        return 0
    fitting = mix.at(budget)
    if _feasible(fitting, budget):
        return budget
    if fitting.n_rows > _FEW or fitting.extents:
        return _next_below(mix, budget)
    start = Selection(fitting, np.zeros(len(fitting)))
    found = search(start, budget=min(budget, asked), at_least=1, largest=True)
    if found.taken is None:
        return 0
    return sum(int(sizes[t.places()].sum()) for sizes, t in zip(fitting.sizes, found.taken, strict=True))


def _next_below(mix: _Mix, bound: int) -> int:
    """Return a budget below the bound that is feasible, the largest that a few attempts find."""
    for per_mille in (999, 995, 990, 970, 950, 900, 800, 500):
        budget = bound * per_mille // 1000
        if budget > 0 and _feasible(mix.at(budget), budget):
            return budget
    return 0


def _more_repeats(mix: _Mix, strata: Strata, budget: int | None) -> list[Change]:
    """Return the least number of times that documents would have to be drawn, where that alone is enough."""
    now = mix.spec.repeats.max
    if budget is None or not len(mix.candidates.sizes):
        return []

    def enough(most: int) -> bool:
        grouped = mix.candidates.grouped(mix.spec, budget=budget, most=most)
        return _feasible(mix.candidates.fitted(grouped, mix.spec, budget), budget)

    low, high = now, min(2 * now, _MOST_REPEATS)
    while high > low and not enough(high):
        low, high = high, min(2 * high, _MOST_REPEATS)
    if high == low:
        return []
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return [Change("repeats.max", "repeats", Fraction(now), Fraction(high))]


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
    """Return whether an allocation is found; among very many candidates without searching for single documents.

    Where documents may be repeated, or phases share them, the search takes so much longer that many are fewer.
    """
    is_simple = not strata.extents and int(strata.available.sum()) == int(strata.once.sum())
    thorough = strata.n_rows <= (_MANY if is_simple else _FEW)
    return isinstance(allocate(strata, budget=budget, thorough=thorough), Allocation)


def _candidates(
    strata: Strata, own: list[Constraint], rest: list[Constraint], failure: Failure, asked: int
) -> list[Fraction]:
    """Return bounds to try for a quota, the nearest to the present one first."""
    share, sign = own[0].share, -1 if own[0].bound == "min" else 1
    start = share
    if failure.reason == "quotas":
        reach = extreme_share(strata, own, rest, total=min(asked, strata.total_available))
        if reach is None:
            return []
        rounded = floor(reach * 1000 + 1e-6) if sign < 0 else ceil(reach * 1000 - 1e-6)
        start = Fraction(rounded, 1000)
    tried = [start] if start != share else []
    tried += [start + sign * step for step in _STEPS]
    return [to for to in dict.fromkeys(min(max(t, Fraction(0)), Fraction(1)) for t in tried) if sign * (to - share) > 0]
