"""The documents that a mix would take if only somebody knew that people wrote them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from sqlalchemy import LargeBinary, Select, Subquery, cast, literal, null, select, union
from sqlalchemy.exc import DBAPIError

from provenance.ids import uuid_array
from provenance.mix.attributes import groups_of, known_attributes
from provenance.mix.candidate_query import CandidateQuery
from provenance.mix.candidates import checked_condition, database_reason, require_training_sets
from provenance.mix.errors import ConditionError
from provenance.mix.spec import MixSpec
from provenance.records import GRADES
from provenance.store.store import Store
from provenance.store.views import documents


def wanted_by(store: Store, spec: MixSpec) -> pa.Table:
    """Return the documents of unknown origin (column document_id) that a mix would want if people wrote them.

    Those that would pass its filter and exclusions and, of a quota with a minimum or of the filter itself, satisfy the
    condition that they do not satisfy now. Shared spans and evaluation files are not looked at: that would take as
    long as the mix itself.

    Raises
    ------
    ConditionError, UnknownName, SpecError
        If the mix cannot be made of this store.
    """
    require_training_sets(store, spec)
    with store.read() as connection:
        attributes = known_attributes(connection)
    conditions = [None if q.where is None else checked_condition(store, q.where, attributes) for q in spec.all_quotas]
    where = None if spec.where is None else checked_condition(store, spec.where, attributes)
    groups = groups_of(spec, attributes)
    now = CandidateQuery(spec, conditions, where, groups, of=_unknown("now"))
    then = CandidateQuery(spec, conditions, where, groups, of=_unknown("then", **_AS_HUMAN))
    minima = [c for q, c in zip(spec.all_quotas, conditions, strict=True) if c is not None and q.min]
    parts: list[Select[Any]] = []
    for condition in (None, *minima):
        passing = then.passing_ids(condition)
        parts.append(passing.where(passing.selected_columns[0].not_in(now.passing_ids(condition))))
    found = union(*parts).subquery("wanted")
    try:
        rows = store.fetch(select(cast(found.c.document_id, LargeBinary).label("id")))
    except DBAPIError as error:
        texts = [c.text for c in (*minima, where) if c]
        raise ConditionError(" / ".join(texts), database_reason(error)) from error
    return pa.table({"document_id": uuid_array(rows["id"].combine_chunks())})


_AS_HUMAN: dict[str, Any] = {
    "origin": literal("human"),
    "generation": literal(0),
    "generation_is_bound": literal(False),
    "mean_ancestry": literal(0.0),
    "human_ancestry": literal(1.0),
    "model": null(),
    "conflict": null(),
    "evidence_grade": literal(GRADES[-1]),
    "evidence_rank": literal(len(GRADES) - 1),
}


def _unknown(purpose: str, **replaced: Any) -> Subquery:
    """Return the documents of unknown origin, under the name of the view, with some columns replaced."""
    view = documents.alias(f"documents_{purpose}")
    columns = [cast(replaced[c.name], c.type).label(c.name) if c.name in replaced else c for c in view.c]
    return select(*columns).where(view.c.origin == "unknown").subquery("documents")
