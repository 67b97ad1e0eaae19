"""Documents for the ingest benchmark: many, deterministic, English on the surface, with copies among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from provenance.demo.corpus import read_corpus

N_WORDS = (170, 512)
BATCH_DOCS = 4096
#: Probability that a word is followed by what followed another occurrence of it in the corpus.
JUMP = 0.3
EXACT_FRAC = 0.03
NEAR_FRAC = 0.10
#: Words changed in a near-duplicate, as a share of all.
CHANGED_FRAC = (0.002, 0.015)
#: Copies are taken from this many documents before.
REACH_DOCS = 20_000


class WordChain:
    """A chain over the words of the embedded corpus: mostly the next word, at times that of another place."""

    def __init__(self) -> None:
        running = [word for document in read_corpus() for word in document["text"].split()]
        self.vocabulary = sorted(set(running))
        numbers = {word: number for number, word in enumerate(self.vocabulary)}
        self.words: npt.NDArray[np.int32] = np.array([numbers[word] for word in running], dtype=np.int32)
        self._places = np.argsort(self.words, kind="stable")
        self._counts = np.bincount(self.words)
        self._starts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])

    def walk(self, n_docs: int, n_words: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
        """Return (n_docs, n_words) numbers of words in `vocabulary`."""
        out = np.empty((n_words, n_docs), dtype=np.int32)
        place = rng.integers(self.words.size, size=n_docs)
        for row in out:
            row[:] = self.words[place]
            jump = np.flatnonzero(rng.random(n_docs) < JUMP)
            word = row[jump]
            chosen = (rng.random(jump.size) * self._counts[word]).astype(np.int64)
            place[jump] = self._places[self._starts[word] + chosen]
            place = (place + 1) % self.words.size
        return out.T


def documents(*, n_bytes: int, seed: int) -> Iterator[bytes]:
    """Yield lines of JSON, about `n_bytes` in all, 2 kB each; the same arguments give the same lines.

    `copy_of` names the original of a copy, and is null for the others.
    """
    chain = WordChain()
    rng = np.random.default_rng(seed)
    recent: deque[tuple[str, list[int]]] = deque(maxlen=REACH_DOCS)
    written = number = 0
    while written < n_bytes:
        lengths = rng.integers(*N_WORDS, size=BATCH_DOCS)
        fate = rng.random(BATCH_DOCS)
        for row, length, chance in zip(chain.walk(BATCH_DOCS, N_WORDS[1], rng), lengths, fate, strict=True):
            original, numbers = None, row[:length].tolist()
            if chance < EXACT_FRAC + NEAR_FRAC and recent:
                original, numbers = recent[rng.integers(len(recent))]
                numbers = numbers if chance < EXACT_FRAC else _changed(numbers, chain.words, rng)
            name = f"{number:08d}"
            if original is None:
                recent.append((name, numbers))
            text = " ".join([chain.vocabulary[n] for n in numbers])
            line = orjson.dumps({"id": name, "text": text, "copy_of": original}, option=orjson.OPT_APPEND_NEWLINE)
            yield line
            number += 1
            written += len(line)
            if written >= n_bytes:
                return


def make_file(path: Path, *, n_bytes: int, seed: int) -> Path:
    """Write the documents to a file unless it is there from an earlier run, and return its path."""
    if not path.exists():
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.writelines(documents(n_bytes=n_bytes, seed=seed))
        partial.replace(path)
    return path


def _changed(numbers: list[int], words: npt.NDArray[np.int32], rng: np.random.Generator) -> list[int]:
    """Return a copy with some words replaced by others, frequent words more often."""
    n_changed = max(1, round(rng.uniform(*CHANGED_FRAC) * len(numbers)))
    changed = list(numbers)
    for place in rng.choice(len(numbers), size=n_changed, replace=False):
        changed[place] = int(words[rng.integers(words.size)])
    return changed
