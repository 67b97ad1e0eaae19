"""Token hashes of Arrow text: the compiled form of the rule in `tokens`.

One pass over the UTF-8 buffer folds characters by table look-up, finds the tokens and hashes them. Texts with
characters that a look-up cannot normalise are normalised by Python first and go through the same kernel again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup import tokens as rule

_FNV_OFFSET = np.uint64(rule.FNV_OFFSET)
_FNV_PRIME = np.uint64(rule.FNV_PRIME)
_SPACE = np.uint64(ord(" "))
#: Sizes of the character table: ASCII, all before the scripts of East Asia, the first plane, all of Unicode. A table
#: takes a second to make for 65,536 characters, and most texts need no more than the second.
_TABLE_SIZES = (128, 0x2E80, rule.BMP, rule.UNICODE)
_DONE, _NEEDS_PYTHON, _NEEDS_WIDER_TABLE = 0, 1, 2


class TokenHashes(NamedTuple):
    """Hashes of the tokens of several texts, one text after the other.

    Attributes
    ----------
    hashes : (n_tokens,) uint64
    offsets : (n_texts + 1,) int64 — where each text's hashes begin
    normal : (n_texts,) uint64 — hash of each text's normal form
    """

    hashes: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]
    normal: npt.NDArray[np.uint64]


class TokenHasher:
    """Hashes the tokens of texts; keeps the size of the character table that the texts seen so far needed."""

    def __init__(self) -> None:
        self._table_size = _TABLE_SIZES[0]

    def compute(self, texts: pa.Array | pa.ChunkedArray) -> TokenHashes:
        """Return the hash of every token of every text, and of its normal form; a null text is an empty one."""
        data, offsets = text_buffers(texts)
        found, status = self._run(data, offsets, rule.character_table)
        hard = np.flatnonzero(status == _NEEDS_PYTHON)
        if not hard.size:
            return found
        normalised = [rule.normalise(bytes(data[offsets[d] : offsets[d + 1]]).decode("utf-8")) for d in hard]
        part, _ = self._run(*text_buffers(pa.array(normalised, pa.large_string())), rule.class_table)
        found.normal[hard] = part.normal
        hashes, token_offsets = _merge(found.hashes, found.offsets, part.hashes, part.offsets, hard)
        return TokenHashes(hashes, token_offsets, found.normal)

    def _run(self, data: Any, offsets: Any, table: Any) -> tuple[TokenHashes, npt.NDArray[np.uint8]]:
        # A token takes two bytes at least: a letter and what parts it from the next, or a letter of three bytes.
        hashes = np.empty((int(offsets[-1] - offsets[0]) + offsets.size) // 2 + 1, dtype=np.uint64)
        token_offsets = np.zeros(offsets.size, dtype=np.int64)
        status = np.zeros(offsets.size - 1, dtype=np.uint8)
        normal = np.zeros(offsets.size - 1, dtype=np.uint64)
        while not _hash_all(data, offsets, table(self._table_size), hashes, token_offsets, normal, status):
            self._table_size = next(size for size in _TABLE_SIZES if size > self._table_size)
        return TokenHashes(hashes[: token_offsets[-1]], token_offsets, normal), status


def text_buffers(texts: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the UTF-8 bytes of a text array and the (n_texts + 1,) offsets into them; nulls are empty texts."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    whole = whole.cast(pa.large_string())
    _, offset_buffer, data_buffer = whole.buffers()
    if len(whole) == 0 or offset_buffer is None:
        return np.zeros(0, np.uint8), np.zeros(len(whole) + 1, np.int64)
    offsets = np.frombuffer(offset_buffer, np.int64)[whole.offset : whole.offset + len(whole) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    return data, offsets


@numba.njit(cache=True, nogil=True)
def _tokenise(data, start, end, table, hashes, first):  # type: ignore[no-untyped-def]
    """Write the hash of every token of data[start:end] into hashes[first:].

    Return (place after the last, hash of the normal form, status).
    """
    n_tokens = first
    value = _FNV_OFFSET
    normal = _FNV_OFFSET
    begun = False  # the normal form has a character
    space = False  # white space stands before the next one
    open_token = False
    alone = False
    i = start
    while i < end:
        byte = np.int32(data[i])
        i += 1
        if byte < 0x80:
            point = byte
        elif byte < 0xE0:
            point = (byte & 0x1F) << 6 | (np.int32(data[i]) & 0x3F)
            i += 1
        elif byte < 0xF0:
            point = (byte & 0x0F) << 12 | (np.int32(data[i]) & 0x3F) << 6 | (np.int32(data[i + 1]) & 0x3F)
            i += 2
        else:
            point = (
                (byte & 0x07) << 18
                | (np.int32(data[i]) & 0x3F) << 12
                | (np.int32(data[i + 1]) & 0x3F) << 6
                | (np.int32(data[i + 2]) & 0x3F)
            )
            i += 3
        if point >= table.size:
            return first, normal, _NEEDS_WIDER_TABLE
        entry = table[point]
        if entry < 0:
            return first, normal, _NEEDS_PYTHON
        kind = entry >> rule.CLASS_SHIFT
        if kind == rule.SPACE:
            space = begun
        else:
            if space:
                normal = (normal ^ _SPACE) * _FNV_PRIME
                space = False
            normal = (normal ^ np.uint64(entry & 0xFFFFFF)) * _FNV_PRIME
            begun = True
        if kind == rule.SEPARATOR or kind == rule.SPACE:
            if open_token:
                hashes[n_tokens] = value
                n_tokens += 1
                open_token = False
            continue
        if open_token and (kind == rule.SOLO or (kind == rule.WORD and alone)):
            hashes[n_tokens] = value
            n_tokens += 1
            open_token = False
        if not open_token:
            value = _FNV_OFFSET
            open_token = True
            alone = kind == rule.SOLO
        value = (value ^ np.uint64(entry & 0xFFFFFF)) * _FNV_PRIME
    if open_token:
        hashes[n_tokens] = value
        n_tokens += 1
    return n_tokens, normal, _DONE


@numba.njit(cache=True, nogil=True)
def _hash_all(data, offsets, table, hashes, token_offsets, normal, status):  # type: ignore[no-untyped-def]
    """Tokenise every text in turn; return False as soon as a character lies outside the table."""
    end = 0
    for d in range(offsets.size - 1):
        end, normal[d], status[d] = _tokenise(data, offsets[d], offsets[d + 1], table, hashes, end)
        if status[d] == _NEEDS_WIDER_TABLE:
            return False
        token_offsets[d + 1] = end
    return True


@numba.njit(cache=True, nogil=True)
def _merge(hashes, offsets, part_hashes, part_offsets, rows):  # type: ignore[no-untyped-def]
    """Put the hashes of the texts `rows` where they belong among those of all texts."""
    merged = np.empty(hashes.size + part_hashes.size, dtype=np.uint64)
    merged_offsets = np.zeros(offsets.size, dtype=np.int64)
    out = 0
    p = 0
    for d in range(offsets.size - 1):
        if p < rows.size and rows[p] == d:
            for i in range(part_offsets[p], part_offsets[p + 1]):
                merged[out] = part_hashes[i]
                out += 1
            p += 1
        else:
            for i in range(offsets[d], offsets[d + 1]):
                merged[out] = hashes[i]
                out += 1
        merged_offsets[d + 1] = out
    return merged, merged_offsets
