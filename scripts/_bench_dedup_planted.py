"""Millions of documents with planted near-duplicates, every one a function of its number alone.

Because any document can be made again from its number, a copy may lie at any distance from its original, the truth
needs no file, and a further batch can be made for a store of any size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import orjson
from _bench_documents import WordChain

#: Changed whenever other documents are made, so that no file of an earlier version is used.
VERSION = 1
#: Jaccard similarities of the shingles of a planted copy and its original.
LEVELS = (0.55, 0.65, 0.75, 0.85, 0.98)
COPY_FRAC = 0.10
#: Words of a document, from the first to below the second: about 600 bytes.
N_WORDS = (80, 130)
#: Probability that a word is followed by what followed another occurrence of it in the corpus.
JUMP = 0.3
SHARD_DOCS = 500_000
_BLOCK_DOCS = 20_000
_SHINGLE_WORDS = 5
#: Bytes of a line beside its words: names of the fields, quotes, number.
_FRAME_BYTES = 48


@dataclass(frozen=True)
class Planted:
    """The copies among the documents.

    Attributes
    ----------
    copies, originals : (n,) int64 — numbers of documents; no original is a copy
    levels : (n,) int64 — place in `LEVELS`
    """

    copies: npt.NDArray[np.int64]
    originals: npt.NDArray[np.int64]
    levels: npt.NDArray[np.int64]


def planted(first: int, end: int, *, seed: int) -> Planted:
    """Return which of the documents from `first` to below `end` are copies of which earlier ones."""
    originals, levels = _fates(first, end, np.uint64(seed))
    at = np.flatnonzero(originals >= 0)
    return Planted(at + first, originals[at], levels[at])


def text_of(number: int, *, seed: int) -> str:
    """Return the text of a document."""
    (line,) = lines(number, number + 1, seed=seed)
    text: str = orjson.loads(bytes(line))["text"]
    return text


def lines(first: int, end: int, *, seed: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield blocks of JSON Lines: the documents from `first` to below `end`, each with its number as its id."""
    chain = _chain()
    longest = int(np.diff(chain.starts).max()) + 1
    buffer = np.empty(min(_BLOCK_DOCS, end - first) * (N_WORDS[1] * longest + _FRAME_BYTES), dtype=np.uint8)
    for low in range(first, end, _BLOCK_DOCS):
        n_bytes = _write_lines(low, min(end, low + _BLOCK_DOCS), np.uint64(seed), *chain.arrays, buffer)
        yield buffer[:n_bytes]


def make_shards(folder: Path, *, n_documents: int, seed: int) -> list[Path]:
    """Return files with the first documents, `SHARD_DOCS` in each; what is there from an earlier run is kept."""
    home = folder / f"planted-v{VERSION}-seed{seed}"
    home.mkdir(parents=True, exist_ok=True)
    starts = range(0, n_documents, SHARD_DOCS)
    return [make_shard(home, low, min(n_documents, low + SHARD_DOCS), seed=seed) for low in starts]


def make_shard(home: Path, first: int, end: int, *, seed: int) -> Path:
    """Return the file with the documents from `first` to below `end`, made when it is not there."""
    path = home / f"{first:09d}-{end:09d}.jsonl"
    if not path.exists():
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            for block in lines(first, end, seed=seed):
                file.write(block)
        partial.replace(path)
    return path


@dataclass(frozen=True)
class _Chain:
    """A chain over the words of the embedded corpus.

    Attributes
    ----------
    words : (n,) int32 — the running words of the corpus
    places, first_places : the places of each word in `words`, one word after the other
    data, starts : the UTF-8 bytes of each word as they stand in JSON
    """

    words: npt.NDArray[np.int32]
    places: npt.NDArray[np.int64]
    first_places: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        return self.words, self.places, self.first_places, self.data, self.starts


@cache
def _chain() -> _Chain:
    source = WordChain()
    escaped = [orjson.dumps(word)[1:-1] for word in source.vocabulary]
    return _Chain(
        source.words,
        np.argsort(source.words, kind="stable"),
        np.r_[0, np.cumsum(np.bincount(source.words))],
        np.frombuffer(b"".join(escaped), np.uint8),
        np.r_[0, np.cumsum([len(word) for word in escaped])],
    )


# ---------------------------------------------------------------- compiled; everything is a function of (seed, number)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xBF58476D1CE4E5B9)
_LAST = np.uint64(0x94D049BB133111EB)
_ORIGINAL_STREAM, _COPY_STREAM, _FATE_STREAM = np.uint64(1), np.uint64(2), np.uint64(3)


@numba.njit(cache=True)
def _mixed(value):  # type: ignore[no-untyped-def]
    """Return splitmix64's output for a state."""
    value = (value ^ (value >> np.uint64(30))) * _STEP
    value = (value ^ (value >> np.uint64(27))) * _LAST
    return value ^ (value >> np.uint64(31))


@numba.njit(cache=True)
def _state(seed, number, stream):  # type: ignore[no-untyped-def]
    return _mixed(_mixed(seed * np.uint64(4) + stream + _GOLDEN) ^ (np.uint64(number) * _GOLDEN))


@numba.njit(cache=True)
def _chance(state):  # type: ignore[no-untyped-def]
    """Return a number in [0, 1)."""
    return (_mixed(state) >> np.uint64(11)) * (1.0 / (1 << 53))


@numba.njit(cache=True)
def _is_copy(seed, number):  # type: ignore[no-untyped-def]
    return number > 0 and _chance(_state(seed, number, _FATE_STREAM)) < COPY_FRAC


@numba.njit(cache=True)
def _original_of(seed, number):  # type: ignore[no-untyped-def]
    """Return an earlier document that is no copy; all are about equally likely."""
    state = _state(seed, number, _FATE_STREAM)
    original = np.int64(_chance(state + _GOLDEN) * number)
    while _is_copy(seed, original):
        original -= 1
    return original


@numba.njit(cache=True)
def _level_of(seed, number):  # type: ignore[no-untyped-def]
    state = _state(seed, number, _FATE_STREAM)
    return np.int64(_chance(state + _GOLDEN + _GOLDEN) * len(LEVELS))


@numba.njit(cache=True)
def _fates(first, end, seed):  # type: ignore[no-untyped-def]
    originals = np.full(end - first, -1, dtype=np.int64)
    levels = np.full(end - first, -1, dtype=np.int64)
    for number in range(first, end):
        if _is_copy(seed, number):
            originals[number - first] = _original_of(seed, number)
            levels[number - first] = _level_of(seed, number)
    return originals, levels


@numba.njit(cache=True)
def _walk(seed, number, words, places, first_places, out):  # type: ignore[no-untyped-def]
    """Write the words of a document that is no copy to `out` and return how many there are."""
    state = _state(seed, number, _ORIGINAL_STREAM)
    n = N_WORDS[0] + np.int64(_chance(state) * (N_WORDS[1] - N_WORDS[0]))
    state += _GOLDEN
    place = np.int64(_chance(state) * words.size)
    for i in range(n):
        word = words[place]
        out[i] = word
        state += _GOLDEN
        chance = _chance(state)
        if chance < JUMP:
            low, high = first_places[word], first_places[word + 1]
            place = places[low + np.int64(chance / JUMP * (high - low))]
        place += 1
        if place == words.size:
            place = 0
    return n


@numba.njit(cache=True)
def _edit(seed, number, similarity, words, n, out):  # type: ignore[no-untyped-def]
    """Replace words so that the shingles before and after have about the similarity.

    A word replaced far from the ends and from other replacements changes 5 shingles, one of the last words one.
    """
    state = _state(seed, number, _COPY_STREAM)
    n_shingles = n - _SHINGLE_WORDS + 1
    n_changed = max(1, np.int64(round(n_shingles * (1 - similarity) / (1 + similarity))))
    n_inside, n_last = n_changed // _SHINGLE_WORDS, n_changed % _SHINGLE_WORDS
    for i in range(n - n_last, n):
        state += _GOLDEN
        out[i] = words[np.int64(_chance(state) * words.size)]
    if n_inside:
        low = _SHINGLE_WORDS - 1
        width = (n - n_last - 2 * low) // n_inside
        for part in range(n_inside):
            state += _GOLDEN
            place = low + part * width + np.int64(_chance(state) * (width - low))
            state += _GOLDEN
            out[place] = words[np.int64(_chance(state) * words.size)]


@numba.njit(cache=True)
def _write_lines(first, end, seed, words, places, first_places, data, starts, buffer):  # type: ignore[no-untyped-def]
    """Write documents as JSON Lines to `buffer` and return the number of bytes."""
    chosen = np.empty(N_WORDS[1], dtype=np.int32)
    at = 0
    for number in range(first, end):
        if _is_copy(seed, number):
            n = _walk(seed, _original_of(seed, number), words, places, first_places, chosen)
            _edit(seed, number, LEVELS[_level_of(seed, number)], words, n, chosen)
        else:
            n = _walk(seed, number, words, places, first_places, chosen)
        at = _put(buffer, at, b'{"id":"')
        at = _put_number(buffer, at, number)
        at = _put(buffer, at, b'","text":"')
        for i in range(n):
            if i:
                buffer[at] = 32
                at += 1
            low, high = starts[chosen[i]], starts[chosen[i] + 1]
            for j in range(low, high):
                buffer[at] = data[j]
                at += 1
        at = _put(buffer, at, b'"}\n')
    return at


@numba.njit(cache=True)
def _put(buffer, at, piece):  # type: ignore[no-untyped-def]
    for byte in piece:
        buffer[at] = byte
        at += 1
    return at


@numba.njit(cache=True)
def _put_number(buffer, at, number):  # type: ignore[no-untyped-def]
    n_digits = 1
    while number >= 10**n_digits:
        n_digits += 1
    for i in range(n_digits):
        buffer[at + n_digits - 1 - i] = 48 + number % 10
        number //= 10
    return at + n_digits
