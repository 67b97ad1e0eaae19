"""Which field of a record means what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from provenance.errors import MappingError, did_you_mean
from provenance.yaml_text import load_yaml

#: Names under which a field is recognised without being named; where two name the same column, the first in the record
#: counts, and a field that the mapping names comes before all.
_KNOWN = {
    "uri": "uri",
    "url": "uri",
    "author": "author",
    "title": "title",
    "licence": "licence",
    "license": "licence",
    "model": "model",
    "authored_at": "authored_at",
    "date": "authored_at",
    "collected_at": "collected_at",
    "origin": "origin",
    "generation": "generation",
    "parent": "parent",
    "metadata": "metadata",
}


@dataclass(frozen=True, kw_only=True)
class FieldMapping:
    """The field of a record that holds each thing; None for the names that are recognised anyway.

    A name with dots, such as `meta.author`, leads into nested objects where there is no field of that very name.
    What is not named and not recognised is kept as metadata.

    Attributes
    ----------
    text : the text
    id : the record's id in its source, `external_id` in the store
    uri, author, title, licence, origin, generation, model, parent : as in the view `documents`
    date : when it was written or published, `authored_at` in the store
    collected : when the source collected it, `collected_at` in the store

    Raises
    ------
    MappingError
        If two of them are to come from the same field. Only the usual name of the id gives way without being named:
        `uri="id"` leaves records without an id.
    """

    text: str = "text"
    id: str = "id"
    uri: str | None = None
    author: str | None = None
    title: str | None = None
    date: str | None = None
    collected: str | None = None
    licence: str | None = None
    origin: str | None = None
    generation: str | None = None
    model: str | None = None
    parent: str | None = None

    def __post_init__(self) -> None:
        """Refuse a field that is named twice."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        if self.id == FieldMapping.id:
            del given["id"]
        _refuse_twins(given)

    def named(self) -> dict[str, str]:
        """Return field of the record -> column, for the fields that were named."""
        renamed = {"id": "external_id", "date": "authored_at", "collected": "collected_at"}
        return {
            getattr(self, one.name): renamed.get(one.name, one.name)
            for one in fields(self)  # the id comes before all that may take its usual name
            if getattr(self, one.name) is not None
        }

    def columns(self) -> dict[str, str]:
        """Return field of the record -> column, for every field that is recognised."""
        named = self.named()
        taken = set(named.values())
        return {name: column for name, column in _KNOWN.items() if column not in taken} | named

    def required(self) -> tuple[str, ...]:
        """Return the fields that must be there: the text, and what was named beside the id's usual name."""
        usual = (FieldMapping.id, "external_id")
        return tuple(name for name, column in self.named().items() if (name, column) != usual)


def load_mapping(path: str | os.PathLike[str]) -> FieldMapping:
    """Return the mapping that a YAML file holds: what `FieldMapping` has as keys, names of fields as values.

    Raises
    ------
    MappingError
        If the file cannot be read, is no YAML mapping, names something else than a mapping has, gives anything but
        names of fields, or gives one field two purposes.
    """
    file = Path(path)
    try:
        data = load_yaml(file.read_text("utf-8"))
        return FieldMapping(**_checked(data))
    except OSError as error:
        raise MappingError(f"it cannot be read ({error.strerror or error}).", file) from error
    except UnicodeDecodeError as error:
        raise MappingError("it is not UTF-8 text.", file) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise MappingError(f"it is no YAML ({_in_one_line(error)}).", file) from error
    except MappingError as error:
        raise MappingError(error.reason, file) from error


def _checked(data: Any) -> dict[str, str]:
    """Return what a file holds, checked; a thing that is given as null is as if it were not given."""
    if data is None:
        return {}
    known = [one.name for one in fields(FieldMapping)]
    if not isinstance(data, dict):
        raise MappingError(f"expected a mapping with some of: {', '.join(known)}; it holds {_kind(data)}.")
    for name, field in data.items():
        if name not in known:
            close = did_you_mean(str(name), known)
            raise MappingError(f"{name!r} is nothing that can be mapped.{close} Expected some of: {', '.join(known)}.")
        if field is not None and (not isinstance(field, str) or not field):
            raise MappingError(f"{name} is {field!r}, expected the name of a field (in quotes where it is a number).")
    given = {name: field for name, field in data.items() if field is not None}
    _refuse_twins(given)
    return given


def _refuse_twins(given: Mapping[str, str | None]) -> None:
    """Raise `MappingError` where two things are to come from the same field."""
    purposes: dict[str, str] = {}
    for name, field in given.items():
        if field is not None and purposes.setdefault(field, name) != name:
            raise MappingError(f"{purposes[field]} and {name} are both to come from field {field!r}; name another one.")


def _kind(data: Any) -> str:
    return "a list" if isinstance(data, list) else f"only {str(data)[:40]!r}"


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
