"""The linear programme over strata: how many units to take from each, by HiGHS.

Quotas are hard constraints. What is left free is decided by goals that are met one after the other: as many units as
the budget allows; shares of the weighted values as near as possible to the weights; every stratum as near as possible
to its target; and among the optima of these the one whose strata deviate most evenly. Amounts are fractions of a
scale, so that the solver's tolerances mean the same at any size; whole documents come later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from provenance.mix.strata import F64, Constraint, Strata, Target

#: Slack for taking an earlier goal as met, relative to the scale.
_TOLERANCE = 1e-9
#: Rounds in which targets of several weighted columns are fitted to each other.
_ROUNDS = 50


@dataclass(frozen=True)
class Answer:
    """An optimum: its cost, where it is reached, and by how much a larger limit of every row would change the cost."""

    cost: float
    at: F64
    marginals: F64


@dataclass
class _Programme:
    """Rows `matrix @ x <= limit` over n variables with bounds, collected one after the other."""

    upper: F64
    rows: list[sparse.csr_matrix]
    limits: list[F64]

    @property
    def n(self) -> int:
        return len(self.upper)

    def add(self, matrix: sparse.spmatrix, limits: F64) -> slice:
        """Add rows and return their places."""
        first = sum(len(limit) for limit in self.limits)
        self.rows.append(sparse.csr_matrix(matrix))
        self.limits.append(limits)
        return slice(first, first + len(limits))

    def minimise(self, cost: F64) -> Answer | None:
        """Return the optimum, or None where no point satisfies the rows."""
        width = self.n
        matrix = sparse.vstack([_widen(row, width) for row in self.rows]) if self.rows else None
        limits = np.concatenate(self.limits) if self.limits else None
        bounds = np.column_stack([np.zeros(width), self.upper])
        answer = linprog(cost, A_ub=matrix, b_ub=limits, bounds=bounds, method="highs")
        if answer.status != 0:
            return None
        return Answer(float(answer.fun), np.asarray(answer.x), np.asarray(answer.ineqlin.marginals))


def largest_total(strata: Strata, constraints: Sequence[Constraint], *, limit: int) -> float:
    """Return the largest total of units, at most `limit`, that parts of documents could make up within the quotas."""
    scale = float(max(limit, 1))
    programme, _ = _quota_programme(strata, constraints, scale)
    answer = programme.minimise(-np.eye(1, programme.n, len(strata))[0])
    return -answer.cost * scale if answer else 0.0


def targets(strata: Strata, total: float) -> F64:
    """Return the units of every stratum that weights ask for, or that would be proportional to what is available.

    Targets of several columns are fitted to each other by raking (Deming and Stephan, Annals of Mathematical Statistics
    11, 1940), starting from what is available.
    """
    goal = strata.once.astype(float)
    for extent in strata.extents:
        goal[extent.members] *= float(extent.share)
    for _ in range(_ROUNDS if len(strata.targets) > 1 else 1):
        for target in strata.targets:
            found = np.bincount(target.value_of, weights=goal, minlength=len(target.shares))
            factor = np.divide(target.shares, found, out=np.zeros_like(found), where=found > 0)
            goal = goal * factor[target.value_of]
    return np.array(total * goal / max(goal.sum(), 1e-300), dtype=np.float64)


@dataclass(frozen=True)
class Balance:
    """Amounts that are as near to the targets as quotas allow.

    Attributes
    ----------
    amounts : (K,) units of every stratum
    distance : units that weighted values, or without weights strata, are away from their targets, summed
    prices : (C,) by how many units that distance would grow if one more unit were asked of every quota
    """

    amounts: F64
    distance: float
    prices: F64


def balance(strata: Strata, *, limit: int, margin: float = 0.0) -> Balance | None:
    """Return the units to take from every stratum, as near to the targets as quotas and `limit` allow.

    Parameters
    ----------
    margin : units by which every quota is to be exceeded, so that whole documents near the amounts keep it too

    Returns
    -------
    None where quotas leave nothing to take, or nothing with the margin
    """
    total = largest_total(strata, strata.constraints, limit=limit)
    if total <= 0:
        return None
    scale, k = float(total), len(strata)
    goal = targets(strata, total) / scale
    # What is to be near to its share: phases first, then weighted values.
    shared = [(_extents(strata), np.array([float(e.share) for e in strata.extents]))] if strata.extents else []
    n_phases = len(strata.extents)
    shared += [(_membership(target, k), target.shares) for target in strata.targets]
    n_values = sum(len(shares) for _, shares in shared)
    # Variables: x (k), total (1), deviation of strata (k), of phases and values, largest ratio down and up (2).
    programme, quotas = _quota_programme(strata, strata.constraints, scale, margin=margin)
    programme.upper = np.concatenate([programme.upper, np.full(k + n_values + 2, np.inf)])
    _require_total(programme, k)
    of_strata, of_phases, of_values, ratios = k + 1, 2 * k + 1, 2 * k + 1 + n_phases, 2 * k + 1 + n_values
    first = of_phases
    for member, shares in shared:
        _add_deviation(programme, member, shares, first=first)
        first += len(shares)
    _add_deviation(programme, sparse.identity(k), goal, first=of_strata)
    _add_evenness(programme, np.minimum(goal, strata.available / scale))
    stages = [slice(of_phases, of_values)] if n_phases else []
    stages += [slice(of_values, ratios)] if strata.targets else []
    stages += [slice(of_strata, of_phases), slice(ratios, None)]
    priced = 1 if n_phases else 0
    found: Answer | None = None
    amounts: F64 | None = None
    for i, stage in enumerate(stages):
        cost = np.zeros(programme.n)
        cost[stage] = 1.0
        answer = programme.minimise(cost)
        if answer is None:  # the goals before are met to the solver's tolerance only: what they gave stands
            break
        found = answer if i == priced else found
        amounts = answer.at[:k] * scale
        programme.add(cost[None, :], np.array([answer.cost * (1 + _TOLERANCE) + _TOLERANCE]))
    if found is None or amounts is None:
        return None
    return Balance(np.clip(amounts, 0, strata.available), found.cost * scale, -found.marginals[quotas])


def budget_prices(strata: Strata) -> tuple[float, F64]:
    """Return the largest budget, and how many units it would lose if one more were asked of every quota; (C,)."""
    limit = strata.total_available
    scale = float(max(limit, 1))
    programme, quotas = _quota_programme(strata, strata.constraints, scale, proportional=True)
    answer = programme.minimise(-np.eye(1, programme.n, len(strata))[0])
    if answer is None:
        return 0.0, np.zeros(len(strata.constraints))
    return -answer.cost * scale, -answer.marginals[quotas]


def extreme_share(
    strata: Strata, constraint: Sequence[Constraint], rest: Sequence[Constraint], *, total: int
) -> float | None:
    """Return the bound that would do for a quota while the rest holds and the total is reached, or None.

    For a minimum this is the largest share that every given group can have, for a maximum the smallest that none
    must exceed.
    """
    scale, k = float(total), len(strata)
    programme, _ = _quota_programme(strata, rest, scale)
    programme.upper = np.append(programme.upper, 1.0)  # the bound
    _require_total(programme, k)
    sign = -1.0 if constraint[0].bound == "min" else 1.0
    members = sparse.csr_matrix(np.array([c.members for c in constraint], dtype=float).reshape(-1, k))
    gap, part = sparse.csr_matrix((len(constraint), 1)), np.array([[float(c.part)] for c in constraint])
    programme.add(sparse.hstack([sign * members, gap, -sign * part]), np.zeros(len(constraint)))
    answer = programme.minimise(sign * np.eye(1, k + 2, k + 1)[0])
    return abs(answer.cost) if answer else None


def _quota_programme(
    strata: Strata,
    constraints: Sequence[Constraint],
    scale: float,
    *,
    margin: float = 0.0,
    proportional: bool = False,
) -> tuple[_Programme, slice]:
    """Return the programme of the quotas over the amounts of the strata, and their total as one more variable.

    With the total as a variable a quota's row holds its members only, however many other strata there are. The second
    value tells which rows are the quotas. Phases are as long as whole documents let them, or exactly `proportional`.
    """
    k = len(strata)
    programme = _Programme(np.append(strata.available / scale, 1.0), [], [])
    total = sparse.csr_matrix(np.append(np.ones(k), -1.0)[None, :])
    programme.add(total, np.zeros(1))
    programme.add(-total, np.zeros(1))
    if strata.extents:
        _add_phases(programme, strata, scale, proportional=proportional)
    if not constraints:
        return programme, slice(0, 0)
    signs = np.array([-1.0 if c.bound == "min" else 1.0 for c in constraints])[:, None]
    members = sparse.csr_matrix(np.array([c.members for c in constraints], dtype=bool)).multiply(signs)
    shares = -signs * np.array([float(c.share) for c in constraints])[:, None]
    if any(c.base is not None for c in constraints):  # a share of a phase, not of the total
        none = np.zeros(k, dtype=bool)
        bases = np.array([none if c.base is None else c.base for c in constraints])
        members = members + sparse.csr_matrix(bases).multiply(shares)
        shares = np.where(bases.any(axis=1).reshape(-1, 1), 0.0, shares)
    # Where nothing or everything counts there is no margin to be had, nor is one needed.
    partial = [0 < c.share < 1 and 0 < int(strata.available[c.members].sum()) for c in constraints]
    return programme, programme.add(sparse.hstack([members, shares]), np.where(partial, -margin / scale, 0.0))


def _add_phases(programme: _Programme, strata: Strata, scale: float, *, proportional: bool) -> None:
    """Let every phase have about its share, and all phases together no more of a pool than there is."""
    k, phases = len(strata), _extents(strata)
    gap = sparse.csr_matrix((len(strata.extents), 1))
    if proportional:
        shares = np.array([[float(extent.share)] for extent in strata.extents])
        for sign in (1.0, -1.0):
            programme.add(sparse.hstack([sign * phases, -sign * shares]), np.full(len(strata.extents), _TOLERANCE))
    else:
        programme.add(sparse.hstack([phases, gap]), np.array([e.most / scale for e in strata.extents]))
        programme.add(sparse.hstack([-phases, gap]), np.array([-e.least / scale for e in strata.extents]))
    n_pools = int(strata.pool.max(initial=-1)) + 1
    pools = sparse.csr_matrix((np.ones(k), (strata.pool, np.arange(k))), shape=(n_pools, k))
    programme.add(pools, strata.available[strata.one_of_each_pool] / scale)


def _extents(strata: Strata) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.array([extent.members for extent in strata.extents], dtype=float))


def _membership(target: Target, k: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(k), (target.value_of, np.arange(k))), shape=(len(target.shares), k))


def _require_total(programme: _Programme, k: int) -> None:
    """Make the total, variable number `k`, reach the scale."""
    programme.add(-np.eye(1, k + 1, k), np.array([-(1.0 - _TOLERANCE)]))


def _add_deviation(programme: _Programme, matrix: sparse.spmatrix, goal: F64, *, first: int) -> None:
    """Make the variables from `first` on at least |matrix @ x - goal|."""
    n_rows, k = matrix.shape
    gap = sparse.csr_matrix((n_rows, first - k))
    slack = -sparse.identity(n_rows)
    programme.add(sparse.hstack([matrix, gap, slack]), goal)
    programme.add(sparse.hstack([-matrix, gap, slack]), -goal)


def _add_evenness(programme: _Programme, goal: F64) -> None:
    """Make the last two variables at least the largest relative deviation below and above the goals."""
    width = programme.n
    some = goal > 0
    for sign, column in ((-1.0, width - 2), (1.0, width - 1)):
        x = sparse.diags(np.full(len(goal), sign)).tocsr()[some]
        ratio = sparse.csr_matrix(
            (-goal[some], (np.arange(some.sum()), np.full(some.sum(), column))), shape=(some.sum(), width)
        )
        programme.add(_widen(x, width) + ratio, sign * goal[some])


def _widen(matrix: sparse.spmatrix, width: int) -> sparse.csr_matrix:
    """Return the matrix with columns of zeros on the right."""
    gap = width - matrix.shape[1]
    return sparse.csr_matrix(sparse.hstack([matrix, sparse.csr_matrix((matrix.shape[0], gap))])) if gap else matrix
