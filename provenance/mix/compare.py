"""The difference between two training sets: their documents, and the fields of their specifications.

The draw inside a stratum is a fixed order, so a larger budget keeps what was drawn before in every stratum whose
allocation did not shrink. `Difference` names the strata that shrank, and those that lost draws nevertheless.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Connection, String, cast, func, literal, select

from provenance.errors import UnknownName
from provenance.mix.manifest_form import full_spec
from provenance.store import schema
from provenance.store.store import fetch

if TYPE_CHECKING:
    from sqlalchemy.sql.selectable import CTE

    from provenance.store.store import Store

#: What documents are counted by.
DIMENSIONS = ("origin", "source", "stratum")
_UNITS = {"words": "n_words", "bytes": "n_bytes", "tokens": "n_tokens"}


@dataclass(frozen=True)
class Side:
    """What one of two sets draws in a group.

    Attributes
    ----------
    documents, draws, words : all of it; a document that is drawn twice is one document, two draws and twice its words
    only_documents, only_draws, only_words : of it, documents that the other set draws in no group
    surplus : draws more than the other set has in this group, of documents that both draw in it
    moved : documents that the other set draws as well, but in other groups alone
    """

    documents: int = 0
    draws: int = 0
    words: int = 0
    only_documents: int = 0
    only_draws: int = 0
    only_words: int = 0
    surplus: int = 0
    moved: int = 0


@dataclass(frozen=True)
class Group:
    """The documents of one origin, source or stratum in both sets.

    Attributes
    ----------
    value : the origin, source or stratum; empty for everything
    a, b : what the sets draw
    """

    value: str
    a: Side
    b: Side

    @property
    def n_different(self) -> int:
        """Documents that only one set draws here, and draws more that one has of the others."""
        return sum(side.only_documents + side.moved + side.surplus for side in (self.a, self.b))

    @property
    def lost(self) -> int:
        """Draws of the first set here that the second does not have; documents that moved are not lost."""
        return self.a.only_draws + self.a.surplus


@dataclass(frozen=True)
class Field:
    """A field of the specification that differs: its dotted name and both values, None where there is none."""

    field: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Compared:
    """One of the two sets.

    Attributes
    ----------
    name, digest : of the set
    human : human share of its documents (draws), words, bytes and tokens; None where there is nothing to count
    """

    name: str
    digest: str
    human: dict[str, float | None]


@dataclass(frozen=True)
class Difference:
    """How two training sets differ.

    Attributes
    ----------
    a, b : the sets
    total : everything they draw
    groups : dimension -> its groups, the most different first
    fields : what differs in their specifications, but for the names
    """

    a: Compared
    b: Compared
    total: Group
    groups: dict[str, list[Group]]
    fields: list[Field]

    @property
    def same_draws(self) -> bool:
        """Whether they have the same draws in the same order."""
        return self.a.digest == self.b.digest

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        parts = [self.total, *(group for groups in self.groups.values() for group in groups)]
        return self.same_draws and not self.fields and not any(part.n_different for part in parts)

    @property
    def shrunk(self) -> list[Group]:
        """The strata of the first set from which the second draws less."""
        return [group for group in self.groups["stratum"] if group.b.draws < group.a.draws]

    @property
    def lost(self) -> list[Group]:
        """The strata of the first set that lost draws although the second draws no less from them."""
        strata = self.groups["stratum"]
        return [group for group in strata if group.lost and group.b.draws >= group.a.draws]

    @property
    def kept(self) -> list[Group]:
        """The strata of the first set all whose draws the second has."""
        return [group for group in self.groups["stratum"] if group.a.draws and not group.lost and not group.a.moved]

    def as_mapping(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {
            "a": asdict(self.a),
            "b": asdict(self.b),
            "same_draws": self.same_draws,
            "documents_in_both": self.total.a.documents - self.total.a.only_documents,
            "total": _counts(self.total),
            **{f"by_{name}": [{name: g.value, **_counts(g)} for g in groups] for name, groups in self.groups.items()},
            "strata_that_shrank": [_loss(group) for group in self.shrunk],
            "strata_that_lost_draws": [_loss(group) for group in self.lost],
            "strata_kept": len(self.kept),
            "specification": [asdict(field) for field in self.fields],
        }


def _counts(group: Group) -> dict[str, Any]:
    return {name: value for name, value in asdict(group).items() if name != "value"}


def _loss(group: Group) -> dict[str, Any]:
    draws = {"draws_a": group.a.draws, "draws_b": group.b.draws}
    return {"stratum": group.value, **draws, "lost": group.lost, "moved": group.a.moved}


def compare(store: Store, a: str, b: str) -> Difference:
    """Return how the training set `b` differs from the training set `a`.

    Raises
    ------
    UnknownName
        If there is no training set of one of the names.
    """
    with store.read() as connection:
        rows = {name: _row(connection, name) for name in (a, b)}
        sides = [Compared(name, rows[name]["digest"], _human(connection, name)) for name in (a, b)]
        totals = _groups(connection, a, b, None)
        groups = {dimension: _groups(connection, a, b, dimension) for dimension in DIMENSIONS}
    one, other = (full_spec(json.loads(rows[name]["spec"])) for name in (a, b))
    fields = [field for field in differing(one, other) if field.field != "name"]
    total = totals[0] if totals else Group("", Side(), Side())
    return Difference(sides[0], sides[1], total, groups, fields)


def _row(connection: Connection, name: str) -> dict[str, Any]:
    own = schema.training_set.c
    rows = fetch(connection, select(own.digest, own.spec).where(own.name == name)).to_pylist()
    if not rows:
        known = fetch(connection, select(own.name))["name"].to_pylist()
        raise UnknownName("training set", name, known, hint="See: provenance training-sets")
    row: dict[str, Any] = rows[0]
    return row


def _human(connection: Connection, name: str) -> dict[str, float | None]:
    """Return the human share of a set's draws in every unit; None where there is nothing, or not all is counted."""
    item = schema.training_set_item.c
    is_human = item.origin == "human"
    columns: list[ColumnElement[Any]] = [func.count().label("n"), func.count().filter(is_human).label("documents")]
    for unit, column in _UNITS.items():
        whole, human = func.sum(item[column]), func.coalesce(func.sum(item[column]).filter(is_human), 0)
        columns += [_whole(func.count(item[column])).label(f"n_{unit}"), _whole(whole).label(f"all_{unit}")]
        columns.append(_whole(human).label(unit))
    row = fetch(connection, select(*columns).where(item.training_set == name)).to_pylist()[0]
    shares: dict[str, float | None] = {"documents": row["documents"] / row["n"] if row["n"] else None}
    for unit in _UNITS:
        is_counted = row[f"n_{unit}"] == row["n"] and row[f"all_{unit}"]
        shares[unit] = row[unit] / row[f"all_{unit}"] if is_counted else None
    return shares


def _groups(connection: Connection, a: str, b: str, dimension: str | None) -> list[Group]:
    """Return what both sets draw for every value of a column of the draws, or altogether."""
    left, right = _per_document(a, dimension, "a"), _per_document(b, dimension, "b")
    is_same = (left.c.document_id == right.c.document_id) & (left.c.value == right.c.value)
    joined = left.join(right, is_same, full=True)
    value = func.coalesce(left.c.value, right.c.value).label("value")
    query = select(value, *_side(left, right), *_side(right, left)).select_from(joined).group_by(value)
    rows = fetch(connection, query).to_pylist()
    names = Side.__dataclass_fields__
    groups = []
    for row in rows:
        own, other = (Side(**{name: row[f"{side}_{name}"] for name in names}) for side in "ab")
        groups.append(Group(row["value"], own, other))
    return sorted(groups, key=lambda group: (-group.n_different, group.value))


def _per_document(name: str, dimension: str | None, side: str) -> CTE:
    """Return how often a set draws every document, and its words, for every value of a column."""
    item = schema.training_set_item.c
    value = cast(literal(""), String) if dimension is None else item[dimension]
    sums = func.count().label("draws"), func.sum(item.n_words).label("words")
    query = select(item.document_id, value.label("value"), *sums).where(item.training_set == name)
    return query.group_by(item.document_id, value).cte(side)


def _side(own: CTE, other: CTE) -> Iterator[ColumnElement[Any]]:
    """Yield the counts of a `Side` over the full join of both sets."""
    is_shared = own.c.document_id.in_(select(other.c.document_id))
    counted = {"documents": func.count(own.c.document_id), "draws": func.sum(own.c.draws),
               "words": func.sum(own.c.words)}  # fmt: skip
    for name, count in counted.items():
        yield _whole(count).label(f"{own.name}_{name}")
    for name, count in counted.items():
        yield _whole(count.filter(~is_shared)).label(f"{own.name}_only_{name}")
    surplus = func.sum(own.c.draws - other.c.draws).filter(own.c.draws > other.c.draws)
    yield _whole(surplus).label(f"{own.name}_surplus")
    moved = func.count(own.c.document_id).filter(other.c.document_id.is_(None), is_shared)
    yield _whole(moved).label(f"{own.name}_moved")


def _whole(count: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.coalesce(count, 0), BigInteger)


def differing(a: Any, b: Any, name: str = "") -> Iterator[Field]:
    """Yield the fields in which two specifications differ, as plain data; records in lists go by their names.

    Examples
    --------
    >>> list(differing({"seed": 1, "budget": {"words": 5}}, {"seed": 1, "budget": {"words": 6}}))
    [Field(field='budget.words', a=5, b=6)]
    """
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            yield from differing(a.get(key), b.get(key), f"{name}.{key}" if name else key)
        return
    if a == b:
        return
    left, right = _by_name(a), _by_name(b)
    if left is None or right is None:
        yield Field(name, a, b)
        return
    if [n for n in left if n in right] != [n for n in right if n in left]:
        yield Field(f"{name} (their order)", list(left), list(right))
    yield from differing(left, right, name)


def _by_name(records: Any) -> dict[str, Any] | None:
    """Return named records by their names; None for anything else."""
    if not isinstance(records, list) or not all(isinstance(record, dict) and "name" in record for record in records):
        return None
    return {record["name"]: record for record in records}
