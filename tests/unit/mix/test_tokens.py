from __future__ import annotations

import pytest
from sqlalchemy import select

from provenance.errors import NameTaken, UnknownName
from provenance.mix.errors import TokenizerInvalid
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer, count_tokens, get_tokenizer
from provenance.store import schema
from provenance.store.views import documents
from tests.unit.mix.corpus import add_documents, byte_tokenizer, document


def test_a_tokenizer_is_kept_and_not_changed(empty_store):
    one = add_tokenizer(empty_store, "bytes", byte_tokenizer())
    assert add_tokenizer(empty_store, "bytes", byte_tokenizer()) == one == get_tokenizer(empty_store, "bytes")
    assert one.vocab_size == 257
    with pytest.raises(NameTaken):
        add_tokenizer(empty_store, "bytes", byte_tokenizer(template=True))
    with pytest.raises(UnknownName, match="Did you mean 'bytes'"):
        get_tokenizer(empty_store, "byte")
    with pytest.raises(TokenizerInvalid):
        add_tokenizer(empty_store, "broken", "{}")


def test_contents_are_counted_once(empty_store):
    add_documents(empty_store, [document("a", text="aé"), document("b", text="abc"), document("c", text="abc")])
    add_tokenizer(empty_store, "bytes", byte_tokenizer(template=True))
    wanted = select(documents.c.content_id)
    assert count_tokens(empty_store, "bytes", wanted) == 2
    assert count_tokens(empty_store, "bytes", wanted) == 0
    counts = empty_store.fetch(select(schema.token_count.c.n_tokens))["n_tokens"].to_pylist()
    assert sorted(counts) == [3, 3]


def test_a_budget_in_tokens(store):
    add_tokenizer(store, "bytes", byte_tokenizer())
    human = {"name": "human", "where": "origin = 'human'", "min": 0.5}
    made = make_training_set(store, MixSpec(name="m", budget={"tokens": 30_000}, tokenizer="bytes", quotas=[human]))
    totals = made.manifest["totals"]
    assert totals["tokens"] == totals["bytes"] <= 30_000
    assert made.manifest["human"]["tokens"]["human"] * 2 >= totals["tokens"]
    assert all(row["n_tokens"] == len(row["text"].encode()) for row in made)
