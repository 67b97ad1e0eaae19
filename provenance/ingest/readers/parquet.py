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
        broken = [name for name, value in record.items() if isinstance(value, _Undecodable)]
        if broken:
            raw = record[broken[0]].raw
            refused.append(Refused(place, base.INVALID_UTF8, f"column {broken[0]!r}", raw))
            continue
        places.append(place)
        records.append(record)
    return Chunk(file, places, records, lambda i: _raw(records[i]), refused, batch.nbytes, position)


class _Undecodable:
    """A value of a text column that is no UTF-8."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
        return rows
    except UnicodeDecodeError:  # Parquet readers do not check text: find the culprits value by value
        columns = {name: _decode(batch.column(name)) for name in batch.schema.names}
        return [{name: values[i] for name, values in columns.items()} for i in range(batch.num_rows)]


def _decode(column: pa.Array) -> list[Any]:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        values: list[Any] = column.to_pylist()
        return values
    return [value if value is None else _decoded(value) for value in column.cast(pa.large_binary()).to_pylist()]


def _decoded(value: bytes) -> str | _Undecodable:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return _Undecodable(value)


def _raw(record: dict[str, Any]) -> bytes:
    """Return the row as JSON; Parquet has no bytes of a row."""
    return orjson.dumps(record, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
