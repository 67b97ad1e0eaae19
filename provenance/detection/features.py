"""What the built-in detector sees of a text: its words, pairs of words, and runs of two to four characters.

Words are the tokens of the near-duplicate search (casefolded). Characters are taken as they stand, case and
punctuation included, but that any run of white space is one space. Everything is hashed into a fixed number of
columns; a column's value is log(1 + how often), and the values of the words and of the characters of a text each have
length 1, so that no text counts more for being long. Of a long text the beginning is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup.token_hashes import TokenHasher

#: Version of the rule above, a part of every detector's settings.
FEATURE_VERSION = 1
#: Columns for words and pairs, and as many again for characters.
N_COLUMNS = 1 << 18
N_FEATURES = 2 * N_COLUMNS
#: Characters of a text that are looked at: some 700 words. More make training need more memory, and detect no better.
MOST_CHARACTERS = 4_000
_LONGEST_RUN = 4
#: Texts at a time: room is made for as many features as their characters could give.
_AT_ONCE = 1_000
_ENTRIES_AT_ONCE = 1 << 22

_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)


class Featurizer:
    """Turns texts into rows of features."""

    def __init__(self) -> None:
        self._hasher = TokenHasher()

    def rows(self, texts: Sequence[str]) -> Any:
        """Return a scipy CSR matrix, (n_texts, N_FEATURES) float32; a text without words or characters is zero."""
        from scipy.sparse import csr_matrix

        columns, values, offsets = [], [], [np.zeros(1, np.int64)]
        for at in range(0, len(texts), _AT_ONCE):
            part = self._count([text[:MOST_CHARACTERS] for text in texts[at : at + _AT_ONCE]])
            columns.append(part[0])
            values.append(part[1])
            offsets.append(part[2][1:] + offsets[-1][-1])
        # One after the other, so that there are never two copies of everything.
        whole_columns = np.concatenate([*columns, np.zeros(0, np.int32)])
        columns.clear()
        whole_values = np.concatenate([*values, np.zeros(0, np.float32)])
        values.clear()
        return csr_matrix((whole_values, whole_columns, np.concatenate(offsets)), shape=(len(texts), N_FEATURES))

    def _count(self, texts: Sequence[str]) -> Any:
        words = self._hasher.compute(pa.array(texts, pa.large_string()))
        points = [np.frombuffer(" ".join(text.split()).encode("utf-32-le", "surrogatepass"), "<u4") for text in texts]
        point_offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(one) for one in points], out=point_offsets[1:])
        joined = np.concatenate([*points, np.zeros(0, np.uint32)]).astype(np.uint32)
        return _count_all(words.hashes, words.offsets, joined, point_offsets)


def occupied(rows: Any) -> npt.NDArray[np.int64]:
    """Leave out the columns that no row occupies, in place, and return those that are left, ascending."""
    parts = [slice(at, at + _ENTRIES_AT_ONCE) for at in range(0, rows.nnz, _ENTRIES_AT_ONCE)]
    is_occupied = np.zeros(rows.shape[1], bool)
    for part in parts:
        is_occupied[rows.indices[part]] = True
    columns = np.flatnonzero(is_occupied)
    place = np.zeros(rows.shape[1], rows.indices.dtype)
    place[columns] = np.arange(len(columns))
    for part in parts:
        rows.indices[part] = place[rows.indices[part]]
    rows.resize(rows.shape[0], len(columns))
    return columns


@numba.njit(cache=True, nogil=True)
def _column(value):  # type: ignore[no-untyped-def]
    """Return the column of a hash, 0 to N_COLUMNS."""
    value = (value ^ (value >> _SHIFT)) * _MIX
    value = (value ^ (value >> _SHIFT)) * _MIX
    return np.int64((value >> _SHIFT) % np.uint64(N_COLUMNS))


@numba.njit(cache=True, nogil=True)
def _count_all(words, word_offsets, points, point_offsets):  # type: ignore[no-untyped-def]
    """Return columns, values and offsets of the rows of all texts."""
    n = word_offsets.size - 1
    most = 2 * words.size + _LONGEST_RUN * points.size
    columns = np.empty(most, np.int32)
    values = np.empty(most, np.float32)
    offsets = np.zeros(n + 1, np.int64)
    counts = np.zeros(N_FEATURES, np.int32)
    end = 0
    for d in range(n):
        start = end
        for i in range(word_offsets[d], word_offsets[d + 1]):
            end = _add(_column(words[i]), counts, columns, end)
            if i > word_offsets[d]:
                pair = words[i - 1] * _PRIME + words[i] + np.uint64(1)
                end = _add(_column(pair), counts, columns, end)
        _weigh(start, end, counts, columns, values)
        start = end
        for i in range(point_offsets[d], point_offsets[d + 1]):
            value = np.uint64(0)
            for j in range(i, min(i + _LONGEST_RUN, point_offsets[d + 1])):
                value = (value + np.uint64(points[j]) + np.uint64(1)) * _MIX
                if j > i:
                    end = _add(N_COLUMNS + _column(value), counts, columns, end)
        _weigh(start, end, counts, columns, values)
        offsets[d + 1] = end
    return columns[:end].copy(), values[:end].copy(), offsets


@numba.njit(cache=True, nogil=True)
def _add(column, counts, columns, end):  # type: ignore[no-untyped-def]
    """Count a column, entering it at `end` when it is new; return the end after it."""
    if counts[column] == 0:
        columns[end] = column
        end += 1
    counts[column] += 1
    return end


@numba.njit(cache=True, nogil=True)
def _weigh(start, end, counts, columns, values):  # type: ignore[no-untyped-def]
    """Turn the counts of columns[start:end] into values of length 1, and set the counts to zero."""
    square = 0.0
    for k in range(start, end):
        value = np.log1p(np.float64(counts[columns[k]]))
        values[k] = value
        square += value * value
        counts[columns[k]] = 0
    if square > 0:
        for k in range(start, end):
            values[k] /= np.sqrt(square)
