"""Strata: the distinct combinations of what quotas and weights can see, and the quotas as constraints over them.

In a curriculum every stratum is there once for every phase: such a cell draws from the documents of its stratum, which
all its phases share (a pool).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from provenance.mix.draw import I64, draw_keys, draw_order, repeated
from provenance.mix.errors import SpecError

I32 = npt.NDArray[np.int32]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
#: How a stratum stands to a quota: True or the group that it counts in, None where that is unknown.
Counts = str | bool | None

#: Codes of a document in a quota: 0 and more is the group it counts in.
UNKNOWN = -1  # the condition is NULL: counts towards every maximum and towards no minimum
OUTSIDE = -2  # does not count

#: More constraints than this mean a quota per something that is nearly unique.
_MOST_GROUPS = 2_000
#: Combinations that are counted one by one.
_COUNTABLE = 10_000_000


@dataclass(frozen=True)
class QuotaColumn:
    """How every candidate stands to one quota.

    Attributes
    ----------
    name : the quota
    min, max : its bounds
    groups : values of the column for a quota `per` column, one None for a quota with a condition
    codes : (n,) int32; index into `groups`, `UNKNOWN` or `OUTSIDE`
    phase : name of the phase whose share it bounds, None for the whole
    """

    name: str
    min: Fraction | None
    max: Fraction | None
    groups: tuple[str | None, ...]
    codes: I32
    phase: str | None = None


@dataclass(frozen=True)
class WeightColumn:
    """Target shares of the values of one column.

    Attributes
    ----------
    name : the column
    values : its values, and None for documents without one
    weights : (V,) weight of every value, 0 and more; None for as much as there is of it
    temperature : see `spec.Weights`
    codes : (n,) int32, every candidate's value
    """

    name: str
    values: tuple[str | None, ...]
    weights: F64 | None
    temperature: float
    codes: I32


@dataclass(frozen=True)
class PhaseShare:
    """One phase of a curriculum: its name and its share of the budget."""

    name: str
    share: Fraction


@dataclass(frozen=True)
class Constraint:
    """One bound of one group of one quota.

    The share of the drawn units that lie in `members` strata is at least (min) or at most (max) `share` of all drawn
    units, or where the quota is one of a phase, of those that lie in `base`.
    """

    quota: str
    group: str | None
    bound: str
    share: Fraction
    members: Mask  # (K,)
    phase: PhaseShare | None = None
    base: Mask | None = None  # (K,)

    @property
    def title(self) -> str:
        """The quota's name with its group and phase."""
        name = self.quota if self.group is None else f"{self.quota}: {self.group}"
        return name if self.phase is None else f"{name} (phase {self.phase.name})"

    @property
    def part(self) -> Fraction:
        """The share of the budget that the bound is a share of."""
        return Fraction(1) if self.phase is None else self.phase.share

    def slack(self, counted: int, total: int) -> int:
        """Return how far the bound is exceeded in the right direction, times the share's denominator; exact."""
        over = self.share.denominator * int(counted) - self.share.numerator * int(total)
        return over if self.bound == "min" else -over

    def counted(self, units: I64) -> tuple[int, int]:
        """Return the units that count, and those that they are a share of, from the units of every stratum."""
        whole = units if self.base is None else units[self.base]
        return int(units[self.members].sum()), int(whole.sum())

    def holds(self, units: I64) -> bool:
        """Return whether the bound holds for these units of every stratum; exact."""
        return self.slack(*self.counted(units)) >= 0


@dataclass(frozen=True)
class Extent:
    """The units that the strata of one phase may have together, both limits included."""

    members: Mask  # (K,)
    share: Fraction
    least: int
    most: int


@dataclass(frozen=True)
class Target:
    """What one weighted column asks for: the value of every stratum (K,), and the target share of every value (V,)."""

    value_of: I32
    shares: F64


@dataclass(frozen=True)
class Strata:
    """Candidates grouped by what quotas and weights see.

    Attributes
    ----------
    labels : readable name of every stratum
    counts : for every stratum what it counts for: quota -> True, or the group; None where it is unknown
    rows : for every stratum the candidates' rows in draw order; a row that may be drawn again stands there again
    sizes : for every stratum the units of those rows
    available : (K,) int64, units that every stratum has to give
    once : (K,) int64, units of every stratum when each of its documents is drawn once
    constraints : the quotas
    targets : the weights
    unit : what is counted
    extents : the phases; none where there is only one
    pool : (K,) int64, strata of one number share their rows; without phases every stratum is its own
    first : (K,) int64, where the rows of a stratum begin in the draw order of its pool
    """

    labels: tuple[str, ...]
    counts: tuple[dict[str, Counts], ...]
    rows: tuple[I64, ...]
    sizes: tuple[I64, ...]
    available: I64
    once: I64
    constraints: tuple[Constraint, ...]
    targets: tuple[Target, ...]
    unit: str
    extents: tuple[Extent, ...]
    pool: I64
    first: I64

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def one_of_each_pool(self) -> I64:
        """(P,) int64, one stratum of every pool."""
        return np.unique(self.pool, return_index=True)[1].astype(np.int64)

    @property
    def total_available(self) -> int:
        """Units that all pools together have to give."""
        return int(self.available[self.one_of_each_pool].sum())

    @property
    def n_rows(self) -> int:
        """Rows of all pools together, repeated ones counted each time."""
        return sum(len(self.rows[k]) for k in self.one_of_each_pool)

    def units_of_members(self, members: Mask) -> int:
        """Return the units that the pools of these strata have to give."""
        pools = np.unique(self.pool[members], return_index=True)[1]
        return int(self.available[np.flatnonzero(members)[pools]].sum())


def left_out(columns: Sequence[QuotaColumn], would_count: Sequence[Mask]) -> Mask:
    """Return which candidates may not be drawn because a quota wants unused ones and no other quota asks for them.

    Parameters
    ----------
    columns : the quotas
    would_count : for every quota the candidates that satisfy it but for having been used
    """
    n = len(columns[0].codes) if columns else 0
    spoilt, wanted = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    for column, mask in zip(columns, would_count, strict=True):
        if column.min:
            spoilt |= mask & (column.codes == OUTSIDE)
            wanted |= column.codes >= 0
    return spoilt & ~wanted


def build_strata(
    ids: npt.NDArray[np.uint8],
    sizes: I64,
    columns: Sequence[QuotaColumn],
    *,
    seed: int,
    unit: str = "words",
    weights: Sequence[WeightColumn] = (),
    caps: I64 | None = None,
    budget: int | None = None,
) -> Strata:
    """Group candidates into strata; the result does not depend on the order of the candidates.

    Parameters
    ----------
    ids : (n, 16) uint8, document ids
    sizes : (n,) int64, units of every candidate
    columns : how the candidates stand to the quotas
    weights : the weighted columns
    caps : (n,) int64, how often each may be drawn; None for once
    budget : units that are wanted at most, None for everything

    Raises
    ------
    SpecError
        If a quota holds per value of a column with too many values.
    """
    for column in columns:
        if len(column.groups) > _MOST_GROUPS:
            raise SpecError([f"quota {column.name!r} would hold for {len(column.groups)} values one by one"])
    coded = [column.codes for column in columns] + [column.codes for column in weights]
    with ThreadPoolExecutor(1) as aside:  # sorting and counting take a core each
        drawn = aside.submit(lambda: draw_order(ids, draw_keys(ids, seed=seed)))
        stratum, combos = _combinations(coded, len(sizes))
        order = drawn.result()
    kind = np.int16 if len(combos) < 2**15 else np.int64  # 16 bits are sorted in one pass
    order = order[np.argsort(stratum[order].astype(kind), kind="stable")]
    borders = np.concatenate([[0], np.cumsum(np.bincount(stratum, minlength=len(combos)))])
    rows = [order[borders[k] : borders[k + 1]] for k in range(len(combos))]
    once = np.array([sizes[r].sum() for r in rows], dtype=np.int64)
    if caps is not None:
        rows = [repeated(r, sizes[r], caps[r], budget=budget, few=len(sizes)) for r in rows]
    own = [sizes[r].astype(np.int64) for r in rows]
    labels = [_label(combo, columns, weights) for combo in combos]
    seen = Counter(labels)
    codes = np.array(combos, dtype=np.int32).reshape(len(combos), len(coded))
    return Strata(
        labels=tuple(label if seen[label] == 1 else f"{label} ({k})" for k, label in enumerate(labels)),
        counts=tuple(_counts(combo, columns) for combo in combos),
        rows=tuple(rows),
        sizes=tuple(own),
        available=np.array([s.sum() for s in own], dtype=np.int64),
        once=once,
        constraints=tuple(c for i, column in enumerate(columns) for c in _constraints(column, codes[:, i])),
        targets=tuple(_target(column, codes[:, len(columns) + i], once) for i, column in enumerate(weights)),
        unit=unit,
        extents=(),
        pool=np.arange(len(combos)),
        first=np.zeros(len(combos), dtype=np.int64),
    )


def in_phases(strata: Strata, phases: Sequence[PhaseShare], quota_phase: dict[str, str], *, budget: int) -> Strata:
    """Return the strata once for every phase, phase after phase.

    Parameters
    ----------
    quota_phase : quota -> the phase whose share it bounds; the others bound shares of the whole
    budget : units; every phase gets its share of them, within one document
    """
    k, n, one = len(strata), len(phases), largest_document(strata)
    shares = {phase.name: phase for phase in phases}
    inside = {phase.name: np.repeat([p is phase for p in phases], k) for phase in phases}

    def spread(constraint: Constraint) -> Constraint:
        phase, members = quota_phase.get(constraint.quota), np.tile(constraint.members, n)
        if phase is None:
            return replace(constraint, members=members)
        return replace(constraint, members=members & inside[phase], phase=shares[phase], base=inside[phase])

    def own(counts: dict[str, Counts], phase: PhaseShare) -> dict[str, Counts]:
        return {quota: count for quota, count in counts.items() if quota_phase.get(quota, phase.name) == phase.name}

    wanted = [(phase.share * budget, inside[phase.name], phase.share) for phase in phases]
    return replace(
        strata,
        labels=tuple(f"{phase.name} / {label}" for phase in phases for label in strata.labels),
        counts=tuple(own(counts, phase) for phase in phases for counts in strata.counts),
        rows=strata.rows * n,
        sizes=strata.sizes * n,
        available=np.tile(strata.available, n),
        once=np.tile(strata.once, n),
        constraints=tuple(spread(constraint) for constraint in strata.constraints),
        targets=tuple(replace(target, value_of=np.tile(target.value_of, n)) for target in strata.targets),
        extents=tuple(Extent(m, share, max(0, ceil(units) - one), floor(units) + one) for units, m, share in wanted),
        pool=np.tile(strata.pool, n),
        first=np.tile(strata.first, n),
    )


def largest_document(strata: Strata) -> int:
    """Return the units of the largest candidate, 0 where there is none."""
    return max((int(sizes.max()) for sizes in strata.sizes if sizes.size), default=0)


def without_larger(strata: Strata, limit: int) -> Strata:
    """Return the strata without candidates of more than `limit` units."""
    if largest_document(strata) <= limit:
        return strata
    keep = [sizes <= limit for sizes in strata.sizes]
    sizes = tuple(s[k] for s, k in zip(strata.sizes, keep, strict=True))
    rows = tuple(r[k] for r, k in zip(strata.rows, keep, strict=True))
    available = np.array([s.sum() for s in sizes], dtype=np.int64)
    return replace(strata, sizes=sizes, rows=rows, available=available, once=np.minimum(strata.once, available))


def _combinations(coded: Sequence[I32], n: int) -> tuple[I64, list[tuple[int, ...]]]:
    """Return for every row the number of its combination of codes, and the combinations in ascending order."""
    number = np.zeros(n, dtype=np.int64)
    combos: list[tuple[int, ...]] = [()] if n else []
    for codes in coded:
        shifted = codes - np.int32(OUTSIDE)
        width = int(shifted.max(initial=0)) + 1
        number = number * width + shifted
        if len(combos) * width <= _COUNTABLE:  # counting is quicker than sorting
            present = np.flatnonzero(np.bincount(number, minlength=len(combos) * width))
            place = np.zeros(len(combos) * width, dtype=np.int64)
            place[present] = np.arange(len(present))
            number = place[number]
        else:
            present, number = np.unique(number, return_inverse=True)
        combos = [(*combos[p // width], int(p % width) + OUTSIDE) for p in present.tolist()]
    return number, combos


def _constraints(column: QuotaColumn, codes: I32) -> list[Constraint]:
    constraints = []
    groups: list[tuple[int, str | None]] = list(enumerate(column.groups))
    if not groups and (codes == UNKNOWN).any():
        groups = [(0, "unknown")]
    for code, group in groups:
        if column.min is not None and column.groups:
            constraints.append(Constraint(column.name, group, "min", column.min, codes == code))
        if column.max is not None:
            members = (codes == code) | (codes == UNKNOWN)
            constraints.append(Constraint(column.name, group, "max", column.max, members))
    return constraints


def _target(column: WeightColumn, value_of: I32, once: I64) -> Target:
    """Return the target shares of a weighted column; a value of which there is nothing gets none."""
    there = np.bincount(value_of, weights=once.astype(float), minlength=len(column.values))
    weights = there if column.weights is None else np.where(there > 0, column.weights, 0.0)
    if not weights.any():
        return Target(value_of, np.where(there > 0, 1.0, 0.0) / max(1, int((there > 0).sum())))
    scaled = (weights / weights.max()) ** (1 / column.temperature) * (weights > 0)
    return Target(value_of, scaled / scaled.sum())


def _counts(combo: tuple[int, ...], columns: Sequence[QuotaColumn]) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for code, column in zip(combo, columns, strict=False):
        if code == UNKNOWN:
            counts[column.name] = None
        elif code >= 0:
            group = column.groups[code]
            counts[column.name] = True if group is None else group
    return counts


def _label(combo: tuple[int, ...], columns: Sequence[QuotaColumn], weights: Sequence[WeightColumn]) -> str:
    parts = []
    for name, value in _counts(combo, columns).items():
        parts.append(name if value is True else f"{name}: {'(unknown)' if value is None else value}")
    for code, column in zip(combo[len(columns) :], weights, strict=True):
        parts.append(f"{column.name} {column.values[code]}")
    return " + ".join(parts) or ("rest" if columns else "all")
