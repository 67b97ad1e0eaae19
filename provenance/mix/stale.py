"""Training sets whose documents were relabelled or removed since they were drawn.

A training set records the labels of its draws, so nothing in it changes; but what was true of a document then may not
be what is known of it today.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from provenance.errors import ProvenanceError
from provenance.mix.attributes import known_attributes
from provenance.mix.errors import Violation
from provenance.mix.manifest_form import full_spec
from provenance.mix.spec import MixSpec
from provenance.mix.verify import verify
from provenance.mix.verify_read import Terms
from provenance.store import schema

if TYPE_CHECKING:
    from provenance.store.store import Store

#: The labels that a draw records; the cluster is apart, because it changes with every near-duplicate that comes in.
LABELS = ("origin", "generation", "evidence_rank", "model", "licence_class", "source")


@dataclass(frozen=True)
class StaleSet:
    """How a training set stands to the labels of today.

    Attributes
    ----------
    name : the training set
    n_draws : all its draws
    relabelled : draws of which any label is another today
    labels : label -> draws of which it is another today
    attributes : draws whose document was given an attribute, or another value of it, that the specification reads
    cluster : draws whose document is in another near-duplicate cluster today
    gone_documents, gone_draws : documents that are no longer in the store, and their draws
    taken_down : those of these draws whose document was taken down
    violations : what does not hold by today's labels
    meets_quotas : whether every quota holds by them, where removed documents count for nothing; None where what is
        recorded of the draws is damaged, so that it cannot be told
    """

    name: str
    n_draws: int
    relabelled: int
    labels: dict[str, int]
    attributes: int
    cluster: int
    gone_documents: int
    gone_draws: int
    taken_down: int
    violations: tuple[Violation, ...]
    meets_quotas: bool | None

    @property
    def is_stale(self) -> bool:
        """Whether anything changed since it was drawn."""
        return bool(self.relabelled or self.attributes or self.cluster or self.gone_draws)

    def as_mapping(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {**asdict(self), "is_stale": self.is_stale}


def stale_sets(store: Store, *, every: bool = False) -> list[StaleSet]:
    """Return the training sets with a draw that is relabelled, in another cluster or gone today, by name.

    Parameters
    ----------
    every : also those of which nothing changed
    """
    return list(_stale_sets(store, every=every))


def _stale_sets(store: Store, *, every: bool) -> Iterator[StaleSet]:
    counts = {row["name"]: row for row in store.fetch(_query()).to_pylist()}
    own = schema.training_set.c
    for row in store.fetch(select(own.name, own.created_at, own.spec).order_by(own.name)).to_pylist():
        count = counts.get(row["name"], {})
        with store.read() as connection:
            attributes = _annotated(connection, row["name"], json.loads(row["spec"]), row["created_at"])
        numbers = {name: count.get(name, 0) for name in ("n_draws", "relabelled", "cluster")}
        numbers |= {name: count.get(name, 0) for name in ("gone_documents", "gone_draws", "taken_down")}
        if not (every or attributes or any(numbers[name] for name in ("relabelled", "cluster", "gone_draws"))):
            continue
        verdict = verify(store, row["name"])
        yield StaleSet(
            name=row["name"],
            labels={label: count.get(label, 0) for label in LABELS},
            attributes=attributes,
            violations=verdict.as_of_now,
            meets_quotas=None if verdict.as_drawn else not any(map(_is_of_a_quota, verdict.as_of_now)),
            **numbers,
        )


def _is_of_a_quota(violation: Violation) -> bool:
    return violation.claim.startswith("quota ")


def _annotated(connection: Connection, name: str, spec: dict[str, Any], drawn_at: datetime) -> int:
    """Count the draws that were given an attribute that the specification reads after they were drawn."""
    try:
        terms = Terms(MixSpec.from_mapping(full_spec(spec)), known_attributes(connection))
    except ProvenanceError:  # a specification that cannot be read any more: the verifier says so
        return 0
    if not terms.attributes:
        return 0
    return int(connection.execute(_later(name, terms.attributes, drawn_at)).scalar_one())


def _later(name: str, attributes: Iterable[str], drawn_at: datetime) -> Select[Any]:
    item, annotation = schema.training_set_item.c, schema.annotation.c
    is_later = annotation.attribute.in_(sorted(attributes)) & (annotation.annotated_at > drawn_at)
    changed = select(annotation.document_id).where(is_later)
    return select(func.count()).where(item.training_set == name, item.document_id.in_(changed))


def _query() -> Select[Any]:
    """Return the query that counts the changed draws of every training set."""
    item, document = schema.training_set_item.c, schema.document.c
    is_there = document.document_id.is_not(None)
    taken_down = select(schema.tombstone.c.document_id)
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
        func.count().filter(~is_there & item.document_id.in_(taken_down)).label("taken_down"),
    ]
    joined = schema.training_set_item.outerjoin(schema.document, document.document_id == item.document_id)
    return select(*columns).select_from(joined).group_by(item.training_set)
