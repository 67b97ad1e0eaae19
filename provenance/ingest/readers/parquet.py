"""Parquet files, read in batches of rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from provenance.errors import UnreadableFile
from provenance.ingest.inputs import Input, failure
from provenance.ingest.readers.arrow_rows import check_columns, chunk_of_rows
from provenance.ingest.readers.base import Block, Chunk, ReadOptions, chunk_of_json
from provenance.ingest.readers.streams import plain_name

_ROWS = 4096


class ParquetReader:
    """Reads Parquet; every row is a record."""

    name = "parquet"
    formats = ("Parquet (.parquet)",)

    def matches(self, name: str, head: bytes) -> bool:
        """Return whether the file begins like Parquet or is named so."""
        return head.startswith(b"PAR1") or plain_name(name).endswith((".parquet", ".pq"))

    def blocks(self, file: Input, options: ReadOptions) -> Iterator[Block]:
        """Yield batches of rows."""
        row = 0
        try:
            with file.open_seekable() as opened, pq.ParquetFile(opened) as table:
                check_columns(file.name, table.schema_arrow.names, options)
                n_rows = max(1, table.metadata.num_rows)
                for batch in table.iter_batches(batch_size=_ROWS):
                    end = row + batch.num_rows
                    yield Block(
                        file.name, (row, batch), batch.nbytes, (file.size_bytes or 0) * end // n_rows, batch.num_rows
                    )
                    row = end
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, UnreadableFile):
                raise
            raise UnreadableFile(file.name, f"damaged or no Parquet after row {row} ({failure(error)})") from error

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return the rows of a batch."""
        first_row, batch = block.payload
        return chunk_of_rows(block.file, batch, [f"row {first_row + i + 1}" for i in range(batch.num_rows)])

    def reread(self, file: str, raw: bytes, context: bytes | None, options: ReadOptions) -> Chunk:
        """Return a row that is kept as JSON."""
        return chunk_of_json(file, raw)
