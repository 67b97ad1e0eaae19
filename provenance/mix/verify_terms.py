"""What a specification asks of draws of which only exported rows are at hand, not the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import UUID, ColumnElement, Connection, case, cast, column, create_engine, literal_column, select, table
from sqlalchemy.engine import URL
from sqlalchemy.pool import StaticPool

from provenance.mix.conditions import Condition, parse_condition
from provenance.mix.errors import ConditionError
from provenance.mix.spec import MixSpec
from provenance.mix.verdict import Unchecked
from provenance.mix.verify_read import as_recorded, left_out
from provenance.mix.verify_rows import Counts
from provenance.records import GRADES
from provenance.store.store import fetch, registered
from provenance.store.views import VIEW_COLUMNS

_IDS = ("document_id", "content_id", "cluster_id")
_ISOLATED = {"enable_external_access": False, "autoinstall_known_extensions": False, "lock_configuration": True}
_BY_STRATA = "counted by what the manifest says of the strata"


class ExportedTerms:
    """The conditions and groups of a specification that can be told from some columns of the documents view.

    Attributes
    ----------
    unchecked : what cannot be told, and why
    """

    def __init__(self, spec: MixSpec, columns: set[str]) -> None:
        self.spec = spec
        self.columns = columns | ({"evidence_grade"} if "evidence_rank" in columns else set())
        self.unchecked: list[Unchecked] = []
        self._where = self._condition("filter", spec.where, "")
        self._told = [self._quota(i) for i in range(len(spec.all_quotas))]
        self._repeated = {}
        for i, name in enumerate(spec.repeats.per):
            if name in self.columns:
                self._repeated[f"repeated_{i}"] = name
            else:
                self.unchecked.append(Unchecked(f"repeats per {name}", self._lacking([name])))

    def _condition(self, claim: str, text: str | None, instead: str) -> Condition | None:
        """Return the condition if it can be computed."""
        if text is None:
            return None
        try:
            condition = parse_condition(text)
        except ConditionError as error:
            self.unchecked.append(Unchecked(claim, f"{error.problem}; attributes are not in the files{instead}"))
            return None
        if not condition.columns <= self.columns:
            self.unchecked.append(Unchecked(claim, self._lacking(condition.columns) + instead))
            return None
        return condition

    def _lacking(self, names: Any) -> str:
        lacking = sorted(set(names) - self.columns)
        return f"it reads {', '.join(lacking)}, which is not in the files"

    def _quota(self, i: int) -> str | None:
        """Return the SQL that tells how draws stand to a quota, None where it cannot be told."""
        quota = self.spec.all_quotas[i]
        claim = f"quota {quota.name!r}: which draws count"
        if quota.not_used_by:
            names = ", ".join(quota.not_used_by)
            unused = f"the draws of {names} are not in the files; {_BY_STRATA}"
            self.unchecked.append(Unchecked(f"quota {quota.name!r}: not used by {names}", unused))
        if quota.where is not None:
            condition = self._condition(claim, quota.where, f"; {_BY_STRATA}")
            return condition.sql if condition else None
        if quota.per in self.columns:
            return f'CAST("{quota.per}" AS VARCHAR)'
        self.unchecked.append(Unchecked(claim, f"{self._lacking([quota.per])}; {_BY_STRATA}"))
        return None

    def standing(self, connection: Connection, rows: pa.Table, counts: Counts) -> pa.Table:
        """Return rows with the columns that `Rows` needs beside `origin` and `stratum`.

        Parameters
        ----------
        rows : with the columns of the documents view, and `stratum`
        counts : what the strata are said to count for
        """
        rows = rows.append_column("place", pa.array(np.arange(rows.num_rows)))
        exported = table("exported", *(column(name) for name in rows.column_names))
        seen: dict[str, ColumnElement[Any]] = {}
        if "evidence_rank" in rows.column_names:
            grades = [(exported.c.evidence_rank == rank, grade) for rank, grade in enumerate(GRADES)]
            seen["evidence_grade"] = case(*grades).label("evidence_grade")
        known = [c for c in VIEW_COLUMNS["documents"] if c in rows.column_names and c not in seen]
        inner = select(
            *(cast(exported.c[c], UUID).label(c) if c in _IDS else exported.c[c] for c in known),
            *seen.values(),
            exported.c.place,
        ).subquery("labelled")
        passes = "TRUE" if self._where is None else f"({self._where.sql} IS TRUE)"
        columns: list[ColumnElement[Any]] = [inner.c.place, literal_column(passes).label("passes")]
        for i, told in enumerate(self._told):
            kind = "BOOLEAN" if self.spec.all_quotas[i].where is not None else "VARCHAR"
            columns.append(literal_column(told or f"CAST(NULL AS {kind})").label(f"stands_{i}"))
        for name, of in self._repeated.items():
            columns.append(literal_column(f'CAST("{of}" AS VARCHAR)').label(name))
        with registered(connection, exported=rows):
            found = fetch(connection, select(*columns).select_from(inner).order_by(inner.c.place))
        for name in ("origin", "stratum"):
            found = found.append_column(name, rows[name].cast(pa.string()))
        return self._by_strata(found, counts)

    def _by_strata(self, found: pa.Table, counts: Counts) -> pa.Table:
        for i, (quota, told) in enumerate(zip(self.spec.all_quotas, self._told, strict=True)):
            n, is_untold = found.num_rows, told is None
            if quota.not_used_by:
                found = found.append_column(f"used_{i}", left_out(found, i, self.spec, counts))
            found = found.append_column(f"changed_{i}", pa.repeat(pa.scalar(is_untold), n))
            found = as_recorded(found, i, self.spec, counts).drop_columns(f"changed_{i}")
        return found


@contextmanager
def in_memory() -> Iterator[Connection]:
    """Yield a connection to an empty database in memory that reaches nothing outside it."""
    connect = {"config": _ISOLATED}
    engine = create_engine(URL.create("duckdb", database=":memory:"), connect_args=connect, poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
