"""Training sets whose documents were relabelled or removed since they were drawn.

A training set records the labels of its draws, so nothing in it changes; but what was true of a document then may not
be what is known of it today.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, or_, select

from provenance.mix.errors import Violation
from provenance.mix.verify import verify
from provenance.store import schema

if TYPE_CHECKING:
    from provenance.store.store import Store

#: The labels that a draw records; the cluster is apart, because it changes with every near-duplicate that comes in.
LABELS = ("origin", "generation", "evidence_rank", "model", "licence_class")


@dataclass(frozen=True)
class StaleSet:
    """A training set that was drawn by other labels than today's.

    Attributes
    ----------
    name : the training set
    n_draws : all its draws
    relabelled : draws of which any label is another today
    labels : label -> draws of which it is another today
    cluster : draws whose document is in another near-duplicate cluster today
    gone_documents, gone_draws : documents that are no longer in the store, and their draws
    violations : what does not hold by today's labels
    """

    name: str
    n_draws: int
    relabelled: int
    labels: dict[str, int]
    cluster: int
    gone_documents: int
    gone_draws: int
    violations: tuple[Violation, ...]

    @property
    def meets_quotas(self) -> bool:
        """Whether every quota holds by today's labels; removed documents count for nothing."""
        return not any(violation.claim.startswith("quota ") for violation in self.violations)

    def as_mapping(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {**asdict(self), "meets_quotas": self.meets_quotas}


def stale_sets(store: Store) -> list[StaleSet]:
    """Return the training sets with a draw that is relabelled, in another cluster or gone today, by name."""
    counts = [row for row in store.fetch(_query()).to_pylist() if _is_changed(row)]
    return [
        StaleSet(
            row["name"],
            row["n_draws"],
            row["relabelled"],
            {label: row[label] for label in LABELS},
            row["cluster"],
            row["gone_documents"],
            row["gone_draws"],
            verify(store, row["name"]).as_of_now,
        )
        for row in counts
    ]


def _is_changed(row: dict[str, Any]) -> bool:
    return bool(row["relabelled"] or row["cluster"] or row["gone_draws"])


def _query() -> Any:
    """Return the query that counts the changed draws of every training set."""
    item, document = schema.training_set_item.c, schema.document.c
    is_there = document.document_id.is_not(None)
    differs: dict[str, ColumnElement[bool]] = {
        label: is_there & item[label].is_distinct_from(document[label]) for label in (*LABELS, "cluster_id")
    }
    columns: list[ColumnElement[Any]] = [
        item.training_set.label("name"),
        func.count().label("n_draws"),
        func.count().filter(or_(*(differs[label] for label in LABELS))).label("relabelled"),
        *(func.count().filter(differs[label]).label(label) for label in LABELS),
        func.count().filter(differs["cluster_id"]).label("cluster"),
        func.count(item.document_id.distinct()).filter(~is_there).label("gone_documents"),
        func.count().filter(~is_there).label("gone_draws"),
    ]
    joined = schema.training_set_item.outerjoin(schema.document, document.document_id == item.document_id)
    return select(*columns).select_from(joined).group_by(item.training_set).order_by(item.training_set)
