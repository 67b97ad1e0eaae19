"""The order of blocks: any stretch of them, hence any batch, keeps the quotas as well as whole blocks allow.

Blocks that are alike to all quotas form a class; the mixed blocks, in which the ends of all strata stand, are one more.
The classes take turns so that none is ever a whole block ahead of its share of the blocks so far, or behind it
(Tijdeman: The chairman assignment problem, Discrete Mathematics 32, 1980). What two prefixes miss by less than a block
each, the stretch between them misses by less than two. Beside this order the one in which documents are interleaved is
looked at, which may be better at the prefixes, and the better of both is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numba
import numpy as np

from provenance.mix.draw import I64
from provenance.mix.order import interleaved
from provenance.mix.strata import Constraint, Mask


def block_order(own: I64, owner: I64, mixed: I64, constraints: Sequence[Constraint]) -> I64:
    """Return the order of the blocks of single strata, and behind them in number the mixed ones.

    Parameters
    ----------
    own : (n,) tokens of every block of a single stratum, special ones not counted
    owner : (n,) its stratum; blocks of one stratum keep the order in which they are given
    mixed : (m, K) tokens of every stratum in every mixed block
    constraints : the quotas over the K strata
    """
    n_strata = mixed.shape[1]
    sizes = np.concatenate([own, mixed.sum(axis=1)]).astype(np.int64)
    stratum = np.concatenate([owner, np.full(len(mixed), n_strata)]).astype(np.int64)
    beside = [replace(c, members=np.append(c.members, False)) for c in constraints]
    documents = interleaved(sizes, stratum, beside, n_strata + 1).permutation
    classes = _classes([c.members for c in constraints], n_strata)[stratum]
    turns = _in_turn(classes, documents)
    counted = [_counted(c.members, own, owner, mixed) for c in constraints]
    return min(turns, documents, key=lambda order: _worst(order, sizes, counted, constraints))


def walk(sizes: I64, counted: I64, share: Fraction, bound: str) -> Any:
    """Return by how much a bound is exceeded in the right direction before every block and at the end; exact.

    Times the share's denominator, as (n + 1,) int64, or as Python's integers where those are too small.
    """
    p, q = share.numerator, share.denominator
    kind: Any = np.int64 if q * (int(sizes.sum()) + 1) < 2**62 else object
    over = np.concatenate([[0], np.cumsum(counted)]).astype(kind) * q
    over = over - np.concatenate([[0], np.cumsum(sizes)]).astype(kind) * p
    return over if bound == "min" else -over


def worst_of(steps: Any) -> tuple[int, int]:
    """Return by how much at most a prefix, and a stretch, of what was walked misses the bound."""
    return max(0, -int(steps.min())), int((np.maximum.accumulate(steps) - steps).max())


def _classes(members: Sequence[Mask], n_strata: int) -> I64:
    """Return the class of every stratum, and of the mixed blocks."""
    table = np.array(list(members), dtype=bool).reshape(-1, n_strata)
    classes = np.unique(table, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return np.append(classes, classes.max(initial=-1) + 1)


def _in_turn(classes: I64, order: I64) -> I64:
    """Return the blocks with their classes in turn; within a class they keep the order given."""
    queue = order[np.argsort(classes[order], kind="stable")]
    turns = _take_turns(np.bincount(classes, minlength=1).astype(np.int64))
    placed: I64 = np.empty_like(queue)
    placed[np.argsort(turns, kind="stable")] = queue
    return placed


@numba.njit(cache=True)
def _take_turns(counts):  # type: ignore[no-untyped-def]
    """Return the class of every block in turn: of those that would not run ahead the one that is due first."""
    n, n_classes = counts.sum(), counts.size
    spare = max(2, (counts > 0).sum()) * 2 - 2
    placed = np.zeros(n_classes, dtype=np.int64)
    turns = np.empty(n, dtype=np.int64)
    for t in range(n):
        chosen, chosen_ahead, chosen_due = -1, True, 0.0
        for c in range(n_classes):
            if placed[c] < counts[c]:
                ahead = spare * (counts[c] * (t + 1) - placed[c] * n) < n
                due = (spare * (placed[c] + 1) - 1) / counts[c]
                if chosen < 0 or (chosen_ahead and not ahead) or (ahead == chosen_ahead and due < chosen_due):
                    chosen, chosen_ahead, chosen_due = c, ahead, due
        turns[t] = chosen
        placed[chosen] += 1
    return turns


def _counted(members: Mask, own: I64, owner: I64, mixed: I64) -> I64:
    """Return the tokens of every block that count for a quota."""
    return np.concatenate([np.where(members[owner], own, 0), mixed[:, members].sum(axis=1)]).astype(np.int64)


def _worst(order: I64, sizes: I64, counted: Sequence[I64], constraints: Sequence[Constraint]) -> Fraction:
    """Return the worst prefix of all quotas, or half the worst stretch where that is more."""
    worst = Fraction(0)
    for constraint, part in zip(constraints, counted, strict=True):
        prefix, stretch = worst_of(walk(sizes[order], part[order], constraint.share, constraint.bound))
        worst = max(worst, Fraction(max(2 * prefix, stretch), 2 * constraint.share.denominator))
    return worst
