from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.dedup.tokens import tokens
from provenance.detection import features
from provenance.detection.features import MOST_CHARACTERS, N_COLUMNS, Featurizer, occupied

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


def _counts(text: str) -> tuple[list[int], list[int]]:
    """How often each word, pair and run of characters occurs, by the definition."""
    words = tokens(text)
    terms = Counter([(w,) for w in words] + list(pairwise(words)))
    plain = " ".join(text.split())
    runs = Counter(plain[i : i + n] for n in (2, 3, 4) for i in range(len(plain) - n + 1))
    return sorted(terms.values()), sorted(runs.values())


def _length_one(counts: list[int]) -> np.ndarray:
    values = np.log1p(np.array(counts, float))
    return np.sort(values / np.sqrt((values**2).sum())) if counts else values


@given(st.lists(_TEXT, max_size=4))
def test_rows_are_the_counts_of_the_definition(texts: list[str]) -> None:
    rows = Featurizer().rows(texts)
    assert rows.shape == (len(texts), 2 * N_COLUMNS)
    for i, text in enumerate(texts):
        row = rows[i]
        in_words = row.indices < N_COLUMNS
        for part, counts in zip((row.data[in_words], row.data[~in_words]), _counts(text), strict=True):
            # No two of so few features share one of 262,144 columns, but for bad luck that the seed would repeat.
            np.testing.assert_allclose(np.sort(part), _length_one(counts), rtol=1e-5)
        alone = Featurizer().rows([text])
        np.testing.assert_array_equal(row.indices, alone.indices)  # what stands beside a text is nothing to it
        np.testing.assert_array_equal(row.data, alone.data)
    before, values = rows.indices.copy(), rows.data.copy()
    columns = occupied(rows)
    assert rows.shape == (len(texts), len(set(before.tolist())))
    np.testing.assert_array_equal(columns[rows.indices], before)
    np.testing.assert_array_equal(rows.data, values)


def test_white_space_and_the_end_of_long_texts_do_not_count() -> None:
    long = "a b c " * MOST_CHARACTERS
    one, two, three, four = Featurizer().rows(["a b\n\t c", "a b c", long, long + "something else"]).toarray()
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(three, four)


def test_many_texts_are_counted_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {k} of many" for k in range(23)]
    whole = Featurizer().rows(texts)
    monkeypatch.setattr(features, "_AT_ONCE", 5)
    assert (whole != Featurizer().rows(texts)).nnz == 0
    assert Featurizer().rows([]).shape == (0, 2 * N_COLUMNS)
