"""The allocation: which documents of every stratum, so that every quota holds exactly and the budget is used up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from provenance.mix.draw import Taken
from provenance.mix.errors import QuotaNotMet
from provenance.mix.programme import amounts, largest_total
from provenance.mix.rounding import Rules, Search, Selection, round_greedily, search, take_what_fits, taken_prefixes
from provenance.mix.strata import Strata

#: Beyond this share of the budget left over, documents are looked for behind one that is too large to fit.
_NOTICEABLE = 0.01
#: Margins to try for quotas, in documents of mean size: with many strata, rounding each of them costs some.
_MARGINS = (0.0, 2.0, 6.0)


@dataclass(frozen=True)
class Allocation:
    """What is taken from every stratum.

    Attributes
    ----------
    strata : what was allocated over
    taken : for every stratum its documents, as places in its draw order
    units : units taken from every stratum
    one_document : units of the largest candidate: less than this may be left of the budget
    """

    strata: Strata
    taken: tuple[Taken, ...]
    units: tuple[int, ...]
    one_document: int

    @property
    def total(self) -> int:
        """Units taken altogether."""
        return sum(self.units)


@dataclass(frozen=True)
class Failure:
    """Why there is no allocation: `budget`, `quotas`, `whole documents` or `not found` (see `InfeasibleMix`)."""

    reason: str


def allocate(strata: Strata, *, budget: int | None, thorough: bool = True) -> Allocation | Failure:
    """Return an allocation of at most `budget` units and more than `budget` less one document, or why there is none.

    Parameters
    ----------
    strata : candidates, none of them larger than the budget
    budget : units; None takes every candidate
    thorough : whether to search for single documents where prefixes of the strata do not do

    Notes
    -----
    "One document" is the largest candidate. Whatever is returned was checked with exact integers.
    """
    if budget is None:
        return _everything(strata)
    one = largest_document(strata)
    at_least = max(budget - one + 1, 1)
    if int(strata.available.sum()) < at_least:
        return Failure("budget")
    # The solver's answer is true to about 1e-7 of the budget: what is nearly enough is decided by whole documents.
    if largest_total(strata, strata.constraints, limit=budget) < at_least - 1e-6 * budget:
        return Failure("quotas")
    taken = _whole_documents(strata, budget, at_least, thorough=thorough)
    if isinstance(taken, Search):
        return Failure("whole documents" if taken.proved else "not found")
    return _checked(strata, taken, one)


def largest_document(strata: Strata) -> int:
    """Return the units of the largest candidate, 0 where there is none."""
    return max((int(sizes.max()) for sizes in strata.sizes if sizes.size), default=0)


def without_larger(strata: Strata, limit: int) -> Strata:
    """Return the strata without candidates of more than `limit` units."""
    keep = [sizes <= limit for sizes in strata.sizes]
    sizes = tuple(s[k] for s, k in zip(strata.sizes, keep, strict=True))
    rows = tuple(r[k] for r, k in zip(strata.rows, keep, strict=True))
    available = np.array([s.sum() for s in sizes], dtype=np.int64)
    return replace(strata, sizes=sizes, rows=rows, available=available)


def _whole_documents(strata: Strata, budget: int, at_least: int, *, thorough: bool) -> list[Taken] | Search:
    """Return whole documents: prefixes near the amounts, else near amounts with a margin, else by search."""
    mean = float(strata.available.sum()) / max(1, sum(len(rows) for rows in strata.rows))
    selections = []
    for margin in _MARGINS:
        wanted = amounts(strata, limit=budget, margin=margin * mean)
        if wanted is None:
            continue
        selection, met = round_greedily(strata, wanted, budget=budget, carry=margin > 0)
        selections.append(selection)
        if met:
            left = budget - selection.total
            if selection.total >= at_least and (left <= mean or left <= _NOTICEABLE * budget):
                return taken_prefixes(selection)
            taken = take_what_fits(selection, budget=budget)
            if sum(_units(strata, taken)) >= at_least:
                return taken
    if not thorough:
        return Search(None, False)
    start = selections[0] if selections else Selection(strata, np.zeros(len(strata)))
    found = search(start, budget=budget, at_least=at_least)
    return found.taken if found.taken is not None else found


def _everything(strata: Strata) -> Allocation | Failure:
    if not strata.available.sum():
        return Failure("budget")
    if any(slack < 0 for slack in Rules(strata, budget=int(strata.available.sum())).slack(strata.available)):
        return Failure("quotas")
    return _checked(strata, [Taken(len(rows)) for rows in strata.rows], largest_document(strata))


def _units(strata: Strata, taken: list[Taken]) -> list[int]:
    return [int(sizes[t.places()].sum()) for sizes, t in zip(strata.sizes, taken, strict=True)]


def _checked(strata: Strata, taken: list[Taken], one: int) -> Allocation:
    units = _units(strata, taken)
    for constraint in strata.constraints:
        counted = sum(u for u, member in zip(units, constraint.members, strict=True) if member)
        if constraint.slack(counted, sum(units)) < 0:
            title, bound, share = constraint.title, constraint.bound, constraint.share
            raise QuotaNotMet(title, bound, share, counted, sum(units), strata.unit)
    return Allocation(strata, tuple(taken), tuple(units), one)
