"""The query for the candidates of a mix: which documents pass, and how they stand to every quota and weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    Select,
    SmallInteger,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    union,
)  # fmt: skip

from provenance.dedup.documents import REPRESENTATIVE_ORDER
from provenance.mix.attributes import Groups
from provenance.mix.conditions import Condition
from provenance.mix.spec import AtMost, MixSpec
from provenance.mix.strata import OUTSIDE, UNKNOWN
from provenance.store import schema
from provenance.store.store import arrow_batches
from provenance.store.views import documents, documents_without_text


class CandidateQuery:
    """What is asked of the store for one mix.

    Parameters
    ----------
    conditions : those of the quotas, None for quotas per column
    where : the filter
    groups : how values of columns and attributes are read
    of : what stands in for the documents view, with all its columns and under its name; None for the view itself
    """

    def __init__(
        self,
        spec: MixSpec,
        conditions: Sequence[Condition | None],
        where: Condition | None,
        groups: Groups,
        *,
        of: FromClause | None = None,
    ) -> None:
        self._spec, self._conditions, self._where, self._groups = spec, conditions, where, groups
        read = {c for condition in (*conditions, where) if condition for c in condition.columns}
        # The text is joined to the documents: without need that costs more than everything else.
        view: FromClause = documents if "text" in read else documents_without_text()
        self._documents: FromClause = view if of is None else of

    @staticmethod
    def probe(condition: Condition) -> Select[Any]:
        """Return a query for no rows whose column `holds` has the type that the condition gives."""
        return select(literal_column(condition.sql).label("holds")).select_from(documents).limit(0)

    def contents(self) -> Select[Any]:
        """Return the query for the contents of all candidates."""
        return select(self._documents.c.content_id).where(self._passing())

    def passing_ids(self, condition: Condition | None = None) -> Select[Any]:
        """Return the query for the ids of all candidates, or of those that a condition holds for."""
        holds: ColumnElement[bool] = true() if condition is None else literal_column(condition.sql, Boolean)
        return select(self._documents.c.document_id).where(self._passing(), holds)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns whose values come as text."""
        spec = self._spec
        per = [f"group_{i}" for i, quota in enumerate(spec.all_quotas) if quota.per is not None]
        weighted = [f"weighted_{i}" for i in range(len(spec.weights.columns))]
        repeated = [f"repeated_{i}" for i in range(len(spec.repeats.per))]
        return (*per, *weighted, *repeated)

    def batches(self, connection: Connection, *, size: int) -> Iterator[pa.RecordBatch]:
        """Yield the candidates, at most `size` at a time.

        Columns: id (16 bytes), units, for quota i holds_i (a code of `strata`) or group_i (text) and human_i, used_i;
        weighted_i and repeated_i (text).
        """
        return arrow_batches(connection, self._select(), size=size)

    def _select(self) -> Select[Any]:
        spec, d = self._spec, self._documents.c
        columns: list[ColumnElement[Any]] = [cast(d.document_id, LargeBinary).label("id")]
        for i, (quota, condition) in enumerate(zip(spec.all_quotas, self._conditions, strict=True)):
            if condition is not None:
                holds: ColumnElement[bool] = literal_column(condition.sql, Boolean)
                code = case((holds, 0), (holds.is_(None), UNKNOWN), else_=OUTSIDE)
                columns.append(cast(code, SmallInteger).label(f"holds_{i}"))
            else:
                columns.append(self._groups.value(str(quota.per), self._documents).label(f"group_{i}"))
                if quota.per == "model":
                    columns.append((d.origin == "human").label(f"human_{i}"))
            if quota.not_used_by:
                used = used_by(quota.not_used_by, copies=copies_that_count(spec), of=self._documents)
                columns.append(used.label(f"used_{i}"))
        columns += self._grouped("weighted", spec.weights.columns) + self._grouped("repeated", spec.repeats.per)
        if spec.budget.unit != "tokens":
            units = literal(1) if spec.budget.unit == "documents" else d[f"n_{spec.budget.unit}"]
            return select(*columns, units.label("units")).where(self._passing())
        count = schema.token_count
        same = and_(count.c.content_id == d.content_id, count.c.tokenizer == spec.tokenizer)
        counted = select(*columns, count.c.n_tokens.label("units")).join_from(self._documents, count, same)
        return counted.where(self._passing())

    def _grouped(self, kind: str, names: Any) -> list[ColumnElement[Any]]:
        return [self._groups.value(name, self._documents).label(f"{kind}_{i}") for i, name in enumerate(names)]

    def _passing(self) -> ColumnElement[bool]:
        """Return the condition that a document passes the filter and all exclusions but spans."""
        spec, d = self._spec, self._documents
        parts: list[ColumnElement[bool]] = [true()]
        if self._where is not None:
            parts.append(literal_column(self._where.sql, Boolean))
        if spec.duplicates == "representative":
            parts.append(d.c.is_representative)
        if spec.exclude.training_sets:
            copies = "clusters" if spec.exclude.clusters else "texts"
            parts.append(not_(used_by(spec.exclude.training_sets, copies=copies, of=d)))
        if isinstance(spec.duplicates, AtMost):
            own = schema.document.c
            place = func.row_number().over(partition_by=own.cluster_id, order_by=literal_column(REPRESENTATIVE_ORDER))
            passing = own.document_id.in_(select(d.c.document_id).where(and_(*parts)))
            ranked = select(own.document_id, place.label("place")).where(passing).subquery("ranked")
            parts.append(
                d.c.document_id.in_(select(ranked.c.document_id).where(ranked.c.place <= spec.duplicates.at_most))
            )
        return and_(*parts)


def used_by(names: Sequence[str], *, copies: str, of: FromClause) -> ColumnElement[bool]:
    """Return the condition that a document was used by one of the training sets.

    Parameters
    ----------
    copies : what else counts as used: `none` (the document itself only), `texts` (every document with the same text)
        or `clusters` (every near-duplicate, as known now or when it was drawn)
    of : what has the columns of the documents view
    """
    item, document, d = schema.training_set_item, schema.document, of.c
    drawn = select(item.c.document_id).where(item.c.training_set.in_(names))
    if copies == "none":
        return d.document_id.in_(drawn)
    texts = d.content_id.in_(select(document.c.content_id).where(document.c.document_id.in_(drawn)))
    if copies == "texts":
        return texts
    now = select(document.c.cluster_id).where(document.c.document_id.in_(drawn))
    then = select(item.c.cluster_id).where(item.c.training_set.in_(names))
    return or_(texts, d.cluster_id.in_(union(now, then)))


def copies_that_count(spec: MixSpec) -> str:
    """Return what counts as used for `not_used_by`, in the words of `used_by`."""
    return "clusters" if spec.duplicates == "representative" else "none"
