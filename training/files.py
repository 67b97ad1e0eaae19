"""The files of a loop beside its store: exports, models, outputs. What has its name is complete."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.errors import ProvenanceError
from training.errors import OutputNotWritten, OutputTaken

#: What the system says when nothing more can be written.
_NO_ROOM = frozenset((errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM))


@contextmanager
def writing(path: Path, *, whatever: bool = False) -> Iterator[None]:
    """Turn what goes wrong while `path` is written inside the block into our error.

    Parameters
    ----------
    whatever : take every exception for a failure to write: libraries have their own kinds of it

    Raises
    ------
    OutputNotWritten : it could not be written
    """
    try:
        yield
    except ProvenanceError:
        raise
    except Exception as error:
        if not whatever and not (isinstance(error, OSError) and error.errno in _NO_ROOM):
            raise
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise OutputNotWritten(path, (cause.strip().splitlines() or [type(error).__name__])[0]) from error


def write_json(path: Path, data: Any) -> None:
    """Write under a temporary name, then rename.

    Raises
    ------
    OutputNotWritten : there is no room; nothing is left behind
    """
    partial = path.with_name(path.name + ".partial")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(data, ensure_ascii=False, sort_keys=True), encoding="utf-8")
            os.replace(partial, path)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            raise


def read_json(path: Path) -> Any:
    """Return what `write_json` wrote, None where there is no such file or it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Folder:
    """Where the files of one experiment lie."""

    root: Path

    @classmethod
    def claim(cls, out: Path, *, experiment: str, store_id: str) -> Folder:
        """Return the experiment's folder under `out`, which belongs to one store only.

        Raises
        ------
        OutputTaken : `out` holds the files of another store
        """
        owner = read_json(out / "store.json")
        if owner is None:
            write_json(out / "store.json", {"store_id": store_id})
        elif owner["store_id"] != store_id:
            raise OutputTaken(out, owner["store_id"])
        return cls(out / experiment)

    def texts(self, training_set: str) -> Path:
        """Return the file with what evaluation needs of a set: held-out texts, or generation 0's words."""
        return self.root / "texts" / f"{training_set}.json"

    def blocks(self, training_set: str) -> Path:
        """Return where a training set lies as token blocks."""
        return self.root / "blocks" / training_set

    def documents(self, training_set: str) -> Path:
        """Return the Parquet file with the documents of a training set."""
        return self.root / "documents" / f"{training_set}.parquet"

    def checkpoints(self, name: str) -> Path:
        """Return where a long training keeps its state until the model is saved."""
        return self.root / "checkpoints" / name

    def model(self, name: str) -> Path:
        """Return where a fitted model lies."""
        return self.root / "models" / name

    def fit(self, name: str) -> Path:
        """Return the file that says what a model was fitted on and how; written after the model."""
        return self.root / "models" / f"{name}.fit.json"

    def has_model(self, name: str) -> bool:
        """Return whether a fitted model is there with the account of its fit."""
        return read_json(self.fit(name)) is not None and (self.model(name) / "learner.json").exists()

    def has_any_of(self, name: str) -> bool:
        """Return whether a fitted model is there, or parts of it."""
        return self.fit(name).exists() or self.model(name).exists()

    def remove_model(self, name: str) -> None:
        """Remove a fitted model. What is half removed is no model any more."""
        self.fit(name).unlink(missing_ok=True)
        shutil.rmtree(self.model(name), ignore_errors=True)

    def output(self, name: str) -> Path:
        """Return the file with what a model wrote for the next generation."""
        return self.root / "outputs" / f"{name}.json"

    def evaluation(self, name: str) -> Path:
        """Return the file with a model's evaluation sample and metrics."""
        return self.root / "outputs" / f"{name}.evaluation.json"
