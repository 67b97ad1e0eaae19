"""Hypothesis strategies: text of many scripts, records, lines that may be anything."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

#: Pieces of text where normalisation, casefolding or word division is not what one thinks.
PIECES = (
    # words and what parts them
    "the", "People", "of", "UNITED", "states", " ", "  ", "\n", "\t", ".", ", ", "-", "_", "'", "’", "1790", "3.14",
    "½", "²", "Ⅷ", "①", "٣٤", "๓", "߁", "\u00a0", "\u200b", "\u2028", "\ufeff", "\u00ad",
    # casefold oddities
    "ß", "ẞ", "İ", "I", "ı", "ſ", "ſt", "ﬁ", "ŉ", "ǰ", "ΐ", "ς", "Σ", "σ", "ᾳ", "ᾼ", "\u212a", "\u212b", "Å", "Ω",
    "Ꭰ", "ꭰ", "Ა", "ა", "Ǆ", "ǅ", "ﬓ", "𐐀", "𐐨", "𝐀", "Ɐ", "Ȿ",
    # combining marks, in and out of canonical order
    "e\u0301", "é", "\u0301", "\u0323", "a\u0323\u0307", "a\u0307\u0323", "\u0345", "α\u0345\u0301", "ᾴ",
    "q\u0307\u0323", "\u0344", "\u0340", "\u2126", "\u1e9b\u0323", "\u0f71\u0f72\u0f74", "\u0f73", "\u0958",
    "\u0915\u093c", "हिन्दी", "தமிழ்", "\u0b47\u0b3e",
    # Han, Kana, compatibility forms, beyond the basic plane
    "中华人民", "中華民國", "日本語", "ひらがな", "カタカナ", "ｶﾞｷﾞ", "か\u3099", "が", "々", "〇",
    "\uf900", "\u2f00", "\U00020000", "\U0002f800", "ー",
    # Thai, Lao, Khmer, Myanmar
    "สวัสดี", "ภาษาไทย", "น้ำ", "ລາວ", "ភាសាខ្មែរ", "မြန်မာ", "เ", "\u0e33", "\u0e4d\u0e32",
    # Hangul: syllables, letters that join, letters that do not
    "한국어", "\u1112\u1161\u11ab", "\u1100", "\u1161", "\u11a8", "가\u11a8", "\uac00",
    "ㅎ", "\ua960", "\ud7b0", "\ud7cb",
    # right to left, with joiners and presentation forms
    "العربية", "ـ", "\ufedf\ufe8e", "عَرَبِيّ", "עברית", "שׁ", "\ufb2a", "\u200d", "\u200c", "\u202e",
    # emoji, private use, unassigned, the last code points
    "😀", "👨‍👩‍👧", "🇩🇪", "❤️", "\ue000", "\u0378", "\U000e0001", "\U0010fffd", "\uffff", "\x01", "\x7f",
    "Русский", "Ё", "е\u0308", "й", "и\u0306", "Ελλάδα", "ΆΈ", "Việt", "ộ", "ffi", "Ⅻ", "ª", "º", "ʰ", "ᴬ",
)  # fmt: skip

#: Any text that UTF-8 can hold.
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)

#: Text put together from the pieces above, with some arbitrary characters in between.
mixed_text = st.lists(
    st.one_of(st.sampled_from(PIECES), st.sampled_from(PIECES), st.characters(exclude_categories=["Cs"])), max_size=40
).map("".join)

unicode_texts = st.one_of(mixed_text, any_text)

#: Text that a record may have: something visible, no NUL.
record_texts = unicode_texts.map(lambda text: text.replace("\0", "")).filter(lambda text: text and not text.isspace())

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé", max_size=3), inner, max_size=3),
    max_leaves=8,
)

metadata_keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda key: key not in _KNOWN
)
_KNOWN = frozenset(
    ("text", "id", "uri", "url", "author", "title", "licence", "license", "model", "authored_at", "date",
     "collected_at", "origin", "generation", "parent", "metadata")
)  # fmt: skip

#: Records that a source can hold.
records = st.fixed_dictionaries(
    {"text": record_texts},
    optional={
        "id": st.text("abc123", min_size=1, max_size=3) | st.integers(0, 20),
        "author": st.sampled_from(["Ada", "Émile", "Борис"]),
        "date": st.sampled_from(["1790", "1790-01", "1790-01-08", "1950-05-05T10:00:00+02:00"]),
        "licence": st.sampled_from(["CC0-1.0", "MIT", "CC-BY-NC-4.0", "gibberish"]),
        "origin": st.sampled_from(["human", "unknown"]),
        "metadata": st.dictionaries(metadata_keys, json_values, max_size=2),
    },
)


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


#: Lines of a file, without the line break: good records, near misses, anything.
lines = st.one_of(
    records.map(_line),
    records.map(_line),
    st.fixed_dictionaries({"text": json_values}).map(_line),
    st.fixed_dictionaries({"text": record_texts, "origin": json_values, "generation": json_values}).map(_line),
    st.fixed_dictionaries({"text": record_texts, "date": json_values, "id": json_values}).map(_line),
    st.fixed_dictionaries({"text": record_texts, "parent": json_values, "model": json_values}).map(_line),
    json_values.map(_line),
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")),
    st.sampled_from([b"", b" ", b"\r", b"{", b"null", b'{"text":"\\ud800"}', b'{"text":"a\\u0000b"}',
                     b'{"text":"\xff"}', b'{"text":"NaN","x":NaN}', b'{"text": "a", "text": "b"}', b"[]",
                     b"\xef\xbb\xbf{}", b'{"text":"x","date":"0001-01-01T00:00:00+14:00"}']),
)  # fmt: skip
