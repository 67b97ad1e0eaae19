"""The candidates of a mix: every document that it may draw, with its labels and how it stands to every quota."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import ColumnElement, Select, and_, literal_column, not_, or_, select, union
from sqlalchemy.exc import DBAPIError

from provenance.errors import UnknownName
from provenance.mix.attributes import Groups, groups_of, known_attributes
from provenance.mix.conditions import Attributes, Condition, parse_condition
from provenance.mix.digest import id_bytes
from provenance.mix.errors import ConditionError, SpecError, unknown_word
from provenance.mix.spec import MixSpec, Quota
from provenance.mix.strata import I32, OUTSIDE, UNKNOWN, Mask, QuotaColumn, Strata, build_strata, left_out
from provenance.mix.tokens import count_tokens
from provenance.store import schema
from provenance.store.store import registered
from provenance.store.views import documents

if TYPE_CHECKING:
    from provenance.mix.draw import I64
    from provenance.store.store import Store

_LABELS = (
    "document_id", "content_id", "n_words", "n_bytes", "origin", "generation", "evidence_rank", "model", "source",
    "licence_class", "cluster_id",
)  # fmt: skip
_SPAN_BATCH_BYTES = 100_000_000


@dataclass(frozen=True)
class Candidates:
    """Documents that a mix may draw.

    Attributes
    ----------
    table : one row per document, with the labels that a draw records
    ids : (n, 16) uint8, document ids
    sizes : (n,) int64, units
    columns : how they stand to every quota
    weighted, weight_codes : the weighted column with its values and weights, and every document's value
    left_out : how many documents were left out after filtering, by reason
    """

    table: pa.Table
    ids: npt.NDArray[np.uint8]
    sizes: I64
    columns: tuple[QuotaColumn, ...]
    weighted: tuple[str, tuple[str | None, ...], tuple[Fraction, ...]] | None
    weight_codes: I32 | None
    left_out: dict[str, int]

    def strata(self, spec: MixSpec) -> Strata:
        """Return the candidates grouped by what the quotas and weights of the mix see."""
        return build_strata(
            self.ids,
            self.sizes,
            self.columns,
            seed=spec.seed,
            unit=spec.budget.unit,
            weighted=self.weighted,
            weight_codes=self.weight_codes,
        )


def read_candidates(store: Store, spec: MixSpec) -> Candidates:
    """Return the documents that the mix may draw, in one snapshot of the store.

    Token counts that the mix needs and the store lacks are made first; then the store must be writable.

    Raises
    ------
    ConditionError
        If a condition is not valid or cannot be computed.
    UnknownName
        If a training set or tokenizer that the mix refers to is not in the store.
    SpecError
        If a weighted value does not occur, or an attribute whose values quotas or weights are set for is not there.
    """
    _require_training_sets(store, spec)
    with store.read() as connection:
        attributes = known_attributes(connection)
    conditions = [None if q.where is None else checked_condition(store, q.where, attributes) for q in spec.quotas]
    passing = _passing(store, spec, attributes)
    groups = groups_of(spec, attributes)
    try:
        if spec.tokenizer is not None:
            count_tokens(store, spec.tokenizer, select(documents.c.content_id).where(passing))
        table = store.fetch(_query(spec, conditions, passing, groups))
    except DBAPIError as error:
        texts = [c.text for c in conditions if c] + ([spec.where] if spec.where else [])
        raise ConditionError(" / ".join(texts), database_reason(error)) from error
    return _candidates(store, spec, table)


def checked_condition(store: Store, text: str, attributes: Attributes = ()) -> Condition:
    """Return the parsed condition, known to the database as true-or-false.

    Raises
    ------
    ConditionError
        If it is not valid.
    """
    condition = parse_condition(text, attributes)
    probe: Select[Any] = select(literal_column(condition.sql).label("holds")).select_from(documents).limit(0)
    try:
        kind = store.fetch(probe).schema.field("holds").type
    except DBAPIError as error:
        raise ConditionError(text, database_reason(error)) from error
    if not pa.types.is_boolean(kind):
        raise ConditionError(text, f"it gives {kind}, not true or false")
    return condition


def database_reason(error: DBAPIError) -> str:
    """Return the first line of what the database says."""
    return str(error.orig).strip().splitlines()[0]


def used_by(names: Sequence[str], *, copies: str) -> ColumnElement[bool]:
    """Return the condition that a document was used by one of the training sets.

    Parameters
    ----------
    copies : what else counts as used: `none` (the document itself only), `texts` (every document with the same text)
        or `clusters` (every near-duplicate, as known now or when it was drawn)
    """
    item, document, d = schema.training_set_item, schema.document, documents.c
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


def _require_training_sets(store: Store, spec: MixSpec) -> None:
    wanted = dict.fromkeys([*spec.exclude.training_sets, *(n for q in spec.quotas for n in q.not_used_by)])
    if wanted:
        known = store.fetch(select(schema.training_set.c.name))["name"].to_pylist()
        for name in wanted:
            if name not in known:
                raise UnknownName("training set", name, known, hint="See: provenance training-sets")


def _passing(store: Store, spec: MixSpec, attributes: Attributes) -> ColumnElement[bool]:
    """Return the condition that a document passes the filter and all exclusions but spans."""
    parts: list[ColumnElement[bool]] = []
    if spec.where is not None:
        parts.append(literal_column(checked_condition(store, spec.where, attributes).sql))
    if spec.duplicates == "representative":
        parts.append(documents.c.is_representative)
    if spec.exclude.training_sets:
        copies = "clusters" if spec.exclude.clusters else "texts"
        parts.append(not_(used_by(spec.exclude.training_sets, copies=copies)))
    return and_(literal_column("TRUE"), *parts)


def _query(
    spec: MixSpec, conditions: Sequence[Condition | None], passing: ColumnElement[bool], groups: Groups
) -> Select[Any]:
    columns: list[ColumnElement[Any]] = [documents.c[name] for name in _LABELS]
    for i, (quota, condition) in enumerate(zip(spec.quotas, conditions, strict=True)):
        if condition is not None:
            columns.append(literal_column(condition.sql).label(f"holds_{i}"))
        else:
            columns.append(groups.value(str(quota.per), documents).label(f"group_{i}"))
        if quota.not_used_by:
            columns.append(used_by(quota.not_used_by, copies=copies_that_count(spec)).label(f"used_{i}"))
    for column in spec.weights:
        columns.append(groups.value(column, documents).label("weighted"))
    inner = select(*columns).where(passing).subquery()
    if spec.tokenizer is None:
        return select(inner)
    count = schema.token_count
    same = and_(count.c.content_id == inner.c.content_id, count.c.tokenizer == spec.tokenizer)
    return select(inner, count.c.n_tokens).join_from(inner, count, same)


def _candidates(store: Store, spec: MixSpec, table: pa.Table) -> Candidates:
    sizes = _sizes(table, spec.budget.unit)
    columns, would_count = [], []
    for i, quota in enumerate(spec.quotas):
        column, mask = _quota_column(table, i, quota)
        columns.append(column)
        would_count.append(mask)
    empty = (sizes == 0) & (spec.budget.amount is not None)
    used = left_out(columns, would_count) & ~empty if columns else np.zeros(len(sizes), dtype=bool)
    keep = ~empty & ~used
    spans = keep & _shares_spans(store, spec, table, keep)
    keep &= ~spans
    table, rows = table.filter(pa.array(keep)), np.flatnonzero(keep)
    weighted, codes = _weighted(table, spec)
    return Candidates(
        table,
        id_bytes(table["document_id"]),
        sizes[rows],
        tuple(QuotaColumn(c.name, c.min, c.max, c.groups, c.codes[rows]) for c in columns),
        weighted,
        codes,
        {"empty": int(empty.sum()), "used": int(used.sum()), "spans": int(spans.sum())},
    )


def _sizes(table: pa.Table, unit: str) -> I64:
    if unit == "documents":
        return np.ones(table.num_rows, dtype=np.int64)
    sizes: I64 = table[f"n_{unit}"].to_numpy().astype(np.int64)
    return sizes


def _quota_column(table: pa.Table, i: int, quota: Quota) -> tuple[QuotaColumn, Mask]:
    """Return how the candidates stand to a quota, and which of them satisfy it whether they were used or not."""
    groups: tuple[str | None, ...]
    if quota.where is not None:
        groups, holds = (None,), table[f"holds_{i}"]
        codes = np.where(holds.fill_null(False).to_numpy(), 0, OUTSIDE).astype(np.int32)
        codes[holds.is_null().to_numpy()] = UNKNOWN
    else:
        values = table[f"group_{i}"]
        groups, codes = _encoded(values)
        if quota.per == "model":  # people have no model: that is known, not unknown
            codes[(codes == UNKNOWN) & (table["origin"].to_numpy(zero_copy_only=False) == "human")] = OUTSIDE
    would_count = codes >= 0
    if quota.not_used_by:
        codes = np.where(table[f"used_{i}"].to_numpy(), OUTSIDE, codes).astype(np.int32)
    return QuotaColumn(quota.name, quota.min, quota.max, groups, codes), would_count


def _encoded(values: pa.ChunkedArray) -> tuple[tuple[str, ...], I32]:
    """Return the distinct values in ascending order, and for every row the place of its value or `UNKNOWN`."""
    encoded = (
        values.combine_chunks().dictionary_encode() if len(values) else pa.array([], pa.string()).dictionary_encode()
    )
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    distinct = encoded.dictionary.to_pylist()
    groups = sorted(distinct)
    place = {value: i for i, value in enumerate(groups)}
    rank = np.array([place[value] for value in distinct] + [UNKNOWN], dtype=np.int32)
    return tuple(groups), rank[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]


def _weighted(
    table: pa.Table, spec: MixSpec
) -> tuple[tuple[str, tuple[str | None, ...], tuple[Fraction, ...]] | None, I32 | None]:
    for column, weights in spec.weights.items():
        values, codes = _encoded(table["weighted"])
        for value in weights:
            if value not in values and table.num_rows:
                raise SpecError([f"weights.{column}: {unknown_word('value among the candidates', value, values)}"])
        named: tuple[str | None, ...] = (*values, None)  # the last one: documents without a value
        codes = np.where(codes == UNKNOWN, len(values), codes).astype(np.int32)
        return (
            column,
            named,
            tuple(weights.get(v, Fraction(0)) if v is not None else Fraction(0) for v in named),
        ), codes
    return None, None


def _shares_spans(store: Store, spec: MixSpec, table: pa.Table, keep: Mask) -> Mask:
    """Return which candidates share a run of tokens with a document of an excluded training set."""
    found = np.zeros(table.num_rows, dtype=bool)
    if spec.exclude.spans is None or not keep.any():
        return found
    from provenance.dedup.spans import shares_span

    item = schema.training_set_item
    excluded = select(item.c.document_id).where(item.c.training_set.in_(spec.exclude.training_sets))
    against = store.fetch(select(documents.c.text).where(documents.c.document_id.in_(excluded)))["text"]
    kept = np.flatnonzero(keep)
    batch = np.cumsum(table["n_bytes"].to_numpy()[kept]) // _SPAN_BATCH_BYTES
    for rows in np.split(kept, np.flatnonzero(np.diff(batch)) + 1):
        texts = texts_of(store, table["content_id"].take(pa.array(rows)))
        found[rows] = shares_span(texts, _one_array(against), n_tokens=spec.exclude.spans)
    return found


def texts_of(store: Store, content_ids: pa.ChunkedArray) -> pa.Array:
    """Return the texts of contents, in the order of their ids."""
    wanted = pa.table({"content_id": content_ids, "place": np.arange(len(content_ids))})
    with store.read() as connection, registered(connection, wanted=wanted) as raw:
        query = "SELECT c.text FROM wanted w JOIN content c ON c.content_id = w.content_id::UUID ORDER BY w.place"
        return _one_array(raw.execute(query).to_arrow_table()["text"])


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
