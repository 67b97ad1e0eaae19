"""The embedded corpus is what its datasheet says."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import date
from typing import Any

import pytest
import zstandard

from provenance.demo.corpus import corpus_path, read_corpus
from provenance.licences import licence_class


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    return list(read_corpus())


def test_every_document_has_every_field(documents: list[dict[str, Any]]) -> None:
    for document in documents:
        assert list(document) == ["id", "text", "author", "date", "title", "licence", "uri", "metadata"]
        metadata = document["metadata"]
        assert document["id"] == f"{metadata['address']}/{metadata['part']:03d}"
        assert date.fromisoformat(document["date"]).year == metadata["year"]
        assert document["author"].split()[0] and metadata["president"] in document["author"]
        assert document["author"] in document["title"]
        assert document["uri"].startswith("https://")
        assert licence_class(document["licence"]) == "public-domain"
        assert document["text"] == document["text"].strip() != ""


def test_parts_of_an_address_are_complete_and_in_order(documents: list[dict[str, Any]]) -> None:
    parts: dict[str, list[int]] = {}
    for document in documents:
        parts.setdefault(document["metadata"]["address"], []).append(document["metadata"]["part"])
    n_parts = {document["metadata"]["address"]: document["metadata"]["n_parts"] for document in documents}
    assert len(parts) == 249
    assert all(found == list(range(1, n_parts[address] + 1)) for address, found in parts.items())


def test_ids_and_texts_are_distinct_and_addresses_in_order_of_date(documents: list[dict[str, Any]]) -> None:
    assert len({document["id"] for document in documents}) == len(documents)
    assert len({document["text"] for document in documents}) == len(documents)
    years = [document["metadata"]["year"] for document in documents]
    assert years == sorted(years)


def test_datasheet_tells_the_truth(documents: list[dict[str, Any]]) -> None:
    sheet = re.sub(r"\s+", " ", (corpus_path().parent / "DATASHEET.md").read_text(encoding="utf-8"))
    content = zstandard.ZstdDecompressor().decompressobj().decompress(corpus_path().read_bytes())
    lengths = sorted(len(document["text"].split()) for document in documents)
    addresses = {document["metadata"]["address"]: document["metadata"] for document in documents}
    kinds = Counter(address["type"] for address in addresses.values())
    young = [document for document in documents if document["date"] >= "2020-01-01"]
    years = {address["year"] for address in addresses.values()}
    for fact in (
        hashlib.sha256(content).hexdigest(),
        f"{len(addresses)} addresses of {len({document['author'] for document in documents})} presidents",
        f"{len(documents):,} documents with {sum(lengths):,} words",
        f"{len(content):,} bytes",
        f"{kinds['written']} addresses were sent in writing and {kinds['spoken']} spoken",
        f"{sum(not address['is_sotu'] for address in addresses.values())} are related papers",
        f"Years without an address: {', '.join(str(y) for y in range(1790, 2027) if y not in years)}.",
        f"from {lengths[0]} to {lengths[-1]} words, half of them {lengths[len(lengths) // 2]} or fewer",
        f"before 2020 ({len(documents) - len(young):,} documents)",
        f"{len(young)} documents) are younger",
        f"{sum('[' in document['text'] for document in documents)} documents have a bracket",
    ):
        assert fact in sheet, fact
    assert corpus_path().stat().st_size < 5_000_000
