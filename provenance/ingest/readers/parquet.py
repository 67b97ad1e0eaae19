"""Parquet files, read in batches of rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from provenance.errors import FieldMissing, UnreadableFile
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Chunk, ReadOptions, Refused

_ROWS = 4096


class ParquetReader:
    """Reads Parquet; every row is a record."""

    formats = ("Parquet (.parquet)",)

    def matches(self, path: Path, head: bytes) -> bool:
        """Return whether the file begins like Parquet or is named so."""
        return head.startswith(b"PAR1") or path.suffix.lower() in (".parquet", ".pq")

    def read(self, path: Path, options: ReadOptions) -> Iterator[Chunk]:
        """Yield the rows of the file."""
        row = 0
        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
                if options.text_field not in names:
                    raise FieldMissing(str(path), options.text_field, names)
                twice = sorted({name for name in names if names.count(name) > 1})
                if twice:
                    raise UnreadableFile(str(path), f"it has two columns named {twice[0]!r}, expected distinct names")
                size = path.stat().st_size
                n_rows = max(1, file.metadata.num_rows)
                for batch in file.iter_batches(batch_size=_ROWS):
                    yield _chunk(str(path), batch, row, size * (row + batch.num_rows) // n_rows)
                    row += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, UnreadableFile):
                raise
            raise UnreadableFile(str(path), f"damaged or no Parquet after row {row} ({_short(error)})") from error


def _chunk(file: str, batch: pa.RecordBatch, first_row: int, position: int) -> Chunk:
    records: list[dict[str, Any]] = []
    places: list[str] = []
    refused: list[Refused] = []
    for i, record in enumerate(_rows(batch)):
        place = f"row {first_row + i + 1}"
        broken = [name for name, value in record.items() if isinstance(value, _Unreadable)]
        if broken:
            refused.append(Refused(place, record[broken[0]].reason, f"column {broken[0]!r}", _raw(record)))
            continue
        places.append(place)
        records.append(record)
    return Chunk(file, places, records, lambda i: _raw(records[i]), refused, batch.nbytes, position)


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


def _raw(record: dict[str, Any]) -> bytes:
    """Return the row as JSON; Parquet has no bytes of a row."""
    return orjson.dumps(record, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
