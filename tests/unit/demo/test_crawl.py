"""The planted crawl tells the truth about itself."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pytest

from provenance.dedup.tokens import shingle_hashes
from provenance.demo.corpus import read_corpus
from provenance.demo.crawl import (
    FLOOR,
    CrawlCounts,
    edit,
    generated_crawl,
    jaccard,
    planted_crawl,
    shingles,
    write_jsonl,
)
from provenance.demo.unrelated import everyday_page

Page = dict[str, Any]


@pytest.fixture(scope="module")
def originals() -> dict[str, str]:
    return {document["id"]: document["text"] for document in read_corpus()}


@pytest.fixture(scope="module")
def crawl() -> list[Page]:
    return planted_crawl(read_corpus())


def similarity(a: str, b: str) -> float:
    """Jaccard by the rule of the near-duplicate search, not by the crawl's own."""
    one, other = set(shingle_hashes(a)), set(shingle_hashes(b))
    return len(one & other) / len(one | other)


def of_kind(pages: list[Page], kind: str) -> list[Page]:
    return [page for page in pages if page["metadata"]["kind"] == kind]


def test_has_the_pages_it_was_asked_for(crawl: list[Page]) -> None:
    assert Counter(page["metadata"]["kind"] for page in crawl) == {
        "verbatim": 30,
        "edited": 90,
        "truncated": 40,
        "unrelated": 140,
    }
    assert len({page["id"] for page in crawl}) == 300
    copied = [page["metadata"]["original"] for page in crawl if page["metadata"]["original"]]
    assert len(copied) == len(set(copied)) == 160


def test_is_a_function_of_the_seed(crawl: list[Page]) -> None:
    assert planted_crawl(read_corpus()) == crawl
    assert planted_crawl(read_corpus(), seed=7) != crawl


def test_order_and_ids_do_not_give_the_kind_away(crawl: list[Page]) -> None:
    assert len({page["metadata"]["kind"] for page in crawl[:20]}) > 2
    assert {page["id"].split("/")[0] for page in crawl} == {"crawl.example"}
    assert set().union(*map(set, crawl)) == {"id", "uri", "text", "metadata"}


def test_verbatim_pages_are_their_originals(crawl: list[Page], originals: dict[str, str]) -> None:
    assert all(page["text"] == originals[page["metadata"]["original"]] for page in of_kind(crawl, "verbatim"))


def test_edited_pages_are_as_similar_as_they_say(crawl: list[Page], originals: dict[str, str]) -> None:
    for page in of_kind(crawl, "edited"):
        found = similarity(page["text"], originals[page["metadata"]["original"]])
        assert FLOOR <= found < 1
        assert found == pytest.approx(page["metadata"]["jaccard"], abs=0.01)
    values = sorted(page["metadata"]["jaccard"] for page in of_kind(crawl, "edited"))
    assert values[0] < 0.82 and values[-1] > 0.91  # the whole range is there


def test_truncated_pages_are_beginnings(crawl: list[Page], originals: dict[str, str]) -> None:
    for page in of_kind(crawl, "truncated"):
        original = originals[page["metadata"]["original"]]
        assert original.startswith(page["text"]) and page["text"] != original
        kept = len(page["text"].split()) / len(original.split())
        assert 0.34 < kept < 0.91


def test_unrelated_pages_resemble_nothing(crawl: list[Page], originals: dict[str, str]) -> None:
    pages = [shingles(page["text"]) for page in of_kind(crawl, "unrelated")]
    assert max(jaccard(a, b) for a, b in combinations(pages, 2)) < 0.3
    known = frozenset().union(*(shingles(text) for text in list(originals.values())[::8]))
    assert all(len(page & known) / len(page) < 0.05 for page in pages)


def test_too_few_originals_are_an_error_not_a_smaller_crawl() -> None:
    with pytest.raises(ValueError, match="larger than population"):
        planted_crawl([{"id": "a", "text": "word " * 100}], counts=CrawlCounts(verbatim=2, edited=0, truncated=0))


def test_generated_texts_come_back_lightly_edited() -> None:
    rng = random.Random(3)
    generated = [{"id": f"g{i}", "text": everyday_page(rng, n_words=90)} for i in range(50)]
    pages = generated_crawl(generated, n_pages=40, n_unrelated=10)
    assert pages == generated_crawl(generated, n_pages=40, n_unrelated=10)
    texts = {one["id"]: one["text"] for one in generated}
    assert Counter(page["metadata"]["kind"] for page in pages) == {"verbatim": 10, "edited": 30, "unrelated": 10}
    for page in pages:
        if page["metadata"]["original"]:
            assert similarity(page["text"], texts[page["metadata"]["original"]]) >= FLOOR - 0.01


def test_collapsed_and_short_output_is_handled() -> None:
    generated = [
        {"document_id": "loop", "text": "the people of the people " * 20},
        {"document_id": "short", "text": "the of the"},
        {"document_id": "empty", "text": ""},
    ]
    pages = generated_crawl(generated, n_unrelated=0)
    assert [page["metadata"]["original"] for page in pages] == ["loop"]
    assert pages[0]["metadata"]["jaccard"] >= FLOOR


def test_edit_changes_little_and_keeps_the_case() -> None:
    text = "Our country is great. " + " ".join(f"word{i}" for i in range(100))
    edited = edit(text, similarity=0.9, rng=random.Random(0))
    assert edited != text
    assert edited[0].isupper()
    assert edit("alpha beta gamma", similarity=0.5, rng=random.Random(0)) == "alpha beta gamma"


def test_jsonl_holds_the_pages(tmp_path: Path, crawl: list[Page]) -> None:
    path = write_jsonl(tmp_path / "new" / "crawl.jsonl", crawl)
    assert [orjson.loads(line) for line in path.read_bytes().splitlines()] == crawl


def test_empty_texts_are_equal() -> None:
    assert jaccard(shingles(""), shingles("—")) == 1.0
