"""Split a long text at paragraph borders into documents of even length."""

from __future__ import annotations

import re
from itertools import accumulate

# A paragraph with the blank lines that follow it.
_PARAGRAPH = re.compile(r".+?(?:\n\s*\n\s*|\Z)", re.DOTALL)
# A line, or a sentence inside it, with the white space that follows: only for paragraphs that are far too
# long.
_SENTENCE = re.compile(r".+?(?:\n\s*|(?<=[.?!;])[\"')\]”’]*\s+(?=[\"'(\[“‘A-Z0-9$])|\Z)", re.DOTALL)

#: A paragraph longer than this many times the target is split at sentence borders.
LONG_PARAGRAPH = 2
#: No document is shorter than this share of the target, unless the whole text is.
SHORTEST = 0.5


def split_text(text: str, *, target_words: int = 350) -> list[str]:
    r"""Return the text as consecutive documents of about `target_words` words.

    Borders lie between paragraphs; a paragraph is opened only when it alone is more than `LONG_PARAGRAPH`
    times the target. Of all such divisions the one with the smallest sum of squared deviations from the
    target is taken, so lengths are balanced over the whole text and no tiny rest is left at its end.

    Parameters
    ----------
    text : paragraphs separated by blank lines
    target_words : wanted length of a document, in words (maximal runs without white space)

    Notes
    -----
    Nothing is lost or moved: the documents, joined, are the text up to white space at the borders.

    Examples
    --------
    >>> split_text("one two\n\nthree four\n\nfive six\n\nseven eight", target_words=4)
    ['one two\n\nthree four', 'five six\n\nseven eight']
    """
    units = list(_units(text.strip(), target_words=target_words))
    borders = _best_borders([len(unit.split()) for unit in units], target_words=target_words)
    return ["".join(units[start:end]).strip() for start, end in borders]


def _units(text: str, *, target_words: int) -> list[str]:
    """Return the pieces that are never divided; joined, they are the text."""
    units: list[str] = []
    for paragraph in _PARAGRAPH.findall(text):
        if len(paragraph.split()) > LONG_PARAGRAPH * target_words:
            units.extend(_SENTENCE.findall(paragraph))
        else:
            units.append(paragraph)
    return units


def _best_borders(n_words: list[int], *, target_words: int) -> list[tuple[int, int]]:
    """Return (start, end) of consecutive groups whose lengths are as near to the target as can be.

    Dynamic programming over the end of the last group. A group stops growing once it is past the target and
    has what the shortest document needs, because longer ones only cost more; ties go to the longer last
    group.
    """
    up_to = [0, *accumulate(n_words)]
    shortest = min(SHORTEST * target_words, up_to[-1])
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(up_to)):
        choice = (float("inf"), 0)
        for start in range(end - 1, -1, -1):
            length = up_to[end] - up_to[start]
            if length < shortest:
                continue
            cost = best[start][0] + (length - target_words) ** 2
            choice = min(choice, (cost, start))
            if (length - target_words) ** 2 > choice[0] and length > target_words:
                break
        best.append(choice)
    borders: list[tuple[int, int]] = []
    end = len(n_words)
    while end > 0:
        start = best[end][1]
        borders.append((start, end))
        end = start
    return borders[::-1]
