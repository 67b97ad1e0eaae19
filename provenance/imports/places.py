"""Where the files of a description lie: beside it, or at addresses; and whether they are those that it describes."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from provenance.imports.errors import DigestMismatch, NotADescription, NotReadable
from provenance.ingest.inputs import Input
from provenance.ingest.locate import is_remote

#: A description is not larger.
_MOST_BYTES = 64 << 20
_BLOCK = 1 << 20


@contextmanager
def local_copy(name: str) -> Iterator[Path]:
    """Yield the path of a description: its own, or that of a copy where it lies behind an address.

    Raises
    ------
    UnreadableFile
        If it cannot be read.
    MissingExtra
        If fsspec, which reads addresses, is not installed.
    """
    if not is_remote(name):
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="provenance-") as folder:
        path = Path(folder) / (PurePosixPath(name).name or "description")
        with Input(name).open() as file:
            path.write_bytes(read_whole(name, file.read(_MOST_BYTES + 1)))
        yield path


def read_whole(name: str, data: bytes) -> bytes:
    """Return the bytes of a description, which must not be too large for one."""
    if len(data) > _MOST_BYTES:
        raise NotADescription(name, f"it is larger than {_MOST_BYTES >> 20} MB, which no description is")
    return data


def beside(description: str, place: str, part: str) -> str:
    """Return the name of a file that a description places relative to itself, or at an address.

    Raises
    ------
    NotReadable
        If it leads out of the folder of the description: what others wrote must not choose what is read here.
    """
    if is_remote(place):
        return place
    if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
        raise NotReadable(description, part, f"lies at {place!r}, outside of the folder of the description")
    if is_remote(description):
        return f"{description.rpartition('/')[0]}/{place}"
    return str(Path(description).resolve().parent / place)


def matching(description: str, patterns: list[str], excluded: list[str], part: str) -> list[str]:
    """Return the files beside a description that match patterns, sorted.

    Raises
    ------
    NotReadable
        If there is none, or the description lies behind an address.
    """
    if is_remote(description):
        raise NotReadable(description, part, "is a set of files; copy them to this machine and import them from there")
    folder = Path(description).resolve().parent
    for pattern in (*patterns, *excluded):
        beside(description, pattern, part)
    left_out = {path for pattern in excluded for path in folder.glob(pattern)}
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()} - left_out
    if not found:
        raise NotReadable(
            description, part, f"has no file that matches {', '.join(patterns)} beside the description; put them there"
        )
    return [str(path) for path in sorted(found)]


def check_digest(name: str, *, sha256: str | None, md5: str | None) -> None:
    """Read a file and compare it with the digest that its description gives, if it gives one.

    Raises
    ------
    DigestMismatch
        If it is another file.
    UnreadableFile
        If it cannot be read.
    """
    kind, expected = ("sha256", sha256) if sha256 else ("md5", md5)
    if not expected:
        return
    digest = hashlib.new(kind, usedforsecurity=False)
    with Input(name).open() as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != expected.strip().lower():
        raise DigestMismatch(name, kind, expected, digest.hexdigest())
