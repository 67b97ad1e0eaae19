"""A store with training sets, models trained on them and their outputs; copies and near-copies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.lineage.models import Model, register_model
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.store.store import Store
from tests.factories import ingest, prose, prose_records

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.6}
SECOND = {"name": "second", "where": "source = 'out1'", "min": 0.5}


def letters() -> list[dict[str, object]]:
    """Return 60 records by 20 authors."""
    return [
        {**record, "author": f"Author {i % 20}", "url": f"https://a.example/{i}", "licence": "CC-BY-4.0"}
        for i, record in enumerate(prose_records(60))
    ]


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "trained.duckdb"
    with Store.create(path) as store:
        _fill(store)
    return path


@pytest.fixture
def trained(_trained: Path, tmp_path: Path) -> Iterator[Store]:
    """60 letters by 20 authors and outputs of two models: m1 trained on `first`, m2 on outputs of m1 alone."""
    path = tmp_path / "trained.duckdb"
    shutil.copyfile(_trained, path)
    with Store.open(path, writable=True) as store:
        yield store


def _fill(store: Store) -> None:
    ingest(store, letters(), source="letters")
    ingest(store, prose_records(60, start=1000), source="logs", origin="synthetic", generation=1, model="gpt")
    spec = MixSpec(name="first", budget={"words": 3000}, quotas=[HUMAN])
    make_training_set(store, spec)
    register_model(store, Model("m1", "d" * 64, "ngram", "first", 1))
    ingest(store, prose_records(10, start=3000), source="out1", origin="synthetic", generation=2, model="m1")
    make_training_set(store, MixSpec(name="second", budget={"words": 300}, where="source = 'out1'"))
    register_model(store, Model("m2", "e" * 64, "ngram", "second", 2))
    ingest(store, prose_records(5, start=5000), source="out2", origin="synthetic", generation=3, model="m2")
    ingest(store, [{"id": "x", "text": prose(5)}], source="copy")
    ingest(store, [{"id": "y", "text": prose(5) + " more"}], source="near")
