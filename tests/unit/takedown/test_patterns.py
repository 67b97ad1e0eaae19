"""Patterns of addresses beside the shell's rule for names of files, in Python and in the database."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from urllib.parse import quote

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.takedown.patterns import inside, plain, regular, words_of
from provenance.takedown.words import Words, folded

ADDRESSES = st.text(st.sampled_from("ab-.\\^é]/? +(\n"), max_size=8)
PATTERNS = st.text(st.sampled_from("ab-.\\^é]/? +(*[!"), max_size=8)
CONNECTION = duckdb.connect()


def in_database(expression: str, address: str) -> bool:
    (found,) = CONNECTION.execute("SELECT regexp_full_match(?, ?)", (address, expression)).fetchone() or (None,)
    assert isinstance(found, bool)
    return found


@given(pattern=PATTERNS, address=ADDRESSES)
def test_a_pattern_is_that_of_the_shell(pattern: str, address: str) -> None:
    expected = fnmatch.fnmatchcase(address, pattern)
    expression = regular(pattern)
    assert bool(re.fullmatch(expression, address)) == expected
    assert in_database(expression, address) == expected


@given(address=ADDRESSES.map(lambda end: f"https://host.example/{end}"))
def test_every_way_to_write_an_address_is_found(address: str) -> None:
    written = {
        address,
        quote(address, safe=":/?"),
        unicodedata.normalize("NFD", address),
        address.replace("https://host", "HTTPS://Host"),
    }
    for one in written:
        literal = re.sub(r"([*?[])", r"[\1]", one)
        for other in written:
            assert in_database(regular(literal), plain(other)), (literal, other)


@pytest.mark.parametrize(
    ("pattern", "word"), [("*", ""), ("*.org", ".org"), ("https://x.org/a*b", "https://x.org/a"), ("[ab]?%C3%A9", "é")]
)
def test_what_stands_for_itself(pattern: str, word: str) -> None:
    assert words_of(pattern) == word


def test_inside_a_text() -> None:
    found = inside("https://x.example/*")
    assert found is not None
    assert found.findall('see <HTTPS://x.example/a> and "https://x.example/b c"') == [
        "HTTPS://x.example/a", "https://x.example/b"
    ]  # fmt: skip
    assert inside("*.org") is None, "it would be found in anything"


@given(
    words=st.lists(st.text("abÄé ", min_size=1, max_size=12), max_size=40),
    text=st.text("abÄé ", max_size=60),
    inserted=st.integers(0, 100),
)
def test_many_words_in_a_text(words: list[str], text: str, inserted: int) -> None:
    if words and inserted < 50:
        text += words[inserted % len(words)].upper() + text
    expected = any(folded(word) in folded(text) for word in words)
    assert Words(words).are_in(folded(text)) == expected
