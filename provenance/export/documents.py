"""Reading an exported Parquet file: checked against the manifest beside it before a trainer sees a row."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from provenance.export.files import file_sha256, manifest_path
from provenance.mix.digest import draws_digest, mapping_digest
from provenance.mix.errors import ExportDamaged

if TYPE_CHECKING:
    from provenance.export.stream import Stream


@dataclass(frozen=True)
class ExportedDocuments:
    """The draws of a training set in a Parquet file that is what its manifest says. Iterating gives dictionaries.

    Attributes
    ----------
    path : the file
    manifest : of the export, with that of the training set in it
    """

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ExportedDocuments:
        """Check a file that `export --format parquet` wrote, and open it.

        Raises
        ------
        ExportDamaged
            If the file or its manifest is missing or changed, or does not hold the draws that the manifest claims.
        """
        file = Path(path)
        try:
            manifest = json.loads(manifest_path(file).read_text("utf-8"))
            _check(file, manifest)
        except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, ExportDamaged):
                raise
            raise ExportDamaged(file, f"{type(error).__name__}: {error}") from error
        return cls(file, manifest)

    def __len__(self) -> int:
        return int(self.manifest["n_documents"])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.batches():
            yield from batch.to_pylist()

    def batches(self, *, start: int = 0) -> Iterator[pa.Table]:
        """Yield the draws from position `start` on as Arrow tables, in order."""
        # A worker process that was forked must not wait for threads that were not.
        with pq.ParquetFile(self.path, memory_map=True) as file:
            low = 0
            for group in range(file.num_row_groups):
                n_rows = file.metadata.row_group(group).num_rows
                if low + n_rows > start:
                    yield file.read_row_group(group, use_threads=False).slice(max(0, start - low))
                low += n_rows

    def torch(
        self, *, rank: int = 0, world_size: int = 1, batch_size: int | None = None, drop_last: bool = False
    ) -> Stream:
        """Return the documents as a `torch.utils.data.IterableDataset`; see `Stream`.

        A sample is a dictionary, a batch a list of them.

        Raises
        ------
        MissingExtra
            If torch is not installed.
        """
        from provenance.export.sources import DocumentSource, stream_of

        return stream_of(
            DocumentSource(self), rank=rank, world_size=world_size, batch_size=batch_size, drop_last=drop_last
        )


def _check(file: Path, manifest: dict[str, Any]) -> None:
    if mapping_digest({key: value for key, value in manifest.items() if key != "digest"}) != manifest["digest"]:
        raise ExportDamaged(file, f"{manifest_path(file).name} was changed")
    if manifest["kind"] != "parquet":
        raise ExportDamaged(file, f"it is an export of kind {manifest['kind']}, not a Parquet file")
    if file_sha256(file) != manifest["files"][file.name]:
        raise ExportDamaged(file, "it is not the file that was written")
    drawn = pq.read_table(file, columns=["position", "document_id", "repeat"])
    if drawn["position"].to_pylist() != list(range(manifest["n_documents"])):
        raise ExportDamaged(file, "positions are missing or out of order")
    if draws_digest(drawn) != manifest["training_set"]["digest"]:
        raise ExportDamaged(file, "the draws are not those of the training set")
