"""Rows of Arrow tables as records: what the readers of Parquet and of Hugging Face datasets share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa

from provenance.errors import FieldMissing, UnreadableFile
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Chunk, ReadOptions, Refused, record_as_json


def check_columns(file: str, names: Sequence[str], options: ReadOptions) -> None:
    """Check the names of a table's columns.

    Raises
    ------
    FieldMissing
        If a field that the mapping names is not among them.
    UnreadableFile
        If two columns have the same name.
    """
    for field in options.fields:
        if field not in names and field.partition(".")[0] not in names:
            raise FieldMissing(file, field, names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UnreadableFile(file, f"it has two columns named {twice[0]!r}, expected distinct names")


def chunk_of_rows(file: str, batch: pa.RecordBatch, places: Sequence[str]) -> Chunk:
    """Return the rows of a batch as records; a row with a value that Python cannot take is refused.

    Parameters
    ----------
    places : where each row stands
    """
    chunk = Chunk(file, [], [], None)
    for place, record in zip(places, _rows(batch), strict=True):
        broken = [name for name, value in record.items() if isinstance(value, _Unreadable)]
        if broken:
            reason, detail = record[broken[0]].reason, f"column {broken[0]!r}"
            chunk.refused.append(Refused(place, reason, detail, record_as_json(record), n_before=len(chunk.records)))
            continue
        chunk.places.append(place)
        chunk.records.append(record)
    return chunk


class _Unreadable:
    """A value that Python cannot take: text that is no UTF-8, a date beyond the year 9999."""

    def __init__(self, stored: Any, reason: str) -> None:
        self.stored = stored
        self.reason = reason

    def __repr__(self) -> str:
        return repr(self.stored)


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
        return rows
    except (UnicodeDecodeError, OverflowError, ValueError):  # Parquet readers do not check: find the culprits
        columns = {name: _values(batch.column(name)) for name in batch.schema.names}
        return [{name: values[i] for name, values in columns.items()} for i in range(batch.num_rows)]


def _values(column: pa.Array) -> list[Any]:
    values: list[Any] = []
    for value in column:
        try:
            values.append(value.as_py())
        except UnicodeDecodeError:
            values.append(_Unreadable(_as_stored(value), base.INVALID_UTF8))
        except (OverflowError, ValueError):
            values.append(_Unreadable(_as_stored(value), base.WRONG_TYPE))
    return values


def _as_stored(value: pa.Scalar) -> Any:
    """Return a value with bytes for text and whole numbers for times."""
    return pa.array([value], value.type).cast(_stored_type(value.type))[0].as_py()


def _stored_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _stored_type(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.large_binary()
    if pa.types.is_temporal(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_stored_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_stored_type(kind.key_type), _stored_type(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_stored_type(kind.value_type))
    return kind


def holds_json(kind: pa.DataType) -> bool:
    """Return whether there is JSON, as an Arrow type of its own, in values of a type."""
    if isinstance(kind, pa.JsonType):
        return True
    return any(holds_json(kind.field(i).type) for i in range(kind.num_fields))


def parsed_json(value: Any, kind: pa.DataType) -> Any:
    """Return a value with the objects that the library wrote as JSON because their types are mixed."""
    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    if pa.types.is_struct(kind):
        return {one.name: parsed_json(value[one.name], one.type) for one in kind}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [parsed_json(one, kind.value_type) for one in value]
    return value
