"""What a training set's draws say about themselves, read from the store for the verifier.

Nothing here is shared with the sampler but the parser of conditions: rows are joined, conditions and groups evaluated
and unknown values counted anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import ColumnElement, Connection, Select, String, case, cast, literal_column, select

from provenance.mix.conditions import parse_condition
from provenance.mix.spec import MixSpec, Quota
from provenance.records import GRADES
from provenance.store import schema
from provenance.store.store import fetch
from provenance.store.views import VIEW_COLUMNS, documents

if TYPE_CHECKING:
    from sqlalchemy.sql.selectable import Subquery

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_AS_DRAWN = (
    "n_words", "n_bytes", "origin", "generation", "evidence_rank", "model", "source", "licence_class", "cluster_id",
)  # fmt: skip


@dataclass(frozen=True)
class QuotaCount:
    """Units of one group of a quota that certainly count, and those that may."""

    group: str | None
    certain: int
    unknown: int
    certain_rows: Mask
    unknown_rows: Mask

    def units(self, bound: str) -> int:
        """Return the units that count for a bound: what is unknown counts towards a maximum only."""
        return self.certain if bound == "min" else self.certain + self.unknown

    def rows(self, bound: str) -> Mask:
        """Return the draws that count for a bound."""
        return self.certain_rows if bound == "min" else self.certain_rows | self.unknown_rows


@dataclass(frozen=True)
class Rows:
    """The draws in their order, with one kind of labels.

    Attributes
    ----------
    table : holds, group, used and passes columns for every draw
    sizes : units of every draw
    """

    table: pa.Table
    sizes: I64
    spec: MixSpec

    def mask(self, column: str) -> Mask:
        """Return a boolean column, with NULL as false."""
        return np.asarray(self.table[column].fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)

    def nulls(self, column: str) -> Mask:
        """Return where a column is NULL."""
        return np.asarray(self.table[column].is_null().to_numpy(zero_copy_only=False), dtype=bool)

    def counts(self, i: int) -> list[QuotaCount]:
        """Return what counts for quota number `i`, group by group."""
        quota = self.spec.quotas[i]
        unused = ~self.mask(f"used_{i}") if quota.not_used_by else np.ones(len(self.sizes), dtype=bool)
        if quota.where is not None:
            return [self._count(None, self.mask(f"holds_{i}") & unused, self.nulls(f"holds_{i}") & unused)]
        values = np.array(self.table[f"group_{i}"].to_pylist(), dtype=object)
        unknown = self.nulls(f"group_{i}") & unused
        if quota.per == "model":
            unknown &= np.array(self.table["origin"].to_pylist(), dtype=object) != "human"
        groups = sorted(value for value in self.table[f"group_{i}"].unique().to_pylist() if value is not None)
        counts = [self._count(group, (values == group) & unused, unknown) for group in groups]
        if not groups and unknown.any():
            counts = [self._count("unknown", np.zeros(len(values), dtype=bool), unknown)]
        return counts

    def _count(self, group: str | None, certain: Mask, unknown: Mask) -> QuotaCount:
        return QuotaCount(group, int(self.sizes[certain].sum()), int(self.sizes[unknown].sum()), certain, unknown)

    def spoilt(self) -> Mask:
        """Return the used documents that no quota allows to be drawn: a quota wanted unused ones in their place."""
        n = len(self.sizes)
        spoilt, wanted = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        for i, quota in enumerate(self.spec.quotas):
            if not quota.min:
                continue
            holds = self.mask(f"holds_{i}") if quota.where is not None else ~self.nulls(f"group_{i}")
            used = self.mask(f"used_{i}") if quota.not_used_by else np.zeros(n, dtype=bool)
            spoilt |= holds & used
            wanted |= holds & ~used
        return spoilt & ~wanted


def read_rows(connection: Connection, name: str, spec: MixSpec, *, now: bool) -> Rows:
    """Return the draws of a training set with their labels as drawn, or as they are now."""
    labelled = _labelled(name, now=now)
    columns: list[ColumnElement[Any]] = [labelled.c.position, labelled.c.origin, labelled.c.units_words]
    columns += [labelled.c.units_bytes, labelled.c.units_tokens, labelled.c.is_there]
    where = "TRUE" if spec.where is None else parse_condition(spec.where).sql
    columns.append(literal_column(f"({where} IS TRUE)").label("passes"))
    for i, quota in enumerate(spec.quotas):
        columns += _quota_columns(i, quota, labelled, spec, now=now)
    table = fetch(connection, select(*columns).select_from(labelled).order_by(labelled.c.position))
    return Rows(table, _sizes(table, spec.budget.unit), spec)


def missed(share: Fraction, bound: str, units: int, total: int) -> bool:
    """Return whether a bound does not hold; exact."""
    return units < share * total if bound == "min" else units > share * total


def worst_prefix(sizes: I64, counted: Mask, share: Fraction, bound: str) -> int:
    """Return the most units by which any prefix misses a bound, rounded up; exact."""
    p, q = share.numerator, share.denominator
    kind: Any = np.int64 if q * (int(sizes.sum()) + 1) < 2**62 else object
    whole, part = np.cumsum(sizes).astype(kind), np.cumsum(np.where(counted, sizes, 0)).astype(kind)
    missing = whole * p - part * q if bound == "min" else part * q - whole * p
    return -(-max(int(missing.max(initial=0)), 0) // q)


def _labelled(name: str, *, now: bool) -> Subquery:
    """Return the draws joined with their documents, in columns named as those of the documents view.

    As drawn, what a draw records replaces what the document says today; the rest (author, title, dates, text, ...)
    are facts about the document.
    """
    item, document = schema.training_set_item.c, documents.c
    recorded: dict[str, ColumnElement[Any]] = {} if now else {n: item[n] for n in _AS_DRAWN}
    if not now:
        grades = [(item.evidence_rank == rank, grade) for rank, grade in enumerate(GRADES)]
        recorded["evidence_grade"] = case(*grades)
    recorded["document_id"] = item.document_id
    columns: list[ColumnElement[Any]] = [recorded.get(n, document[n]).label(n) for n in VIEW_COLUMNS["documents"]]
    columns += [item.position, item.n_words.label("units_words"), item.n_bytes.label("units_bytes")]
    columns += [item.n_tokens.label("units_tokens"), document.document_id.is_not(None).label("is_there")]
    joined = schema.training_set_item.outerjoin(documents, document.document_id == item.document_id)
    return select(*columns).select_from(joined).where(item.training_set == name).subquery("labelled")


def _quota_columns(i: int, quota: Quota, labelled: Subquery, spec: MixSpec, *, now: bool) -> list[ColumnElement[Any]]:
    columns: list[ColumnElement[Any]] = []
    if quota.where is not None:
        columns.append(literal_column(parse_condition(quota.where).sql).label(f"holds_{i}"))
    else:
        columns.append(cast(labelled.c[str(quota.per)], String).label(f"group_{i}"))
    if quota.not_used_by:
        columns.append(_used(labelled, quota, spec, now=now).label(f"used_{i}"))
    return columns


def _used(labelled: Subquery, quota: Quota, spec: MixSpec, *, now: bool) -> ColumnElement[bool]:
    """Return whether the named sets used the document: itself, or with near-duplicates left out also a copy of it.

    Which documents are near-duplicates changes while the store grows, so that question is for today; as drawn only
    the same text counts.
    """
    item, document = schema.training_set_item.c, schema.document.c
    drawn: Select[Any] = select(item.document_id).where(item.training_set.in_(quota.not_used_by))
    if spec.duplicates == "all":
        return labelled.c.document_id.in_(drawn)
    texts = select(document.content_id).where(document.document_id.in_(drawn))
    if not now:
        return labelled.c.content_id.in_(texts)
    clusters = select(document.cluster_id).where(document.document_id.in_(drawn))
    return labelled.c.cluster_id.in_(clusters)


def _sizes(table: pa.Table, unit: str) -> I64:
    if unit == "documents":
        return np.ones(table.num_rows, dtype=np.int64)
    return np.array(table[f"units_{unit}"].fill_null(0).to_numpy(), dtype=np.int64)
