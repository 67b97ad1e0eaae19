"""A rebuilt store is the one that had the parameters from the start."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.dedup.parameters import DedupParameters
from provenance.dedup.rebuild import rebuild
from provenance.errors import InvalidParameters
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import count, dump, ingest, prose, rows, violations

SETTINGS = (
    DedupParameters(n_bands=3, rows_per_band=2, shingle_tokens=1, threshold=0.5),
    DedupParameters(n_bands=3, rows_per_band=2, shingle_tokens=1, threshold=0.9, containment=0.5),
    DedupParameters(n_bands=2, rows_per_band=3, shingle_tokens=2, threshold=0.5, seed=7),
    DedupParameters(containment=0.8),
    DedupParameters(),
)


def corpus(seed: int) -> list[dict[str, Any]]:
    """Return records with copies, near-copies, parts of others and texts without words."""
    chance = Random(seed)
    found = []
    for i in range(30):
        words = prose(chance.randrange(12), n_words=120).split()
        begin = chance.choice([0, 0, 20, 60])
        if chance.random() < 0.4:
            words[chance.randrange(len(words))] = "changed"
        found.append(
            {"id": str(i), "text": " ".join(words[begin:]), "licence": chance.choice(["MIT", "CC0-1.0", None])}
        )
    return [*found, {"text": "…"}, {"text": "… "}, {"text": "!"}]


@settings(max_examples=8)
@given(seed=st.integers(0, 99), first=st.sampled_from(SETTINGS), then=st.sampled_from(SETTINGS))
def test_as_if_it_had_been_so_from_the_start(
    make_store: Maker, seed: int, first: DedupParameters, then: DedupParameters
) -> None:
    records = corpus(seed)
    rebuilt, from_the_start = make_store("rebuilt.duckdb", dedup=first), make_store("start.duckdb", dedup=then)
    for store in (rebuilt, from_the_start):
        ingest(store, [dict(one) for one in records])
    before, now = rebuild(rebuilt, then)
    assert before.n_contents == now.n_contents == count(rebuilt, "content")
    assert now.n_edges == count(rebuilt, "near_duplicate")
    left_out = ["store_id", "created_at"]
    assert dump(rebuilt, without=left_out) == dump(from_the_start, without=left_out)
    assert rebuilt.dedup == then
    assert violations(rebuilt) == []
    rebuilt.close()
    from_the_start.close()


def test_batches_of_a_rebuild_change_nothing(make_store: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for size in (100_000, 7, 1):
        monkeypatch.setattr("provenance.dedup.rebuild._BATCH_TEXTS", size)
        store = make_store(f"{size}.duckdb")
        ingest(store, corpus(5))
        rebuild(store, SETTINGS[1])
        found.append(dump(store, without=["store_id", "created_at"]))
    assert found[0] == found[1] == found[2]
    assert found[0]["near_duplicate"]


def test_a_rebuild_that_fails_leaves_everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(store, corpus(3))
    before = dump(store)

    def failing(*_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr("provenance.dedup.rebuild._settle_documents", failing)
    with pytest.raises(RuntimeError, match="in the middle"):
        rebuild(store, SETTINGS[0])
    assert dump(store) == before


def test_the_rules_and_their_scores(make_store: Maker) -> None:
    store = make_store(dedup=DedupParameters(containment=0.8))
    whole = prose(1, n_words=400)
    near = whole.replace(whole.split()[200], "other")
    ingest(store, [{"text": text} for text in (whole, whole.upper(), near, " ".join(whole.split()[100:200]), prose(2))])
    found = rows(
        store, "SELECT rule, count(*) AS n, min(score) AS low, max(score) AS high FROM near_duplicate GROUP BY 1"
    )
    rules = {row["rule"]: row for row in found}
    assert rules["normalised"]["n"] == 1
    assert rules["normalised"]["low"] == 1.0
    assert rules["near"]["n"] == 2
    assert 0.7 <= rules["near"]["low"] < 1.0
    assert rules["containment"]["n"] >= 3
    assert rules["containment"]["high"] == 1.0
    (cluster,) = rows(store, "SELECT n_contents FROM clusters")
    assert cluster["n_contents"] == 4


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.1, float("nan")])
def test_containment_out_of_range(wrong: float) -> None:
    with pytest.raises(InvalidParameters, match="containment"):
        DedupParameters(containment=wrong)
