"""What differs between two texts, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import islice
from typing import Literal, NamedTuple

#: Words of each text that are compared; comparing takes the square of it in time.
MOST_WORDS = 20_000
_PIECES = re.compile(r"\S+")


class Piece(NamedTuple):
    """A run of words.

    Attributes
    ----------
    kind : whether both texts have it, only the first, or only the second
    words : the words
    """

    kind: Literal["same", "removed", "added"]
    words: list[str]


def word_diff(first: str, second: str, *, most_words: int = MOST_WORDS) -> Iterator[Piece]:
    """Yield the pieces that lead from the first text to the second; white space counts as nothing.

    Parameters
    ----------
    most_words : so many words of the beginning of each are compared
    """
    old, new = ([found[0] for found in islice(_PIECES.finditer(text), most_words)] for text in (first, second))
    for kind, i, i_end, j, j_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Piece("same", old[i:i_end])
            continue
        if i_end > i:
            yield Piece("removed", old[i:i_end])
        if j_end > j:
            yield Piece("added", new[j:j_end])


def shortened(pieces: Iterator[Piece], *, context: int = 8, longest: int = 80) -> Iterator[Piece]:
    """Yield the pieces with the middle of long ones left out, said so in words.

    Parameters
    ----------
    context : words kept at each end of what both texts have
    longest : words of a change that are shown
    """
    for piece in pieces:
        n = len(piece.words)
        if piece.kind == "same" and n > 2 * context + 4:
            yield Piece("same", [*piece.words[:context], f"[… {n - 2 * context:,} words …]", *piece.words[-context:]])
        elif piece.kind != "same" and n > longest:
            half = longest // 2
            yield Piece(piece.kind, [*piece.words[:half], f"[… {n - 2 * half:,} words …]", *piece.words[-half:]])
        else:
            yield piece
