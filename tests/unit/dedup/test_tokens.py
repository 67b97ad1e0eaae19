"""The token rule in examples of many scripts."""

from __future__ import annotations

import pytest

from provenance.dedup.tokens import (
    MARK,
    SEPARATOR,
    SOLO,
    WORD,
    character_class,
    normalise,
    shingle_hashes,
    token_hash,
    tokens,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("The People, of the U.S.!", ["the", "people", "of", "the", "u", "s"], id="English"),
        pytest.param("don't co-operate snake_case", ["don", "t", "co", "operate", "snake", "case"], id="punctuation"),
        pytest.param("In 1790, 3.14 and 50%", ["in", "1790", "3", "14", "and", "50"], id="digits"),
        pytest.param("abc123def", ["abc123def"], id="letters and digits run together"),
        pytest.param("½ cup, x² Ⅷ ①", ["cup", "x"], id="numbers that are no decimal digits"),
        pytest.param("中华人民共和国", list("中华人民共和国"), id="Chinese"),
        pytest.param("中文ABC中文", ["中", "文", "abc", "中", "文"], id="Chinese and Latin"),
        pytest.param("人々。〇", ["人", "々"], id="Han iteration mark is a letter; the zero is a letter number"),
        pytest.param("日本語とカタカナー", list("日本語とカタカナー"), id="Japanese"),
        pytest.param("か\u3099き", ["が", "き"], id="Japanese with a combining voice mark"),
        pytest.param("ｶﾞ", ["ｶ", "ﾞ"], id="half-width Katakana: its voice mark is a letter"),
        pytest.param("กินข้าว", ["กิ", "น", "ข้", "า", "ว"], id="Thai: letters with their marks"),
        pytest.param("๑๒๓ บาท", ["๑๒๓", "บ", "า", "ท"], id="Thai digits are a run"),
        pytest.param("ລາວ", ["ລ", "າ", "ວ"], id="Lao"),
        pytest.param("ភាសា", ["ភា", "សា"], id="Khmer"),
        pytest.param("မြန်မာ", ["မြ", "န်", "မာ"], id="Myanmar"),
        pytest.param("كَتَبَ الرَّجُلُ ١٢", ["كَتَبَ", "الرَّجُلُ", "١٢"], id="Arabic with vowel marks"),
        pytest.param("كتب، الكتاب؟", ["كتب", "الكتاب"], id="Arabic punctuation"),
        pytest.param("Съешь ЖЕ ещё этих", ["съешь", "же", "ещё", "этих"], id="Russian"),
        pytest.param("еще\u0308", ["ещё"], id="Russian, decomposed"),
        pytest.param("한국어 텍스트", ["한국어", "텍스트"], id="Korean: words by spaces"),
        pytest.param("\u1112\u1161\u11ab\u1100\u116e\u11a8", ["한국"], id="Korean in single letters"),
        pytest.param("हिन्दी में", ["हिन्दी", "में"], id="Hindi: marks stay in the word"),
        pytest.param("STRASSE Straße ſtraẞe", ["strasse", "strasse", "strasse"], id="German sharp s"),
        pytest.param("ΟΔΟΣ οδος οδοσ", ["οδοσ", "οδοσ", "οδοσ"], id="Greek final sigma"),
        pytest.param("İstanbul", ["i\u0307stanbul"], id="Turkish dotted I"),
        pytest.param("\ufb01ne \ufb03", ["fine", "ffi"], id="ligatures"),
        pytest.param("Ꭰꭰ", ["ᎠᎠ"], id="Cherokee folds to capitals"),
        pytest.param("\u212aelvin \u212bngstr\u00f6m", ["kelvin", "ångström"], id="Kelvin and Angstrom signs"),
        pytest.param("é e\u0301", ["é", "é"], id="composed and decomposed"),
        pytest.param("a\u0323\u0307 a\u0307\u0323", ["ạ\u0307", "ạ\u0307"], id="marks in any order"),
        pytest.param("👨‍👩‍👧 😀!", [], id="emoji"),
        pytest.param("a\u200bb c\u00add", ["a", "b", "c", "d"], id="invisible characters part words"),
        pytest.param("\u0301x", ["\u0301x"], id="a mark at the very beginning"),
        pytest.param("中\u0301文", ["中\u0301", "文"], id="a mark on a Han letter"),
        pytest.param("𐐀𐐨 𝐀", ["𐐨𐐨", "𝐀"], id="beyond the basic plane"),
        pytest.param("\U00020000\U00020001", ["\U00020000", "\U00020001"], id="Han beyond the basic plane"),
        pytest.param("\u0378\ue000x", ["x"], id="unassigned and private characters"),
        pytest.param("", [], id="nothing"),
        pytest.param(" \n\t…—", [], id="nothing but separators"),
    ],
)  # fmt: skip
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("character", "expected"), [("a", WORD), ("7", WORD), ("中", SOLO), ("ก", SOLO), ("\u0301", MARK), ("_", SEPARATOR)]
)
def test_classes(character: str, expected: int) -> None:
    assert character_class(character) == expected


def test_equal_under_case_and_composition() -> None:
    assert normalise("ÉCOLE") == normalise("e\u0301cole") == "école"


def test_token_hash_is_fnv_1a_over_code_points() -> None:
    assert token_hash("") == 0xCBF29CE484222325
    assert token_hash("a") == 0xAF63DC4C8601EC8C  # the published test vector of FNV-1a 64
    assert token_hash("foobar") == 0x85944171F73967E8


def test_number_of_shingles() -> None:
    assert shingle_hashes("") == shingle_hashes("…") == []
    assert len(shingle_hashes("one")) == len(shingle_hashes("one two three four five")) == 1
    assert len(shingle_hashes("one two three four five six seven")) == 3
    assert len(shingle_hashes("one two three", shingle_tokens=1)) == 3


def test_a_short_text_is_one_shingle_of_all_its_tokens() -> None:
    assert shingle_hashes("one two three") == shingle_hashes("one two three", shingle_tokens=3)
    assert shingle_hashes("one two") != shingle_hashes("two one")
    assert all(0 <= value < 2**32 for value in shingle_hashes("a b c d e f g h"))
