"""Splitting: nothing lost, borders at paragraphs, lengths even."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.demo.split import LONG_PARAGRAPH, SHORTEST, split_text

TARGET = 20
paragraphs = st.lists(st.integers(1, LONG_PARAGRAPH * TARGET), min_size=1, max_size=40)


def text_of(lengths: list[int]) -> str:
    return "\n\n".join(" ".join(f"p{i}w{j}" for j in range(length)) for i, length in enumerate(lengths))


@given(paragraphs)
def test_documents_joined_are_the_text(lengths: list[int]) -> None:
    text = text_of(lengths)
    assert "\n\n".join(split_text(text, target_words=TARGET)) == text


@given(paragraphs)
def test_no_document_is_tiny_or_huge(lengths: list[int]) -> None:
    n_words = [len(part.split()) for part in split_text(text_of(lengths), target_words=TARGET)]
    if len(n_words) > 1:
        assert min(n_words) >= SHORTEST * TARGET
    # One that is too short can only be helped by its neighbour, so nothing exceeds both together.
    assert max(n_words) <= (LONG_PARAGRAPH + 1) * TARGET


def test_balances_over_the_whole_text_instead_of_leaving_a_rest() -> None:
    # Filling up from the front would give 20, 20, 8.
    parts = split_text(text_of([4] * 12), target_words=TARGET)
    assert [len(part.split()) for part in parts] == [24, 24]


def test_takes_the_division_nearest_to_the_target() -> None:
    lengths = [7, 9, 5, 12, 8, 3, 10, 6, 11, 4]
    found = [len(part.split()) for part in split_text(text_of(lengths), target_words=TARGET)]

    def cost(groups: list[int]) -> int:
        return sum((group - TARGET) ** 2 for group in groups)

    every = [[lengths[0]]]
    for length in lengths[1:]:
        every = [[*g[:-1], g[-1] + length] for g in every] + [[*g, length] for g in every]
    allowed = [groups for groups in every if min(groups) >= SHORTEST * TARGET]
    assert cost(found) == min(map(cost, allowed))


def test_only_a_far_too_long_paragraph_is_opened_and_at_sentences() -> None:
    sentence = "This is a sentence of exactly eight words."
    long_paragraph = " ".join([sentence] * 12)
    parts = split_text(long_paragraph, target_words=TARGET)
    assert len(parts) > 1
    assert all(part.endswith("words.") for part in parts)
    assert " ".join(parts) == long_paragraph
    just_allowed = " ".join(["word"] * (LONG_PARAGRAPH * TARGET))
    assert split_text(just_allowed, target_words=TARGET) == [just_allowed]


def test_short_text_is_one_document_whatever_its_length() -> None:
    assert split_text("  just three words \n", target_words=TARGET) == ["just three words"]


@pytest.mark.parametrize("empty", ["", "  \n\n \n"])
def test_empty_text_has_no_documents(empty: str) -> None:
    assert split_text(empty, target_words=TARGET) == []
