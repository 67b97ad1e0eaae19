"""Export to JSON Lines: one object per draw, in order; compressed where the name ends in .gz or .zst."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from provenance.export.files import ExportReport, new_file, settle, write_with_manifest
from provenance.mix.training_set import TrainingSet


def export_jsonl(
    training_set: TrainingSet, out_path: str | os.PathLike[str], *, overwrite: bool = False
) -> ExportReport:
    """Write a training set as JSON Lines, with its manifest beside it (`FILE.manifest.json`).

    Raises
    ------
    OutputExists
        If there is a file already and `overwrite` is false.
    ExportFailed
        If it cannot be written; then nothing is left behind.
    """
    import orjson

    target = Path(out_path)
    with new_file(target, overwrite=overwrite) as draft:
        with draft.open("wb") as raw:
            with compressed(raw, target.suffix) as lines:
                for batch in training_set.batches():
                    rows = (orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist())
                    lines.write(b"".join(rows))
            settle(raw)
        return write_with_manifest(training_set, target, "jsonl", draft, overwrite=overwrite)


@contextmanager
def compressed(raw: IO[bytes], suffix: str) -> Iterator[IO[bytes]]:
    """Yield a file that compresses what is written where the name ends in .gz or .zst."""
    if suffix == ".gz":
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:  # no clock: the same bytes every time
            yield file  # type: ignore[misc]
    elif suffix == ".zst":
        import zstandard

        with zstandard.ZstdCompressor(level=6).stream_writer(raw, closefd=False) as file:
            yield file
    else:
        yield raw
