"""Many words looked for in a text at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

#: Characters by which it is seen that one of the words may begin.
_HEAD = 8
#: So few words are looked for one by one.
_FEW = 20


def folded(text: str) -> str:
    """Return a text as it is compared: capitals or not, composed characters or not."""
    return unicodedata.normalize("NFC", text.casefold())


class Words:
    """Words to be found in texts, in time that grows with the text and hardly with their number."""

    def __init__(self, words: Iterable[str]) -> None:
        known = {folded(word) for word in words} - {""}
        self._few = known if len(known) <= _FEW else {word for word in known if len(word) < _HEAD}
        self._known = known - self._few
        self._lengths: dict[str, set[int]] = {}
        for word in self._known:
            self._lengths.setdefault(word[:_HEAD], set()).add(len(word))

    def are_in(self, text: str) -> bool:
        """Return whether any of the words stands in a text as `folded` gives it."""
        if any(word in text for word in self._few):
            return True
        lengths = self._lengths
        if not lengths:
            return False
        for at in range(len(text) - _HEAD + 1):
            found = lengths.get(text[at : at + _HEAD])
            if found and any(text[at : at + length] in self._known for length in found):
                return True
        return False
