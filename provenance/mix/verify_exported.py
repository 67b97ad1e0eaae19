"""Reading exported rows for the verifier, batch after batch, and what their texts say about them."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.dedup.spans import KnownRuns
from provenance.dedup.token_hashes import TokenHasher
from provenance.ids import as_uuid, content_digest, document_digest
from provenance.mix.digest import ITEM_COLUMNS, id_bytes
from provenance.mix.errors import Violation
from provenance.mix.verdict import differs

#: Rows that are looked at at a time.
_ROWS = 20_000
_TEXT, _WORDS = pa.string(), pa.uint32()
#: What a draw records.
ITEMS: dict[str, pa.DataType] = {
    "position": pa.int64(), "document_id": _TEXT, "repeat": _WORDS, "n_words": _WORDS, "n_bytes": pa.int64(),
    "n_tokens": _WORDS, "origin": _TEXT, "generation": _WORDS, "evidence_rank": pa.uint8(), "model": _TEXT,
    "source": _TEXT, "licence_class": _TEXT, "cluster_id": _TEXT, "stratum": _TEXT,
}  # fmt: skip
#: What an export with texts holds beside.
FACTS: dict[str, pa.DataType] = {
    "text": _TEXT, "external_id": _TEXT, "uri": _TEXT, "author": _TEXT, "title": _TEXT,
    "authored_at": pa.timestamp("us"), "licence": _TEXT,
}  # fmt: skip
_NEEDED = ("position", "document_id", "repeat", "n_words", "n_bytes", "origin", "evidence_rank", "source",
           "licence_class", "cluster_id", "stratum", "text")  # fmt: skip


def exported_rows(path: Path, kind: str) -> Iterator[pa.Table]:
    """Yield the rows of an exported file as tables of the columns above.

    Raises
    ------
    ValueError
        If a column is missing or holds something else than it should.
    """
    columns = ITEMS if kind == "manifest" else {**ITEMS, **FACTS}
    batches = _json_lines(path, columns) if kind == "jsonl" else _parquet(path, columns)
    for rows in batches:
        for name in _NEEDED:
            if name in columns and rows[name].null_count:
                raise ValueError(f"{rows[name].null_count:,} rows have no {name}")
        yield rows


def _parquet(path: Path, columns: dict[str, pa.DataType]) -> Iterator[pa.Table]:
    file = pq.ParquetFile(path)
    missing = sorted(set(columns) - set(file.schema_arrow.names))
    if missing:
        raise ValueError(f"{path.name} has no columns {', '.join(missing)}")
    for batch in file.iter_batches(_ROWS, columns=list(columns)):
        yield pa.Table.from_batches([batch]).select(list(columns)).cast(pa.schema(columns))


def _json_lines(path: Path, columns: dict[str, pa.DataType]) -> Iterator[pa.Table]:
    with _uncompressed(path) as lines:
        number = 0
        while part := list(islice(lines, _ROWS)):
            rows = [orjson.loads(line) for line in part]
            for row in rows:
                number += 1
                if not isinstance(row, dict) or not columns.keys() <= row.keys():
                    raise ValueError(f"line {number} is no row with the fields of an export")
            values = {name: [row[name] for row in rows] for name in columns}
            yield pa.table({name: _typed(values[name], kind) for name, kind in columns.items()})


def _typed(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, _TEXT).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)


@contextmanager
def _uncompressed(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as file:
            try:
                yield file  # type: ignore[misc]
            except zlib.error as error:
                raise OSError(str(error)) from error
    elif path.suffix == ".zst":
        import zstandard

        with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
            try:
                yield io.BufferedReader(stream)
            except zstandard.ZstdError as error:
                raise OSError(str(error)) from error
    else:
        with path.open("rb") as file:
            yield file


def items_of(rows: pa.Table) -> pa.Table:
    """Return what is recorded of exported draws, ids as 16 bytes."""
    items = rows.select(["position", *ITEM_COLUMNS])
    for name in ("document_id", "cluster_id"):
        items = items.set_column(items.column_names.index(name), name, as_ids(items[name]))
    return items


def as_ids(column: pa.ChunkedArray) -> pa.Array:
    """Return ids, given as text, as 16 bytes."""
    found = np.ascontiguousarray(id_bytes(column))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(found), [None, pa.py_buffer(found)])


@dataclass
class TextChecks:
    """What texts say about the rows that they stand in, counted while they go by.

    Attributes
    ----------
    known : runs of tokens that no text may share with; None for none
    """

    known: KnownRuns | None = None
    _hasher: TokenHasher = field(default_factory=TokenHasher)
    _wrong: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("n_bytes", "n_words", "document_id"), 0))
    _shared: int = 0

    def look_at(self, rows: pa.Table) -> pa.Table:
        """Look at the texts of some rows, and return the rows with `content_id`."""
        texts = rows["text"].combine_chunks()
        n_bytes = pc.binary_length(texts).to_numpy()
        n_words = np.diff(self._hasher.compute(texts).offsets)
        contents = [content_digest(text.encode()) for text in texts.to_pylist()]
        named = zip(rows["source"].to_pylist(), rows["external_id"].to_pylist(), contents, strict=True)
        ids = np.frombuffer(b"".join(document_digest(*of) for of in named), np.uint8).reshape(-1, 16)
        self._wrong["n_bytes"] += int((n_bytes != rows["n_bytes"].to_numpy()).sum())
        self._wrong["n_words"] += int((n_words != rows["n_words"].to_numpy()).sum())
        self._wrong["document_id"] += int((ids != id_bytes(rows["document_id"])).any(axis=1).sum())
        if self.known is not None:
            self._shared += int(self.known.shared_by(texts).sum())
        return rows.append_column("content_id", pa.array([str(as_uuid(content)) for content in contents], _TEXT))

    def violations(self) -> Iterator[Violation]:
        """Yield what did not fit."""
        for column, what in (("n_bytes", "bytes"), ("n_words", "words"), ("document_id", "document id")):
            title = f"draws whose {what} are not those of their text"
            yield from differs(title.replace("id are not those", "id is not that"), 0, self._wrong[column])
        if self.known is not None:
            yield from differs("draws that share a run with a file to decontaminate against", 0, self._shared)
