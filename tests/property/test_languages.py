"""The search for copies in languages with other scripts: what holds for English holds for them.

The texts in languages.txt were written for these tests.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from provenance.dedup import tokens as rule
from provenance.dedup.bands import band_keys
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import SignatureKernel
from tests.conftest import Maker
from tests.factories import ingest, rows, violations


def read_paragraphs() -> dict[str, tuple[str, ...]]:
    """Return four paragraphs a language: a market, a bridge, a library, a walk in the hills."""
    whole = Path(__file__).with_name("languages.txt").read_text(encoding="utf-8")
    parts = [part.splitlines() for part in whole.strip().split("\n\n")]
    return {name.removeprefix("# "): tuple(lines) for name, *lines in parts}


PARAGRAPHS = read_paragraphs()
LANGUAGES = sorted(PARAGRAPHS)
WITHOUT_SPACES = ("Chinese", "Japanese", "Thai")
PARAMETERS = DedupParameters()
KERNEL = SignatureKernel()


def text_of(language: str) -> str:
    """Return the text that is copied; the last paragraph is the one that has nothing to do with it."""
    return "\n".join(PARAGRAPHS[language][:3])


def joined(language: str, found: list[str]) -> str:
    return ("" if language in WITHOUT_SPACES else " ").join(found)


def with_run_replaced(language: str, share: float, where: float) -> str:
    """Return the text with one run of its tokens replaced by tokens of the last paragraph."""
    found, other = rule.tokens(text_of(language)), rule.tokens(PARAGRAPHS[language][3])
    n = max(1, round(share * len(found)))
    start = round(where * (len(found) - n))
    return joined(language, [*found[:start], *other[:n], *found[start + n :]])


def with_tokens_replaced(language: str, share: float, seed: int) -> str:
    """Return the text with tokens here and there replaced by tokens of the last paragraph."""
    chance = Random(seed)
    found, other = rule.tokens(text_of(language)), rule.tokens(PARAGRAPHS[language][3])
    for place in chance.sample(range(len(found)), round(share * len(found))):
        found[place] = chance.choice(other)
    return joined(language, found)


def moved(language: str) -> str:
    """Return the paragraphs in another order."""
    first, second, third, _ = PARAGRAPHS[language]
    return "\n".join((third, first, second))


def cut_off(language: str, share: float) -> str:
    text = text_of(language)
    return text[: round(share * len(text))]


def estimate(one: str, other: str) -> float:
    signatures, _ = KERNEL.compute(pa.array([one, other]))
    return float((signatures[0] == signatures[1]).mean())


def is_near(one: str, other: str) -> bool:
    """Say whether two texts meet in a bucket and enough of their hash values agree."""
    signatures, _ = KERNEL.compute(pa.array([one, other]))
    keys = band_keys(signatures, PARAMETERS.n_bands, PARAMETERS.rows_per_band)
    return bool((keys[0] == keys[1]).any()) and int((signatures[0] == signatures[1]).sum()) >= PARAMETERS.min_equal


def exact_similarity(one: str, other: str) -> float:
    first, second = set(rule.shingle_hashes(one)), set(rule.shingle_hashes(other))
    return len(first & second) / len(first | second)


# ---------------------------------------------------------------- the kernel

_SPACES = (" ", "  ", "\n", "\t", "\u00a0", "\u3000", " \r\n")
_FOLDS: tuple[Callable[[str], str], ...] = (
    str.upper, str.lower, str.swapcase, *(lambda text, form=form: unicodedata.normalize(form, text)
    for form in ("NFC", "NFD", "NFKC", "NFKD")), lambda text: text[::-1], lambda text: text[1::2],
)  # fmt: skip


@st.composite
def edited_texts(draw: st.DrawFn) -> str:
    """Return a paragraph of one language after edits that need not leave sensible text."""
    text = draw(st.sampled_from(PARAGRAPHS[draw(st.sampled_from(LANGUAGES))]))
    for fold in draw(st.lists(st.sampled_from(_FOLDS), max_size=2)):
        text = fold(text)
    low, high = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    inserted = draw(st.sampled_from((*_SPACES, "", "\u0301", "ABC", "１２", "٣", "ー")))
    return text[:low] + inserted + text[high:] if draw(st.booleans()) else text[low:high] + inserted + text[low:]


@given(st.lists(edited_texts(), min_size=1, max_size=4))
def test_counts_and_signatures_are_those_of_the_plain_rule(texts: list[str]) -> None:
    signatures, n_words = KERNEL.compute(pa.array(texts, pa.large_string()))
    assert n_words.tolist() == [len(rule.tokens(text)) for text in texts]
    for text, signature in zip(texts, signatures, strict=True):
        expected = MinHash(num_perm=112, seed=1, scheme="affine32", hashfunc=int)
        expected.update_batch(rule.shingle_hashes(text))
        assert np.array_equal(signature, expected.hashvalues), repr(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_have_enough_words(language: str) -> None:
    """A language whose sentences came out as a word or two would pass all other tests and be useless."""
    _, n_words = KERNEL.compute(pa.array(PARAGRAPHS[language]))
    sizes = [len(paragraph) for paragraph in PARAGRAPHS[language]]
    shortest, longest = (1, 2) if language in WITHOUT_SPACES else (3, 8)  # characters a token, with what stands between
    assert all(shortest <= size / n <= longest for size, n in zip(sizes, n_words, strict=True)), n_words
    assert all(n >= 25 for n in n_words)


@given(language=st.sampled_from(LANGUAGES), data=st.data())
def test_case_composition_and_white_space_change_nothing(language: str, data: st.DataObject) -> None:
    text = text_of(language)
    same = data.draw(st.sampled_from([text, text.upper(), text.swapcase(), unicodedata.normalize("NFD", text)]))
    space = data.draw(st.sampled_from(_SPACES))
    same = space + space.join(same.split()) + space
    features = KERNEL.features(pa.array([text, same]))
    assert np.array_equal(features.signatures[0], features.signatures[1])
    assert features.n_words[0] == features.n_words[1]
    assert features.normal_hashes[0] == features.normal_hashes[1] == rule.normal_hash(text)


@pytest.mark.parametrize("language", WITHOUT_SPACES)
def test_spaces_between_letters_change_no_shingle(language: str) -> None:
    text = text_of(language)
    spaced = " ".join(rule.tokens(text))
    assert estimate(text, spaced) == 1.0
    features = KERNEL.features(pa.array([text, spaced]))
    assert features.normal_hashes[0] != features.normal_hashes[1], "the same for near-duplicates, not the same text"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 1.0])
def test_a_copy_with_a_rewritten_passage_is_found(language: str, where: float) -> None:
    assert is_near(text_of(language), with_run_replaced(language, 0.03, where))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_copy_with_paragraphs_moved_or_the_end_cut_off_is_found(language: str) -> None:
    assert is_near(text_of(language), moved(language))
    assert is_near(text_of(language), cut_off(language, 0.9))
    assert not is_near(text_of(language), cut_off(language, 0.3)), "that is what containment is for"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("share", [0.03, 0.1])
def test_the_estimate_is_near_the_exact_similarity(language: str, share: float) -> None:
    text = text_of(language)
    errors = []
    for seed in range(12):
        copy = with_tokens_replaced(language, share, seed)
        exact = exact_similarity(text, copy)
        assert 0.1 < exact < 0.95
        errors.append((estimate(text, copy) - exact) / (exact * (1 - exact) / 112) ** 0.5)
    assert max(map(abs, errors)) < 4
    assert abs(float(np.mean(errors))) < 1.5  # all share one text and one set of permutations, so they go together


@pytest.mark.parametrize("language", LANGUAGES)
def test_unrelated_texts_of_a_language_are_not_alike(language: str) -> None:
    for one, other in combinations(PARAGRAPHS[language], 2):
        assert not is_near(one, other)
        assert estimate(one, other) < 0.1


# ---------------------------------------------------------------- what the rule does not fold


@pytest.mark.parametrize(
    ("language", "changed"),
    [
        pytest.param("Japanese", lambda t: t.replace("ゴム", "ｺﾞﾑ").replace("キロ", "ｷﾛ"), id="half-width Katakana"),
        pytest.param("Arabic", lambda t: t.replace("السوق", "السُّوقُ").replace("الجسر", "الجِسْرُ"), id="vowel marks"),
        pytest.param("Arabic", lambda t: t.replace("أبوابه", "ابوابه"), id="hamza left out"),
        pytest.param("Russian", lambda t: t.replace("ещё", "еще").replace("прочёл", "прочел"), id="dots left out"),
        pytest.param("Hindi", lambda t: t.replace("बाज़ार", "बाजार").replace("ज़्यादा", "ज्यादा"), id="nukta left out"),
        pytest.param("English", lambda t: t.replace("market", "ｍａｒｋｅｔ"), id="full-width Latin"),
    ],
)  # fmt: skip
def test_other_letters_are_other_words_but_the_copy_is_found(language: str, changed: Callable[[str], str]) -> None:
    text, copy = text_of(language), changed(text_of(language))
    assert rule.tokens(copy) != rule.tokens(text)
    assert 0.7 <= estimate(text, copy) < 1.0
    assert is_near(text, copy)


def test_letters_that_canonical_composition_makes_one_are_one() -> None:
    pairs = (
        ("\u0958लम", "\u0915\u093cलम"),  # Hindi: NFC takes this one apart instead of putting it together
        ("\u0451лка", "\u0435\u0308лка"),
        ("\u0622منة", "\u0627\u0653منة"),
        ("\u304c", "\u304b\u3099"),
        ("한국", unicodedata.normalize("NFD", "한국")),
        ("น\u0e49\u0e38", "น\u0e38\u0e49"),  # Thai: a vowel and a tone in either order
    )
    for one, other in pairs:
        assert one != other
        assert rule.tokens(one) == rule.tokens(other)
        assert estimate(one, other) == 1.0


# ---------------------------------------------------------------- a store


def copies(language: str) -> dict[str, str]:
    """Return texts that are all near-duplicates of the first."""
    return {
        "original": text_of(language),
        "start": with_run_replaced(language, 0.03, 0.0),
        "middle": with_run_replaced(language, 0.03, 0.5),
        "cut": cut_off(language, 0.92),
        "moved": moved(language),
        "spaced": "  ".join(text_of(language).split()),
        "capitals": unicodedata.normalize("NFD", text_of(language)).upper(),
    }


def records(*, with_halves: bool = False) -> list[dict[str, Any]]:
    found = []
    for language in LANGUAGES:
        found += [{"id": f"{language} {name}", "text": text} for name, text in copies(language).items()]
        found.append({"id": f"{language}/unrelated", "text": PARAGRAPHS[language][3]})
        half = cut_off(language, 0.5)
        found += [{"id": f"{language} half", "text": half}] if with_halves else []
    return found


def found_groups(store: Any) -> set[frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for row in rows(store, "SELECT external_id, cluster_id FROM documents"):
        groups.setdefault(str(row["cluster_id"]), set()).add(row["external_id"])
    return {frozenset(group) for group in groups.values()}


@pytest.mark.parametrize("containment", [None, 0.8])
def test_a_store_groups_the_copies_of_every_language(make_store: Maker, containment: float | None) -> None:
    wanted = records(with_halves=containment is not None)
    expected: dict[str, set[str]] = {}
    for one in wanted:
        expected.setdefault(one["id"].split(" ")[0], set()).add(one["id"])
    for seed in range(2):
        Random(seed).shuffle(wanted)
        store = make_store(f"{seed}.duckdb", dedup=DedupParameters(containment=containment))
        for start in range(0, len(wanted), 20):
            ingest(store, wanted[start : start + 20], name=f"part {start}")
        assert found_groups(store) == {frozenset(group) for group in expected.values()}
        assert violations(store) == []
        store.close()


def test_without_containment_half_a_text_stands_alone(make_store: Maker) -> None:
    store = make_store()
    ingest(store, records(with_halves=True))
    assert {frozenset([f"{language} half"]) for language in LANGUAGES} <= found_groups(store)


def test_words_in_a_store_are_those_of_the_plain_rule(make_store: Maker) -> None:
    store = make_store()
    ingest(store, records())
    for row in rows(store, "SELECT text, n_words FROM documents"):
        assert row["n_words"] == len(rule.tokens(row["text"]))
