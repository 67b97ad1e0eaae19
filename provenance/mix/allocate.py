"""The allocation: which documents of every stratum, so that every quota holds exactly and the budget is used up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from provenance.mix.draw import I64, Taken
from provenance.mix.errors import QuotaNotMet
from provenance.mix.programme import balance, largest_total
from provenance.mix.rounding import Search, Selection, round_greedily, search, take_what_fits, taken_prefixes
from provenance.mix.strata import F64, Strata, largest_document

#: Beyond this share of the budget left over, documents are looked for behind one that is too large to fit.
_NOTICEABLE = 0.01
#: Margins to try for quotas, in documents of mean size: with many strata, rounding each of them costs some.
_MARGINS = (0.0, 2.0, 6.0)


@dataclass(frozen=True)
class Allocation:
    """What is taken from every stratum.

    Attributes
    ----------
    strata : what was allocated over; in a curriculum with the rows of every stratum parted among the phases
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
    if strata.total_available < at_least:
        return Failure("budget")
    # The solver's answer is true to about 1e-7 of the budget: what is nearly enough is decided by whole documents.
    if largest_total(strata, strata.constraints, limit=budget) < at_least - 1e-6 * budget:
        return Failure("quotas")
    found = _whole_documents(strata, budget, at_least, thorough=thorough)
    if isinstance(found, Search):
        return Failure("whole documents" if found.proved else "not found")
    return checked(*found, one)


def parted(strata: Strata, amounts: F64) -> Strata:
    """Return the strata with the rows of every pool parted among its strata in proportion to the amounts.

    The parts follow each other in the draw order of the pool.
    """
    rows, sizes, first = list(strata.rows), list(strata.sizes), strata.first.copy()
    for pool in range(int(strata.pool.max(initial=-1)) + 1):
        cells = np.flatnonzero(strata.pool == pool)
        cumulated = np.cumsum(strata.sizes[cells[0]])
        wanted = amounts[cells] + 1e-9 * max(1.0, float(amounts.sum()))  # so that nobody goes without
        ends = np.cumsum(wanted) * (float(cumulated[-1]) if len(cumulated) else 0.0) / wanted.sum()
        borders = np.concatenate([[0], np.searchsorted(cumulated, ends[:-1] + 1e-3, side="right"), [len(cumulated)]])
        for cell, low, high in zip(cells, borders[:-1], borders[1:], strict=True):
            rows[cell], sizes[cell] = strata.rows[cell][low:high], strata.sizes[cell][low:high]
            first[cell] = low
    available = np.array([s.sum() for s in sizes], dtype=np.int64)
    own = np.arange(len(strata))
    return replace(strata, rows=tuple(rows), sizes=tuple(sizes), available=available, pool=own, first=first)


def _whole_documents(
    strata: Strata, budget: int, at_least: int, *, thorough: bool
) -> tuple[Strata, list[Taken]] | Search:
    """Return whole documents: prefixes near the amounts, else near amounts with a margin, else by search."""
    mean = float(strata.total_available) / max(1, strata.n_rows)
    selections = []
    for margin in _MARGINS:
        balanced = balance(strata, limit=budget, margin=margin * mean)
        if balanced is None:
            continue
        wanted = balanced.amounts
        parts = parted(strata, wanted) if strata.extents else strata
        selection, met = round_greedily(parts, wanted, budget=budget, carry=margin > 0)
        selections.append(selection)
        if met:
            left = budget - selection.total
            if selection.total >= at_least and (left <= mean or left <= _NOTICEABLE * budget):
                return parts, taken_prefixes(selection)
            taken = take_what_fits(selection, budget=budget)
            if sum(_units(parts, taken)) >= at_least:
                return parts, taken
    if not thorough:
        return Search(None, False)
    whole = Selection(strata, np.zeros(len(strata)))
    for start in [*selections[:1], whole] if strata.extents or not selections else selections[:1]:
        found = search(start, budget=budget, at_least=at_least)
        if found.taken is not None:
            return start.strata, found.taken
    return found


def _everything(strata: Strata) -> Allocation | Failure:
    if not strata.total_available:
        return Failure("budget")
    if not all(constraint.holds(strata.available) for constraint in strata.constraints):
        return Failure("quotas")
    return checked(strata, [Taken(len(rows)) for rows in strata.rows], largest_document(strata))


def _units(strata: Strata, taken: list[Taken]) -> list[int]:
    return [int(sizes[t.places()].sum()) for sizes, t in zip(strata.sizes, taken, strict=True)]


def checked(strata: Strata, taken: list[Taken], one: int) -> Allocation:
    """Return what is taken as an allocation, every quota checked with exact integers.

    Raises
    ------
    QuotaNotMet
        If it misses one.
    """
    units = _units(strata, taken)
    each: I64 = np.array(units, dtype=np.int64)
    for constraint in strata.constraints:
        if not constraint.holds(each):
            title, bound, share = constraint.title, constraint.bound, constraint.share
            raise QuotaNotMet(title, bound, share, *constraint.counted(each), strata.unit)
    return Allocation(strata, tuple(taken), tuple(units), one)
