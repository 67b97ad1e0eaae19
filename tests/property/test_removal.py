"""What leaves the store leaves it as if it had never come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.dedup.buckets import N_ANCHORS
from provenance.dedup.parameters import DedupParameters
from provenance.errors import UnknownName
from provenance.ids import content_digest, document_digest
from provenance.ingest import removal
from provenance.ingest.errors import DocumentsAreParents
from provenance.ingest.removal import remove, remove_source
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import count, dump, ingest, prose, rows, violations
from tests.property.test_dedup_order import (
    COARSE,
    WORDS,
    as_text,
    expected_clusters,
    expected_edges,
    ingest_batches,
    stored_state,
)

Record = dict[str, Any]
CONTAINED = replace(COARSE, containment=0.8)
#: What differs between stores that hold the same: runs, and numbers that are local to a store.
LOCAL = ("ingest", "ingest_file", "ingest_id", "content_no")
few = settings(max_examples=settings().max_examples // 4)


def id_of(record: Record) -> str:
    return str(UUID(bytes=document_digest("s", record.get("id"), content_digest(record["text"].encode()))))


def state(store: Store) -> dict[str, Any]:
    """Return all tables, and in which buckets each content is."""
    found: dict[str, Any] = dump(store, without=LOCAL)
    for table, key in (("band", "key"), ("span", "hash")):
        query = f"SELECT {key}, content_id::VARCHAR AS c FROM {table} JOIN content USING (content_no) ORDER BY ALL"
        found[f"members of {table}"] = [tuple(row.values()) for row in rows(store, query)]
        assert len(found[f"members of {table}"]) == count(store, table)
    return found


def fill(store: Store, batches: Sequence[Sequence[Record]], *, without: frozenset[str] = frozenset()) -> None:
    """Ingest the batches, then some records again with other descriptions; count tokens and annotate everything."""
    kept = [[one for one in batch if id_of(one) not in without] for batch in batches]
    ingest_batches(store, [batch for batch in kept if batch])
    again = [
        {**one, "author": "A later one", "licence": "MIT"} for batch in kept for one in batch if id_of(one)[0] < "6"
    ]
    ingest(store, again, source="s", name="again")
    with store.transaction() as connection:
        for statement in (
            "INSERT INTO tokenizer VALUES ('words', 'digest', '{}', 10, TIMESTAMP '2026-01-01')",
            "INSERT INTO token_count SELECT 'words', content_id, n_words FROM content",
            "INSERT INTO attribute VALUES ('score', 'number', NULL, NULL, TIMESTAMP '2026-01-01')",
            """INSERT INTO annotation
               SELECT document_id, 'score', n_words, NULL, NULL, TIMESTAMP '2026-01-01' FROM document""",
        ):
            connection.exec_driver_sql(statement)


def assert_near_duplicates_as_defined(store: Store, parameters: DedupParameters) -> None:
    texts = {row["text"] for row in rows(store, "SELECT text FROM content")}
    edges = expected_edges(texts, parameters)
    found = stored_state(store)
    assert found.edges == {(as_text(a), as_text(b), *edge) for (a, b), edge in edges.items()}
    assert found.clusters == {as_text(a): as_text(b) for a, b in expected_clusters(list(edges)).items()}


# ---------------------------------------------------------------- inputs

_few_words = st.lists(st.sampled_from(WORDS), min_size=0, max_size=7).map(" ".join)
_details = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from("xyz"),
        "date": st.sampled_from(["1790", "1850"]),
        "licence": st.sampled_from(["CC0-1.0", "GPL-3.0-only"]),
        "origin": st.just("unknown"),
    },
)
_made = st.fixed_dictionaries({"origin": st.just("synthetic"), "model": st.sampled_from(["m1", "m2"])})
#: Passages of which one often stands inside another.
_LONG = [prose(seed, n_words=60).split() for seed in range(2)]


@st.composite
def _passages(draw: st.DrawFn) -> str:
    words = draw(st.sampled_from(_LONG))
    start = draw(st.integers(0, 40))
    passage = words[start : start + draw(st.integers(5, 45))]
    return " ".join([*passage, *draw(st.lists(st.sampled_from(WORDS), max_size=3))])


@st.composite
def corpora(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[list[list[Record]], frozenset[str]]:
    """Return batches of records, some made from earlier ones, and the ids of some of them with all made from those."""
    records: list[Record] = []
    gone: set[str] = set()
    wanted = draw(st.lists(texts.map(lambda text: text if text.strip() else "…"), min_size=1, max_size=30))
    share = draw(st.integers(0, 4))
    for i, text in enumerate(wanted):
        record = {"text": text, **draw(_details | _made)}
        if id_of(record) in {id_of(one) for one in records}:
            continue
        parents = draw(st.sets(st.integers(0, i), max_size=2)) if draw(st.integers(0, 5)) == 0 else set()
        made_from = [id_of(records[parent]) for parent in parents if parent < len(records)]
        if made_from:
            record["parent"] = made_from
        if draw(st.integers(0, 4)) < share or gone & set(made_from):
            gone.add(id_of(record))
        records.append(record)
    cut = draw(st.integers(0, len(records)))
    return [records[:cut], records[cut:]], frozenset(gone)


# ---------------------------------------------------------------- laws


@few
@given(corpus=corpora(_few_words))
def test_as_if_they_had_never_come(make_store: Maker, corpus: tuple[list[list[Record]], frozenset[str]]) -> None:
    assert_law(make_store, corpus, COARSE)


@few
@given(corpus=corpora(_passages()))
def test_as_if_they_had_never_come_with_containment(
    make_store: Maker, corpus: tuple[list[list[Record]], frozenset[str]]
) -> None:
    assert_law(make_store, corpus, CONTAINED)


def assert_law(make_store: Maker, corpus: tuple[list[list[Record]], frozenset[str]], parameters: Any) -> None:
    batches, gone = corpus
    store, other = (make_store(dedup=parameters) for _ in range(2))
    fill(store, batches)
    fill(other, batches, without=gone)
    n_before = count(store, "document")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal, "_CONTENTS", 3)
        removed = remove(store, sorted(gone))
    assert removed.n_documents == len(gone) == n_before - count(store, "document")
    assert state(store) == state(other)
    assert violations(store) == []
    if parameters.containment is None:
        assert_near_duplicates_as_defined(store, parameters)
    store.close()
    other.close()


@few
@given(corpus=corpora(_few_words), chosen=st.data())
def test_parents_of_what_stays_stay(
    make_store: Maker, corpus: tuple[list[list[Record]], frozenset[str]], chosen: st.DataObject
) -> None:
    batches, _ = corpus
    records = [one for batch in batches for one in batch]
    gone = chosen.draw(st.sets(st.sampled_from([id_of(one) for one in records]), min_size=1))
    orphans = [one for one in records if id_of(one) not in gone and gone & set(one.get("parent", ()))]
    store = make_store(dedup=COARSE)
    ingest_batches(store, [batch for batch in batches if batch])
    before = dump(store)
    if orphans:
        with pytest.raises(DocumentsAreParents) as refused:
            remove(store, sorted(gone))
        assert refused.value.children == {"s": len(orphans)}
        parents = {one for record in orphans for one in record["parent"]}
        assert refused.value.n_documents == len(parents & gone)
        assert dump(store) == before
    else:
        assert remove(store, sorted(gone)).n_documents == len(gone)
    assert violations(store) == []
    store.close()


@pytest.mark.parametrize("parameters", [COARSE, CONTAINED], ids=["bands", "spans"])
def test_others_become_anchors(make_store: Maker, parameters: DedupParameters) -> None:
    """The anchors of an overflowing bucket leave: others take their place, and are compared with all the rest."""
    quoted = prose(1, n_words=40) + " " if parameters.containment else "a b c "
    texts = [f"{quoted}{word} {other}" for word in "defghij" for other in "klmnop"]
    texts.sort(key=lambda text: content_digest(text.encode()))
    assert len(texts) > 2 * N_ANCHORS
    store, other = make_store(dedup=parameters), make_store(dedup=parameters)
    fill(store, [[{"text": text} for text in texts]])
    edges = stored_state(store).edges
    gone = frozenset(id_of({"text": text}) for text in texts[: N_ANCHORS + 2])
    remove(store, sorted(gone))
    fill(other, [[{"text": text} for text in texts]], without=gone)
    arisen = {edge[2] for edge in stored_state(store).edges - edges}
    assert arisen >= ({"containment"} if parameters.containment else {"near"}), "this test shows nothing"
    assert state(store) == state(other)
    assert violations(store) == []
    if parameters.containment is None:
        assert_near_duplicates_as_defined(store, parameters)


def test_a_cluster_held_together_by_one_document_falls_apart(make_store: Maker) -> None:
    store = make_store()
    words = prose(1, n_words=300).split()
    middle = " ".join(words)
    left, right = " ".join(["x"] * 40 + words[40:]), " ".join(words[:-40] + ["y"] * 40)
    ingest(store, [{"text": text, "id": name} for name, text in (("l", left), ("m", middle), ("r", right))])
    ingest(store, [{"text": left, "id": "l2"}, {"text": right, "id": "r2", "licence": "GPL-3.0-only"}], name="copies")
    assert count(store, "clusters") == 1
    assert count(store, "cluster") == 3
    assert rows(store, "SELECT external_id FROM documents WHERE is_representative") == [{"external_id": "r2"}]
    (one,) = rows(store, "SELECT document_id::VARCHAR AS id FROM document WHERE external_id = 'm'")
    removed = remove(store, [one["id"]])
    assert (removed.n_documents, removed.n_contents, removed.n_clusters) == (1, 1, 1)
    found = rows(store, "SELECT n_documents, n_contents FROM clusters")
    assert found == [{"n_documents": 2, "n_contents": 1}] * 2
    assert count(store, "cluster") == count(store, "near_duplicate") == 0
    assert len(rows(store, "SELECT * FROM documents WHERE is_representative")) == 2
    assert violations(store) == []


def test_a_cluster_that_only_lost_a_document(make_store: Maker) -> None:
    """The text stays in another document: representative and licence class are chosen anew."""
    store = make_store()
    text = prose(1)
    ingest(store, [{"text": text, "id": "free", "licence": "CC0-1.0"}])
    ingest(store, [{"text": text, "id": "strict", "licence": "CC-BY-NC-4.0"}], source="b", origin="unknown")
    (one,) = rows(store, "SELECT document_id::VARCHAR AS id, licence_class FROM document WHERE external_id = 'free'")
    assert one["licence_class"] == "non-commercial"
    removed = remove(store, [one["id"], one["id"]])
    assert (removed.n_documents, removed.n_contents, removed.n_clusters) == (1, 0, 1)
    assert rows(store, "SELECT external_id, is_representative FROM document") == [
        {"external_id": "strict", "is_representative": True}
    ]
    assert violations(store) == []


def test_a_source_is_removed(make_store: Maker) -> None:
    store, other = make_store(), make_store()
    made = {"source": "web", "origin": "synthetic", "generation": 1, "model": "m"}
    for each in (store, other):
        ingest(each, [{"text": prose(i)} for i in range(3)])
    ingest(store, [{"text": prose(i) + " x"} for i in range(2, 5)] + [{"text": None}], **made)
    ingest(store, [{"text": prose(9)}], **{**made, "generation": 2}, name="otherwise")
    with pytest.raises(UnknownName, match="Did you mean 'web'"):
        remove_source(store, "wed")
    removed = remove_source(store, "web")
    assert (removed.n_documents, removed.n_contents, removed.n_clusters) == (4, 4, 1)
    assert (removed.n_quarantined, removed.models) == (1, ("m",))
    assert state(store) == state(other)
    assert violations(store) == []
    states = rows(store, "SELECT source, state FROM ingest ORDER BY ALL")
    assert [row["state"] for row in states] == ["finished", "undone", "undone"]
    assert ingest(store, [{"text": prose(i) + " x"} for i in range(2, 5)], **made).counts.n_inserted == 3
    assert violations(store) == []


@pytest.mark.parametrize("wrong", ["no id", "00000000-0000-0000-0000-000000000000"])
def test_unknown_documents(make_store: Maker, wrong: str) -> None:
    store = make_store()
    ingest(store, [{"text": "x"}])
    (one,) = rows(store, "SELECT document_id::VARCHAR AS id FROM document")
    with pytest.raises(UnknownName, match=wrong):
        remove(store, [one["id"], wrong])
    assert count(store, "document") == 1
