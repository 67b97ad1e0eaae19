"""Shared runs of tokens and picked spans, against the plainest possible search."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.dedup.spans import GUARANTEED_TOKENS, shares_span, winnow
from provenance.dedup.token_hashes import TokenHasher
from provenance.dedup.tokens import tokens
from tests.factories import prose
from tests.property.dedup_oracle import all_spans, picked_spans
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


# ---------------------------------------------------------------- picked spans


def winnowed(texts: list[str], *, sampled_frac: float = 0) -> list[list[int]]:
    """Return the picked spans of every text."""
    spans = winnow(TokenHasher().compute(pa.array(texts, pa.string())), sampled_frac=sampled_frac)
    assert spans.hashes.dtype == np.uint64
    ends = spans.offsets.tolist()
    assert (ends[0], ends[-1], len(ends)) == (0, spans.hashes.size, len(texts) + 1)
    return [spans.hashes[low:high].tolist() for low, high in pairwise(ends)]


_long_texts = st.one_of(
    st.lists(st.sampled_from(["a", "b", "中", "É", "ß"]), max_size=120).map(" ".join),
    st.lists(st.integers(0, 10**6), max_size=120).map(lambda numbers: " ".join(map(str, numbers))),
    st.sampled_from([prose(i, n_words=n) for i, n in enumerate((12, 13, 14, 49, 50, 51, 88, 400))]),
    unicode_texts,
)


@given(st.lists(_long_texts, max_size=5))
def test_winnow_against_brute_force(texts: list[str]) -> None:
    """In every window of 38 spans the one with the least hash; each once a text, in ascending order."""
    assert winnowed(texts) == [sorted(picked_spans(text)) for text in texts]


@given(st.lists(_long_texts, max_size=5), st.sampled_from([0.001, 0.1, 0.5, 0.999]))
def test_sampled_spans_come_on_top_of_picked_ones(texts: list[str], sampled_frac: float) -> None:
    """All spans whose hash is small are among them, whatever stands beside them."""
    expected = [
        sorted(picked_spans(text) | {one for one in all_spans(text) if one < sampled_frac * 2**64}) for text in texts
    ]
    assert winnowed(texts, sampled_frac=sampled_frac) == expected


_word = (st.integers(0, 3) | st.integers(0, 10**6)).map(lambda number: f"w{number}")
_around = st.lists(_word, max_size=90)


@given(
    run=st.lists(_word, min_size=GUARANTEED_TOKENS, max_size=GUARANTEED_TOKENS),
    around=st.tuples(_around, _around, _around, _around),
)
def test_a_shared_run_of_fifty_tokens_has_a_common_picked_span(run: list[str], around: tuple[list[str], ...]) -> None:
    """Whatever stands before and behind it in the two texts."""
    one, other = (" ".join([*around[i], *run, *around[i + 1]]) for i in (0, 2))
    here, there, inside = map(set, winnowed([one, other, " ".join(run)]))
    assert here & there & inside


@pytest.mark.parametrize(("n_tokens", "n_picked"), [(0, 0), (12, 0), (13, 1), (30, 1), (50, 1)])
def test_short_texts_have_one_picked_span_or_none(n_tokens: int, n_picked: int) -> None:
    (found,) = winnowed([prose(1, n_words=n_tokens)])
    assert len(found) == n_picked


def test_density() -> None:
    """Two of 39 spans are picked on average, where hashes are random."""
    n = 100_000
    (found,) = winnowed([" ".join(map(str, range(n)))])
    assert len(found) / n == pytest.approx(2 / 39, rel=0.03)
    assert winnowed(["the same " * 500])[0] == sorted(picked_spans("the same " * 20)), "two spans, again and again"


@given(texts=st.lists(_long_texts, min_size=1, max_size=5), data=st.data())
def test_taking_some_of_the_texts(texts: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=6))
    spans = winnow(TokenHasher().compute(pa.array(texts, pa.string())))
    taken = spans.take(np.array(rows, dtype=np.int64))
    expected = winnowed([texts[row] for row in rows])
    assert [taken.hashes[low:high].tolist() for low, high in pairwise(taken.offsets.tolist())] == expected
