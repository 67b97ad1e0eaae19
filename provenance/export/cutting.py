"""Cutting fewer tokens than one block from ends of strata, so that what is left fills whole blocks and keeps quotas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from provenance.mix.draw import I64
from provenance.mix.strata import Constraint, Mask

if TYPE_CHECKING:
    from provenance.export.packing import TokenLine


def cut(line: TokenLine, constraints: Sequence[Constraint], phases: Sequence[Mask], block_length: int) -> I64:
    """Return how many tokens of every stratum are kept, so that those of every phase fill whole blocks.

    Tokens are cut from the end of one stratum where that leaves every quota met, else one by one where it hurts least.
    """
    kept = np.diff(line.bases)
    for members in phases:
        surplus = int(kept[members].sum()) % block_length
        if surplus:
            kept = _cut_phase(line, constraints, np.flatnonzero(members), kept, surplus)
    return kept


def _cut_phase(line: TokenLine, constraints: Sequence[Constraint], strata: I64, kept: I64, surplus: int) -> I64:
    own = _own(line, kept)
    for k in strata[np.argsort(-kept[strata], kind="stable")]:
        if kept[k] < surplus:
            break
        shorter, left = kept.copy(), own.copy()
        shorter[k] -= surplus
        left[k] = _own(line, shorter)[k]
        if all(constraint.holds(left) for constraint in constraints):
            return shorter
    return _cut_singly(line, constraints, strata, kept, surplus)


def _cut_singly(line: TokenLine, constraints: Sequence[Constraint], strata: I64, kept: I64, surplus: int) -> I64:
    """Return what is kept when one token after the other is cut where quotas then lack least, by estimate."""
    kept = kept.copy()
    for _ in range(surplus):
        own = _own(line, kept)
        there = strata[kept[strata] > 0]
        shorter = kept.copy()
        shorter[there] -= 1
        lost = (own - _own(line, shorter))[there]  # 0 where the last token is a special one
        lacking = np.zeros(len(there))
        for constraint in constraints:
            counted, total = constraint.counted(own)
            inside = lost if constraint.base is None else lost * constraint.base[there]
            over = (counted - lost * constraint.members[there]) - float(constraint.share) * (total - inside)
            lacking += np.maximum(0, -over if constraint.bound == "min" else over)
        kept[there[np.argmin(lacking)]] -= 1
    return kept


def _own(line: TokenLine, kept: I64) -> I64:
    """Return how many tokens that are not special every stratum has when so many of its tokens are kept."""
    low = line.bases[:-1]
    return line.own_before(low + kept) - line.own_before(low)
