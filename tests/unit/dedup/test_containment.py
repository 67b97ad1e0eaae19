"""One text inside another: truncations, quotations; what is no part of another stays apart."""

from __future__ import annotations

from itertools import permutations
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.dedup.containment import coverage
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.tokens import RULE_VERSION
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import count, ingest, prose, rows, violations
from tests.property import dedup_oracle

PARAMETERS = DedupParameters(containment=0.8)
WORDS = prose(1, n_words=600).split()
BOOK = " ".join(WORDS)


@pytest.fixture
def store(make_store: Maker) -> Store:
    return make_store(dedup=PARAMETERS)


def words(seed: int, n: int) -> str:
    return prose(1000 + seed, n_words=n)


def contained(store: Store) -> dict[frozenset[str], float]:
    """Return the external ids at the ends of every edge of containment -> score."""
    assert violations(store) == []
    found = rows(
        store,
        """SELECT a.external_id AS one, b.external_id AS other, n.score, n.rule_version FROM near_duplicate n
           JOIN document a ON a.content_id = n.content_a JOIN document b ON b.content_id = n.content_b
           WHERE n.rule = 'containment'""",
    )
    assert all(row["rule_version"] == RULE_VERSION for row in found)
    return {frozenset((row["one"], row["other"])): row["score"] for row in found}


def enter(store: Store, **texts: str) -> dict[frozenset[str], float]:
    ingest(store, [{"id": name, "text": text} for name, text in texts.items()])
    return contained(store)


def pair(*names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize("n_words", [50, 100, 300, 550])
@pytest.mark.parametrize("where", ["head", "tail", "middle"])
def test_truncations(store: Store, where: str, n_words: int) -> None:
    start = {"head": 0, "tail": 600 - n_words, "middle": (600 - n_words) // 2}[where]
    part = " ".join(WORDS[start : start + n_words])
    assert enter(store, book=BOOK, part=part) == {pair("book", "part"): 1.0}


def test_a_quotation(store: Store) -> None:
    """What is nothing but the quotation is inside both; who quotes is inside nobody."""
    quoted = " ".join(WORDS[200:320])
    essay = f"{words(1, 200)} {quoted.upper()} {words(2, 200)}"
    found = enter(store, book=BOOK, essay=essay, quoted=quoted)
    assert found == {pair("book", "quoted"): 1.0, pair("essay", "quoted"): 1.0}
    assert rows(store, "SELECT count(DISTINCT cluster_id) AS n FROM document") == [{"n": 1}]


def test_what_is_no_part(store: Store) -> None:
    common = " ".join(WORDS[:150])
    found = enter(
        store,
        book=BOOK,
        other=words(1, 600),
        same_beginning=f"{common} {words(2, 150)}",
        same_words=" ".join(Random(1).sample(WORDS, 600)),
        short=" ".join(WORDS[:12]),
        none="…",
    )
    assert found == {}


@pytest.mark.parametrize(("n_shared", "expected"), [(79, {}), (80, {pair("book", "part"): 0.8})])
def test_the_border(store: Store, n_shared: int, expected: dict[frozenset[str], float]) -> None:
    part = f"{' '.join(WORDS[:n_shared])} {words(1, 100 - n_shared)}"
    assert enter(store, book=BOOK, part=part) == expected


def test_scattered_changes_lower_the_score(store: Store) -> None:
    """A changed word takes the runs around it out of what is shared, not more."""
    changed = WORDS[100:400]
    for place in (40, 120, 130, 260):
        changed[place] = "changed"
    # 120 and 130 leave nine words between them, which are no run of 13.
    assert enter(store, book=BOOK, part=" ".join(changed)) == {pair("book", "part"): (300 - 4 - 9) / 300}


def test_case_and_punctuation_are_irrelevant(store: Store) -> None:
    part = ", ".join(word.upper() for word in WORDS[300:400])
    assert enter(store, book=BOOK, part=part) == {pair("book", "part"): 1.0}


def test_every_passage_of_fifty_words_is_found(store: Store) -> None:
    """The guarantee of the picked spans, wherever the passage stands and however long it is."""
    chance = Random(3)
    texts = {}
    for i in range(60):
        book = words(i, 400).split()
        n = chance.randint(50, 200)
        start = chance.randint(0, 400 - n)
        texts |= {f"book {i}": " ".join(book), f"part {i}": " ".join(book[start : start + n])}
    assert enter(store, **texts) == {pair(f"book {i}", f"part {i}"): 1.0 for i in range(60)}


def test_an_almost_whole_copy_has_two_edges(store: Store) -> None:
    enter(store, book=BOOK, part=" ".join(WORDS[:550]))
    found = rows(store, "SELECT rule FROM near_duplicate ORDER BY rule")
    assert [row["rule"] for row in found] == ["containment", "near"]


def test_in_any_order_and_any_batches(make_store: Maker) -> None:
    texts = {
        "book": BOOK,
        "head": " ".join(WORDS[:100]),
        "head of head": " ".join(WORDS[:60]),
        "other": words(9, 100),
    }
    expected = {pair("book", "head"), pair("book", "head of head"), pair("head", "head of head")}
    for order in list(permutations(texts))[::4]:
        with make_store(dedup=PARAMETERS) as store:
            for name in order:
                ingest(store, [{"id": name, "text": texts[name]}])
            assert contained(store) == dict.fromkeys(expected, 1.0)


def test_off_unless_asked_for(make_store: Maker) -> None:
    with make_store() as store:
        assert enter(store, book=BOOK, part=" ".join(WORDS[:100])) == {}
        assert count(store, "span") == count(store, "near_duplicate") == 0


# ---------------------------------------------------------------- what is counted

# Runs that come again and again, whole and in parts.
_RUNS = [prose(seed, n_words=16).split() for seed in range(3)]
_pieces = st.tuples(st.sampled_from(_RUNS), st.integers(0, 3), st.integers(10, 16)).map(
    lambda piece: piece[0][piece[1] : piece[2]]
)
_texts = st.lists(_pieces, max_size=6).map(lambda pieces: " ".join(word for piece in pieces for word in piece))


@given(texts=st.lists(_texts, min_size=2, max_size=6))
def test_coverage_against_counting(texts: list[str]) -> None:
    places = list(permutations(range(len(texts)), 2))
    first, second = (np.array([place[side] for place in places]) for side in (0, 1))
    found = coverage(pa.chunked_array([pa.array(texts, pa.string())]), first, second)
    expected = [dedup_oracle.coverage(texts[i], texts[j]) for i, j in places]
    assert found.tolist() == expected
