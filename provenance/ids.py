"""Identifiers that need no coordination: the first 128 bits of SHA-256.

Two machines that ingest the same text give it the same id, so stores can be merged.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa

ID_BYTES = 16
#: Type of ids in numpy arrays. Values are compared with all their bytes, but come out without trailing zeros: they are
#: taken out with `id_bytes` alone.
ID_TYPE = np.dtype("S16")


def content_digest(text: bytes) -> bytes:
    """Return the 16 bytes that identify a text, given as UTF-8."""
    return sha256(text).digest()[:ID_BYTES]


def composite_digest(*parts: bytes | str | None) -> bytes:
    """Return the 16 bytes that identify a tuple of parts.

    Each part is preceded by its length, and an absent part differs from an empty one, so that no two different
    tuples are hashed as the same bytes.
    """
    return sha256(b"".join(map(_part, parts))).digest()[:ID_BYTES]


def document_digest(source: str, external_id: str | None, content: bytes) -> bytes:
    """Return the id of one occurrence of a content (16 bytes) in a source under an external id."""
    return composite_digest(source, external_id, content)


class DocumentDigester:
    """`document_digest` for one source, quicker because what is the same for all documents is put together once."""

    def __init__(self, source: str) -> None:
        self._begin = _part(source)
        self._no_id = _part(None)
        self._content_length = ID_BYTES.to_bytes(8, "little")

    def __call__(self, external_id: str | None, content: bytes) -> bytes:
        """Return the id of one occurrence of a content (16 bytes) under an external id."""
        own_id = self._no_id if external_id is None else _part(external_id)
        return sha256(b"%b%b%b%b" % (self._begin, own_id, self._content_length, content)).digest()[:ID_BYTES]


def _part(part: bytes | str | None) -> bytes:
    if part is None:
        return b"\xff" * 8
    raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
    return len(raw).to_bytes(8, "little") + raw


def as_uuid(digest: bytes) -> uuid.UUID:
    """Return 16 bytes as a UUID."""
    return uuid.UUID(bytes=digest)


def uuid_array(digests: Sequence[bytes | None] | npt.NDArray[np.bytes_] | pa.Array) -> pa.Array:
    """Return 16-byte values as an Arrow array that DuckDB takes for UUIDs."""
    if isinstance(digests, np.ndarray):
        data = np.ascontiguousarray(digests, dtype=ID_TYPE)
        storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(ID_BYTES), data.size, [None, pa.py_buffer(data)])
    else:
        storage = digests if isinstance(digests, pa.Array) else pa.array(digests, pa.binary(ID_BYTES))
    if storage.type != pa.binary(ID_BYTES):
        storage = storage.cast(pa.binary(ID_BYTES))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def id_values(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bytes_]:
    """Return ids that a query gave as BLOB as an array of `ID_TYPE`, which sorts and compares by their bytes."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    fixed = whole.cast(pa.binary(ID_BYTES))
    if not len(fixed):
        return np.zeros(0, ID_TYPE)
    values: npt.NDArray[np.bytes_] = np.frombuffer(fixed.buffers()[1], ID_TYPE)
    return values[fixed.offset : fixed.offset + len(fixed)]


def id_bytes(values: npt.NDArray[np.bytes_]) -> list[bytes]:
    """Return the ids of an array, 16 bytes each."""
    whole = np.ascontiguousarray(values, dtype=ID_TYPE).tobytes()
    return [whole[at : at + ID_BYTES] for at in range(0, len(whole), ID_BYTES)]
