"""Licence classes: how free a licence is, from its SPDX identifier."""

from __future__ import annotations

import re
from functools import lru_cache

#: Classes from the freest to the most restrictive; `unknown` is treated as the most restrictive.
LICENCE_CLASSES = ("public-domain", "permissive", "share-alike", "non-commercial", "proprietary", "unknown")

# Tried in this order: a licence that is both share-alike and non-commercial is non-commercial.
_RULES = (
    (
        "public-domain",
        r"CC0(-\d.*)?|CC-PDM.*|CC-PDDC|PDDL(-\d.*)?|Unlicense|0BSD|LicenseRef-.*Public-?Domain.*|LicenseRef-PD\b.*|US-.*PD.*|blessing",
    ),
    ("non-commercial", r"CC-BY-NC.*|.*-NC-.*|PolyForm-Noncommercial.*"),
    ("share-alike", r"CC-BY-SA.*|GFDL.*|A?L?GPL-.*|ODbL.*|MPL-.*|EUPL.*|CDLA-Sharing.*"),
    (
        "permissive",
        r"CC-BY(-\d.*)?|MIT(-.*)?|Apache-.*|BSD-.*|ISC|Zlib|ODC-By.*|CDLA-Permissive.*|OGL-.*|BSL-1\.0|PSF-.*",
    ),
    ("proprietary", r"LicenseRef-.*|CC-BY-ND.*|BUSL-.*"),
)
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _RULES)


def licence_class(licence: str | None) -> str:
    """Return the class of one SPDX identifier, or of an expression of several.

    In `A AND B` the most restrictive part counts, in `A OR B` the freest; AND binds tighter than OR, brackets tighter
    than both. What is not recognised, and an expression that is none, is `unknown`.

    References
    ----------
    SPDX Specification 2.3, annex D (licence expressions).
    """
    words = re.findall(r"[()]|[^\s()]+", licence or "")
    if not 0 < len(words) <= _MOST_WORDS:
        return "unknown"
    place, found = _either(words, 0)
    return LICENCE_CLASSES[found] if place == len(words) else "unknown"


_UNKNOWN = LICENCE_CLASSES.index("unknown")
#: No real expression is longer, and brackets in brackets cost stack.
_MOST_WORDS = 100


def _either(words: list[str], place: int) -> tuple[int, int]:
    """Read `A OR B ...` from `place` on; return the place after it and the number of its class."""
    place, found = _both(words, place)
    while place < len(words) and words[place] == "OR":
        place, other = _both(words, place + 1)
        found = min(found, other)
    return place, found


def _both(words: list[str], place: int) -> tuple[int, int]:
    place, found = _one(words, place)
    while place < len(words) and words[place] == "AND":
        place, other = _one(words, place + 1)
        found = max(found, other)
    return place, found


def _one(words: list[str], place: int) -> tuple[int, int]:
    if place >= len(words) or words[place] in (")", "AND", "OR", "WITH"):
        return place, _UNKNOWN
    if words[place] == "(":
        place, found = _either(words, place + 1)
        closed = place < len(words) and words[place] == ")"
        return (place + 1, found) if closed else (place, _UNKNOWN)
    found = LICENCE_CLASSES.index(_identifier_class(words[place]))
    is_with_exception = words[place + 1 : place + 2] == ["WITH"]
    return place + (3 if is_with_exception else 1), found


@lru_cache(maxsize=4096)
def _identifier_class(identifier: str) -> str:
    return next((name for name, pattern in _COMPILED if pattern.fullmatch(identifier)), "unknown")
