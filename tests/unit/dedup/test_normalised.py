"""The same but for case, Unicode composition and white space: a rule of its own, with the score 1."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provenance.dedup.signatures import SignatureKernel
from provenance.dedup.tokens import normal_form, normal_hash
from provenance.store.store import Store
from tests.factories import ingest, prose, rows, violations
from tests.strategies import PIECES, unicode_texts

TEXT = "The People of the United States, in order to form a more perfect Union — establish Justice."

#: Characters that are white space to Python, which is what counts.
SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2003\u2007\u2009\u2028\u2029\u202f\u205f\u3000"


def edges(store: Store) -> list[tuple[str, float]]:
    assert violations(store) == []
    return [(row["rule"], row["score"]) for row in rows(store, "SELECT rule, score FROM near_duplicate")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(TEXT, TEXT.upper(), id="case"),
        pytest.param(TEXT, TEXT.replace(" ", "\n"), id="line breaks"),
        pytest.param(TEXT, TEXT.replace(" ", "  \t "), id="more white space"),
        pytest.param(TEXT, TEXT.replace(" ", "\u00a0"), id="no-break spaces"),
        pytest.param(TEXT, f"\n\n  {TEXT}\r\n", id="white space at the ends"),
        pytest.param("école à l’été", "e\u0301cole a\u0300 l’e\u0301te\u0301", id="composed and decomposed"),
        pytest.param("ÉCOLE", "e\u0301cole", id="case and composition"),
        pytest.param("Straße", "STRASSE", id="sharp s"),
        pytest.param("ΟΔΟΣ", "οδος", id="final sigma"),
        pytest.param("\ufb01ne", "fine", id="a ligature that casefolds to two letters"),
        pytest.param("a\u0323\u0307", "a\u0307\u0323", id="marks in another order"),
        pytest.param("中文 字", "中文\u3000字", id="ideographic space"),
        pytest.param("\uac00\uac01", "\u1100\u1161\u1100\u1161\u11a8", id="Hangul in single letters"),
        pytest.param("one", "One", id="one word"),
        pytest.param("…", " …\n", id="no words"),
        pytest.param("… — …", "…\t—\n…", id="no words, white space between"),
        pytest.param("😀 😀", "😀\u2003😀", id="emoji"),
    ],
)  # fmt: skip
def test_the_same_in_normal_form(store: Store, one: str, other: str) -> None:
    ingest(store, [{"text": one}, {"text": other}])
    assert edges(store) == [("normalised", 1.0)]
    assert rows(store, "SELECT count(DISTINCT cluster_id) AS n FROM document") == [{"n": 1}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(TEXT, TEXT.replace(",", ";"), id="punctuation"),
        pytest.param(TEXT, TEXT.replace("—", "-"), id="dashes"),
        pytest.param(TEXT, TEXT.replace(" ", "\u200b"), id="a space without width is none"),
        pytest.param("a b", "a-b", id="a hyphen for a space"),
        pytest.param("中文字", "中 文 字", id="white space where there was none"),
    ],
)
def test_the_same_words_only(store: Store, one: str, other: str) -> None:
    """Then the texts are near-duplicates with all hash values equal, which is less."""
    ingest(store, [{"text": one}, {"text": other}])
    assert edges(store) == [("near", 1.0)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("…", "!", id="no words, other signs"),
        pytest.param("…", "……", id="no words, more signs"),
        pytest.param("… …", "……", id="no words, white space where there was none"),
        pytest.param("😀", "😃", id="other emoji"),
        pytest.param("…", "word", id="no words and one"),
        pytest.param("one", "two", id="other words"),
        pytest.param("Ａ", "A", id="compatibility forms are other characters"),
        pytest.param("½", "⅓", id="numbers that are no digits"),
    ],
)
def test_not_the_same(store: Store, one: str, other: str) -> None:
    ingest(store, [{"text": one}, {"text": other}])
    assert edges(store) == []


def test_texts_without_words_meet_whenever_they_come(store: Store) -> None:
    for i, text in enumerate(["…", "! ?", " …", "!\n?", "…\t", "?", "! ? "]):
        ingest(store, [{"text": text, "id": str(i)}])
    groups = rows(store, "SELECT list(external_id ORDER BY external_id) AS ids FROM document GROUP BY cluster_id")
    assert sorted(row["ids"] for row in groups) == [["0", "2", "4"], ["1", "3", "6"], ["5"]]
    assert set(edges(store)) == {("normalised", 1.0)}


def test_many_forms_of_one_text_are_one_cluster(store: Store) -> None:
    text = prose(1)
    ingest(store, [{"text": text.replace(" ", " " * i), "id": str(i)} for i in range(1, 31)])
    assert rows(store, "SELECT count(DISTINCT cluster_id) AS n FROM document") == [{"n": 1}]
    assert set(edges(store)) == {("normalised", 1.0)}


# ---------------------------------------------------------------- the hash of the normal form


@given(st.lists(unicode_texts, max_size=6))
@example(list(PIECES))
@example([" ".join(PIECES)])
@example(["", " ", f"a{SPACES}b", SPACES])
@example(["plain", "\U00020000", " É ", "e\u0301 "])
def test_the_kernel_hashes_normal_forms(texts: list[str]) -> None:
    found = SignatureKernel(n_perm=1).features(pa.array(texts, pa.large_string())).normal_hashes
    assert found.dtype == np.uint64
    assert found.tolist() == [normal_hash(text) for text in texts]


@given(text=unicode_texts, spaces=st.lists(st.text(SPACES, min_size=1, max_size=3), min_size=1, max_size=4))
def test_other_forms_have_the_same_hash(text: str, spaces: list[str]) -> None:
    """Decomposed, casefolded, with other white space between and around."""
    words = text.split()
    spaced = "".join(spaces[i % len(spaces)] + word for i, word in enumerate(words)) + spaces[0]
    forms = [text, unicodedata.normalize("NFD", text), unicodedata.normalize("NFC", text).casefold(), spaced]
    found = SignatureKernel(n_perm=1).features(pa.array(forms, pa.large_string())).normal_hashes
    assert len(set(found.tolist())) == 1


def test_every_white_space_counts_as_one_space() -> None:
    spaces = [chr(point) for point in range(0x110000) if chr(point).isspace()]
    texts = [f"a{space}b" for space in spaces]
    found = SignatureKernel(n_perm=1).features(pa.array(texts, pa.large_string())).normal_hashes
    assert set(found.tolist()) == {normal_hash("a b")}
    assert {normal_form(text) for text in texts} == {"a b"}
    assert set(SPACES) <= set(spaces)
