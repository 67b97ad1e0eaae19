from __future__ import annotations

import pickle

import pytest

from provenance.errors import UnknownName
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


def test_torch_workers_are_refused(made, monkeypatch):
    torch_data = pytest.importorskip("torch.utils.data")
    monkeypatch.setattr(torch_data, "get_worker_info", lambda: object())
    with pytest.raises(WorkersNotSupported, match="num_workers=0"):
        next(iter(made.torch()))


def test_as_hugging_face_dataset(made):
    pytest.importorskip("datasets")
    whole = made.datasets()
    assert whole["text"][:] == [row["text"] for row in made]
    assert [row["position"] for row in made.datasets(streaming=True)] == list(range(len(made)))
    other = pickle.loads(pickle.dumps(_Stream(made)))  # noqa: S301
    with pytest.raises(WorkersNotSupported):
        next(other())
