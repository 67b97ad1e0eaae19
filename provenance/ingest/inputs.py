"""What is to be read: local files, folders, patterns, standard input, remote addresses and datasets."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, cast

from provenance.errors import UnreadableFile
from provenance.ingest.locate import (
    DATASET,
    STANDARD_INPUT,
    Reported,
    failure,
    file_system,
    identity,
    is_remote,
    names_of,
)

__all__ = ["DATASET", "HEAD_BYTES", "STANDARD_INPUT", "Input", "as_text", "failure", "find_inputs"]

#: How much is read at a time where a whole file is hashed.
_HASH_BYTES = 1 << 20
#: Errors of a link without a file behind it, and of one in a circle.
_LEADS_NOWHERE = (errno.ENOENT, errno.ELOOP)
#: Bytes at the beginning of a file that readers look at to recognise it.
HEAD_BYTES = 4096


class Input:
    """One thing to read: a local file, a remote address (fsspec), standard input, or a dataset.

    Parameters
    ----------
    name : path, address, `-`, or `datasets:NAME`; kept with the run and with every refused record
    is_found : it was found in a folder: a link that leads nowhere shows when it is read

    Attributes
    ----------
    size_bytes : size as it lies there, None where it is not known before it is read
    stamp : changes whenever the file does; None where nothing tells
    """

    def __init__(self, name: str, *, is_found: bool = False) -> None:
        self.name = name
        self.size_bytes: int | None = None
        self.stamp: str | None = None
        self._stream: _Hashed | None = None
        self._system: Any = None  # of an address; an archive closes what is open in it when nobody holds it
        self._begin: bytes | None = None  # of standard input, which cannot be read twice
        if self.is_dataset or self.name == STANDARD_INPUT:
            return
        try:
            with self._reported():
                self._look()
        except UnreadableFile as error:
            if not (is_found and getattr(error.__cause__, "errno", None) in _LEADS_NOWHERE):
                raise

    @property
    def is_dataset(self) -> bool:
        """Whether this is no file but a dataset of the `datasets` library."""
        return self.name.startswith(DATASET)

    @property
    def is_remote(self) -> bool:
        """Whether this lies behind an address such as `s3://…`."""
        return is_remote(self.name)

    @property
    def path(self) -> Path | None:
        """The path of a local file, else None."""
        return None if self.is_dataset or self.is_remote or self.name == STANDARD_INPUT else Path(self.name)

    def head(self) -> bytes:
        """Return the first bytes, up to `HEAD_BYTES`.

        Raises
        ------
        UnreadableFile
            If it is not there or cannot be opened.
        """
        if self.is_dataset:
            return b""
        with self._reported():
            if self.name == STANDARD_INPUT:
                if self._begin is None:
                    self._begin = _standard_input().read(HEAD_BYTES)
                return self._begin
            with self._opened() as file:
                return bytes(file.read(HEAD_BYTES))

    def open(self) -> io.BufferedReader:
        """Open it for reading from the beginning to the end; what passes is hashed.

        Raises
        ------
        UnreadableFile
            If it is not there or cannot be opened. Errors while reading are `OSError`s of the stream.
        """
        with self._reported():
            if self.name == STANDARD_INPUT:
                self._stream = _Hashed(_standard_input(), begin=self._begin or b"", is_shared=True)
            else:
                self._stream = _Hashed(self._opened(buffering=0))
        return io.BufferedReader(self._stream, buffer_size=1 << 18)

    def open_seekable(self) -> IO[bytes]:
        """Open it for reading in any order.

        Raises
        ------
        UnreadableFile
            If it cannot be opened, or is standard input.
        """
        if self.name == STANDARD_INPUT:
            raise UnreadableFile("standard input", "this format is read from its end: write it to a file first")
        with self._reported():
            return cast("IO[bytes]", self._opened())

    def position(self) -> int:
        """Return how many bytes have been read from the stream of `open`."""
        return self._stream.n_read if self._stream else 0

    def digest(self) -> str | None:
        """Return the SHA-256 of its bytes in hexadecimal: that of the stream where it was read to its end.

        None for a dataset, and for standard input that was not read to its end.
        """
        if self._stream is not None and self._stream.at_end:
            return self._stream.digest.hexdigest()
        if self.is_dataset or self.name == STANDARD_INPUT:
            return None
        with self._reported(), self._opened() as file:
            digest = sha256()
            while block := file.read(_HASH_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def _look(self) -> None:
        if not self.is_remote:
            found = os.stat(self.name)
            if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
                raise UnreadableFile(
                    self.name, "it is a pipe or device, no regular file; give it as standard input (-)"
                )
            self.size_bytes, self.stamp = found.st_size, str(found.st_mtime_ns)
            return
        self._system, path = file_system(self.name)
        details: dict[str, Any] = self._system.info(path)
        self.size_bytes = details.get("size")
        stamp = next(
            (details[key] for key in ("ETag", "etag", "mtime", "LastModified", "created") if key in details), None
        )
        self.stamp = None if stamp is None else str(stamp)

    def _opened(self, *, buffering: int = -1) -> Any:
        if not self.is_remote:
            return Path(self.name).open("rb", buffering=buffering)
        self._system, path = file_system(self.name)
        return self._system.open(path, "rb")

    def _reported(self) -> Reported:
        return Reported(self.name)


class _Hashed(io.RawIOBase):
    """A stream that hashes what is read from it; failures of any kind become `OSError`s.

    Parameters
    ----------
    begin : what comes before the stream
    is_shared : the stream stays open when this is closed
    """

    def __init__(self, stream: Any, *, begin: bytes = b"", is_shared: bool = False) -> None:
        self._inner = stream
        self._begin = begin
        self._is_shared = is_shared
        self.digest = sha256()
        self.n_read = 0
        self.at_end = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block, self._begin = self._begin[: len(buffer)], self._begin[len(buffer) :]
        if not block:
            try:
                block = self._inner.read(len(buffer))
            except OSError:
                raise
            except Exception as error:  # file systems raise what they like
                raise OSError(failure(error)) from error
        n = len(block)
        if n == 0:
            self.at_end = True
        else:
            buffer[:n] = block
            self.digest.update(block)
            self.n_read += n
        return n

    def close(self) -> None:
        if not self.closed and not self._is_shared:
            self._inner.close()
        super().close()


def as_text(name: str) -> str:
    """Return the name of an input as text that can be stored; bytes of it that are no UTF-8 are shown as numbers."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def find_inputs(arguments: Sequence[str | os.PathLike[str]]) -> list[Input]:
    """Return what the arguments stand for, each once, in their order; within a pattern or folder by name.

    Parameters
    ----------
    arguments : files, folders (with everything below them), patterns with `*`, `?`, `[…]` or `**`, addresses with
        `://`, `datasets:NAME`, or `-` for standard input

    Raises
    ------
    UnreadableFile
        If a file is not there.
    NothingToRead
        If a folder is empty or a pattern matches nothing.
    """
    names: dict[str, tuple[str, bool]] = {}
    real_folders: dict[str, str] = {}
    for argument in arguments:
        given = os.fspath(argument)
        for name in names_of(given):
            names.setdefault(identity(name, real_folders), (name, name != given))
    return [Input(name, is_found=is_found) for name, is_found in names.values()]


def _standard_input() -> io.BufferedReader:
    if sys.stdin is None:
        raise UnreadableFile(STANDARD_INPUT, "there is no standard input")
    stream: Any = sys.stdin.buffer
    assert isinstance(stream, io.BufferedReader)  # what Python makes of file descriptor 0
    return stream
