"""What a training set's draws say about themselves, read from the store for the verifier.

Nothing here is shared with the sampler but the parser of conditions and the names of attributes: rows are joined,
conditions and groups evaluated and unknown values counted anew.

A draw does not record the attributes of its document. As long as they are as they were, what was drawn is judged by
them; where one was given or changed after the draw, or the document is gone, the stratum that the draw records says how
it stood to the quotas, and whether it passed the filter cannot be told any more. Today's values are for the verdict as
of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import ColumnElement, Connection, Select, case, false, literal_column, or_, select

from provenance.mix.attributes import Groups, groups_of
from provenance.mix.conditions import Attributes, parse_condition
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
    """Draws that certainly count for one group of a quota, and those that may."""

    group: str | None
    certain_rows: Mask
    unknown_rows: Mask

    def rows(self, bound: str) -> Mask:
        """Return the draws that count for a bound: what is unknown counts towards a maximum only."""
        return self.certain_rows if bound == "min" else self.certain_rows | self.unknown_rows


@dataclass(frozen=True)
class Rows:
    """The draws in their order, with one kind of labels.

    Attributes
    ----------
    table : for every draw whether it passes the filter, how it stands to every quota (true or false, or its group), and
        whether it was used by the sets that the quota names
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
        quota = self.spec.all_quotas[i]
        unused = ~self.mask(f"used_{i}") if quota.not_used_by else np.ones(len(self.sizes), dtype=bool)
        if quota.where is not None:
            return [QuotaCount(None, self.mask(f"stands_{i}") & unused, self.nulls(f"stands_{i}") & unused)]
        groups, codes = coded(self.table[f"stands_{i}"])
        unknown = (codes < 0) & unused
        if quota.per == "model":
            unknown &= pc.not_equal(self.table["origin"], "human").to_numpy(zero_copy_only=False)
        counts = [QuotaCount(group, (codes == code) & unused, unknown) for code, group in enumerate(groups)]
        if not groups and unknown.any():
            counts = [QuotaCount("unknown", np.zeros(len(codes), dtype=bool), unknown)]
        return counts

    def caps(self) -> I64:
        """Return how often the document of each draw may be drawn at all."""
        repeats, never = self.spec.repeats, np.iinfo(np.int64).max
        named = np.full(len(self.sizes), never)
        for i, times in enumerate(repeats.per.values()):
            values, codes = coded(self.table[f"repeated_{i}"])
            table = np.array([*(times.get(value, never) for value in values), never])
            named = np.minimum(named, table[codes])
        return np.where(named == never, repeats.max, named)

    def phases(self) -> list[Mask]:
        """Return for every quota the draws that it is a share of: all, or those of its phase."""
        whole = np.ones(len(self.sizes), dtype=bool)
        masks = [whole] * len(self.spec.quotas)
        labels, codes = coded(self.table["stratum"])
        for phase in self.spec.phases:
            own = np.array([*(label.startswith(f"{phase.name} / ") for label in labels), False])
            masks += [own[codes]] * len(phase.quotas)
        return masks

    def spoilt(self) -> Mask:
        """Return the used documents that no quota allows to be drawn: a quota wanted unused ones in their place."""
        n = len(self.sizes)
        spoilt, wanted = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        for i, quota in enumerate(self.spec.all_quotas):
            if not quota.min:
                continue
            holds = self.mask(f"stands_{i}") if quota.where is not None else ~self.nulls(f"stands_{i}")
            used = self.mask(f"used_{i}") if quota.not_used_by else np.zeros(n, dtype=bool)
            spoilt |= holds & used
            wanted |= holds & ~used
        return spoilt & ~wanted


@dataclass(frozen=True)
class Recorded:
    """What is known of a draw beside the labels in its row.

    Attributes
    ----------
    drawn_at : when the training set was made
    strata : stratum -> quota -> what a draw of this stratum counts for: True, the group, or None where it is unknown
    """

    drawn_at: datetime
    strata: Mapping[str, Mapping[str, Any]]


def read_rows(
    connection: Connection, name: str, spec: MixSpec, attributes: Attributes, recorded: Recorded | None = None
) -> Rows:
    """Return the draws of a training set with their labels as drawn.

    Parameters
    ----------
    attributes : what conditions may name beside columns
    recorded : what the training set says of its draws; None for the labels as they are now
    """
    return rows_of(connection, _labelled(name, now=recorded is None), spec, attributes, recorded)


def rows_of(
    connection: Connection,
    labelled: Subquery,
    spec: MixSpec,
    attributes: Attributes,
    recorded: Recorded | None = None,
) -> Rows:
    """Return the draws in a query that has the columns of the documents view and of `_labelled`."""
    now = recorded is None
    groups = groups_of(spec, attributes)
    columns: list[ColumnElement[Any]] = [labelled.c.position, labelled.c.origin, labelled.c.units_words]
    columns += [labelled.c.units_bytes, labelled.c.units_tokens, labelled.c.is_there, labelled.c.stratum]
    columns += [labelled.c.repeat]
    passes: ColumnElement[bool] = literal_column("TRUE")
    if spec.where is not None:
        where = parse_condition(spec.where, attributes)
        passes = literal_column(f"({where.sql} IS TRUE)")
        if recorded is not None:
            passes = or_(passes, _is_changed(labelled, where.attributes, recorded.drawn_at))
    columns.append(passes.label("passes"))
    for i, column in enumerate(spec.repeats.per):
        columns.append(groups.value(column, labelled).label(f"repeated_{i}"))
    for i, quota in enumerate(spec.all_quotas):
        value, read = _standing(quota, labelled, attributes, groups)
        columns.append(value.label(f"stands_{i}"))
        if recorded is not None and read:
            columns.append(_is_changed(labelled, read, recorded.drawn_at).label(f"changed_{i}"))
        if quota.not_used_by:
            columns.append(_used(labelled, quota, spec, now=now).label(f"used_{i}"))
    table = fetch(connection, select(*columns).select_from(labelled).order_by(labelled.c.position))
    if recorded is not None:
        table = _as_recorded(table, spec, recorded)
    return Rows(table, _sizes(table, spec.budget.unit), spec)


def _standing(
    quota: Quota, labelled: Subquery, attributes: Attributes, groups: Groups
) -> tuple[ColumnElement[Any], Iterable[str]]:
    """Return how draws stand to a quota, true or false or their group, and the attributes that this depends on."""
    if quota.where is None:
        return groups.value(str(quota.per), labelled), groups.attributes_of(str(quota.per))
    condition = parse_condition(quota.where, attributes)
    return literal_column(condition.sql), condition.attributes


def _is_changed(labelled: Subquery, attributes: Iterable[str], drawn_at: datetime) -> ColumnElement[bool]:
    """Return whether what a document has of these attributes may differ from what it had when it was drawn."""
    names = sorted(attributes)
    if not names:
        return false()
    annotation = schema.annotation.c
    later = select(annotation.document_id).where(annotation.attribute.in_(names), annotation.annotated_at > drawn_at)
    return or_(~labelled.c.is_there, labelled.c.document_id.in_(later))


def _as_recorded(table: pa.Table, spec: MixSpec, recorded: Recorded) -> pa.Table:
    """Return the draws, and where an attribute has changed since how their strata stood to the quotas."""
    for i, quota in enumerate(spec.all_quotas):
        changed = table[f"changed_{i}"].to_numpy(zero_copy_only=False) if f"changed_{i}" in table.column_names else ()
        if not np.any(changed):
            continue
        column, strata = table[f"stands_{i}"], table["stratum"].to_pylist()
        stands, used = column.to_pylist(), np.zeros(table.num_rows, dtype=bool)
        for row in np.flatnonzero(changed):
            stood = recorded.strata.get(strata[row], {}).get(quota.name, False)
            if quota.where is not None:
                stands[row] = None if stood is None else stood is True
            else:  # in no group at all is a document that another set had used
                stands[row] = stood if isinstance(stood, str) else None
                used[row] = stood is False
        table = _replaced(table, f"stands_{i}", pa.array(stands, column.type))
        if quota.not_used_by:
            used |= table[f"used_{i}"].fill_null(False).to_numpy(zero_copy_only=False)
            table = _replaced(table, f"used_{i}", pa.array(used))
    return table


def _replaced(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def coded(column: pa.ChunkedArray) -> tuple[list[str], I64]:
    """Return the distinct values of a text column in ascending order, and every row's place among them, -1 for none."""
    values = sorted(value for value in column.unique().to_pylist() if value is not None)
    codes = pc.fill_null(pc.index_in(column, pa.array(values, pa.string())), -1)
    return values, np.asarray(codes.to_numpy(), dtype=np.int64)


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
    columns += [
        item.position,
        item.stratum,
        item.repeat,
        item.n_words.label("units_words"),
        item.n_bytes.label("units_bytes"),
    ]
    columns += [item.n_tokens.label("units_tokens"), document.document_id.is_not(None).label("is_there")]
    joined = schema.training_set_item.outerjoin(documents, document.document_id == item.document_id)
    return select(*columns).select_from(joined).where(item.training_set == name).subquery("labelled")


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
