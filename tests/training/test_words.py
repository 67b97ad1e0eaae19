from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.dedup.tokens import tokens
from training.metrics.words import Lexicon, has_words, word_types, words_in


def test_words_have_their_place_in_the_text() -> None:
    text = "We, the PEOPLE of 1787."
    found = words_in(text)
    assert [word.type for word in found] == ["we", "the", "people", "of", "1787"]
    assert [text[word.start : word.end] for word in found] == ["We", "the", "PEOPLE", "of", "1787"]


def test_words_beyond_ascii_follow_the_rule_of_the_database() -> None:
    text = "Ça alors — naïve Straße, “quoted” 国家 e\u0301te\u0301"
    assert word_types(text) == tokens(text)


@given(st.text(alphabet=st.characters(codec="latin-1")))
def test_words_are_the_tokens_of_the_database(text: str) -> None:
    assert word_types(text) == tokens(text)


@given(st.text(max_size=8) | st.text(alphabet=" …—.\u0301\u00b2_", max_size=4))
def test_a_text_has_words_or_none(text: str) -> None:
    assert has_words(text) == bool(words_in(text))


def test_tail_is_the_rarest_fifth_of_the_mass() -> None:
    # 20 words: 8 the, 6 of, 3 and, 1 each of x y z; a fifth is 4 words: x, y, z, and nothing that would exceed it.
    lexicon = Lexicon.of(["the " * 8 + "of " * 6 + "and " * 3, "z y x"])
    assert lexicon.n_words == 20
    assert lexicon.tail == {"x", "y", "z"}


def test_equally_rare_words_enter_the_tail_in_alphabetical_order() -> None:
    assert Lexicon.of(["e d c b a"]).tail == {"a"}


@pytest.mark.parametrize("seed", range(5))
def test_tail_is_the_most_that_a_fifth_can_hold(seed: int) -> None:
    rng = random.Random(seed)
    lexicon = Lexicon.of([" ".join(f"w{int(rng.paretovariate(1))}" for _ in range(2000))])
    mass = sum(lexicon.counts[word] for word in lexicon.tail)
    rarest_outside = min(count for word, count in lexicon.counts.items() if word not in lexicon.tail)
    assert mass <= 0.2 * lexicon.n_words < mass + rarest_outside
    assert max(lexicon.counts[word] for word in lexicon.tail) <= rarest_outside
