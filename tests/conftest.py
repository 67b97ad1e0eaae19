"""Fixtures and Hypothesis profiles that all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from provenance.dedup.parameters import DedupParameters
from provenance.store.store import Store

# Stores are files and the first call compiles: neither is a fault of the example that happens to wait for it.
_CALM = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)
settings.register_profile("dev", deadline=None, max_examples=10, suppress_health_check=_CALM)
settings.register_profile("ci", deadline=None, max_examples=10, suppress_health_check=_CALM, derandomize=True)
settings.register_profile("long", deadline=None, max_examples=1000, suppress_health_check=_CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

Maker = Callable[..., Store]


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[DedupParameters], Path]:
    """Return the file of an empty store, made once for every set of parameters."""
    folder = tmp_path_factory.mktemp("templates")
    made: dict[DedupParameters, Path] = {}

    def template(parameters: DedupParameters) -> Path:
        if parameters not in made:
            path = folder / f"{len(made)}.duckdb"
            Store.create(path, dedup=parameters).close()
            made[parameters] = path
        return made[parameters]

    return template


@pytest.fixture
def make_store(tmp_path: Path, _templates: Callable[[DedupParameters], Path]) -> Iterator[Maker]:
    """Return a function that makes an empty store, open for writing; all are closed at the end.

    A store is a copy of one that `Store.create` made, which is quicker than to run the migrations for every test.
    """
    opened: list[Store] = []

    def make(name: str | None = None, *, dedup: DedupParameters | None = None) -> Store:
        path = tmp_path / (name or f"store-{len(opened)}.duckdb")
        shutil.copyfile(_templates(dedup or DedupParameters()), path)
        opened.append(Store.open(path, writable=True))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(make_store: Maker) -> Store:
    """Return an empty store, open for writing."""
    return make_store("provenance.duckdb")
