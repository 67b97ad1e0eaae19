"""Digests: what a training set is, in 32 bytes, the same on every machine."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

#: The columns of a draw whose values the digest of the rows covers, in this order.
ITEM_COLUMNS = (
    "document_id", "repeat", "n_words", "n_bytes", "n_tokens", "origin", "generation", "evidence_rank", "model",
    "source", "licence_class", "cluster_id", "stratum",
)  # fmt: skip

_HEX = np.full(256, 255, dtype=np.uint8)
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_HEX[_DIGITS] = np.arange(16)
_PAIRS = np.array([f"{byte:02x}".encode() for byte in range(256)]).view(np.uint16)


def id_bytes(ids: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Return ids, in their text form of 36 characters or as 16 bytes, as (n, 16) uint8."""
    if pa.types.is_fixed_size_binary(ids.type):
        whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        chunks = whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole]
        parts = [np.frombuffer(c.buffers()[1], np.uint8)[16 * c.offset : 16 * (c.offset + len(c))] for c in chunks]
        return np.concatenate([*parts, np.zeros(0, np.uint8)]).reshape(-1, 16)
    text = ids.cast(pa.string()).combine_chunks()
    if isinstance(text, pa.ChunkedArray):
        text = pa.concat_arrays(text.chunks) if text.num_chunks else pa.array([], pa.string())
    if not len(text):
        return np.zeros((0, 16), dtype=np.uint8)
    offsets = np.frombuffer(text.buffers()[1], dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    characters = np.frombuffer(text.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
    if characters.size != 36 * len(text):
        raise ValueError("these are no ids of 36 characters")
    digits = _HEX[np.delete(characters.reshape(-1, 36), (8, 13, 18, 23), axis=1)]  # (n, 32)
    return (digits[:, ::2] << 4 | digits[:, 1::2]).astype(np.uint8)


def id_characters(ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return ids, (n, 16) uint8, in their text form, (n, 36) uint8."""
    text = np.full((len(ids), 36), ord("-"), dtype=np.uint8)
    digits = _PAIRS[ids].view(np.uint8).reshape(-1, 32)
    for place, low, high in ((0, 0, 8), (9, 8, 12), (14, 12, 16), (19, 16, 20), (24, 20, 32)):
        text[:, place : place + high - low] = digits[:, low:high]
    return text


def draws_digest(items: pa.Table) -> str:
    """Return SHA-256 over the ordered draws: 16 bytes of document id and 4 of repeat (little-endian) for each."""
    rows = np.zeros((items.num_rows, 20), dtype=np.uint8)
    rows[:, :16] = id_bytes(items["document_id"])
    repeats = items["repeat"].to_numpy().astype("<u4")
    rows[:, 16:] = repeats.view(np.uint8).reshape(-1, 4)
    return sha256(rows.tobytes()).hexdigest()


def items_digest(items: pa.Table) -> str:
    """Return SHA-256 over every draw with the labels that it had when it was drawn.

    Column by column: its name, which rows have a value, and the values: numbers as 8 bytes little-endian (0 where
    there is none), text as its lengths in bytes followed by the UTF-8 of all rows. Ids that come as 16 bytes count as
    their text.
    """
    whole = sha256()
    for name in ITEM_COLUMNS:
        column = items[name]
        whole.update(f"{name}\n".encode())
        whole.update(column.is_valid().to_numpy().astype(np.uint8).tobytes())
        if pa.types.is_integer(column.type):
            whole.update(pc.fill_null(column.cast(pa.int64()), 0).to_numpy().astype("<i8").tobytes())
        elif pa.types.is_fixed_size_binary(column.type):
            whole.update(np.full(len(column), 36, dtype="<i8").tobytes())
            whole.update(id_characters(id_bytes(column)).tobytes())
        else:
            text = pc.fill_null(column.cast(pa.string()), "")
            whole.update(pc.binary_length(text).to_numpy().astype("<i8").tobytes())
            for chunk in text.chunks:
                whole.update(_characters(chunk))
    return whole.hexdigest()


def mapping_digest(mapping: dict[str, Any]) -> str:
    """Return SHA-256 of a mapping as JSON with sorted keys."""
    return sha256(json.dumps(mapping, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _characters(chunk: pa.Array) -> bytes:
    if not len(chunk):
        return b""
    offsets = np.frombuffer(chunk.buffers()[1], dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    data = chunk.buffers()[2]
    return b"" if data is None else bytes(memoryview(data)[offsets[0] : offsets[-1]])
