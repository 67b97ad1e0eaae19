"""Which human documents stand behind a model or a text, and with how much weight: from the store alone.

A model's weight is shared out over its training set: every document has the share of the set that it makes up, in the
unit of the set's budget. A synthetic document of one of our models passes its share on to that model's training set,
and so on down to documents that no model of ours wrote. Weights that a model inherits as numbers, because it began
from an earlier model (`init: previous`), are not text and are not counted.

Depth counts the models between: what a model was trained on itself stands at depth 1, what the model was trained on
that wrote that text at depth 2. Under `accumulate` the same document stands at several depths.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from sqlalchemy import select

from provenance.errors import UnknownName
from provenance.store import schema
from provenance.store.store import Store, registered
from training.errors import AncestryUnknown

_UNITS = {"tokens": "n_tokens", "words": "n_words", "bytes": "n_bytes"}


@dataclass(frozen=True)
class Root:
    """A document that no model of ours wrote, with what it contributes.

    Attributes
    ----------
    weight : 0..1, its share of all that stands behind the sample
    nearest, farthest : the depths at which it stands
    """

    document_id: str
    origin: str
    source: str
    external_id: str | None
    weight: float
    nearest: int
    farthest: int


@dataclass(frozen=True)
class Level:
    """What stands at one depth, as exact shares of the whole.

    Attributes
    ----------
    models : those whose training sets are looked at here, with the weight that came to each
    human : human documents in these sets
    other : documents in them that are neither human nor of a model of ours
    passed_on : documents of our models, whose training sets stand one level deeper
    """

    depth: int
    models: dict[str, Fraction]
    human: Fraction
    other: Fraction
    passed_on: Fraction


@dataclass(frozen=True)
class Ancestry:
    """What stands behind a model, or behind a document.

    Attributes
    ----------
    subject : name of the model, or id of the document
    model : the model that it is, or that wrote it; None for a document that no model of ours wrote
    generation : of the subject
    levels : by depth, from 1
    roots : all documents with a weight, the heaviest first; their weights sum to 1
    prompts : ids of the documents that a text continues; they have no weight, only training text has
    """

    subject: str
    model: str | None
    generation: int | None
    levels: tuple[Level, ...]
    roots: tuple[Root, ...]
    prompts: tuple[str, ...] = ()

    @property
    def human_share(self) -> Fraction:
        """Weight of human documents in all, exactly."""
        return sum((level.human for level in self.levels), start=Fraction(0))


def ancestry(store: Store, subject: str) -> Ancestry:
    """Return what stands behind a model of ours (by name) or behind any document (by id).

    Raises
    ------
    UnknownName
        If the store has neither model nor document of that name.
    AncestryUnknown
        If the model is not one of ours: nobody knows what it was trained on.
    """
    models = _our_models(store)
    document = _document(store, subject)
    if document is None:
        if subject not in models:
            _refuse(store, subject)
        return _behind(store, models, subject, subject, models[subject].generation)
    prompts = tuple(str(one) for one in store.fetch(_PROMPTS, {"document": subject})["parent_id"].to_pylist())
    if document["model"] in models:
        return _behind(store, models, subject, document["model"], document["generation"], prompts)
    if document["origin"] == "synthetic":
        _refuse(store, str(document["model"]))
    own = Root(**{key: document[key] for key in _LABELS}, weight=1.0, nearest=0, farthest=0)
    is_human = Fraction(document["origin"] == "human")
    level = Level(0, {}, human=is_human, other=1 - is_human, passed_on=Fraction(0))
    return Ancestry(subject, None, document["generation"], (level,), (own,), prompts)


@dataclass(frozen=True)
class _OurModel:
    """A model that was fitted on a training set of the store; `unit` is the column that its shares count in."""

    training_set: str
    unit: str
    generation: int | None


def _our_models(store: Store) -> dict[str, _OurModel]:
    model, made = schema.model.c, schema.training_set.c
    columns = model.name, model.training_set, model.generation, made.budget_unit
    query = select(*columns).join(schema.training_set, made.name == model.training_set)
    return {
        row["name"]: _OurModel(row["training_set"], _UNITS.get(row["budget_unit"], "1"), row["generation"])
        for row in store.fetch(query).to_pylist()
    }


_LABELS = ("document_id", "origin", "source", "external_id")
_PROMPTS = "SELECT parent_id FROM parent WHERE document_id = CAST(:document AS UUID) ORDER BY parent_id"


def _document(store: Store, subject: str) -> dict[str, Any] | None:
    try:
        wanted = UUID(subject)
    except ValueError:
        return None
    d = schema.document.c
    columns = [d[name] for name in (*_LABELS, "model", "generation")]
    rows = store.fetch(select(*columns).where(d.document_id == wanted)).to_pylist()
    return {**rows[0], "document_id": str(rows[0]["document_id"])} if rows else None


def _refuse(store: Store, subject: str) -> None:
    """Raise the error that says why nothing is known about a model."""
    names = store.fetch(select(schema.model.c.name))["name"].to_pylist()
    if subject in names:
        raise AncestryUnknown(subject)
    raise UnknownName("model or document", subject, names, hint="List models with: recurse runs")


def _behind(
    store: Store,
    models: dict[str, _OurModel],
    subject: str,
    model: str,
    generation: int | None,
    prompts: tuple[str, ...] = (),
) -> Ancestry:
    levels: list[Level] = []
    weights = {model: Fraction(1)}
    sets: dict[str, tuple[int, list[dict[str, Any]]]] = {}
    entered: list[tuple[str, int, str, float]] = []  # training set, depth, unit, weight of one unit
    while weights:
        depth = len(levels) + 1
        if depth > len(models):
            raise AncestryUnknown(subject)  # a circle: somebody changed rows by hand
        below: dict[str, Fraction] = {}
        human = other = passed_on = Fraction(0)
        for name, weight in sorted(weights.items()):
            ours = models[name]
            if name not in sets:
                sets[name] = _composition(store, ours)
            total, parts = sets[name]
            entered.append((ours.training_set, depth, ours.unit, float(weight / total)))
            for part in parts:
                share = weight * Fraction(int(part["n"]), total)
                if part["model"] in models and part["origin"] == "synthetic":
                    below[part["model"]] = below.get(part["model"], Fraction(0)) + share
                    passed_on += share
                elif part["origin"] == "human":
                    human += share
                else:
                    other += share
        levels.append(Level(depth, dict(weights), human, other, passed_on))
        weights = below
    roots = _roots(store, entered, sorted(models))
    return Ancestry(subject, model, generation, tuple(levels), roots, prompts)


def _composition(store: Store, model: _OurModel) -> tuple[int, list[dict[str, Any]]]:
    """Return the units of a training set in all, and by origin and model."""
    query = _COMPOSITION.format(unit=model.unit)
    parts = store.fetch(query, {"training_set": model.training_set}).to_pylist()
    return sum(int(part["n"]) for part in parts), parts


def _roots(store: Store, entered: list[tuple[str, int, str, float]], ours: list[str]) -> tuple[Root, ...]:
    """Return the documents that no model of ours wrote in all sets that were looked at, with their weights."""
    by_unit: dict[str, list[tuple[str, int, float]]] = {}
    for name, depth, unit, weight in entered:
        by_unit.setdefault(unit, []).append((name, depth, weight))
    tables = []
    for unit, rows in by_unit.items():
        names, depths, weights = zip(*rows, strict=True)
        looked_at = pa.table({"training_set": names, "depth": depths, "unit_weight": weights})
        with (
            store.read() as connection,
            registered(connection, looked_at=looked_at, ours=pa.table({"name": pa.array(ours, pa.string())})) as raw,
        ):
            tables.append(raw.execute(_ROOTS.format(unit=unit)).to_arrow_table())
    if len(tables) == 1:
        return tuple(Root(**row) for row in tables[0].to_pylist())
    return _merged(pa.concat_tables(tables))


def _merged(table: pa.Table) -> tuple[Root, ...]:
    """Return documents that stand in sets of several units once, the heaviest first."""
    sums = [("weight", "sum"), ("nearest", "min"), ("farthest", "max")]
    found = table.group_by(list(_LABELS), use_threads=False).aggregate(sums)
    found = found.rename_columns(
        [name.removesuffix("_sum").removesuffix("_min").removesuffix("_max") for name in found.column_names]
    )
    order = np.lexsort((np.array(found["document_id"].to_pylist()), -found["weight"].to_numpy()))
    return tuple(Root(**row) for row in found.take(pa.array(order)).to_pylist())


_COMPOSITION = """
SELECT origin, model, sum({unit})::BIGINT AS n FROM training_set_item
WHERE training_set = :training_set GROUP BY ALL ORDER BY ALL
"""
_ROOTS = """
WITH found AS (
    SELECT i.document_id, i.origin, i.source, sum({unit} * l.unit_weight) AS weight,
           min(l.depth) AS nearest, max(l.depth) AS farthest
    FROM training_set_item i JOIN looked_at l USING (training_set)
    WHERE i.origin <> 'synthetic' OR i.model IS NULL OR i.model NOT IN (SELECT name FROM ours)
    GROUP BY ALL
)
SELECT f.document_id::VARCHAR AS document_id, f.origin, f.source, d.external_id, f.weight::DOUBLE AS weight,
       f.nearest::INTEGER AS nearest, f.farthest::INTEGER AS farthest
FROM found f LEFT JOIN document d USING (document_id)
WHERE f.weight > 0
ORDER BY weight DESC, document_id
"""
