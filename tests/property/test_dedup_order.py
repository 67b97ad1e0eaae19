"""Near-duplicates, clusters and representatives are a function of the set of documents, and the one that is promised.

The oracle is written from the definition alone: an edge stands exactly when its two contents share a bucket in which
one of them is among the eight smallest content ids, and enough of their hash values agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from random import Random
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.dedup import bands
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import SignatureKernel
from provenance.ids import content_digest
from provenance.ingest import pipeline
from provenance.ingest.pipeline import ingest_chunks
from provenance.ingest.readers.base import Chunk
from provenance.licences import LICENCE_CLASSES
from provenance.records import Claim
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import ingest, prose, rows, violations

# Coarse settings and few words: most documents are near-duplicates of many others, and buckets overflow.
COARSE = DedupParameters(n_bands=3, rows_per_band=2, shingle_tokens=1, threshold=0.5)
WORDS = ("a", "b", "c", "d", "e", "中", "文")

Record = dict[str, Any]
Batch = list[Record]
MASK = (1 << 64) - 1


class State(NamedTuple):
    edges: set[tuple[str, str, float]]
    clusters: dict[str, str]
    representatives: set[str]


def stored_state(store: Store) -> State:
    edges = rows(store, "SELECT content_a, content_b, score FROM near_duplicate")
    clusters = rows(store, "SELECT content_id, cluster_id FROM cluster")
    chosen = rows(store, "SELECT document_id FROM document WHERE is_representative")
    in_documents = rows(store, "SELECT DISTINCT content_id, cluster_id FROM document")
    found = {str(row["content_id"]): str(row["cluster_id"]) for row in clusters}
    for row in in_documents:
        content = str(row["content_id"])
        assert str(row["cluster_id"]) == found.get(content, content)
    return State(
        {(str(row["content_a"]), str(row["content_b"]), row["score"]) for row in edges},
        found,
        {str(row["document_id"]) for row in chosen},
    )


# ---------------------------------------------------------------- the oracle


def band_keys(signature: Sequence[int], parameters: DedupParameters) -> list[int]:
    keys = []
    for band in range(parameters.n_bands):
        value = 0x9E3779B97F4A7C15 * (band + 1) & MASK
        for row in range(parameters.rows_per_band):
            value = (value ^ int(signature[band * parameters.rows_per_band + row])) * 0xFF51AFD7ED558CCD & MASK
            value ^= value >> 33
        keys.append((value >> 32) ^ (value & 0xFFFFFFFF))
    return keys


def expected_edges(texts: set[str], parameters: DedupParameters) -> dict[tuple[bytes, bytes], float]:
    kernel = SignatureKernel(parameters.n_permutations, parameters.seed, shingle_tokens=parameters.shingle_tokens)
    ordered = sorted(texts)
    signatures, n_words = kernel.compute(pa.array(ordered, pa.large_string()))
    signature = {
        content_digest(text.encode()): tuple(int(v) for v in values)
        for text, values, n in zip(ordered, signatures, n_words, strict=True)
        if n
    }
    buckets: dict[int, set[bytes]] = {}
    for content, values in signature.items():
        for key in band_keys(values, parameters):
            buckets.setdefault(key, set()).add(content)
    edges = {}
    for members in buckets.values():
        anchors = set(sorted(members)[:8])
        for a, b in combinations(sorted(members), 2):
            equal = sum(x == y for x, y in zip(signature[a], signature[b], strict=True))
            if (a in anchors or b in anchors) and equal >= parameters.min_equal:
                edges[a, b] = equal / parameters.n_permutations
    return edges


def expected_clusters(edges: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    cluster = {node: node for edge in edges for node in edge}
    changed = True
    while changed:
        changed = False
        for a, b in edges:
            least = min(cluster[a], cluster[b])
            if (cluster[a], cluster[b]) != (least, least):
                cluster[a] = cluster[b] = least
                changed = True
    return cluster


def as_text(digest: bytes) -> str:
    return f"{digest.hex()[:8]}-{digest.hex()[8:12]}-{digest.hex()[12:16]}-{digest.hex()[16:20]}-{digest.hex()[20:]}"


def expected_representatives(store: Store, clusters: dict[str, str]) -> set[str]:
    groups: dict[str, list[Record]] = {}
    for row in rows(store, "SELECT * FROM document"):
        content = str(row["content_id"])
        groups.setdefault(clusters.get(content, content), []).append(row)

    def order(row: Record) -> tuple[Any, ...]:
        return (
            -row["evidence_rank"],
            (row["generation"] is None, row["generation"] or 0),
            LICENCE_CLASSES.index(row["licence_class"]),
            (row["authored_at"] is None, row["authored_at"] and row["authored_at"].isoformat()),
            -row["n_words"],
            str(row["document_id"]),
        )

    return {str(min(group, key=order)["document_id"]) for group in groups.values()}


def assert_as_defined(store: Store, texts: set[str], parameters: DedupParameters) -> State:
    state = stored_state(store)
    edges = expected_edges(texts, parameters)
    assert state.edges == {(as_text(a), as_text(b), score) for (a, b), score in edges.items()}
    clusters = {as_text(a): as_text(b) for a, b in expected_clusters(list(edges)).items()}
    assert state.clusters == clusters
    assert state.representatives == expected_representatives(store, clusters)
    return state


# ---------------------------------------------------------------- inputs


def ingest_batches(store: Store, batches: Sequence[Sequence[Record]]) -> None:
    """Ingest in one run, every batch in a transaction of its own."""

    def chunks() -> Iterator[Chunk]:
        for batch in batches:
            yield Chunk("memory", [str(i) for i in range(len(batch))], [dict(one) for one in batch], lambda i: b"")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "BATCH_RECORDS", 1)
        ingest_chunks(store, chunks(), name="memory", source="s", claim=Claim.make("human"))


_few_words = st.lists(st.sampled_from(WORDS), min_size=0, max_size=7).map(" ".join)
_record = st.fixed_dictionaries(
    {"text": _few_words.map(lambda text: text or "…")},
    optional={
        "id": st.sampled_from("xyz"),
        "date": st.sampled_from(["1790", "1850"]),
        "licence": st.sampled_from(["CC0-1.0", "GPL-3.0-only"]),
        "origin": st.just("unknown"),
    },
)
_records = st.lists(_record, min_size=1, max_size=45, unique_by=lambda r: (r["text"], r.get("id")))


@st.composite
def arrangements(draw: st.DrawFn) -> tuple[list[Batch], list[Batch]]:
    """Return the same records in two orders, each cut into batches."""
    records = draw(_records)

    def cut(ordered: Batch) -> list[Batch]:
        places = sorted(draw(st.sets(st.integers(1, max(1, len(ordered) - 1)), max_size=4)))
        edges = [0, *places, len(ordered)]
        return [ordered[a:b] for a, b in pairwise(edges)]

    return cut(records), cut(draw(st.permutations(records)))


# ---------------------------------------------------------------- laws


@settings(max_examples=settings().max_examples // 2)
@given(both=arrangements())
def test_order_and_batches_are_irrelevant(make_store: Maker, both: tuple[list[Batch], list[Batch]]) -> None:
    states = []
    for name, batches in zip(("one.duckdb", "two.duckdb"), both, strict=True):
        store = make_store(name, dedup=COARSE)
        ingest_batches(store, batches)
        states.append(assert_as_defined(store, {one["text"] for batch in batches for one in batch}, COARSE))
        store.close()
    assert states[0] == states[1]


@pytest.mark.parametrize(("step", "descending"), [(1, True), (3, False), (10, True)])
def test_crowded_buckets(make_store: Maker, step: int, descending: bool) -> None:
    """Many texts that share most of their words, entered one by one in the worst order: anchors change all the time."""
    texts = [f"a b c d e{i}" for i in range(14)] + [f"a b c x{i}" for i in range(8)] + [f"a b y{i}" for i in range(8)]
    ordered = sorted(texts, key=lambda text: content_digest(text.encode()), reverse=descending)
    records = [{"text": text} for text in ordered]
    store = make_store(dedup=COARSE)
    ingest_batches(store, [records[i : i + step] for i in range(0, len(records), step)])
    keys = [key for text in texts for key in set(band_keys(_signature(text), COARSE))]
    assert max(map(keys.count, keys)) > bands.N_ANCHORS, "no bucket overflows: this test shows nothing"
    assert_as_defined(store, set(texts), COARSE)
    assert violations(store) == []


def _signature(text: str) -> Sequence[int]:
    kernel = SignatureKernel(COARSE.n_permutations, COARSE.seed, shingle_tokens=COARSE.shingle_tokens)
    values: Sequence[int] = kernel.compute(pa.array([text]))[0][0].tolist()
    return values


def test_after_every_batch(make_store: Maker) -> None:
    """The definition holds for every prefix, also where new anchors make edges lapse."""
    texts = sorted((f"a b c {w} {v}" for w in "defghij" for v in "klmnop"), key=lambda t: content_digest(t.encode()))
    texts.reverse()  # the smallest ids come last and displace every anchor
    store = make_store(dedup=COARSE)
    edges: set[tuple[str, str, float]] = set()
    n_lapsed = 0
    for end in range(7, len(texts) + 1, 7):
        ingest_batches(store, [[{"text": text} for text in texts[end - 7 : end]]])
        state = assert_as_defined(store, set(texts[:end]), COARSE)
        n_lapsed += len(edges - state.edges)
        edges = state.edges
    assert n_lapsed > 0, "no edge lapsed: this test shows nothing"


def test_a_cluster_falls_apart(make_store: Maker) -> None:
    """A chain whose middle link was nominated by an anchor alone splits when eight smaller ids take the bucket."""
    chance = Random(5)
    for _ in range(60):
        words = chance.sample([f"v{i}" for i in range(12)], 9)
        texts = sorted(
            {" ".join(chance.sample(words, chance.randint(2, 4))) for _ in range(40)},
            key=lambda text: content_digest(text.encode()),
            reverse=True,
        )
        before = expected_clusters(list(expected_edges(set(texts[:-8]), COARSE)))
        after = expected_clusters(list(expected_edges(set(texts), COARSE)))
        groups = {cluster: {node for node in before if before[node] == cluster} for cluster in before.values()}
        if any(len({after.get(node, node) for node in group}) > 1 for group in groups.values()):
            break
    else:
        pytest.fail("no cluster falls apart: this test shows nothing")
    store = make_store(dedup=COARSE)
    ingest_batches(store, [[{"text": text} for text in texts[:-8]]])
    assert_as_defined(store, set(texts[:-8]), COARSE)
    ingest_batches(store, [[{"text": text} for text in texts[-8:]]])
    assert_as_defined(store, set(texts), COARSE)
    assert violations(store) == []


def test_default_settings_find_edited_copies(make_store: Maker) -> None:
    store = make_store()
    original = prose(1, n_words=300)
    words = original.split()
    edited = " ".join([*words[:100], "inserted", *words[101:]])
    cut_off = " ".join(words[:270])
    other = prose(2, n_words=300)
    ingest(store, [{"text": text, "id": str(i)} for i, text in enumerate((original, edited, cut_off, other))])
    (cluster,) = rows(store, "SELECT n_documents, n_contents FROM clusters")
    assert cluster == {"n_documents": 3, "n_contents": 3}
    assert_as_defined(store, {original, edited, cut_off, other}, DedupParameters())
