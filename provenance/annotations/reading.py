"""Files with scores or labels, read as Arrow tables: one row a record, its key, its place, a column an attribute."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from uuid import UUID

import pyarrow as pa

from provenance.annotations.errors import (
    AnnotationRefused,
    AnnotationsUnreadable,
    AttributeDiffers,
    InvalidAttribute,
    NoSuchField,
    TooManyAttributes,
)
from provenance.annotations.names import require_kinds, require_name
from provenance.annotations.values import Unfit, UnfitAt, column, kind_of, shown
from provenance.errors import FieldMissing, UnreadableFile
from provenance.ingest.inputs import Input, find_inputs
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import Chunk, Reader, ReadOptions

#: Formats whose values are text that may stand for something else.
_CELLS = frozenset(("csv",))
#: More new attributes in one command than this are fields that nobody meant.
_MOST_NEW = 100
#: Fields that may hold an external id where none was named: the attribute of documents, or what ingest takes for it.
_EXTERNAL_ID_FIELDS = ("external_id", "id")


@dataclass
class Attribute:
    """An attribute as the files give it.

    Attributes
    ----------
    name : the attribute
    field : the field that holds its values
    kind : number, text or boolean; None as long as no value was seen
    is_stored : the store has it
    is_stated : its kind was stated, and values are read as of that kind
    first : the first value, for messages, and where it stands; None as long as there is none
    """

    name: str
    field: str
    kind: str | None = None
    is_stored: bool = False
    is_stated: bool = False
    first: tuple[str, str] | None = None


@dataclass
class AnnotationReader:
    """Reads files with scores or labels.

    Attributes
    ----------
    key : document_id, content_id or external_id
    key_field : field that holds the key; None for one named like the key
    fields : fields to take; None for all but the key
    rename : field -> name of its attribute, where that is another
    kinds : attribute -> kind, where that was stated
    stored : attribute -> kind, of the store's attributes
    attributes : those met so far, by field
    seen : fields met so far, as far as they were looked at
    n_records : records read so far
    """

    key: str
    key_field: str | None
    fields: tuple[str, ...] | None
    rename: Mapping[str, str]
    kinds: Mapping[str, str]
    stored: Mapping[str, str]
    attributes: dict[str, Attribute] = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)
    n_records: int = 0

    def __post_init__(self) -> None:
        require_kinds(self.kinds)
        for name, kind in self.kinds.items():
            if self.stored.get(name, kind) != kind:
                raise AttributeDiffers(name, "kind", self.stored[name], kind)
        for one in dict.fromkeys((*(self.fields or ()), *self.rename)):
            self._attribute(one)

    def tables(self, files: Sequence[str | os.PathLike[str]], format_name: str | None = None) -> Iterator[pa.Table]:
        """Yield tables with the columns key, file, place (text) and one for every attribute that has a value.

        Raises
        ------
        AnnotationsUnreadable
            If a file is missing or damaged.
        AnnotationRefused
            If a record cannot be read, has no key, or has a value that cannot be taken.
        NoSuchField
            If a field that must be there is not.
        InvalidAttribute, AttributeNameTaken, TooManyAttributes
            If a field cannot become an attribute.
        """
        try:
            for file in find_inputs(files):
                yield from self._tables_of(file, reader_for(file, format_name))
        except UnreadableFile as error:
            raise AnnotationsUnreadable(error.file, error.reason) from error
        self._require_found()

    def _tables_of(self, file: Input, reader: Reader) -> Iterator[pa.Table]:
        key_field = self.key_field or (None if self.key == "external_id" else self.key)
        options = ReadOptions(fields=() if key_field is None else (key_field,))
        try:
            for block in reader.blocks(file, options):
                chunk = reader.parse(block, options)
                for refused in chunk.refused:
                    detail = f" ({refused.detail})" if refused.detail else ""
                    raise AnnotationRefused(file.name, refused.place, f"{refused.reason}{detail}")
                if chunk.records:
                    key_field = key_field or _external_id_field(chunk.records[0])
                    yield self._table(chunk, key_field, is_cell=reader.name in _CELLS)
        except FieldMissing as error:
            raise NoSuchField(error.field, f"{error.file} has no", error.fields, "--key-field") from error

    def _table(self, chunk: Chunk, key_field: str, *, is_cell: bool) -> pa.Table:
        records = chunk.records
        columns: dict[str, Any] = {
            "key": pa.array(_keys(chunk, key_field), pa.string()),
            "file": pa.repeat(chunk.file, len(records)),
            "place": pa.array(chunk.places, pa.string()),
        }
        fields = dict.fromkeys(chain.from_iterable(records)) if self.fields is None else self.fields
        self.seen |= dict.fromkeys(fields if self.fields is None else records[0])
        for one in fields:
            if one == key_field:
                continue
            attribute = self._attribute(one)
            values = [record.get(one) for record in records]
            if self._settle_kind(attribute, values, chunk, is_cell=is_cell):
                columns[attribute.name] = self._column(attribute, values, chunk, is_cell=is_cell)
        self.n_records += len(records)
        return pa.table(columns)

    def _settle_kind(self, attribute: Attribute, values: Sequence[Any], chunk: Chunk, *, is_cell: bool) -> bool:
        """Find the kind of an attribute where it is not known; return whether there is a value at all."""
        i = next((i for i, value in enumerate(values) if value is not None), None)
        if i is None:
            return False
        if attribute.first is None:
            attribute.first = (shown(values[i]), f"{chunk.file}, {chunk.places[i]}")
        if attribute.kind is None:
            try:
                attribute.kind = kind_of(values[i], is_cell=is_cell)
            except Unfit as unfit:
                reason = f"the value of {attribute.field!r}: {unfit}"
                raise AnnotationRefused(chunk.file, chunk.places[i], reason) from unfit
        return True

    def _column(self, attribute: Attribute, values: Sequence[Any], chunk: Chunk, *, is_cell: bool) -> pa.Array:
        assert attribute.kind is not None
        is_meant = attribute.is_stated or (attribute.is_stored and is_cell)
        try:
            return column(values, attribute.kind, is_cell=is_cell, is_meant=is_meant)
        except UnfitAt as unfit:
            place = chunk.places[unfit.i]
            reason = f"the value of {attribute.field!r}: {unfit.reason}{_why(attribute, f'{chunk.file}, {place}')}"
            raise AnnotationRefused(chunk.file, place, reason) from unfit

    def _attribute(self, field_name: str) -> Attribute:
        """Return the attribute that a field's values become."""
        if field_name in self.attributes:
            return self.attributes[field_name]
        name = self.rename.get(field_name, field_name)
        require_name(name, field_name)
        for other in self.attributes.values():
            if other.name == name:
                raise InvalidAttribute(name, f"both {other.field!r} and {field_name!r} would become it.")
        kind = self.kinds.get(name, self.stored.get(name))
        made = Attribute(name, field_name, kind, name in self.stored, name in self.kinds)
        self.attributes[field_name] = made
        new = [one.name for one in self.attributes.values() if not one.is_stored]
        if len(new) > _MOST_NEW and self.fields is None:
            raise TooManyAttributes(_MOST_NEW, new[:5])
        return made

    def _require_found(self) -> None:
        """Raise unless everything that was named occurred."""
        for option, named in (("--fields", self.fields or ()), ("--rename", self.rename)):
            for one in named:
                if one not in self.attributes or self.attributes[one].first is None:
                    raise NoSuchField(one, "No record has a value in the", self.seen, option)
        names = {one.name for one in self.attributes.values()}
        for name in self.kinds:
            if name not in names:
                raise NoSuchField(name, "No record has a value in the", names, "--kind")


def _external_id_field(record: Mapping[str, Any]) -> str:
    return next((name for name in _EXTERNAL_ID_FIELDS if name in record), _EXTERNAL_ID_FIELDS[0])


def _keys(chunk: Chunk, key_field: str) -> list[str]:
    keys: list[Any] = [record.get(key_field) for record in chunk.records]
    if {type(key) for key in keys} == {str}:
        return keys
    return [_key(value, chunk, i, key_field) for i, value in enumerate(keys)]


def _key(value: Any, chunk: Chunk, i: int, key_field: str) -> str:
    if isinstance(value, str | UUID):
        return str(value)
    if isinstance(value, bytes) and len(value) == 16:  # how other programs keep a UUID in Parquet
        return str(UUID(bytes=value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if key_field not in chunk.records[i]:
        where = f"{chunk.file}, {chunk.places[i]}, has no"
        raise NoSuchField(key_field, where, chunk.records[i], "--key-field")
    raise AnnotationRefused(chunk.file, chunk.places[i], f"the key {key_field!r} is {shown(value)}, expected an id")


def _why(attribute: Attribute, place: str) -> str:
    """Return what a value ought to have been like, for messages."""
    if attribute.is_stored:
        return f"; the attribute {attribute.name!r} holds {attribute.kind} values since it was first used"
    if attribute.is_stated or attribute.first is None or attribute.first[1] == place:
        return ""
    value, first_place = attribute.first
    return f" like {value} in {first_place}; state --kind {attribute.name}=text to keep both as text"
