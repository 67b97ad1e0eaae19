"""What a training set's draws say about themselves, counted for the verifier.

Nothing here is shared with the sampler but the names of columns: conditions and groups come evaluated, what is unknown
is counted anew. There may be millions of draws: texts become codes, and every group is looked at in its own rows only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.mix.spec import MixSpec

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.uint8]

#: Stratum -> quota -> what a draw of this stratum counts for: True, the group, or None where it is unknown.
Counts = Mapping[str, Mapping[str, Any]]
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class QuotaCount:
    """The draws that certainly count for one group of a quota, and those that may; their places, ascending."""

    group: str | None
    certain: I64
    unknown: I64

    def rows(self, bound: str) -> I64:
        """Return the draws that count for a bound: what is unknown counts towards a maximum only."""
        if bound == "min" or not self.unknown.size:
            return self.certain
        return np.sort(np.concatenate([self.certain, self.unknown]), kind="stable")


@dataclass(frozen=True)
class Rows:
    """The draws in their order, with one kind of labels.

    Attributes
    ----------
    table : for every draw `origin`, `stratum`, `is_there` (its document), `passes` (the filter), and for every quota i
        `stands_i` (true, false or its group) and where it names other training sets `used_i`; `repeated_i` is its value
        of column i that `repeats` names
    sizes : units of every draw
    """

    table: pa.Table
    sizes: I64
    spec: MixSpec

    def mask(self, column: str) -> Mask:
        """Return a boolean column, with NULL as false; true where there is no such column."""
        if column not in self.table.column_names:
            return np.ones(len(self.sizes), dtype=bool)
        return np.asarray(self.table[column].fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)

    def nulls(self, column: str) -> Mask:
        """Return where a column is NULL."""
        return np.asarray(self.table[column].is_null().to_numpy(zero_copy_only=False), dtype=bool)

    @cached_property
    def ends(self) -> I64:
        """Units up to the end of every draw."""
        return np.cumsum(self.sizes)

    @property
    def units(self) -> int:
        """Units of all draws."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def units_of(self, rows: I64) -> int:
        """Return the units of some draws."""
        return int(self.sizes[rows].sum())

    @cached_property
    def strata(self) -> tuple[list[str], I64]:
        """The strata that were drawn from, and the place of every draw's stratum among them."""
        return coded(self.table["stratum"])

    @cached_property
    def by_stratum(self) -> I64:
        """The draws stratum by stratum, those of each in their order."""
        return _sorted(self.strata[1], len(self.strata[0]))

    def groups(self, i: int) -> tuple[list[str], I64]:
        """Return the groups of quota number `i`, one per value of a column, and every draw's place among them."""
        if i not in self._groups:
            self._groups[i] = coded(self.table[f"stands_{i}"])
        return self._groups[i]

    @cached_property
    def _groups(self) -> dict[int, tuple[list[str], I64]]:
        return {}

    @cached_property
    def is_human(self) -> Mask:
        """Which draws are human."""
        origins, codes = coded(self.table["origin"])
        return np.asarray(codes == (origins.index("human") if "human" in origins else -2))

    def unused(self, i: int) -> Mask:
        """Return the draws that no set that quota number `i` names had used."""
        n = len(self.sizes)
        return ~self.mask(f"used_{i}") if self.spec.all_quotas[i].not_used_by else np.ones(n, dtype=bool)

    def counts(self, i: int) -> list[QuotaCount]:
        """Return what counts for quota number `i`, group by group."""
        quota, unused = self.spec.all_quotas[i], self.unused(i)
        if quota.where is not None:
            unknown = np.flatnonzero(self.nulls(f"stands_{i}") & unused)
            return [QuotaCount(None, np.flatnonzero(self.mask(f"stands_{i}") & unused), unknown)]
        groups, codes = self.groups(i)
        unknowing = (codes < 0) & unused
        if quota.per == "model":  # people have no model: that is known, not unknown
            unknowing &= ~self.is_human
        unknown = np.flatnonzero(unknowing)
        counts = [QuotaCount(g, rows, unknown) for g, rows in zip(groups, _split(codes, unused, groups), strict=True)]
        if not groups and unknown.size:
            counts = [QuotaCount("unknown", np.zeros(0, dtype=np.int64), unknown)]
        return counts

    def caps(self) -> I64:
        """Return how often the document of each draw may be drawn at all."""
        repeats, named = self.spec.repeats, np.full(len(self.sizes), _NEVER)
        for i, times in enumerate(repeats.per.values()):
            if f"repeated_{i}" not in self.table.column_names:
                continue
            values, codes = coded(self.table[f"repeated_{i}"])
            named = np.minimum(named, np.array([*(times.get(value, _NEVER) for value in values), _NEVER])[codes])
        return np.where(named == _NEVER, repeats.max, named)

    @cached_property
    def _of_phases(self) -> dict[str, Rows]:
        found = {}
        for phase in self.spec.phases:
            labels, codes = self.strata
            own = np.array([*(label.startswith(f"{phase.name} / ") for label in labels), False])[codes]
            found[phase.name] = Rows(self.table.filter(pa.array(own)), self.sizes[own], self.spec)
        return found

    def bases(self) -> list[Rows]:
        """Return for every quota the draws that it is a share of: all, or those of its phase."""
        own = [self._of_phases[phase.name] for phase in self.spec.phases for _ in phase.quotas]
        return [self] * len(self.spec.quotas) + own

    def spoilt(self) -> Mask:
        """Return the used documents that no quota allows to be drawn: a quota wanted unused ones in their place."""
        n = len(self.sizes)
        spoilt, wanted = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        if not any(quota.not_used_by for quota in self.spec.all_quotas):
            return spoilt
        for i, quota in enumerate(self.spec.all_quotas):
            if quota.min:
                holds = self.mask(f"stands_{i}") if quota.where is not None else ~self.nulls(f"stands_{i}")
                unused = self.unused(i)
                spoilt |= holds & ~unused
                wanted |= holds & unused
        return spoilt & ~wanted


def _split(codes: I64, counted: Mask, groups: Sequence[str]) -> list[I64]:
    """Return for every group the places of its draws, ascending."""
    own = np.where(counted, codes, -1)
    order = _sorted(own, len(groups))
    borders = np.cumsum(np.bincount(own + 1, minlength=len(groups) + 1))
    return [order[low:high] for low, high in pairwise(borders)]


def _sorted(codes: I64, n: int) -> I64:
    """Return the rows in the order of their codes, of which there are n; codes of 16 bits are sorted in one pass."""
    return np.argsort(codes.astype(np.int16 if n < 2**15 else np.int64), kind="stable")


def sizes_of(table: pa.Table, unit: str) -> I64:
    """Return the units of every draw."""
    if unit == "documents":
        return np.ones(table.num_rows, dtype=np.int64)
    return np.array(table[f"n_{unit}"].fill_null(0).to_numpy(), dtype=np.int64)


def coded(column: pa.ChunkedArray) -> tuple[list[str], I64]:
    """Return the distinct values of a text column in ascending order, and every row's place among them, -1 for none."""
    encoded = whole(column).dictionary_encode()
    values = encoded.dictionary.to_pylist()
    rank = np.empty(len(values) + 1, dtype=np.int64)
    rank[sorted(range(len(values)), key=values.__getitem__)] = np.arange(len(values))
    rank[-1] = -1
    return sorted(values), rank[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def numbered(ids: Ids) -> I64:
    """Return for every row how many rows before it have the same id (16 bytes)."""
    found = np.zeros(len(ids), dtype=np.int64)
    if not len(ids):
        return found
    begins = np.ascontiguousarray(ids).view(np.uint64)[:, 0]
    ordered = np.sort(begins)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not twice.size:
        return found
    near = np.minimum(np.searchsorted(twice, begins), twice.size - 1)
    rows = np.flatnonzero(twice[near] == begins)  # only these can have an id that another row has
    codes = _codes(ids[rows])
    order = np.argsort(codes, kind="stable")
    place = np.arange(len(rows))
    first = np.concatenate([[True], codes[order][1:] != codes[order][:-1]])
    found[rows[order]] = place - np.maximum.accumulate(np.where(first, place, 0))
    return found


def _codes(ids: Ids) -> I64:
    fixed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(ids), [None, pa.py_buffer(np.ascontiguousarray(ids))]
    )
    codes: I64 = fixed.dictionary_encode().indices.to_numpy()
    return codes


def missed(share: Fraction, bound: str, units: int, total: int) -> bool:
    """Return whether a bound does not hold; exact."""
    return units < share * total if bound == "min" else units > share * total


def worst_prefix(drawn: Rows, counted: I64, share: Fraction, bound: str) -> int:
    """Return the most units by which any prefix misses a bound, rounded up; exact.

    A prefix misses a maximum most where a draw that counts has just come, and a minimum most where one is just to come
    or at the very end; so only these prefixes are looked at.
    """
    p, q = share.numerator, share.denominator
    kind: Any = np.int64 if q * (drawn.units + 1) < 2**62 else object
    own = drawn.sizes[counted].astype(kind)
    part, total = np.cumsum(own), drawn.ends[counted].astype(kind)
    if bound == "max":
        worst = int((part * q - total * p).max(initial=0))
    else:
        at_end = drawn.units * p - (int(part[-1]) if len(part) else 0) * q
        worst = max(0, at_end, int(((total - own) * p - (part - own) * q).max(initial=0)))
    return -(-worst // q)
