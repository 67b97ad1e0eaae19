"""The draws of a training set as the verifier reads them from the store.

As drawn, the labels that every draw records are what counts, so that mostly the draws alone are read, in one pass. What
a draw does not record (author, dates, text, attributes) is looked up in its document. As long as attributes are as they
were, what was drawn is judged by them; where one was given or changed after the draw, or the document is gone, the
stratum that the draw records says how it stood to the quotas, and whether it passed the filter cannot be told any more.
Today's values are for the verdict as of now.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import ColumnElement, Connection, LargeBinary, Select, case, cast, false, literal_column, or_, select

from provenance.mix.attributes import Groups, groups_of
from provenance.mix.conditions import Attributes, Condition, parse_condition
from provenance.mix.digest import ITEM_COLUMNS
from provenance.mix.spec import MixSpec, Quota
from provenance.mix.verify_rows import Counts, Rows, sizes_of, whole
from provenance.records import GRADES
from provenance.store import schema
from provenance.store.store import fetch
from provenance.store.views import VIEW_COLUMNS, documents, documents_without_text

if TYPE_CHECKING:
    from sqlalchemy.sql.selectable import Subquery

#: What a draw records of its document.
RECORDED = (
    "document_id", "n_words", "n_bytes", "origin", "generation", "evidence_rank", "evidence_grade", "model", "source",
    "licence_class", "cluster_id",
)  # fmt: skip
_IDS = ("document_id", "cluster_id")


class Terms:
    """What a specification asks of every draw, as columns over something with the columns of the documents view."""

    def __init__(self, spec: MixSpec, attributes: Attributes) -> None:
        self.spec = spec
        self.groups: Groups = groups_of(spec, attributes)
        self.where = None if spec.where is None else parse_condition(spec.where, attributes)
        self.conditions: list[Condition | None] = [
            None if quota.where is None else parse_condition(quota.where, attributes) for quota in spec.all_quotas
        ]

    @property
    def columns(self) -> set[str]:
        """The columns that are read."""
        per = {str(q.per) for q in self.spec.all_quotas if q.per} | set(self.spec.repeats.per)
        conditions = [c for c in (self.where, *self.conditions) if c]
        return {c for c in per if not self.groups.attributes_of(c)} | {n for c in conditions for n in c.columns}

    @property
    def attributes(self) -> set[str]:
        """The attributes that are read."""
        return {name for i in range(len(self.conditions)) for name in self.attributes_of(i)} | set(
            self.where.attributes if self.where else ()
        ) | {name for column in self.spec.repeats.per for name in self.groups.attributes_of(column)}  # fmt: skip

    def attributes_of(self, i: int) -> Iterable[str]:
        """Return the attributes by which it is told how draws stand to quota number `i`."""
        condition = self.conditions[i]
        if condition is not None:
            return condition.attributes
        return self.groups.attributes_of(str(self.spec.all_quotas[i].per))

    def passes(self) -> ColumnElement[bool]:
        """Return whether a draw passes the filter."""
        return literal_column("TRUE" if self.where is None else f"({self.where.sql} IS TRUE)")

    def stands(self, i: int, table: Subquery) -> ColumnElement[Any]:
        """Return how a draw stands to quota number `i`: true or false, or its group."""
        condition = self.conditions[i]
        if condition is not None:
            return literal_column(condition.sql)
        return self.groups.value(str(self.spec.all_quotas[i].per), table)

    def repeated(self, table: Subquery) -> list[ColumnElement[Any]]:
        """Return the values that `repeats` names."""
        return [self.groups.value(c, table).label(f"repeated_{i}") for i, c in enumerate(self.spec.repeats.per)]


def read_items(connection: Connection, name: str, terms: Terms) -> tuple[pa.Table, Rows | None]:
    """Return the draws with what is recorded of them, in their order, ids as 16 bytes.

    Also how they stand to the specification, where that is a matter of what is recorded alone; which documents other
    sets had used is not.
    """
    item = schema.training_set_item.c
    grades = [(item.evidence_rank == rank, grade) for rank, grade in enumerate(GRADES)]
    recorded = [*(item[c] for c in ("position", *ITEM_COLUMNS)), case(*grades).label("evidence_grade")]
    labelled = select(*recorded).where(item.training_set == name).subquery("labelled")
    columns: list[ColumnElement[Any]] = [labelled.c.position]
    columns += [_as_bytes(labelled.c[c]) if c in _IDS else labelled.c[c] for c in ITEM_COLUMNS]
    spec = terms.spec
    alone = terms.columns <= set(RECORDED) and not terms.attributes
    if alone:
        columns.append(terms.passes().label("passes"))
        columns += [terms.stands(i, labelled).label(f"stands_{i}") for i in range(len(terms.conditions))]
        columns += terms.repeated(labelled)
    table = in_order(fetch(connection, select(*columns)))
    for column in _IDS:
        ids = table[f"{column}_bytes"].cast(pa.binary(16))
        table = table.set_column(table.column_names.index(f"{column}_bytes"), column, ids)
    rows = Rows(table, sizes_of(table, spec.budget.unit), spec) if alone else None
    return table.select(["position", *ITEM_COLUMNS]), rows


def read_rows(connection: Connection, name: str, terms: Terms, drawn: tuple[datetime, Counts] | None = None) -> Rows:
    """Return how the draws stand to the specification, with all that is known of their documents.

    Parameters
    ----------
    drawn : when the training set was made and what its strata count for, for the labels as drawn; None for today's
    """
    spec, now = terms.spec, drawn is None
    labelled = _labelled(name, now=now, with_text="text" in terms.columns)
    columns: list[ColumnElement[Any]] = [labelled.c[c] for c in ("position", "origin", "stratum", "is_there")]
    columns += [labelled.c[f"units_{unit}"].label(f"n_{unit}") for unit in ("words", "bytes", "tokens")]
    passes = terms.passes()
    if drawn is not None:
        passes = or_(passes, _is_changed(labelled, terms.where.attributes if terms.where else (), drawn[0]))
        if not terms.columns <= set(RECORDED):
            passes = or_(passes, ~labelled.c.is_there)
    columns += [passes.label("passes"), *terms.repeated(labelled)]
    for i, quota in enumerate(spec.all_quotas):
        columns.append(terms.stands(i, labelled).label(f"stands_{i}"))
        if drawn is not None:
            columns.append(_is_unknown(labelled, terms, i, drawn[0]).label(f"changed_{i}"))
        if quota.not_used_by:
            columns.append(_used(labelled, quota, spec, now=now).label(f"used_{i}"))
    table = in_order(fetch(connection, select(*columns)))
    if drawn is not None:
        for i in range(len(spec.all_quotas)):
            table = as_recorded(table, i, spec, drawn[1])
            if spec.all_quotas[i].not_used_by:
                used = pc.or_(whole(table[f"used_{i}"].fill_null(False)), left_out(table, i, spec, drawn[1]))
                table = _put(table, f"used_{i}", used)
    return Rows(table, sizes_of(table, spec.budget.unit), spec)


def in_order(table: pa.Table) -> pa.Table:
    """Return draws in the order of their positions; the database gives them as they come."""
    position = table["position"].to_numpy()
    if (position[1:] >= position[:-1]).all():
        return table
    return table.take(pa.array(np.argsort(position, kind="stable")))


def as_recorded(table: pa.Table, i: int, spec: MixSpec, counts: Counts) -> pa.Table:
    """Return draws that stand to quota number `i` as their strata say, where the column `changed_i` is true."""
    quota, column = spec.all_quotas[i], table[f"stands_{i}"]
    changed = whole(table[f"changed_{i}"])
    if not pc.any(changed).as_py():
        return table
    strata = _strata(table)
    stood = [counts.get(label, {}).get(quota.name, False) for label in strata.dictionary.to_pylist()]
    if quota.where is not None:
        recorded = pa.array([None if s is None else s is True for s in stood], pa.bool_())
    else:
        recorded = pa.array([s if isinstance(s, str) else None for s in stood], pa.string())
    table = _put(table, f"stands_{i}", pc.if_else(changed, recorded.take(strata.indices), whole(column)))
    return table


def left_out(table: pa.Table, i: int, spec: MixSpec, counts: Counts) -> pa.Array:
    """Return which draws count for nothing in quota number `i` by what their strata say, though they might.

    That is how it shows that the sampler found a document used, also where it was a near-duplicate of a used one.
    """
    quota = spec.all_quotas[i]
    inside = "".join(f"{phase.name} / " for phase in spec.phases if quota in phase.quotas)
    strata = _strata(table)
    labels = strata.dictionary.to_pylist()
    out = [label.startswith(inside) and counts.get(label, {}).get(quota.name, False) is False for label in labels]
    return pa.array(out, pa.bool_()).take(strata.indices)


def _strata(table: pa.Table) -> pa.DictionaryArray:
    return whole(table["stratum"]).dictionary_encode()


def _put(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _as_bytes(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(column, LargeBinary).label(f"{column.key}_bytes")


def _labelled(name: str, *, now: bool, with_text: bool) -> Subquery:
    """Return the draws joined with their documents, in columns named as those of the documents view.

    As drawn, what a draw records replaces what the document says today; the rest (author, title, dates, text, ...)
    are facts about the document.
    """
    item = schema.training_set_item.c
    facts: Any = documents if with_text else documents_without_text()
    recorded: dict[str, ColumnElement[Any]] = {"document_id": item.document_id}
    if not now:
        grades = [(item.evidence_rank == rank, grade) for rank, grade in enumerate(GRADES)]
        recorded |= {n: item[n] for n in RECORDED if n != "evidence_grade"} | {"evidence_grade": case(*grades)}
    there = [n for n in VIEW_COLUMNS["documents"] if n in facts.c]
    columns: list[ColumnElement[Any]] = [recorded.get(n, facts.c[n]).label(n) for n in there]
    columns += [item.position, item.stratum, facts.c.document_id.is_not(None).label("is_there")]
    columns += [item[f"n_{unit}"].label(f"units_{unit}") for unit in ("words", "bytes", "tokens")]
    joined = schema.training_set_item.outerjoin(facts, facts.c.document_id == item.document_id)
    return select(*columns).select_from(joined).where(item.training_set == name).subquery("labelled")


def _is_changed(labelled: Subquery, attributes: Iterable[str], drawn_at: datetime) -> ColumnElement[bool]:
    """Return whether what a document has of these attributes may differ from what it had when it was drawn."""
    names = sorted(attributes)
    if not names:
        return false()
    annotation = schema.annotation.c
    later = select(annotation.document_id).where(annotation.attribute.in_(names), annotation.annotated_at > drawn_at)
    return or_(~labelled.c.is_there, labelled.c.document_id.in_(later))


def _is_unknown(labelled: Subquery, terms: Terms, i: int, drawn_at: datetime) -> ColumnElement[bool]:
    """Return whether it cannot be told any more how draws stood to quota number `i`."""
    condition = terms.conditions[i]
    read = {str(terms.spec.all_quotas[i].per)} if condition is None else condition.columns
    changed = _is_changed(labelled, terms.attributes_of(i), drawn_at)
    if set(read) <= set(RECORDED) and not terms.spec.all_quotas[i].not_used_by:
        return changed
    return or_(changed, ~labelled.c.is_there)


def _used(labelled: Subquery, quota: Quota, spec: MixSpec, *, now: bool) -> ColumnElement[bool]:
    """Return whether the named sets used the document: itself, or with near-duplicates left out also a copy of it.

    Which documents are near-duplicates changes while the store grows, so that question is for today; as drawn only
    the same text counts.
    """
    item, document = schema.training_set_item.c, schema.document.c
    drawn: Select[Any] = select(item.document_id).where(item.training_set.in_(quota.not_used_by))
    if spec.duplicates == "all":
        return labelled.c.document_id.in_(drawn)
    column = "cluster_id" if now else "content_id"
    return labelled.c[column].in_(select(document[column]).where(document.document_id.in_(drawn)))
