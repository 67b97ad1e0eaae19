"""The draws of a training set as Parquet with every label, and with the documents that each was made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from provenance.export.files import ExportReport, settle, write_with_manifest
from provenance.mix.training_set import DOCUMENT_COLUMNS

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet

#: The column of the ids of the documents that a document was made from.
PARENTS = "parents"
LABELLED_COLUMNS = (*DOCUMENT_COLUMNS, PARENTS)

_PARENTS = """
    SELECT i.position, list(p.parent_id::VARCHAR ORDER BY p.parent_id) AS parents
    FROM training_set_item i JOIN (SELECT DISTINCT document_id, parent_id FROM parent) p USING (document_id)
    WHERE i.training_set = :name GROUP BY i.position ORDER BY i.position
"""
_IDS = pa.list_(pa.string())


def write_labelled(training_set: TrainingSet, path: Path) -> ExportReport:
    """Write the draws, in order, with their manifest beside them, so that `provenance verify` proves them."""
    with path.open("wb") as file:
        writer: pq.ParquetWriter | None = None
        try:
            for batch in _batches(training_set):
                if writer is None:
                    writer = pq.ParquetWriter(file, batch.schema.remove_metadata(), compression="zstd")
                writer.write_table(batch.cast(writer.schema))
        finally:
            if writer is not None:
                writer.close()
        settle(file)
    return write_with_manifest(training_set, path, "parquet", path, overwrite=False)


def _batches(training_set: TrainingSet) -> Iterator[pa.Table]:
    found = training_set.store.fetch(_PARENTS, {"name": training_set.name})
    positions, parents = found["position"].to_numpy(), found["parents"].to_pylist()
    for batch in training_set.batches():
        low = batch["position"][0].as_py()
        lists: list[list[str]] = [[] for _ in range(batch.num_rows)]
        begin, end = np.searchsorted(positions, [low, low + batch.num_rows])
        for i in range(int(begin), int(end)):
            lists[int(positions[i]) - low] = parents[i]
        yield batch.append_column(PARENTS, pa.array(lists, _IDS))
