"""From amounts to whole documents: exact integers from here on.

First greedily: a prefix of every stratum's draw order below its amount, repaired where a quota is missed, then filled
up. Where that gets stuck, HiGHS' integer solver looks for documents near the ends of the prefixes, in windows that
grow until they hold every candidate; so a small mix is refused only when no set of whole documents exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from provenance.mix.draw import I64, Taken
from provenance.mix.strata import F64, Mask, Strata

#: Candidates around the end of every stratum's prefix that the integer solver may choose among, step by step.
_WINDOWS = (8, 64, 512, 4096)
_MOST_VARIABLES = 30_000
#: Strata that a repair tries, the most helpful ones first.
_MOST_TRIED = 200
#: Nodes of the integer solver's search tree; a limit in time would make the result depend on the machine.
_MOST_NODES = 20_000


class Selection:
    """How many documents are taken from the start of every stratum's draw order, and the exact sums.

    Attributes
    ----------
    strata : what is drawn from
    prefix : (K,) documents of every stratum: the most that do not exceed its amount, or with `carry` its amount and
        what the strata before it left, so that the total is not short by a part of a document of every stratum
    """

    def __init__(self, strata: Strata, amounts: F64, *, carry: bool = False) -> None:
        self.strata = strata
        self.lengths = np.array([len(sizes) for sizes in strata.sizes], dtype=np.int64)
        self._start = np.concatenate([[0], np.cumsum(self.lengths + 1)])[:-1]
        self._cumulated = np.concatenate(
            [np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)]) for sizes in strata.sizes]
        )
        prefix, carried = [], 0.0
        for start, n, amount in zip(self._start, self.lengths, amounts, strict=True):
            # A thousandth of a unit is the solver's rounding, not an amount.
            cumulated = self._cumulated[start : start + n + 1]
            prefix.append(int(np.searchsorted(cumulated, amount + carried + 1e-3, side="right")) - 1)
            carried = max(0.0, carried + amount - float(cumulated[prefix[-1]])) if carry else 0.0
        self.prefix: I64 = np.array(prefix, dtype=np.int64)

    @property
    def units(self) -> I64:
        """Units taken from every stratum."""
        return self.units_of(self.prefix)

    @property
    def total(self) -> int:
        """Units taken altogether."""
        return int(self.units.sum())

    def units_of(self, prefix: I64) -> I64:
        """Return the units of the first `prefix` documents of every stratum."""
        units: I64 = self._cumulated[self._start + prefix]
        return units

    def sizes_ahead(self, step: int) -> I64:
        """Return the size of the next document of every stratum (step 1) or of its last one (step -1); 0: none."""
        there = np.clip(self.prefix + step, 0, self.lengths)
        return np.array(np.abs(self.units_of(there) - self.units), dtype=np.int64)


class Rules:
    """The bounds as exact integers: `slack >= 0` for each, where one unit in stratum k adds `effect[c, k]`.

    For totals up to `budget` a share is equivalent to the next fraction with a denominator up to the budget, which
    keeps all numbers small; Python integers are used where 64 bits could overflow nevertheless. The extents of phases
    follow behind the quotas.
    """

    def __init__(self, strata: Strata, *, budget: int) -> None:
        k, quotas = len(strata), strata.constraints
        ends = [(extent.members, sign, -sign * limit) for extent in strata.extents
                for sign, limit in ((1, extent.least), (-1, extent.most))]  # fmt: skip
        self.members: Mask = np.array([c.members for c in quotas] + [end[0] for end in ends], dtype=bool).reshape(-1, k)
        whole = np.ones(k, dtype=bool)
        base = np.array([whole if c.base is None else c.base for c in quotas] + [whole] * len(ends)).reshape(-1, k)
        shares = [nearby_share(c.share, budget, up=c.bound == "min") for c in quotas]
        largest = max((share.denominator for share in shares), default=1)
        self.kind: Any = np.int64 if largest * (int(strata.available.sum()) + 1) < 2**62 else object
        none = [0] * len(ends)
        p = np.array([share.numerator for share in shares] + none, dtype=self.kind).reshape(-1, 1)
        self.q = np.array([share.denominator for share in shares] + [1] * len(ends), dtype=self.kind).reshape(-1, 1)
        sign = np.array([1 if c.bound == "min" else -1 for c in quotas] + [end[1] for end in ends], dtype=self.kind)
        sign = sign.reshape(-1, 1)
        self.effect = np.where(self.members, self.q - p, np.where(base, -p, 0 * p)) * sign  # (C, K)
        self._p, self._sign = p[:, 0], sign[:, 0]
        self._constant = np.array([0] * len(quotas) + [end[2] for end in ends], dtype=self.kind)
        self._sums = sparse.csr_matrix(self.members, dtype=np.int64)
        # Without phases every share is one of the whole.
        self._bases = sparse.csr_matrix(base, dtype=np.int64) if strata.extents else None
        # Where units cost: a minimum outside its members, a maximum inside.
        self._costly = np.nonzero(self.effect < 0)
        self._cost = -self.effect[self._costly]

    def slack(self, units: I64) -> Any:
        """Return the exact slack of every bound."""
        counted = (self._sums @ units).astype(self.kind)
        total = int(units.sum()) if self._bases is None else (self._bases @ units).astype(self.kind)
        return self._sign * (self.q[:, 0] * counted - self._p * total) + self._constant

    def allowance(self, slack: Any, left: int) -> I64:
        """Return how many units every stratum may still get without breaking a constraint or exceeding `left`."""
        allowed = np.full(self.members.shape[1], left, dtype=np.int64)
        constraint, stratum = self._costly
        np.minimum.at(allowed, stratum, np.minimum(slack[constraint] // self._cost, left).astype(np.int64))
        return allowed

    def violation(self, slack: Any) -> float:
        """Return the missing units, summed over the constraints."""
        return float(-(np.minimum(slack, 0) / self.q[:, 0]).sum())

    def violation_after(self, slack: Any, step: int, sizes: I64) -> F64:
        """Return the violation if every stratum by itself got its size more (step 1) or less (step -1)."""
        violated = slack < 0
        helpful = np.flatnonzero((step * self.effect[violated].astype(float).sum(axis=0) > 0) & (sizes > 0))
        helpful = helpful[
            np.argsort(-step * self.effect[violated][:, helpful].astype(float).sum(axis=0), kind="stable")
        ]
        after = np.full(len(sizes), np.inf)
        for k in helpful[:_MOST_TRIED]:
            after[k] = self.violation(slack + step * self.effect[:, k] * int(sizes[k]))
        return after


def nearby_share(share: Fraction, largest: int, *, up: bool) -> Fraction:
    """Return the smallest fraction not below `share` (largest not above) with a denominator up to `largest`.

    Notes
    -----
    For integers c and T <= largest, c/T >= share holds exactly when c/T reaches that fraction. It is the nearest
    fraction of the Farey sequence, or that one's neighbour.

    Examples
    --------
    >>> nearby_share(Fraction(1, 3), 10, up=True), nearby_share(Fraction(314, 1000), 10, up=True)
    (Fraction(1, 3), Fraction(1, 3))
    """
    nearest = share.limit_denominator(largest)
    if nearest == share or (nearest > share) == up:
        return nearest
    a, b = nearest.numerator, nearest.denominator
    first = pow(a, -1, b) if b > 1 else 0  # the neighbour c/d satisfies |b c - a d| = 1
    d = (-first if up else first) % b
    d += b * ((largest - d) // b)
    return Fraction((1 + a * d) // b if up else (a * d - 1) // b, d)


def round_greedily(strata: Strata, amounts: F64, *, budget: int, carry: bool = False) -> tuple[Selection, bool]:
    """Return prefixes near the amounts, and whether they meet every quota."""
    selection, rules = Selection(strata, amounts, carry=carry), Rules(strata, budget=budget)
    met = _repair(selection, rules, budget)
    if met:
        _fill(selection, rules, amounts, budget)
    return selection, met


def _repair(selection: Selection, rules: Rules, budget: int) -> bool:
    """Add or remove documents at the ends of the prefixes while that lessens the violations."""
    while True:
        slack = rules.slack(selection.units)
        if not len(slack) or (slack >= 0).all():
            return True
        now = rules.violation(slack)
        left = budget - selection.total
        best: tuple[float, int, int] | None = None
        for step in (1, -1):
            sizes = selection.sizes_ahead(step)
            after = rules.violation_after(slack, step, np.where((step == 1) & (sizes > left), 0, sizes))
            k = int(np.argmin(after))
            if after[k] < now and best is None:
                best = (float(after[k]), k, step)
        if best is None:
            return False
        selection.prefix[best[1]] += best[2]


def _fill(selection: Selection, rules: Rules, amounts: F64, budget: int) -> None:
    """Take further documents in draw order while one fits, from the stratum that is furthest below its amount."""
    while True:
        slack = rules.slack(selection.units)
        allowed = rules.allowance(slack, budget - selection.total)
        sizes = selection.sizes_ahead(1)
        fits = (sizes > 0) & (sizes <= allowed)
        if not fits.any():
            return
        selection.prefix[int(np.argmax(np.where(fits, amounts - selection.units, -np.inf)))] += 1


def taken_prefixes(selection: Selection) -> list[Taken]:
    """Return the selection as what is taken from every stratum."""
    return [Taken(int(prefix)) for prefix in selection.prefix]


def take_what_fits(selection: Selection, *, budget: int) -> list[Taken]:
    """Return the selection with documents added that stand behind one too large to fit, in draw order."""
    strata, rules = selection.strata, Rules(selection.strata, budget=budget)
    units, added = selection.units, [list[int]() for _ in selection.prefix]
    start = selection.prefix.copy()
    while True:
        allowed = rules.allowance(rules.slack(units), budget - int(units.sum()))
        found = None
        for k, sizes in enumerate(strata.sizes):
            fitting = np.flatnonzero(sizes[start[k] :] <= allowed[k])
            if fitting.size:
                found = (k, int(start[k] + fitting[0]))
                break
        if found is None:
            return [Taken(int(p), (), tuple(a)) for p, a in zip(selection.prefix, added, strict=True)]
        k, place = found
        added[k].append(place)
        units[k] += strata.sizes[k][place]
        start[k] = place + 1


@dataclass(frozen=True)
class Search:
    """What the integer solver found: a selection or None, and whether None is a proof."""

    taken: list[Taken] | None
    proved: bool


def search(selection: Selection, *, budget: int, at_least: int, largest: bool = False) -> Search:
    """Look for whole documents that meet every quota and hold `at_least` to `budget` units.

    Parameters
    ----------
    selection : prefixes to stay near to; where strata share their rows, any
    largest : look for the most units instead of the nearest set
    """
    total = int(selection.lengths.sum())
    if len(np.unique(selection.strata.pool)) < len(selection.lengths):
        # Strata that share their rows are searched whole: a window would take for granted what another may have taken.
        if total > _MOST_VARIABLES:
            return Search(None, False)
        taken, decided = _solve_window(
            selection, np.zeros_like(selection.prefix), selection.lengths, budget, at_least, largest=largest
        )
        return Search(taken, taken is None and decided)
    for window in (*_WINDOWS, total):
        low = np.maximum(selection.prefix - window, 0)
        high = np.minimum(selection.prefix + window, selection.lengths)
        n_variables = int((high - low).sum())
        if n_variables > _MOST_VARIABLES:
            return Search(None, False)
        complete = n_variables == total
        taken, decided = _solve_window(selection, low, high, budget, at_least, largest=largest)
        if taken is not None or complete:
            return Search(taken, taken is None and decided)
    return Search(None, False)


def _solve_window(
    selection: Selection, low: I64, high: I64, budget: int, at_least: int, *, largest: bool
) -> tuple[list[Taken] | None, bool]:
    """Return what to take where the documents from `low` to `high` of every stratum are free.

    None where nothing was found; the second value tells whether that is certain.
    """
    strata, rules = selection.strata, Rules(selection.strata, budget=budget)
    sizes = np.concatenate([s[a:b] for s, a, b in zip(strata.sizes, low, high, strict=True)]).astype(np.int64)
    owner = np.repeat(np.arange(len(strata)), high - low)
    fixed = selection.units_of(low)
    place = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
    in_prefix = place < selection.prefix[owner]
    distance = 1.0 + np.abs(place - selection.prefix[owner]) / (1.0 + (high - low)[owner])
    cost = -sizes.astype(float) if largest else np.where(in_prefix, -distance, distance)
    # Sums of integers: half a unit of tolerance changes no answer and keeps the solver's own tolerance out of it.
    rows, limits = [sizes.astype(float)], [(at_least - fixed.sum() - 0.5, budget - fixed.sum() + 0.5)]
    spare = rules.slack(fixed)
    for c, effect in enumerate(rules.effect):
        row = (effect[owner] * sizes.astype(rules.kind)).astype(float)
        unit = max(1.0, float(np.abs(row).max(initial=0.0)) / 1e6)
        rows.append(row / unit)
        limits.append(((-float(spare[c]) - 0.5) / unit, np.inf))
    bounds: npt.NDArray[Any] = np.array(limits, dtype=float)
    shared = _drawn_once(strata, owner, place)
    matrix = sparse.vstack([sparse.csr_matrix(np.array(rows)), shared])
    above = np.concatenate([bounds[:, 1], np.ones(shared.shape[0])])
    answer = milp(
        cost,
        constraints=LinearConstraint(matrix, np.append(bounds[:, 0], np.zeros(shared.shape[0])), above),
        integrality=np.ones(len(cost)),
        bounds=Bounds(0, 1),
        options={"node_limit": _MOST_NODES, "mip_rel_gap": 0.0 if largest else 0.05},
    )
    if answer.x is None:
        return None, answer.status == 2
    chosen = answer.x > 0.5
    units = fixed + np.bincount(owner, weights=np.where(chosen, sizes, 0), minlength=len(strata)).astype(np.int64)
    slack = rules.slack(units)
    if (len(slack) and (slack < 0).any()) or not at_least <= int(units.sum()) <= budget:
        return None, False
    places = [np.concatenate([np.arange(low[k]), place[chosen & (owner == k)]]) for k in range(len(strata))]
    return [Taken.from_places(p, int(selection.prefix[k])) for k, p in enumerate(places)], True


def _drawn_once(strata: Strata, owner: I64, place: I64) -> sparse.csr_matrix:
    """Return a row for every place of every pool that several strata share: they may take it once together."""
    n_sharing = np.bincount(strata.pool)
    shared = np.flatnonzero(n_sharing[strata.pool[owner]] > 1)
    width = int(place.max(initial=0)) + 1
    rows, row = np.unique(strata.pool[owner[shared]] * width + place[shared], return_inverse=True)
    return sparse.csr_matrix((np.ones(len(shared)), (row, shared)), shape=(len(rows), len(owner)))
