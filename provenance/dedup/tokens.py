"""The token rule: what counts as a word, and which text a near-duplicate search sees.

The rule (version 1). A text is normalised to NFC, casefolded, and normalised to NFC again. Tokens are its maximal
runs of letters, marks and decimal digits (Unicode categories L*, M*, Nd). In scripts that are written without spaces
(Han, Kana, Thai, Lao, Khmer, Myanmar) every letter is a token of its own, with the marks that follow it. The number
of words of a text is the number of its tokens. A shingle is a run of 5 tokens (a store may be made with another
number); a shorter text is one shingle; a text without tokens has none, and no neighbours.

A token is hashed as FNV-1a over its code points with 64 bits; a shingle as the polynomial of its token hashes to the
base `SHINGLE_BASE` modulo 2^64, mixed down to 32 bits. `shingle_hashes` below states this in plain Python; the
compiled kernel in `signatures` gives the same numbers and is what runs.

Characters are classified by the Unicode tables of the running Python, so a character that a later Unicode version
adds is a separator until Python knows it.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

#: Version of the rule above, stored with every signature.
RULE_VERSION = 1

FNV_OFFSET = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
SHINGLE_BASE = 0x9E3779B97F4A7C15
MIX = 0xD6E8FEB86659FD93

# Classes of characters in the tables of the kernel.
SEPARATOR, WORD, SOLO, MARK, SPACE = 0, 1, 2, 3, 4
#: Those that no token holds.
SEPARATING = frozenset((SEPARATOR, SPACE))
#: Table entry of a character that needs Python's own normalisation.
COMPLEX = -1
CLASS_SHIFT = 24

_MASK = (1 << 64) - 1
BMP = 0x10000
UNICODE = 0x110000

#: Blocks whose letters are tokens of their own.
_SOLO_BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # Han radicals
    (0x3005, 0x3007),  # Han iteration mark, closing mark, zero
    (0x3021, 0x3029),
    (0x3031, 0x30FF),  # Kana repeat marks, Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana phonetic extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAA7F),  # Myanmar extended A
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1B000, 0x1B16F),  # Kana supplement and extensions
    (0x20000, 0x3FFFF),  # Han extensions
)


def normalise(text: str) -> str:
    """Return the text as the rule sees it: casefolded NFC."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def character_class(character: str) -> int:
    """Return SEPARATOR, WORD, SOLO, MARK or SPACE for one character; a space separates too."""
    category = unicodedata.category(character)
    if category[0] == "M":
        return MARK
    if category[0] == "L":
        point = ord(character)
        return SOLO if any(low <= point <= high for low, high in _SOLO_BLOCKS) else WORD
    if category == "Nd":
        return WORD
    return SPACE if character.isspace() else SEPARATOR


def tokens(text: str) -> list[str]:
    """Return the tokens of a text by the rule of this module."""
    found: list[str] = []
    current = ""
    alone = False  # the current token is a letter of a script without spaces
    for character in normalise(text):
        kind = character_class(character)
        if kind in SEPARATING or kind == SOLO or (kind == WORD and alone):
            if current:
                found.append(current)
            current = "" if kind in SEPARATING else character
            alone = kind == SOLO
        else:
            current += character
    if current:
        found.append(current)
    return found


def token_hash(token: str) -> int:
    """Return the 64-bit FNV-1a hash of a token's code points.

    References
    ----------
    Fowler, Noll, Vo, The FNV Non-Cryptographic Hash Algorithm, IETF draft-eastlake-fnv (here over code points).
    """
    value = FNV_OFFSET
    for character in token:
        value = ((value ^ ord(character)) * FNV_PRIME) & _MASK
    return value


def normal_form(text: str) -> str:
    """Return the casefolded NFC text with every run of white space as one space and none at the ends.

    Texts with the same normal form are the same but for case, composition and white space.
    """
    return " ".join(normalise(text).split())


def normal_hash(text: str) -> int:
    """Return the 64-bit FNV-1a hash of the code points of a text's normal form."""
    return token_hash(normal_form(text))


def shingle_hashes(text: str, *, shingle_tokens: int = 5) -> list[int]:
    """Return the 32-bit hash of every shingle of a text, in order; what datasketch is fed with to get our signature."""
    hashes = [token_hash(token) for token in tokens(text)]
    if not hashes:
        return []
    width = min(shingle_tokens, len(hashes))
    return [_shingle_hash(hashes[i : i + width]) for i in range(len(hashes) - width + 1)]


def _shingle_hash(hashes: list[int]) -> int:
    value = 0
    for one in hashes:
        value = (value * SHINGLE_BASE + one) & _MASK
    value ^= value >> 32
    value = (value * MIX) & _MASK
    return value >> 32


@cache
def character_table(size: int) -> npt.NDArray[np.int32]:
    """Return the table of the kernel for code points below `size`: folded code point | class << 24, or COMPLEX.

    COMPLEX marks what one look-up cannot decide: characters that casefold to several, that are not stable under NFC,
    or that may combine with what stands before them.
    """
    table = np.full(size, COMPLEX, dtype=np.int32)
    combining = _combining_characters()
    for point in range(size):
        character = chr(point)
        if unicodedata.category(character) in ("Cn", "Co"):  # unassigned or private: nine tenths of all code points
            table[point] = point
            continue
        folded = character.casefold()
        if len(folded) == 1 and _stands_alone(character, combining) and _stands_alone(folded, combining):
            table[point] = ord(folded) | character_class(folded) << CLASS_SHIFT
    return table


@cache
def class_table(size: int) -> npt.NDArray[np.int32]:
    """Return the table of the kernel for text that `normalise` went over: every character as it is, with its class."""
    classes = [character_class(chr(point)) for point in range(size)]
    return np.arange(size, dtype=np.int32) | np.array(classes, dtype=np.int32) << CLASS_SHIFT


def _stands_alone(character: str, combining: frozenset[str]) -> bool:
    if character in combining or 0xD800 <= ord(character) <= 0xDFFF:
        return False
    if unicodedata.combining(character):
        return False
    return not unicodedata.decomposition(character) or unicodedata.is_normalized("NFC", character)


@cache
def _combining_characters() -> frozenset[str]:
    """Return the characters that NFC may join to the one before: second halves of compositions, Hangul vowels."""
    second = {chr(point) for point in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for point in range(0x20000):  # no composition lies above
        parts = unicodedata.decomposition(chr(point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            second.add(chr(int(parts[1], 16)))
    return frozenset(second)
