"""Shared runs of tokens, against the plainest possible search."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.dedup.spans import shares_span
from provenance.dedup.tokens import tokens
from tests.factories import prose
from tests.strategies import unicode_texts

# Few words, so that runs are shared often.
_few_words = st.lists(st.sampled_from(["a", "b", "中", "É", "...", "ß"]), max_size=14).map(" ".join)
_texts = st.lists(st.one_of(_few_words, _few_words, unicode_texts), max_size=6)


def runs(text: str, n: int) -> set[tuple[str, ...]]:
    found = tokens(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}


@given(texts=_texts, against=_texts, n_tokens=st.integers(1, 6))
def test_against_brute_force(texts: list[str], against: list[str], n_tokens: int) -> None:
    known = set().union(*(runs(text, n_tokens) for text in against))
    expected = [bool(runs(text, n_tokens) & known) for text in texts]
    found = shares_span(pa.array(texts, pa.string()), pa.array(against, pa.string()), n_tokens=n_tokens)
    assert found.tolist() == expected


def test_thirteen_tokens_by_default() -> None:
    words = prose(1, n_words=40).split()
    quoted = pa.array([" ".join(words)])
    twelve = " ".join(words[10:22])
    thirteen = " ".join(words[10:23])
    case = thirteen.upper().replace(" ", ", ")
    found = shares_span(pa.array([f"x {twelve} y", f"x {thirteen} y", case, "", "short"]), quoted)
    assert found.tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(("texts", "against"), [([], []), (["a"], []), ([], ["a"])])
def test_nothing(texts: list[str], against: list[str]) -> None:
    found = shares_span(pa.array(texts, pa.string()), pa.array(against, pa.string()))
    assert found.tolist() == [False] * len(texts)


def test_runs_do_not_cross_texts() -> None:
    found = shares_span(pa.array(["a b c d"]), pa.array(["a b", "c d"]), n_tokens=3)
    assert found.tolist() == [False]
