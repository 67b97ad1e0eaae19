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
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linprog

from provenance.mix.strata import Constraint, Strata

F64 = npt.NDArray[np.float64]

#: Slack for taking an earlier goal as met, relative to the scale.
_TOLERANCE = 1e-9


@dataclass
class _Programme:
    """Rows `matrix @ x <= limit` over n variables with bounds, collected one after the other."""

    upper: F64
    rows: list[sparse.csr_matrix]
    limits: list[F64]

    @property
    def n(self) -> int:
        return len(self.upper)

    def add(self, matrix: sparse.spmatrix, limits: F64) -> None:
        self.rows.append(sparse.csr_matrix(matrix))
        self.limits.append(limits)

    def minimise(self, cost: F64) -> tuple[float, F64] | None:
        """Return the smallest cost and where it is reached, or None where no point satisfies the rows."""
        width = self.n
        matrix = sparse.vstack([_widen(row, width) for row in self.rows]) if self.rows else None
        limits = np.concatenate(self.limits) if self.limits else None
        bounds = np.column_stack([np.zeros(width), self.upper])
        answer = linprog(cost, A_ub=matrix, b_ub=limits, bounds=bounds, method="highs")
        return (float(answer.fun), np.asarray(answer.x)) if answer.status == 0 else None


def largest_total(strata: Strata, constraints: Sequence[Constraint], *, limit: int) -> float:
    """Return the largest total of units, at most `limit`, that parts of documents could make up within the quotas."""
    scale = float(max(limit, 1))
    programme = _quota_programme(strata, constraints, scale)
    answer = programme.minimise(-np.eye(1, programme.n, len(strata))[0])
    return -answer[0] * scale if answer else 0.0


def targets(strata: Strata, total: float) -> F64:
    """Return the units of every stratum that weights ask for, or that would be proportional to what is available."""
    available = strata.available.astype(float)
    if not strata.weights:
        return np.array(total * available / max(available.sum(), 1.0))
    of_value = np.bincount(strata.value_of, weights=available, minlength=len(strata.weights))
    weights = np.array([float(weight) for weight in strata.weights])
    share = np.divide(weights / weights.sum(), of_value, out=np.zeros_like(weights), where=of_value > 0)
    return np.array(total * available * share[strata.value_of], dtype=np.float64)


def amounts(strata: Strata, *, limit: int, margin: float = 0.0) -> F64 | None:
    """Return the units to take from every stratum, as near to the targets as quotas and `limit` allow.

    Parameters
    ----------
    margin : units by which every quota is to be exceeded, so that whole documents near the amounts keep it too

    Returns
    -------
    (K,) units, or None where quotas leave nothing to take, or nothing with the margin
    """
    total = largest_total(strata, strata.constraints, limit=limit)
    if total <= 0:
        return None
    scale, k = float(total), len(strata)
    goal = targets(strata, total) / scale
    values = len(strata.weights)
    # Variables: x (k), total (1), deviation of strata (k), of values (values), largest ratio down and up (2).
    programme = _quota_programme(strata, strata.constraints, scale, margin=margin)
    programme.upper = np.concatenate([programme.upper, np.full(k + values + 2, np.inf)])
    _require_total(programme, k)
    of_strata, of_values, ratios = k + 1, 2 * k + 1, 2 * k + 1 + values
    if values:
        member = sparse.csr_matrix((np.ones(k), (strata.value_of, np.arange(k))), shape=(values, k))
        _add_deviation(programme, member, member @ goal, first=of_values)
    _add_deviation(programme, sparse.identity(k), goal, first=of_strata)
    _add_evenness(programme, np.minimum(goal, strata.available / scale))
    stages = [slice(of_values, ratios)] if values else []
    stages += [slice(of_strata, of_values), slice(ratios, None)]
    found: F64 | None = None
    for stage in stages:
        cost = np.zeros(programme.n)
        cost[stage] = 1.0
        answer = programme.minimise(cost)
        if answer is None:  # the goals before are met to the solver's tolerance only: what they gave stands
            break
        found = answer[1][:k] * scale
        programme.add(cost[None, :], np.array([answer[0] * (1 + _TOLERANCE) + _TOLERANCE]))
    return None if found is None else np.clip(found, 0, strata.available)


def extreme_share(
    strata: Strata, constraint: Sequence[Constraint], rest: Sequence[Constraint], *, total: int
) -> float | None:
    """Return the bound that would do for a quota while the rest holds and the total is reached, or None.

    For a minimum this is the largest share that every given group can have, for a maximum the smallest that none
    must exceed.
    """
    scale, k = float(total), len(strata)
    programme = _quota_programme(strata, rest, scale)
    programme.upper = np.append(programme.upper, 1.0)  # the bound
    _require_total(programme, k)
    sign = -1.0 if constraint[0].bound == "min" else 1.0
    members = sparse.csr_matrix(np.array([c.members for c in constraint], dtype=float).reshape(-1, k))
    gap, bound = sparse.csr_matrix((len(constraint), 1)), np.full((len(constraint), 1), -sign)
    programme.add(sparse.hstack([sign * members, gap, bound]), np.zeros(len(constraint)))
    answer = programme.minimise(sign * np.eye(1, k + 2, k + 1)[0])
    return abs(answer[0]) if answer else None


def _quota_programme(
    strata: Strata, constraints: Sequence[Constraint], scale: float, *, margin: float = 0.0
) -> _Programme:
    """Return the programme of the quotas over the amounts of the strata, and their total as one more variable.

    With the total as a variable a quota's row holds its members only, however many other strata there are.
    """
    k = len(strata)
    programme = _Programme(np.append(strata.available / scale, 1.0), [], [])
    total = sparse.csr_matrix(np.append(np.ones(k), -1.0)[None, :])
    programme.add(total, np.zeros(1))
    programme.add(-total, np.zeros(1))
    if constraints:
        signs = np.array([-1.0 if c.bound == "min" else 1.0 for c in constraints])[:, None]
        members = sparse.csr_matrix(np.array([c.members for c in constraints], dtype=bool)).multiply(signs)
        shares = -signs * np.array([float(c.share) for c in constraints])[:, None]
        # Where nothing or everything counts there is no margin to be had, nor is one needed.
        partial = [0 < c.share < 1 and 0 < int(strata.available[c.members].sum()) for c in constraints]
        programme.add(sparse.hstack([members, shares]), np.where(partial, -margin / scale, 0.0))
    return programme


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
    k, width = len(goal), programme.n
    some = goal > 0
    for sign, column in ((-1.0, width - 2), (1.0, width - 1)):
        x = sparse.diags(np.full(k, sign)).tocsr()[some]
        ratio = sparse.csr_matrix(
            (-goal[some], (np.arange(some.sum()), np.full(some.sum(), column))), shape=(some.sum(), width)
        )
        programme.add(_widen(x, width) + ratio, sign * goal[some])


def _widen(matrix: sparse.spmatrix, width: int) -> sparse.csr_matrix:
    """Return the matrix with columns of zeros on the right."""
    gap = width - matrix.shape[1]
    return sparse.csr_matrix(sparse.hstack([matrix, sparse.csr_matrix((matrix.shape[0], gap))])) if gap else matrix
