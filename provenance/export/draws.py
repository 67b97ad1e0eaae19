"""Export of the manifest alone: `manifest.json` as the store holds it, and the labels of the draws without texts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from sqlalchemy import select

from provenance.export.files import ExportReport, file_sha256, new_folder, settle, write_json
from provenance.store import schema

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet

DRAWS, MANIFEST = "draws.parquet", "manifest.json"


def export_manifest(
    training_set: TrainingSet, out_dir: str | os.PathLike[str], *, overwrite: bool = False
) -> ExportReport:
    """Write the manifest of a training set and its draws, in order and as drawn, as JSON and Parquet.

    Raises
    ------
    OutputExists
        If there is something already and `overwrite` is false.
    ExportFailed
        If it cannot be written; then nothing is left behind.
    """
    item, target = schema.training_set_item, Path(out_dir)
    query = select(item).where(item.c.training_set == training_set.name).order_by(item.c.position)
    with new_folder(target, overwrite=overwrite) as draft:
        with (draft / DRAWS).open("wb") as file:
            pq.write_table(training_set.store.fetch(query), file, compression="zstd")
            settle(file)
        write_json(draft / MANIFEST, training_set.manifest)
    size, digest = (target / DRAWS).stat().st_size, file_sha256(target / DRAWS)
    return ExportReport(target, target / MANIFEST, len(training_set), size, digest)
