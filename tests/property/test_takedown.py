"""After a takedown the rest of the store is as if what was erased had never come, and it does not come again."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.store.store import Store
from provenance.takedown.erase import finish, take_down
from provenance.takedown.select import Selection
from tests.conftest import Maker
from tests.factories import count, rows, violations
from tests.property.test_dedup_order import COARSE, ingest_batches
from tests.property.test_removal import Record, _few_words, corpora, fill, id_of, state

few = settings(max_examples=max(1, settings().max_examples // 13))
#: What a store that never had the documents lacks: the takedown, and training sets that drew them with their models.
OWN = ("takedown", "tombstone", "training_set", "training_set_item", "model")


def rest(store: Store) -> dict[str, Any]:
    """Return all that has to be the same; that documents were made from ones that are not there is no part of it."""
    found = {name: table for name, table in state(store).items() if name not in OWN}
    there = {row["id"] for row in rows(store, "SELECT document_id::VARCHAR AS id FROM document")}
    found["parent"] = [row for row in found["parent"] if str(row[1]) in there]
    return found


def with_copies(store: Store, chosen: set[str]) -> frozenset[str]:
    """Return documents with all that have the same text or a text that is a neighbour of it."""
    documents = rows(store, "SELECT document_id::VARCHAR AS id, content_id::VARCHAR AS content FROM document")
    texts = {row["content"] for row in documents if row["id"] in chosen}
    edges = rows(store, "SELECT content_a::VARCHAR AS a, content_b::VARCHAR AS b FROM near_duplicate")
    near = {row["b"] for row in edges if row["a"] in texts} | {row["a"] for row in edges if row["b"] in texts}
    return frozenset(row["id"] for row in documents if row["content"] in texts | near)


@few
@given(corpus=corpora(_few_words), chosen=st.data(), copies=st.sampled_from(["erase", "keep"]))
def test_as_if_it_had_never_come(
    make_store: Maker, corpus: tuple[list[list[Record]], frozenset[str]], chosen: st.DataObject, copies: Any
) -> None:
    batches, _ = corpus
    records = [one for batch in batches for one in batch]
    wanted = chosen.draw(st.sets(st.sampled_from([id_of(one) for one in records]), min_size=1))
    store, other = make_store(dedup=COARSE), make_store(dedup=COARSE)
    fill(store, batches)
    gone = with_copies(store, wanted) if copies == "erase" else frozenset(wanted)
    make_training_set(store, MixSpec(name="t", budget={"documents": "all"}, duplicates="all"))
    items = rows(store, "SELECT * FROM training_set_item ORDER BY position")
    is_most = 2 * len(gone) > len(records)
    done = take_down(
        store, Selection("document", tuple(wanted)), reason="r", copies=copies, yes_all=len(gone) if is_most else None
    )
    assert done.touched.n_documents == len(gone)
    store.close()
    finish(store.path)
    with Store.open(store.path, writable=True) as again:
        fill(other, batches, without=gone)
        assert rest(again) == rest(other)
        assert violations(again) == []
        assert rows(again, "SELECT * FROM training_set_item ORDER BY position") == items
        assert {row["id"] for row in rows(again, "SELECT document_id::VARCHAR AS id FROM tombstone")} == gone
        before = count(again, "document")
        ingest_batches(again, [batch for batch in batches if batch])
        assert count(again, "document") == before
        assert violations(again) == []
    other.close()
