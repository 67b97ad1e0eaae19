"""The order of the draws: a function of what was drawn, the quotas and the seed.

Interleaved, every prefix keeps the quotas. Draws that are alike to all quotas form a class, and every class runs
through its draws at its own share of the total: draw number j of a class, which begins at c_j of its S units and is
s_j long, gets the key (c_j + t s_j) / S, and all draws are sorted by their keys.

With t = 1 (the end of the draw) for every class, every prefix of T units holds at least f T - s units of a class with
share f, where s is its next draw: within one document for minima that do not overlap. With t = 0 (its beginning) it
holds at most f T + s: within one document for maxima. With t = 0 for one class with a minimum and t = 1 for the rest
every prefix holds f T and more. Several such schemes are tried, and the one whose worst prefix is best is kept, with
the worst shortfall computed exactly. Where none stays within one document (minima and maxima mixed over many classes),
draws are placed one by one: of the classes that would not run ahead by more than one document the one that falls behind
first (Tijdeman: The chairman assignment problem, Discrete Mathematics 32, 1980, for documents of different sizes).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from provenance.mix.draw import I64, U64, draw_order
from provenance.mix.strata import Constraint, Mask


@dataclass(frozen=True)
class Order:
    """The order of the draws.

    Attributes
    ----------
    permutation : rows of the draws in their order
    prefix_slack : for every constraint the largest number of units by which any prefix misses it, rounded up;
        None where the order promises nothing
    """

    permutation: I64
    prefix_slack: tuple[int, ...] | None


def shuffled(ids: npt.NDArray[np.uint8], keys: U64) -> Order:
    """Return the draws in the order of keys that are independent of the draw."""
    return Order(draw_order(ids, keys), None)


def interleaved(sizes: I64, stratum: I64, constraints: Sequence[Constraint], n_strata: int) -> Order:
    """Return the draws in an order whose every prefix keeps the quotas as well as any scheme here does.

    Parameters
    ----------
    sizes : (n,) int64, units of every draw
    stratum : (n,) int64, its stratum; draws of one stratum keep the order in which they are given
    constraints : the quotas over `n_strata` strata
    """
    members: Mask = np.array([c.members for c in constraints], dtype=bool).reshape(-1, n_strata)
    classes = np.unique(members, axis=1, return_inverse=True)[1].reshape(-1)[stratum].astype(np.int64)
    within = _keys(sizes, stratum, np.full(n_strata, 0.5))
    inner = np.lexsort((np.arange(len(sizes)), stratum, within, classes)).astype(np.int64)
    best = Order(inner, _slack(inner, sizes, stratum, constraints))
    for lead in _schemes(constraints, members, classes, stratum):
        if not any(best.prefix_slack or ()):
            return best
        keys = _keys(sizes[inner], classes[inner], lead)
        permutation = inner[np.lexsort((np.arange(len(sizes)), classes[inner], keys))]
        best = min(best, Order(permutation, _slack(permutation, sizes, stratum, constraints)), key=_badness)
    overlap = (np.unique(members, axis=0).sum(axis=0) > 1).any()
    if overlap or max(best.prefix_slack or (0,)) <= int(sizes.max(initial=0)):
        return best
    permutation = inner[_paced(sizes[inner], classes[inner], int(classes.max()) + 1)]
    return min(best, Order(permutation, _slack(permutation, sizes, stratum, constraints)), key=_badness)


def in_turn(sizes: I64, stratum: I64, constraints: Sequence[Constraint], phases: Sequence[Mask]) -> Order:
    """Return the draws phase after phase, those of each phase interleaved by its own quotas, or else by those of all.

    Parameters
    ----------
    phases : for every phase its strata, (K,)
    """
    parts = []
    for members in phases:
        mine = np.flatnonzero(members[stratum])
        own = [c for c in constraints if c.base is not None and (c.base == members).all()]
        within = [replace(c, base=None) for c in own or [c for c in constraints if c.base is None]]
        parts.append(mine[interleaved(sizes[mine], stratum[mine], within, len(members)).permutation])
    permutation = np.concatenate(parts)
    return Order(permutation, _slack(permutation, sizes, stratum, constraints))


def _badness(order: Order) -> list[int]:
    return sorted(order.prefix_slack or (), reverse=True)


def _slack(permutation: I64, sizes: I64, stratum: I64, constraints: Sequence[Constraint]) -> tuple[int, ...]:
    ordered, place = sizes[permutation], stratum[permutation]
    if not constraints:
        return ()
    shares = [c.share for c in constraints]
    if max(share.denominator for share in shares) * (int(sizes.sum()) + 1) >= 2**62:
        return tuple(_slack_of(ordered, place, constraint) for constraint in constraints)
    members = np.array([c.members for c in constraints], dtype=bool)
    bases = np.array([np.ones_like(c.members) if c.base is None else c.base for c in constraints], dtype=bool)
    signs = np.array([-1 if c.bound == "min" else 1 for c in constraints], dtype=np.int64)
    p = np.array([share.numerator for share in shares], dtype=np.int64)
    q = np.array([share.denominator for share in shares], dtype=np.int64)
    worst = _worst_prefix(ordered, place, members, bases, p, q, signs)
    return tuple(
        int(-(-missing // denominator)) for missing, denominator in zip(worst.tolist(), q.tolist(), strict=True)
    )


@numba.njit(cache=True)
def _worst_prefix(sizes, stratum, members, bases, p, q, signs):  # type: ignore[no-untyped-def]
    """Return the largest `sign * (q * counted - p * total)` over all prefixes for every constraint, at least 0."""
    n_constraints = members.shape[0]
    over = np.zeros(n_constraints, dtype=np.int64)
    worst = np.zeros(n_constraints, dtype=np.int64)
    for i in range(sizes.size):
        k = stratum[i]
        for c in range(n_constraints):
            if bases[c, k]:
                step = -p[c]
                if members[c, k]:
                    step += q[c]
                over[c] += signs[c] * step * sizes[i]
                worst[c] = max(worst[c], over[c])
    return worst


def _slack_of(sizes: I64, stratum: I64, constraint: Constraint) -> int:
    """Return the slack of one constraint, in integers without limit where 64 bits could overflow."""
    inside = slice(None) if constraint.base is None else constraint.base[stratum]
    counted = np.where(constraint.members[stratum[inside]], sizes[inside], 0)
    return prefix_slack(sizes[inside], [counted], [constraint])[0]


def prefix_slack(sizes: I64, counted: Iterable[I64], constraints: Sequence[Constraint]) -> list[int]:
    """Return for every constraint the most units that any prefix misses it by, rounded up; exact.

    Parameters
    ----------
    sizes : (n,) units in order
    counted : for every constraint (n,) units that count for it
    """
    total = np.cumsum(sizes)
    slack = []
    for constraint, part in zip(constraints, counted, strict=True):
        p, q = constraint.share.numerator, constraint.share.denominator
        kind: Any = np.int64 if q * (int(total[-1]) + 1 if len(total) else 1) < 2**62 else object
        over = np.cumsum(part).astype(kind) * q - total.astype(kind) * p
        worst = max(0, int((-over if constraint.bound == "min" else over).max(initial=0)))
        slack.append(-(-worst // q))
    return slack


def _keys(sizes: I64, group: I64, lead: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the key of every draw in its group: the relative place of its beginning, or end, or between."""
    order = np.argsort(group, kind="stable")
    grouped = sizes[order]
    ends = np.cumsum(grouped)
    n = np.bincount(group, minlength=len(lead))
    first = np.concatenate([[0], np.cumsum(n)])[:-1]
    before = np.concatenate([[0], ends])[first]
    begins = ends - grouped - np.repeat(before, n)
    totals = np.bincount(group, weights=sizes, minlength=len(lead))
    keys = np.empty(len(sizes))
    keys[order] = (begins + np.repeat(lead, n) * grouped) / np.repeat(np.maximum(totals, 1.0), n)
    return keys


@numba.njit(cache=True)
def _paced(sizes, classes, n_classes):  # type: ignore[no-untyped-def]
    """Return the draws in the order in which no class runs ahead of its share, nor falls behind, by a document."""
    queue = np.argsort(classes, kind="mergesort")  # the draws class by class, each in the order given
    ends = np.zeros(n_classes, dtype=np.int64)
    units = np.zeros(n_classes)
    for i in range(sizes.size):
        ends[classes[i]] += 1
        units[classes[i]] += sizes[i]
    ends = np.cumsum(ends)
    front = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1]))
    whole, one, total = units.sum(), sizes.max(), 0.0
    placed = np.zeros(n_classes)
    order = np.empty(sizes.size, dtype=np.int64)
    for i in range(sizes.size):
        chosen, chosen_ahead, chosen_due = -1, True, 0.0
        for g in range(n_classes):
            if front[g] < ends[g]:
                size = sizes[queue[front[g]]]
                ahead = (placed[g] + size - one) * whole > units[g] * (total + size)
                due = (placed[g] + one) / max(units[g], 1.0)
                if chosen < 0 or (chosen_ahead and not ahead) or (ahead == chosen_ahead and due < chosen_due):
                    chosen, chosen_ahead, chosen_due = g, ahead, due
        order[i] = queue[front[chosen]]
        front[chosen] += 1
        placed[chosen] += sizes[order[i]]
        total += sizes[order[i]]
    return order


def _schemes(
    constraints: Sequence[Constraint], members: Mask, classes: I64, stratum: I64
) -> list[npt.NDArray[np.float64]]:
    """Return the leads of the classes to try: how far into a draw its key lies."""
    n = int(classes.max(initial=-1)) + 1
    has_min, has_max = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    class_of = np.full(members.shape[1], -1, dtype=np.int64)
    class_of[stratum] = classes
    for constraint, member in zip(constraints, members, strict=True):
        touched = np.unique(class_of[member & (class_of >= 0)])
        (has_min if constraint.bound == "min" else has_max)[touched] = True
    end, middle, begin = np.ones(n), np.full(n, 0.5), np.zeros(n)
    early = np.where(has_min & ~has_max, 0.0, np.where(has_max & ~has_min, 1.0, 0.5))
    return [
        np.where(has_min, 0.0, 1.0),
        np.where(has_max, 1.0, 0.0),
        end,
        begin,
        middle,
        early,
        1.0 - early,
    ]
