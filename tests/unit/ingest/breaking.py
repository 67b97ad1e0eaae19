"""A remote file system whose connection breaks while a file is read."""

from __future__ import annotations

from random import Random
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem


def break_after(content: bytes, n_bytes: int, *, error: Exception, name: str = "a.jsonl") -> str:
    """Return an address whose file gives so many bytes of its content, in pieces of any size, and then fails."""
    fsspec.register_implementation("breaking", _BreakingFileSystem, clobber=True)
    _BreakingFileSystem.files[name] = (content, n_bytes, error)
    return f"breaking://{name}"


class _BreakingFileSystem(AbstractFileSystem):
    protocol = "breaking"
    files: dict[str, tuple[bytes, int, Exception]] = {}  # noqa: RUF012 (fsspec makes the instances)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": len(self.files[self._strip_protocol(path)][0]), "type": "file"}

    def open(self, path: str, *_: Any, **__: Any) -> Any:
        return _Breaking(*self.files[self._strip_protocol(path)])


class _Breaking:
    def __init__(self, content: bytes, n_bytes: int, error: Exception) -> None:
        self._content, self._error = content[:n_bytes], error
        self._chance = Random(n_bytes)
        self._n = 0

    def read(self, n: int) -> bytes:
        if self._n == len(self._content):
            raise self._error
        begin = self._n
        self._n = min(len(self._content), begin + min(n, self._chance.randrange(1, 5000)))
        return self._content[begin : self._n]

    def close(self) -> None:
        pass

    def __enter__(self) -> _Breaking:
        return self

    def __exit__(self, *_: object) -> None:
        pass
