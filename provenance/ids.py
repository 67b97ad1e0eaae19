"""Identifiers that need no coordination: the first 128 bits of SHA-256.

Two machines that ingest the same text give it the same id, so stores can be merged.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from hashlib import sha256

import pyarrow as pa

ID_BYTES = 16


def content_digest(text: bytes) -> bytes:
    """Return the 16 bytes that identify a text, given as UTF-8."""
    return sha256(text).digest()[:ID_BYTES]


def composite_digest(*parts: bytes | str | None) -> bytes:
    """Return the 16 bytes that identify a tuple of parts.

    Each part is preceded by its length, and an absent part differs from an empty one, so that no two different
    tuples are hashed as the same bytes.
    """
    whole = bytearray()
    for part in parts:
        if part is None:
            whole += b"\xff" * 8
            continue
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        whole += len(raw).to_bytes(8, "little") + raw
    return sha256(whole).digest()[:ID_BYTES]


def document_digest(source: str, external_id: str | None, content: bytes) -> bytes:
    """Return the id of one occurrence of a content (16 bytes) in a source under an external id."""
    return composite_digest(source, external_id, content)


def as_uuid(digest: bytes) -> uuid.UUID:
    """Return 16 bytes as a UUID."""
    return uuid.UUID(bytes=digest)


def uuid_array(digests: Sequence[bytes | None] | pa.Array) -> pa.Array:
    """Return 16-byte values as an Arrow array that DuckDB takes for UUIDs."""
    storage = digests if isinstance(digests, pa.Array) else pa.array(digests, pa.binary(ID_BYTES))
    if storage.type != pa.binary(ID_BYTES):
        storage = storage.cast(pa.binary(ID_BYTES))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)
