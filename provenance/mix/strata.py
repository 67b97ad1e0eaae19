"""Strata: the distinct combinations of what quotas and weights can see, and the quotas as constraints over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from provenance.mix.draw import I64, draw_keys, draw_order
from provenance.mix.errors import SpecError

I32 = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
#: How a stratum stands to a quota: True or the group that it counts in, None where that is unknown.
Counts = str | bool | None

#: Codes of a document in a quota: 0 and more is the group it counts in.
UNKNOWN = -1  # the condition is NULL: counts towards every maximum and towards no minimum
OUTSIDE = -2  # does not count

#: More constraints than this mean a quota per something that is nearly unique.
_MOST_GROUPS = 2_000


@dataclass(frozen=True)
class QuotaColumn:
    """How every candidate stands to one quota.

    Attributes
    ----------
    name : the quota
    min, max : its bounds
    groups : values of the column for a quota `per` column, one None for a quota with a condition
    codes : (n,) int32; index into `groups`, `UNKNOWN` or `OUTSIDE`
    """

    name: str
    min: Fraction | None
    max: Fraction | None
    groups: tuple[str | None, ...]
    codes: I32


@dataclass(frozen=True)
class Constraint:
    """One bound of one group of one quota.

    The share of the drawn units that lie in `members` strata is at least (min) or at most (max) `share`.
    """

    quota: str
    group: str | None
    bound: str
    share: Fraction
    members: Mask  # (K,)

    @property
    def title(self) -> str:
        """The quota's name with its group."""
        return self.quota if self.group is None else f"{self.quota}: {self.group}"

    def slack(self, counted: int, total: int) -> int:
        """Return how far the bound is exceeded in the right direction, times the share's denominator; exact."""
        over = self.share.denominator * int(counted) - self.share.numerator * int(total)
        return over if self.bound == "min" else -over


@dataclass(frozen=True)
class Strata:
    """Candidates grouped by what quotas and weights see.

    Attributes
    ----------
    labels : readable name of every stratum
    counts : for every stratum what it counts for: quota -> True, or the group; None where it is unknown
    rows : for every stratum the candidates' rows in draw order
    sizes : for every stratum the units of those rows
    available : (K,) int64, units of every stratum
    constraints : the quotas
    value_of : (K,) int32, index of the weighted value of every stratum, -1 without weights
    weights : weight of every value
    unit : what is counted
    """

    labels: tuple[str, ...]
    counts: tuple[dict[str, Counts], ...]
    rows: tuple[I64, ...]
    sizes: tuple[I64, ...]
    available: I64
    constraints: tuple[Constraint, ...]
    value_of: I32
    weights: tuple[Fraction, ...]
    unit: str

    def __len__(self) -> int:
        return len(self.labels)


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
    weighted: tuple[str, Sequence[str | None], Sequence[Fraction]] | None = None,
    weight_codes: I32 | None = None,
) -> Strata:
    """Group candidates into strata; the result does not depend on the order of the candidates.

    Parameters
    ----------
    ids : (n, 16) uint8, document ids
    sizes : (n,) int64, units of every candidate
    columns : how the candidates stand to the quotas
    weighted : column, its values, and the weight of each
    weight_codes : (n,) int32, index into those values

    Raises
    ------
    SpecError
        If a quota holds per value of a column with too many values.
    """
    coded = [column.codes for column in columns]
    if weight_codes is not None:
        coded.append(weight_codes)
    stratum, combos = _combinations(coded, len(sizes))
    order = draw_order(ids, draw_keys(ids, seed=seed))
    order = order[np.argsort(stratum[order], kind="stable")]
    borders = np.searchsorted(stratum[order], np.arange(len(combos) + 1))
    rows = tuple(order[borders[k] : borders[k + 1]] for k in range(len(combos)))
    counts = tuple(_counts(combo, columns) for combo in combos)
    labels = [_label(combo, columns, weighted) for combo in combos]
    seen = Counter(labels)
    return Strata(
        labels=tuple(label if seen[label] == 1 else f"{label} ({k})" for k, label in enumerate(labels)),
        counts=counts,
        rows=rows,
        sizes=tuple(sizes[r].astype(np.int64) for r in rows),
        available=np.array([sizes[r].sum() for r in rows], dtype=np.int64),
        constraints=_constraints(columns, combos),
        value_of=np.array([c[-1] if weighted else -1 for c in combos], dtype=np.int32),
        weights=tuple(weighted[2]) if weighted else (),
        unit=unit,
    )


def _combinations(coded: Sequence[I32], n: int) -> tuple[I64, list[tuple[int, ...]]]:
    """Return for every row the number of its combination of codes, and the combinations in ascending order."""
    number = np.zeros(n, dtype=np.int64)
    for codes in coded:
        shifted = codes.astype(np.int64) - OUTSIDE
        number = number * (int(shifted.max(initial=0)) + 1) + shifted
        number = np.unique(number, return_inverse=True)[1].astype(np.int64)
    first = np.unique(number, return_index=True)[1] if n else np.array([], dtype=np.int64)
    return number, [tuple(int(codes[i]) for codes in coded) for i in first]


def _constraints(columns: Sequence[QuotaColumn], combos: list[tuple[int, ...]]) -> tuple[Constraint, ...]:
    constraints = []
    for place, column in enumerate(columns):
        if len(column.groups) > _MOST_GROUPS:
            raise SpecError([f"quota {column.name!r} would hold for {len(column.groups)} values one by one"])
        codes = np.array([combo[place] for combo in combos], dtype=np.int32)
        groups: list[tuple[int, str | None]] = list(enumerate(column.groups))
        if not groups and (codes == UNKNOWN).any():
            groups = [(0, "unknown")]
        for code, group in groups:
            if column.min is not None and column.groups:
                constraints.append(Constraint(column.name, group, "min", column.min, codes == code))
            if column.max is not None:
                members = (codes == code) | (codes == UNKNOWN)
                constraints.append(Constraint(column.name, group, "max", column.max, members))
    return tuple(constraints)


def _counts(combo: tuple[int, ...], columns: Sequence[QuotaColumn]) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for code, column in zip(combo, columns, strict=False):
        if code == UNKNOWN:
            counts[column.name] = None
        elif code >= 0:
            group = column.groups[code]
            counts[column.name] = True if group is None else group
    return counts


def _label(combo: tuple[int, ...], columns: Sequence[QuotaColumn], weighted: Any) -> str:
    parts = []
    for name, value in _counts(combo, columns).items():
        parts.append(name if value is True else f"{name}: {'(unknown)' if value is None else value}")
    if weighted:
        parts.append(f"{weighted[0]} {weighted[1][combo[-1]]}")
    return " + ".join(parts) or ("rest" if columns else "all")
