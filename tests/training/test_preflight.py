"""What will run out is said before anything is trained, with what would work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provenance.store.store import Store
from tests.factories import rows
from tests.training.loop_factory import experiment, fill
from training.errors import NotEnoughHumanText
from training.loop import run_experiment
from training.preflight import check_human_text

ARMS = [{"name": "quota", "regime": "quota", "share": 0.5}]


def run(folder: Path, **changes: Any) -> Any:
    with Store.create(folder / "store.duckdb") as store:
        return run_experiment(fill(store), experiment(arms=ARMS, **changes), out=folder / "out", jobs=1)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NotEnoughHumanText]:
    """Return the store of a loop that was refused, which has generation 0's training set, and the error."""
    folder = tmp_path_factory.mktemp("preflight")
    with pytest.raises(NotEnoughHumanText) as caught:
        run(folder, generations=40)
    return folder, caught.value


def test_running_out_is_said_before_anything_is_trained(refused: tuple[Path, NotEnoughHumanText]) -> None:
    folder, error = refused
    assert error.arm == "quota" and error.a_generation == 2_000 and error.generations == 40
    assert error.needed > error.available > error.affordable * error.a_generation
    assert error.affordable < error.generation <= 40
    assert f"in generation {error.generation}" in str(error) and f"{error.available:,}" in str(error)
    assert not list((folder / "out").glob("*/models/*"))
    with Store.open(folder / "store.duckdb") as store:
        assert not rows(store, "SELECT * FROM training_run")


def test_everything_that_it_says_would_work_is_accepted(refused: tuple[Path, NotEnoughHumanText]) -> None:
    folder, error = refused
    works: list[dict[str, Any]] = [
        {"generations": error.affordable},
        {"arms": [ARMS[0] | {"share": str(error.share)}]},
        {"later": {"tokens": error.size}},
        {"arms": [ARMS[0] | {"human": "fixed"}]},
    ]
    with Store.open(folder / "store.duckdb", writable=True) as store:
        for changes in works:
            settings = experiment(**{"arms": ARMS, "generations": 40, **changes})
            assert check_human_text(store, settings, seed=1) == [], changes
