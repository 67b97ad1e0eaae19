"""Text as it may stand on a screen: nothing in it steers the terminal or hides."""

from __future__ import annotations

from unicodedata import category

#: They shape the letters around them in Persian, in scripts of India and in pictures, and steer nothing.
JOINERS = "\u200c\u200d"


def visible(text: str, *, keep: str = "") -> str:
    r"""Return a text with a sign for what a terminal would obey or hide; spaces of every kind are spaces.

    Parameters
    ----------
    keep : characters that stay beside those that print

    Examples
    --------
    >>> visible("a\x1b[31m b")
    'a�[31m b'
    """
    return "".join(one if one.isprintable() or one in keep else _sign(one) for one in text)


def one_line(text: str, *, keep: str = "") -> str:
    r"""Return a text as `visible` does, in one line.

    Examples
    --------
    >>> one_line("a\r\n  b")
    'a b'
    """
    return visible(" ".join(text.split()), keep=keep)


def _sign(character: str) -> str:
    return " " if category(character) == "Zs" else "\N{REPLACEMENT CHARACTER}"
