"""Words: the types that metrics count are words, never tokens of a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from provenance.dedup.tokens import MARK, SEPARATING, SOLO, character_class, normalise

_ASCII_WORD = re.compile(r"[A-Za-z0-9]+")
_class_of = lru_cache(maxsize=1 << 16)(character_class)


class Word(NamedTuple):
    """One word as it stands in a text."""

    type: str
    start: int
    end: int


#: Held-out texts are looked at after every generation: this many texts are kept in words.
_CACHED_TEXTS = 2048


@lru_cache(maxsize=_CACHED_TEXTS)
def words_in(text: str) -> tuple[Word, ...]:
    """Return the words of a text by the database's token rule, with their places in the text as it is."""
    if text.isascii():
        return tuple(Word(match[0].lower(), match.start(), match.end()) for match in _ASCII_WORD.finditer(text))
    found: list[Word] = []
    start: int | None = None
    alone = False  # the current word is a letter of a script without spaces
    for at, character in enumerate(text + " "):
        kind = _class_of(character)
        separates = kind in SEPARATING
        begins = kind == SOLO or (alone and not separates and kind != MARK)
        if start is not None and (separates or begins):
            found.append(Word(normalise(text[start:at]), start, at))
            start = None
        if start is None and not separates:
            start = at
            alone = kind == SOLO
    return tuple(found)


def has_words(text: str) -> bool:
    """Return whether a text has any word: as `words_in` says, without looking at more than its first."""
    if text.isascii():
        return _ASCII_WORD.search(text) is not None
    return any(_class_of(character) not in SEPARATING for character in text)


def word_types(text: str) -> list[str]:
    """Return the types of the words of a text, in order."""
    return [word.type for word in words_in(text)]


@dataclass(frozen=True)
class Lexicon:
    """The words of the human text that generation 0 was trained on, frozen, with their counts."""

    counts: dict[str, int]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Lexicon:
        """Count the words of texts."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(word_types(text))
        return cls(dict(sorted(counts.items())))

    @cached_property
    def n_words(self) -> int:
        """Words counted."""
        return sum(self.counts.values())

    @cached_property
    def tail(self) -> frozenset[str]:
        """The rarest types that together hold at most 20 % of the words; equally rare ones in alphabetical order."""
        kept: list[str] = []
        mass = 0
        for word in sorted(self.counts, key=lambda word: (self.counts[word], word)):
            mass += self.counts[word]
            if 5 * mass > self.n_words:
                break
            kept.append(word)
        return frozenset(kept)
