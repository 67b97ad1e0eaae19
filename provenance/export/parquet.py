"""Export to Parquet: one row per draw, in order, with the column `text` that trainers look for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from provenance.export.files import ExportReport, new_file, settle, write_with_manifest
from provenance.mix.training_set import TrainingSet


def export_parquet(
    training_set: TrainingSet, out_path: str | os.PathLike[str], *, overwrite: bool = False
) -> ExportReport:
    """Write a training set as one Parquet file, with its manifest beside it (`FILE.manifest.json`).

    The file's own metadata hold the name and digest of the training set.

    Raises
    ------
    OutputExists
        If there is a file already and `overwrite` is false.
    ExportFailed
        If it cannot be written; then nothing is left behind.
    """
    target = Path(out_path)
    with new_file(target, overwrite=overwrite) as draft:
        with draft.open("wb") as raw:
            _write(training_set, raw)
            settle(raw)
        return write_with_manifest(training_set, target, "parquet", draft, overwrite=overwrite)


def _write(training_set: TrainingSet, raw: IO[bytes]) -> None:
    writer: pq.ParquetWriter | None = None
    try:
        for batch in training_set.batches():
            if writer is None:
                writer = pq.ParquetWriter(raw, _described(batch.schema, training_set), compression="zstd")
            writer.write_table(batch.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


def _described(columns: pa.Schema, training_set: TrainingSet) -> pa.Schema:
    names = {"training_set": training_set.name, "training_set_digest": training_set.digest}
    return columns.with_metadata({f"provenance.{key}": value for key, value in names.items()})
