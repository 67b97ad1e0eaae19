"""The candidates of a mix: every document that it may draw, and how it stands to every quota and weight.

A store may hold many millions of documents, so that only what the allocation needs is read, as numbers: ids as 16
bytes, sizes, and for everything else codes. What is recorded with the draws is read for the drawn documents only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from provenance.errors import UnknownName
from provenance.mix.attributes import groups_of, known_attributes
from provenance.mix.candidate_query import CandidateQuery
from provenance.mix.candidate_texts import shares_spans, shares_with_files
from provenance.mix.conditions import Attributes, Condition, parse_condition
from provenance.mix.errors import ConditionError, SpecError, unknown_word
from provenance.mix.spec import MixSpec, Quota
from provenance.mix.strata import (
    I32,
    OUTSIDE,
    UNKNOWN,
    Mask,
    PhaseShare,
    QuotaColumn,
    Strata,
    WeightColumn,
    build_strata,
    in_phases,
    left_out,
    without_larger,
)  # fmt: skip
from provenance.mix.tokens import count_tokens, resolve_tokenizer
from provenance.store import schema
from provenance.store.connection import first_line

if TYPE_CHECKING:
    from provenance.mix.draw import I64
    from provenance.store.store import Store

_ROWS = 500_000  # that are read at a time


@dataclass(frozen=True)
class Candidates:
    """Documents that a mix may draw.

    Attributes
    ----------
    ids : (n, 16) uint8, document ids
    sizes : (n,) int64, units
    columns : how they stand to every quota, those of the whole first and then phase by phase
    weights : the weighted columns
    caps : (n,) int64, how often each may be drawn; 0 where only the mix's `repeats.max` limits it; None where
        that is so for all
    left_out : how many documents were left out after filtering, by reason
    evaluation_files : what they were decontaminated against, by file
    """

    ids: npt.NDArray[np.uint8]
    sizes: I64
    columns: tuple[QuotaColumn, ...]
    weights: tuple[WeightColumn, ...]
    caps: I64 | None
    left_out: dict[str, int]
    evaluation_files: list[dict[str, Any]]

    def strata(self, spec: MixSpec) -> Strata:
        """Return the candidates grouped by what the mix sees, fit for its budget."""
        return self.fitted(self.grouped(spec, budget=spec.budget.amount), spec, spec.budget.amount)

    def grouped(self, spec: MixSpec, *, budget: int | None, most: int | None = None) -> Strata:
        """Return the candidates grouped by what the mix sees, also documents larger than the budget.

        Parameters
        ----------
        budget : units that will be wanted at most, None for everything
        most : how often a document may be drawn, in place of the mix's `repeats.max`
        """
        most = most or spec.repeats.max
        caps = np.full(len(self.sizes), most) if self.caps is None else np.where(self.caps == 0, most, self.caps)
        return build_strata(
            self.ids,
            self.sizes,
            self.columns,
            seed=spec.seed,
            unit=spec.budget.unit,
            weights=self.weights,
            caps=None if (caps == 1).all() else caps,
            budget=budget,
        )

    def fitted(self, strata: Strata, spec: MixSpec, budget: int | None) -> Strata:
        """Return the strata for a budget: without larger documents, and in a curriculum once for every phase."""
        if budget is None:
            return strata
        strata = without_larger(strata, budget)
        if not spec.phases:
            return strata
        phases = [PhaseShare(phase.name, phase.share) for phase in spec.phases]
        return in_phases(strata, phases, {c.name: c.phase for c in self.columns if c.phase}, budget=budget)

    def digest(self, strata: Strata) -> str:
        """Return SHA-256 over all candidates: what the draw was made from.

        Stratum by stratum its label, and in draw order the 16 bytes of every document id and the 8 (little-endian) of
        its units.
        """
        whole = sha256()
        for k in strata.one_of_each_pool:
            rows = strata.rows[k]
            whole.update(f"{strata.labels[k]}\n{len(rows)}\n".encode())
            whole.update(np.take(self.ids, rows, axis=0).tobytes())
            whole.update(strata.sizes[k].astype("<i8").tobytes())
        return whole.hexdigest()


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
    EvaluationSetUnreadable
        If a file that the mix is decontaminated against cannot be read.
    """
    require_training_sets(store, spec)
    with store.read() as connection:
        attributes = known_attributes(connection)
    conditions = [None if q.where is None else checked_condition(store, q.where, attributes) for q in spec.all_quotas]
    where = None if spec.where is None else checked_condition(store, spec.where, attributes)
    query = CandidateQuery(spec, conditions, where, groups_of(spec, attributes))
    with _naming_conditions(spec, conditions):
        if spec.tokenizer is not None:
            count_tokens(store, resolve_tokenizer(store, spec.tokenizer), query.contents())
        return _Reading(store, spec, query).candidates()


def checked_condition(store: Store, text: str, attributes: Attributes = ()) -> Condition:
    """Return the parsed condition, known to the database as true-or-false.

    Raises
    ------
    ConditionError
        If it is not valid.
    """
    condition = parse_condition(text, attributes)
    try:
        kind = store.fetch(CandidateQuery.probe(condition)).schema.field("holds").type
    except DBAPIError as error:
        raise ConditionError(text, database_reason(error)) from error
    if not pa.types.is_boolean(kind):
        raise ConditionError(text, f"it gives {kind}, not true or false")
    return condition


def database_reason(error: DBAPIError | duckdb.Error) -> str:
    """Return the first line of what the database says."""
    return first_line(str(error.orig if isinstance(error, DBAPIError) else error))


@contextmanager
def _naming_conditions(spec: MixSpec, conditions: Sequence[Condition | None]) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, duckdb.Error) as error:
        texts = [c.text for c in conditions if c] + ([spec.where] if spec.where else [])
        raise ConditionError(" / ".join(texts), database_reason(error)) from error


def require_training_sets(store: Store, spec: MixSpec) -> None:
    """Raise `UnknownName` unless all training sets that the mix refers to are in the store."""
    wanted = dict.fromkeys([*spec.exclude.training_sets, *(n for q in spec.all_quotas for n in q.not_used_by)])
    if wanted:
        known = store.fetch(select(schema.training_set.c.name))["name"].to_pylist()
        for name in wanted:
            if name not in known:
                raise UnknownName("training set", name, known, hint="See: provenance training-sets")


class _Values:
    """The values of one column as codes, gathered batch by batch."""

    def __init__(self) -> None:
        self._place: dict[str, int] = {}
        self._codes: list[I32] = []

    def add(self, column: pa.Array) -> None:
        encoded = column.dictionary_encode()
        own = [self._place.setdefault(value, len(self._place)) for value in encoded.dictionary.to_pylist()]
        table = np.array([*own, UNKNOWN], dtype=np.int32)
        self._codes.append(table[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)])

    def sorted(self) -> tuple[tuple[str, ...], I32]:
        """Return the distinct values in ascending order, and for every row the place of its value or `UNKNOWN`."""
        codes = np.concatenate([np.zeros(0, dtype=np.int32), *self._codes])
        values = sorted(self._place)
        rank = np.empty(len(values) + 1, dtype=np.int32)
        for new, value in enumerate(values):
            rank[self._place[value]] = new
        rank[-1] = UNKNOWN
        return tuple(values), rank[codes]


class _Reading:
    """One pass over the candidates."""

    def __init__(self, store: Store, spec: MixSpec, query: CandidateQuery) -> None:
        self._store, self._spec, self._query = store, spec, query
        self._numbers: dict[str, list[Any]] = {}
        self._values: dict[str, _Values] = {name: _Values() for name in query.text_columns}

    def candidates(self) -> Candidates:
        ids = [np.zeros((0, 16), dtype=np.uint8)]
        with self._store.read() as connection:
            for batch in self._query.batches(connection, size=_ROWS):
                ids.append(_id_rows(batch.column("id")))
                for name in batch.schema.names:
                    column = batch.column(name)
                    if name in self._values:
                        self._values[name].add(column)
                    elif name != "id":
                        self._numbers.setdefault(name, []).append(column.to_numpy(zero_copy_only=False))
        return self._without_left_out(np.concatenate(ids))

    def _number(self, name: str, kind: Any, n: int) -> Any:
        parts = self._numbers.pop(name, [])
        return np.concatenate(parts, dtype=kind, casting="unsafe") if parts else np.zeros(n, dtype=kind)

    def _without_left_out(self, ids: npt.NDArray[np.uint8]) -> Candidates:
        spec, n = self._spec, len(ids)
        sizes: I64 = self._number("units", np.int64, n)
        standing = [self._quota_column(i, quota, n) for i, quota in enumerate(spec.all_quotas)]
        columns = [column for column, _ in standing]
        empty = (sizes == 0) & (spec.budget.amount is not None)
        used = np.zeros(n, dtype=bool)
        if any(quota.not_used_by for quota in spec.all_quotas):
            used = left_out(columns, [mask for _, mask in standing]) & ~empty
        weights = [self._weight_column(i, column) for i, column in enumerate(spec.weights.columns)]
        caps = self._caps(n)
        keep = ~empty & ~used
        spans = shares_spans(self._store, spec, ids, keep)
        files, contaminated = shares_with_files(self._store, spec, ids, keep & ~spans)
        keep &= ~spans & ~contaminated
        rows = slice(None) if keep.all() else np.flatnonzero(keep)
        return Candidates(
            ids[rows],
            sizes[rows],
            tuple(QuotaColumn(c.name, c.min, c.max, c.groups, c.codes[rows], c.phase) for c in columns),
            tuple(WeightColumn(w.name, w.values, w.weights, w.temperature, w.codes[rows]) for w in weights),
            None if caps is None else caps[rows],
            {"empty": int(empty.sum()), "used": int(used.sum()), "spans": int(spans.sum()),
             "contaminated": int(contaminated.sum())},
            files,
        )  # fmt: skip

    def _quota_column(self, i: int, quota: Quota, n: int) -> tuple[QuotaColumn, Mask]:
        """Return how the candidates stand to a quota, and which of them satisfy it whether they were used or not."""
        groups: tuple[str | None, ...] = (None,)
        if quota.where is not None:
            codes: I32 = self._number(f"holds_{i}", np.int32, n)
        else:
            groups, codes = self._values.pop(f"group_{i}").sorted()
            if quota.per == "model":  # people have no model: that is known, not unknown
                codes[(codes == UNKNOWN) & self._number(f"human_{i}", np.bool_, n)] = OUTSIDE
        would_count = codes >= 0
        if quota.not_used_by:
            codes = np.where(self._number(f"used_{i}", np.bool_, n), np.int32(OUTSIDE), codes)
        phase = next((phase.name for phase in self._spec.phases if quota in phase.quotas), None)
        return QuotaColumn(quota.name, quota.min, quota.max, groups, codes, phase), would_count

    def _weight_column(self, i: int, column: str) -> WeightColumn:
        given = self._spec.weights.columns[column]
        values, codes = self._values.pop(f"weighted_{i}").sorted()
        codes = np.where(codes == UNKNOWN, np.int32(len(values)), codes)
        named: tuple[str | None, ...] = (*values, None)  # the last one: documents without a value
        temperature = float(self._spec.weights.temperature)
        if given == "available":
            return WeightColumn(column, named, None, temperature, codes)
        numbers = dict(given)
        for value in numbers:
            if value not in values and len(codes):
                raise SpecError([f"weights.{column}: {unknown_word('value among the candidates', value, values)}"])
        weights = np.array([float(numbers.get(str(v), 0)) if v is not None else 0.0 for v in named])
        return WeightColumn(column, named, weights, temperature, codes)

    def _caps(self, n: int) -> I64 | None:
        """Return how often each candidate may be drawn, 0 where nothing names it; None where nothing names any."""
        never = np.iinfo(np.int64).max
        named = np.full(n, never)
        for i, (column, times) in enumerate(self._spec.repeats.per.items()):
            values, codes = self._values.pop(f"repeated_{i}").sorted()
            for value in times:
                if value not in values and n:
                    problem = unknown_word("value among the candidates", value, values)
                    raise SpecError([f"repeats.per.{column}: {problem}"])
            table = np.array([*(times.get(value, never) for value in values), never])  # the last one: without a value
            named = np.minimum(named, table[codes])
        return np.where(named == never, 0, named) if self._spec.repeats.per else None


def _id_rows(column: pa.Array) -> npt.NDArray[np.uint8]:
    """Return ids that came as binary values of 16 bytes as (n, 16) uint8."""
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(column.buffers()[2], dtype=np.uint8) if len(column) else np.zeros(0, dtype=np.uint8)
    return data[offsets[0] : offsets[-1]].reshape(-1, 16) if len(column) else np.zeros((0, 16), dtype=np.uint8)
