"""Writing exports so that they are there completely or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import IO, Any

from provenance import __version__
from provenance.errors import ProvenanceError
from provenance.mix.digest import mapping_digest
from provenance.mix.errors import ExportFailed, OutputExists
from provenance.mix.training_set import TrainingSet

#: Version of the layout of exports' manifests.
FORMAT = 1


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote.

    Attributes
    ----------
    path, manifest_path : the file and the manifest beside it
    n_documents, size_bytes : what is in it
    sha256 : digest of the file
    """

    path: Path
    manifest_path: Path
    n_documents: int
    size_bytes: int
    sha256: str


def file_sha256(path: Path) -> str:
    """Return SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write JSON that people can read, and make sure that it is on the disk."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, indent=1)
        file.write("\n")
        settle(file)


def settle(file: IO[Any]) -> None:
    """Make sure that what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def new_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a folder beside `target` that gets its name when the block ends, and vanishes when it raises.

    Raises
    ------
    OutputExists
        If there is something at `target` and `overwrite` is false.
    ExportFailed
        If it cannot be written, for instance on a full disk.
    """
    if target.exists() and not overwrite:
        raise OutputExists(target)
    draft: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        draft.chmod(0o755)
        yield draft
        _put_in_place(draft, target)
    except ProvenanceError:
        raise
    except OSError as error:
        raise ExportFailed(target, str(error)) from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def new_file(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a path beside `target` whose file gets the name `target` when the block ends.

    Raises
    ------
    OutputExists, ExportFailed
        As `new_folder`.
    """
    if target.is_dir() or (target.exists() and not overwrite):
        raise OutputExists(target)
    draft: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        draft = Path(name)
        draft.chmod(0o644)
        yield draft
        os.replace(draft, target)
    except ProvenanceError:
        raise
    except OSError as error:
        raise ExportFailed(target, str(error)) from error
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


def write_with_manifest(
    training_set: TrainingSet, target: Path, kind: str, draft: Path, *, overwrite: bool
) -> ExportReport:
    """Write the manifest of a finished draft beside its target, and return the report."""
    digest, size = file_sha256(draft), draft.stat().st_size
    beside = manifest_path(target)
    described: dict[str, Any] = {
        "format": FORMAT,
        "kind": kind,
        "code_version": __version__,
        "training_set": training_set.manifest,
        "n_documents": len(training_set),
        "files": {target.name: digest},
    }
    described["digest"] = mapping_digest(described)
    with new_file(beside, overwrite=overwrite) as manifest:
        write_json(manifest, described)
    return ExportReport(target, beside, len(training_set), size, digest)


def manifest_path(target: Path) -> Path:
    """Return where the manifest of an exported file stands."""
    return target.with_name(target.name + ".manifest.json")


def _put_in_place(draft: Path, target: Path) -> None:
    if not target.exists():
        draft.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    target.rename(old / target.name)
    try:
        draft.rename(target)
    except OSError:
        (old / target.name).rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
