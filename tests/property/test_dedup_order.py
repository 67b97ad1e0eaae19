"""Copies, clusters and representatives are a function of the set of documents, and the one that is promised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.dedup.buckets import N_ANCHORS
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import SignatureKernel
from provenance.ids import content_digest
from provenance.ingest import pipeline, tasks
from provenance.ingest.pipeline import ingest_records
from provenance.ingest.readers.base import Block
from provenance.records import Claim
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import ingest, prose, rows, violations
from tests.property.dedup_oracle import (
    as_text,  # noqa: F401 (for other modules)
    assert_as_defined,
    band_keys,
    expected_clusters,
    expected_edges,
    picked_spans,
    share_inside,
    stored_state,  # noqa: F401
)

# Coarse settings and few words: most documents are near-duplicates of many others, and buckets overflow.
COARSE = DedupParameters(n_bands=3, rows_per_band=2, shingle_tokens=1, threshold=0.5)
CONTAINING = replace(COARSE, containment=0.6)
WORDS = ("a", "b", "B", "c", "d", "e", "中", "文", "!", "\t")

Record = dict[str, Any]
Batch = list[Record]


# ---------------------------------------------------------------- inputs


def ingest_batches(store: Store, batches: Sequence[Sequence[Record]]) -> None:
    """Ingest in one run, every batch in a transaction of its own."""

    def blocks(_: object, *, name: str) -> Iterator[Block]:
        yield from (Block(name, (0, [dict(one) for one in batch])) for batch in batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "TASK_RECORDS", 1)
        patch.setattr(pipeline, "blocks_of", blocks)
        ingest_records(store, [], name="memory", source="s", claim=Claim.make("human"))


_few_words = st.lists(st.sampled_from(WORDS), min_size=0, max_size=7).map(" ".join)
_record = st.fixed_dictionaries(
    {"text": _few_words.map(lambda text: text or "…")},
    optional={
        "id": st.sampled_from("xyz"),
        "date": st.sampled_from(["1790", "1850"]),
        "licence": st.sampled_from(["CC0-1.0", "MIT", "GPL-3.0-only", "gibberish"]),
        "origin": st.just("unknown"),
    },
)
_records = st.lists(_record, min_size=1, max_size=45, unique_by=lambda r: (r["text"], r.get("id")))

#: What passages are cut from; the second repeats itself and the first.
_LONG = [prose(1, n_words=130).split()]
_LONG.append([*prose(2, n_words=50).split(), *_LONG[0][:30], *_LONG[0][:30], *prose(3, n_words=20).split()])


@st.composite
def _passages(draw: st.DrawFn) -> Record:
    """Return a text put together from one or two passages of which others have a part."""
    pieces = []
    for _ in range(draw(st.integers(1, 2))):
        words = draw(st.sampled_from(_LONG))
        start = draw(st.sampled_from([0, 0, 0, 10, 30, 60, 90]))
        pieces.append(words[start : start + draw(st.sampled_from([12, 13, 14, 25, 30, 50, 70, 130]))])
    text = [word for piece in pieces for word in piece]
    changed = draw(st.integers(0, 200))
    if changed < len(text):
        text[changed] = draw(st.sampled_from(WORDS))
    return {"text": " ".join(text)}


_contained_records = st.lists(_passages(), min_size=1, max_size=40, unique_by=lambda r: r["text"])


@st.composite
def arrangements(draw: st.DrawFn, some: st.SearchStrategy[list[Record]] = _records) -> tuple[list[Batch], list[Batch]]:
    """Return the same records in two orders, each cut into batches."""
    records = draw(some)

    def cut(ordered: Batch) -> list[Batch]:
        places = sorted(draw(st.sets(st.integers(1, max(1, len(ordered) - 1)), max_size=4)))
        edges = [0, *places, len(ordered)]
        return [ordered[a:b] for a, b in pairwise(edges)]

    return cut(records), cut(draw(st.permutations(records)))


# ---------------------------------------------------------------- laws


@settings(max_examples=settings().max_examples // 2)
@given(both=arrangements())
def test_order_and_batches_are_irrelevant(make_store: Maker, both: tuple[list[Batch], list[Batch]]) -> None:
    assert_order_is_irrelevant(make_store, both, COARSE)


@settings(max_examples=settings().max_examples // 4)
@given(both=arrangements(_contained_records))
def test_order_and_batches_are_irrelevant_with_containment(
    make_store: Maker, both: tuple[list[Batch], list[Batch]]
) -> None:
    assert_order_is_irrelevant(make_store, both, CONTAINING)


def assert_order_is_irrelevant(
    make_store: Maker, both: tuple[list[Batch], list[Batch]], parameters: DedupParameters
) -> None:
    states = []
    for name, batches in zip(("one.duckdb", "two.duckdb"), both, strict=True):
        with make_store(name, dedup=parameters) as store:  # closed at once: the next example takes its place
            ingest_batches(store, batches)
            states.append(assert_as_defined(store, {one["text"] for batch in batches for one in batch}, parameters))
    assert states[0] == states[1]


def test_two_equally_long_texts_of_which_one_is_inside_the_other(make_store: Maker) -> None:
    """All of the one is in the other, half of the other in the one: whichever comes first, the larger share counts."""
    run, rest = prose(1).split(), prose(2).split()
    one, other = " ".join(run + run), " ".join(run + rest)
    assert (share_inside(one, other), share_inside(other, one)) == (1.0, 0.5)
    states = []
    for batches in ([[one], [other]], [[other], [one]], [[one, other]], [[other, one]]):
        with make_store(dedup=CONTAINING) as store:
            ingest_batches(store, [[{"text": text} for text in batch] for batch in batches])
            states.append(assert_as_defined(store, {one, other}, CONTAINING))
    assert all(state == states[0] for state in states)
    assert any(rule == "containment" for _, _, rule, _ in states[0].edges)


@pytest.mark.parametrize(("step", "descending"), [(4, True), (11, False)])
def test_crowded_buckets_of_spans(make_store: Maker, step: int, descending: bool) -> None:
    """Many passages of one text: anchors of its spans change all the time, edges arise and lapse."""
    base = prose(5, n_words=150).split()
    texts = {" ".join(base[start:end]) for start in range(0, 70, 10) for end in range(80, 151, 10)}
    ordered = sorted(texts, key=lambda text: content_digest(text.encode()), reverse=descending)
    spans = [span for text in texts for span in picked_spans(text)]
    assert max(map(spans.count, spans)) > 2 * N_ANCHORS, "no bucket overflows: this test shows nothing"
    with make_store(dedup=CONTAINING) as store:
        edges: set[tuple[str, str, str, float]] = set()
        n_lapsed = 0
        for end in range(step, len(ordered) + step, step):
            ingest_batches(store, [[{"text": text} for text in ordered[end - step : end]]])
            state = assert_as_defined(store, set(ordered[:end]), CONTAINING)
            n_lapsed += sum(rule == "containment" for _, _, rule, _ in edges - state.edges)
            edges = state.edges
        assert any(rule == "containment" for _, _, rule, _ in edges)
        assert (n_lapsed > 0) == descending, "the smallest ids come last and displace every anchor"
        assert violations(store) == []


@pytest.mark.parametrize(("step", "descending"), [(1, True), (3, False), (10, True)])
def test_crowded_buckets(make_store: Maker, step: int, descending: bool) -> None:
    """Many texts that share most of their words, entered one by one in the worst order: anchors change all the time."""
    texts = [f"a b c d e{i}" for i in range(14)] + [f"a b c x{i}" for i in range(8)] + [f"a b y{i}" for i in range(8)]
    ordered = sorted(texts, key=lambda text: content_digest(text.encode()), reverse=descending)
    records = [{"text": text} for text in ordered]
    store = make_store(dedup=COARSE)
    ingest_batches(store, [records[i : i + step] for i in range(0, len(records), step)])
    keys = [key for text in texts for key in set(band_keys(_signature(text), COARSE))]
    assert max(map(keys.count, keys)) > N_ANCHORS, "no bucket overflows: this test shows nothing"
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
    edges: set[tuple[str, str, str, float]] = set()
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
