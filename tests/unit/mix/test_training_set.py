from __future__ import annotations

import pickle

import pytest

from provenance.errors import UnknownName
from provenance.mix import drawn
from provenance.mix.errors import WorkersNotSupported
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.training_set import TrainingSet, _Stream, list_training_sets


@pytest.fixture
def made(store):
    human = {"name": "human", "where": "origin = 'human'", "min": 0.5}
    return make_training_set(store, MixSpec(name="m", budget={"words": 3000}, quotas=[human]))


def test_documents_come_in_order(made, store):
    rows = list(made)
    assert [row["position"] for row in rows] == list(range(len(made)))
    expected = store.fetch("SELECT document_id FROM training_set_documents ORDER BY position")["document_id"]
    assert [row["document_id"] for row in rows] == expected.to_pylist()
    assert all(len(row["text"].split()) == row["n_words"] for row in rows)
    assert [row["position"] for batch in made.batches(start=7, size=5) for row in batch.to_pylist()] == [
        row["position"] for row in rows[7:]
    ]


def test_opening_and_listing(made, store):
    opened = TrainingSet.open("m", store)
    assert opened.manifest == made.manifest
    [info] = list_training_sets(store)
    assert (info.name, info.digest, info.n_documents) == ("m", made.digest, len(made))
    assert info.human_share == made.manifest["human"]["words"]["share"]
    with pytest.raises(UnknownName, match="no training set 'mm'"):
        TrainingSet.open("mm", store)


def test_as_torch_dataset(made):
    torch_data = pytest.importorskip("torch.utils.data")
    dataset = made.torch()
    loader = torch_data.DataLoader(dataset, batch_size=None)
    assert [row["position"] for row in loader] == list(range(len(made)))
    assert len(dataset) == len(made)


@pytest.mark.parametrize("window", [1, 2_000, 1 << 40])
@pytest.mark.parametrize("start", [0, 7])
def test_texts_are_put_in_order_through_files(made, monkeypatch, window, start):
    expected = list(made)[start:]
    monkeypatch.setattr(drawn, "_WINDOW_BYTES", window)
    monkeypatch.setattr(drawn, "_MOST_WINDOWS", 12)
    batches = list(made.batches(start=start, size=10))
    assert max(batch.num_rows for batch in batches) <= 10
    assert [row for batch in batches for row in batch.to_pylist()] == expected
    n_windows = len(list(drawn.texts_in_order(made.store, "m", low=start, high=len(made))))
    assert (n_windows == 1) == (window > 1 << 30)
    assert n_windows <= 13


def test_rows_know_their_text_and_its_evidence(made, store):
    facts = {
        row["document_id"]: row
        for row in store.fetch(
            "SELECT document_id, content_id, text, evidence_grade, licence FROM documents"
        ).to_pylist()
    }
    for row in made:
        assert {name: row[name] for name in facts[row["document_id"]]} == facts[row["document_id"]]
    assert made.labels("position", "evidence_grade").to_pylist() == [
        {"position": row["position"], "evidence_grade": row["evidence_grade"]} for row in made
    ]


def test_every_text_comes_once(store):
    twice = make_training_set(store, MixSpec(name="twice", budget={"words": 30_000}, repeats={"max": 2}))
    rows = list(twice)
    assert max(row["repeat"] for row in rows) == 1
    assert len(list(row for batch in twice.batches() for row in batch.to_pylist())) == len(twice)
    found = [(int(p), text) for positions, texts in twice.distinct_texts()
             for p, text in zip(positions, texts.to_pylist(), strict=True)]  # fmt: skip
    firsts = {}
    for row in rows:
        firsts.setdefault(row["text"], row["position"])
    assert sorted(found) == sorted((position, text) for text, position in firsts.items())


def test_as_hugging_face_dataset(made):
    pytest.importorskip("datasets")
    whole = made.datasets()
    assert whole["text"][:] == [row["text"] for row in made]
    assert [row["position"] for row in made.datasets(streaming=True)] == list(range(len(made)))
    other = pickle.loads(pickle.dumps(_Stream(made)))  # noqa: S301
    with pytest.raises(WorkersNotSupported):
        next(other())
