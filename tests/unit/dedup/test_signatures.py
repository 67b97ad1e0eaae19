"""The signature kernel gives bit for bit what datasketch gives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasketch import LeanMinHash, MinHash
from hypothesis import example, given
from hypothesis import strategies as st

from provenance.dedup import tokens as rule
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import SignatureKernel
from provenance.demo.corpus import read_corpus
from provenance.store.store import Store
from tests.factories import ingest, prose
from tests.strategies import PIECES, unicode_texts


def reference(text: str, *, n_perm: int = 112, seed: int = 1, shingle_tokens: int = 5) -> MinHash:
    """Return what datasketch makes of the shingles of a text."""
    minhash = MinHash(num_perm=n_perm, seed=seed, scheme="affine32", hashfunc=int)
    minhash.update_batch(rule.shingle_hashes(text, shingle_tokens=shingle_tokens))
    return minhash


def assert_equal_to_reference(texts: Sequence[str], kernel: SignatureKernel, **settings: Any) -> None:
    signatures, n_words = kernel.compute(pa.array(texts, pa.large_string()))
    assert signatures.dtype == n_words.dtype == np.uint32
    assert signatures.shape == (len(texts), kernel.n_perm)
    for text, signature, n in zip(texts, signatures, n_words, strict=True):
        assert n == len(rule.tokens(text)), repr(text)
        assert np.array_equal(signature, reference(text, **settings).hashvalues), repr(text)


@pytest.mark.parametrize("part", range(4))
def test_every_document_of_the_corpus(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for slow in ("character_class", "token_hash"):  # the plain rule takes its time
        monkeypatch.setattr(rule, slow, cache(getattr(rule, slow)))
    texts = [document["text"] for document in read_corpus()][part::4]
    assert len(texts) > 1000
    assert_equal_to_reference(texts, SignatureKernel())


@given(st.lists(unicode_texts, max_size=6))
@example(list(PIECES))
@example(["".join(PIECES)])
@example([" ".join(PIECES)])
@example(["", "a", "", "中", ""])
@example(["a\u0301" * 3 + "\U00020000", "plain", "İ" * 5])
def test_arbitrary_text(texts: list[str]) -> None:
    assert_equal_to_reference(texts, SignatureKernel())


@pytest.mark.parametrize("plane", [0, 1, 2, 14])
def test_every_character(plane: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "character_class", cache(rule.character_class))
    points = [p for p in range(plane << 16, (plane + 1) << 16) if not 0xD800 <= p <= 0xDFFF]
    rows = [points[i : i + 16] for i in range(0, len(points), 16)]
    texts = ["".join(f"{chr(p)}a{chr(p)}\u0301 " for p in row) for row in rows]
    texts += ["".join(map(chr, row)) for row in rows]
    _, n_words = SignatureKernel(n_perm=1).compute(pa.array(texts, pa.large_string()))
    expected = [len(rule.tokens(text)) for text in texts]
    assert n_words.tolist() == expected


@given(
    texts=st.lists(unicode_texts, min_size=1, max_size=3),
    n_perm=st.sampled_from([1, 7, 64, 256]),
    seed=st.integers(0, 2**32 - 1),
    shingle_tokens=st.integers(1, 16),
)
def test_other_settings(texts: list[str], n_perm: int, seed: int, shingle_tokens: int) -> None:
    kernel = SignatureKernel(n_perm, seed, shingle_tokens=shingle_tokens)
    assert_equal_to_reference(texts, kernel, n_perm=n_perm, seed=seed, shingle_tokens=shingle_tokens)


@given(st.lists(unicode_texts, min_size=1, max_size=8), st.data())
def test_the_shape_of_the_array_is_irrelevant(texts: list[str], data: st.DataObject) -> None:
    expected, n_words = SignatureKernel().compute(pa.array(texts, pa.large_string()))
    low = data.draw(st.integers(0, len(texts)))
    high = data.draw(st.integers(low, len(texts)))
    kernel = SignatureKernel()
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        whole = pa.array(texts, kind)
        signatures, counts = kernel.compute(whole[low:high])
        assert np.array_equal(signatures, expected[low:high])
        assert np.array_equal(counts, n_words[low:high])
    chunked = pa.chunked_array([texts[:low], texts[low:high], texts[high:]], pa.string())
    assert np.array_equal(kernel.compute(chunked)[0], expected)


def test_null_is_an_empty_text() -> None:
    signatures, n_words = SignatureKernel().compute(pa.array(["a b", None, "…"]))
    assert n_words.tolist() == [2, 0, 0]
    assert (signatures[1:] == 2**32 - 1).all()
    assert np.array_equal(signatures[1], MinHash(num_perm=112, seed=1, scheme="affine32").hashvalues)


def test_a_kernel_remembers_nothing_but_its_table() -> None:
    kernel = SignatureKernel()
    texts = ["plain ascii words only", "中文 and more", "\U00020000 beyond", "e\u0301 ß İ", "plain ascii words only"]
    for text in texts:
        assert np.array_equal(kernel.compute(pa.array([text]))[0][0], reference(text).hashvalues)


def test_stored_signatures_load_as_datasketch(store: Store) -> None:
    base = prose(1)
    copy = base.replace(base.split()[30], "other")
    ingest(store, [{"text": base}, {"text": copy}, {"text": "kurz"}, {"text": "…"}])
    stored = store.fetch(
        "SELECT text, hashvalues, n_words FROM signature s JOIN content c USING (content_id) WHERE s.rule_version = 1"
    ).to_pylist()
    assert sorted(row["text"] for row in stored) == sorted([base, copy, "kurz", "…"])
    assert next(set(row["hashvalues"]) for row in stored if row["text"] == "…") == {2**32 - 1}
    seed = store.dedup.seed
    loaded = {}
    for row in stored:
        values = np.array(row["hashvalues"], dtype=np.uint32)
        full = MinHash(num_perm=len(values), seed=seed, scheme="affine32", hashvalues=values)
        lean = LeanMinHash(seed=seed, hashvalues=values, scheme="affine32")
        own = reference(row["text"])
        assert full == own
        assert lean == LeanMinHash(own)
        assert full.jaccard(own) == lean.jaccard(LeanMinHash(own)) == 1.0
        loaded[row["text"]] = lean
    (edge,) = store.fetch("SELECT score FROM near_duplicate").to_pylist()
    assert edge["score"] == loaded[base].jaccard(loaded[copy])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.9])
def test_the_estimate_is_near_the_exact_similarity(share: float) -> None:
    n = 400
    shared = round(2 * n * share / (1 + share))
    kernel = SignatureKernel(shingle_tokens=1)
    errors = []
    for seed in range(20):
        words = [f"w{seed}x{i}" for i in range(2 * n - shared)]
        first, second = set(words[:n]), set(words[n - shared :])
        exact = len(first & second) / len(first | second)
        signatures, _ = kernel.compute(pa.array([" ".join(sorted(first)), " ".join(sorted(second))]))
        errors.append(float((signatures[0] == signatures[1]).mean()) - exact)
    assert abs(np.mean(errors)) < 0.03
    assert max(map(abs, errors)) < 4 * (share * (1 - share) / 112) ** 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_bands": 0}, {"n_bands": 256}, {"rows_per_band": 0}, {"rows_per_band": 65}, {"shingle_tokens": 0},
        {"shingle_tokens": 17}, {"threshold": 0.0}, {"threshold": 1.01}, {"threshold": float("nan")}, {"seed": -1},
    ],
)  # fmt: skip
def test_parameters_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DedupParameters(**wrong)


@pytest.mark.parametrize(
    ("threshold", "n_bands", "rows_per_band", "expected"),
    [(0.7, 1, 10, 7), (0.7, 14, 8, 79), (0.01, 1, 10, 1), (1.0, 1, 8, 8), (0.3, 10, 1, 3), (0.07, 100, 1, 7)],
)
def test_smallest_number_of_equal_values(threshold: float, n_bands: int, rows_per_band: int, expected: int) -> None:
    parameters = DedupParameters(n_bands=n_bands, rows_per_band=rows_per_band, threshold=threshold)
    assert parameters.min_equal == expected
