"""Claims: origin, generation and model that fit each other, or an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import ContradictoryClaim, UnknownOrigin
from provenance.records import GRADES, ORIGINS, RANK_DECLARED, Claim


def test_words() -> None:
    assert ORIGINS == ("human", "synthetic", "mixed", "unknown")
    assert GRADES == ("none", "declared", "detector", "dated", "attested", "curated")
    assert RANK_DECLARED == 1


@pytest.mark.parametrize(
    ("given_", "made"),
    [
        (("human", None, None), ("human", 0, None)),
        (("human", 0, None), ("human", 0, None)),
        (("synthetic", None, None), ("synthetic", None, None)),
        (("synthetic", 1, "gpt-x"), ("synthetic", 1, "gpt-x")),
        (("mixed", 7, "gpt-x"), ("mixed", 7, "gpt-x")),
        (("unknown", None, None), ("unknown", None, None)),
    ],
)
def test_consistent(given_: tuple[Any, ...], made: tuple[Any, ...]) -> None:
    origin, generation, model = given_
    assert Claim.make(origin, generation=generation, model=model) == Claim(*made)


@pytest.mark.parametrize(
    ("origin", "generation", "model"),
    [
        ("human", 1, None), ("human", 0, "gpt-x"), ("human", -1, None), ("synthetic", 0, None), ("synthetic", -1, "m"),
        ("mixed", 0, "m"), ("unknown", 0, None), ("unknown", 3, None), ("unknown", None, "m"),
        ("synthetic", 2**32, "m"),
    ],
)  # fmt: skip
def test_contradictions(origin: str, generation: int | None, model: str | None) -> None:
    with pytest.raises(ContradictoryClaim, match=r"generation 0"):
        Claim.make(origin, generation=generation, model=model)


@pytest.mark.parametrize(("word", "hint"), [("humann", "human"), ("synthetik", "synthetic"), ("HUMAN", ""), ("", "")])
def test_unknown_origin(word: str, hint: str) -> None:
    with pytest.raises(UnknownOrigin) as caught:
        Claim.make(word)
    assert caught.value.word == word
    assert "human, synthetic, mixed, unknown" in str(caught.value)
    assert not hint or f"Did you mean {hint!r}" in str(caught.value)


@given(
    st.sampled_from(ORIGINS),
    st.none() | st.integers(-2, 5) | st.integers(),
    st.none() | st.sampled_from(["m", "gpt-x"]),
)
def test_what_is_made_is_consistent(origin: str, generation: int | None, model: str | None) -> None:
    try:
        claim = Claim.make(origin, generation=generation, model=model)
    except ContradictoryClaim:
        return
    assert (claim.origin == "human") == (claim.generation == 0)
    assert claim.generation is None or 0 <= claim.generation < 2**32
    assert claim.model is None or claim.origin in ("synthetic", "mixed")
    assert claim.origin != "unknown" or claim.generation is None
    assert claim.rank == (0 if origin == "unknown" else 1)
    assert Claim.make(claim.origin, generation=claim.generation, model=claim.model) == claim
