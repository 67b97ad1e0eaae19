"""The bytes that support claims: kept in the store under their SHA-256."""

from __future__ import annotations

import mimetypes
import os
import re
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, insert, select

from provenance.evidence.errors import SupportUnreadable
from provenance.store import schema
from provenance.store.store import utc_now

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")

#: Larger files are named by a URL; a store is no archive.
MAX_SUPPORT_BYTES = 16 * 2**20


def read_support(path: Path) -> bytes:
    """Return the bytes of a file that supports a claim.

    Raises
    ------
    SupportUnreadable
        If it is not there, empty, or larger than 16 MiB.
    """
    try:
        size = path.stat().st_size
        if path.is_file() and 0 < size <= MAX_SUPPORT_BYTES:
            return path.read_bytes()
    except OSError as error:
        raise SupportUnreadable(path, error.strerror or str(error)) from error
    if not path.is_file():
        raise SupportUnreadable(path, "is no file")
    if not size:
        raise SupportUnreadable(path, "is empty")
    raise SupportUnreadable(path, f"has {size:,} bytes; up to {MAX_SUPPORT_BYTES:,} are kept. Give its address instead")


def keep_support(connection: Connection, name: str, data: bytes) -> str:
    """Keep bytes in the store, each once, and return their SHA-256 in hexadecimal."""
    digest = sha256(data).hexdigest()
    table = schema.support
    if connection.execute(select(table.c.digest).where(table.c.digest == digest)).first() is None:
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        row = {
            "digest": digest, "name": shown, "kind": kind, "n_bytes": len(data), "bytes": data, "created_at": utc_now()
        }  # fmt: skip
        connection.execute(insert(table), [row])
    return digest


class Supports:
    """Keeps the files that claims name, each read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, tuple[str | None, str | None]] = {}

    def find(self, support: str | None) -> tuple[str | None, str | None]:
        """Return the digest of a file, which is kept, or an address as it is.

        Raises
        ------
        SupportUnreadable
            If it is no address, and no file that can be kept.
        """
        if support is None:
            return None, None
        if support not in self._known:
            self._known[support] = (None, support) if is_address(support) else (self._keep(Path(support)), None)
        return self._known[support]

    def _keep(self, path: Path) -> str:
        return keep_support(self._connection, path.name, read_support(path))


def is_address(support: str) -> bool:
    """Return whether a support is an address, not the path of a file."""
    return _ADDRESS.fullmatch(support) is not None
