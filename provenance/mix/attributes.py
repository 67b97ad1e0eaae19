"""Attributes in mixes: which ones conditions may name, and the values that quotas and weights are set for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, String, cast, literal_column

from provenance.mix.conditions import Attributes, attribute_sql
from provenance.mix.errors import SpecError, unknown_word
from provenance.mix.spec import MixSpec
from provenance.mix.spec_fields import ATTRIBUTE_PREFIX
from provenance.store.attributes import stored_attributes


def known_attributes(connection: Connection) -> Attributes:
    """Return the attributes that conditions may name."""
    return tuple(stored_attributes(connection).items())


@dataclass(frozen=True)
class Groups:
    """The columns and attributes by whose values a mix groups documents.

    Attributes
    ----------
    kinds : kind of every attribute
    """

    kinds: dict[str, str]

    def value(self, column: str, table: FromClause) -> ColumnElement[Any]:
        """Return a document's value as text; `table` has the columns of the documents view."""
        for name in self.attributes_of(column):
            return cast(literal_column(attribute_sql(name, self.kinds[name])), String)
        return cast(table.c[column], String)

    def attributes_of(self, column: str) -> tuple[str, ...]:
        """Return the attribute that is meant, or none where it is a column."""
        return (column.removeprefix(ATTRIBUTE_PREFIX),) if column.startswith(ATTRIBUTE_PREFIX) else ()


def groups_of(spec: MixSpec, attributes: Attributes) -> Groups:
    """Return by what a mix groups documents.

    Raises
    ------
    SpecError
        If it names an attribute that is not there, or one that holds numbers.
    """
    kinds = dict(attributes)
    named = [quota.per for quota in spec.all_quotas if quota.per] + [*spec.weights.columns, *spec.repeats.per]
    groups = Groups(kinds)
    for name in (name for column in named for name in groups.attributes_of(column)):
        if name not in kinds:
            raise SpecError([unknown_word("attribute of the store", name, kinds)])
        if kinds[name] == "number":
            raise SpecError([f"the attribute {name!r} holds numbers: set quotas and weights by conditions on it"])
    return groups
