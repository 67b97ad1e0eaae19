"""What will run out is said before anything is trained; what passes does not run out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provenance.mix.errors import InfeasibleMix
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


def test_running_out_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughHumanText) as caught:
        run(tmp_path, generations=40)
    error = caught.value
    assert error.arm == "quota" and error.a_generation == 2_000 and error.generations == 40
    assert error.needed > error.available > error.affordable * error.a_generation
    assert f"in generation {error.affordable + 1}" in str(error) and f"{error.available:,}" in str(error)
    assert not list((tmp_path / "out").glob("*/models/*"))
    with Store.open(tmp_path / "store.duckdb") as store:
        assert not rows(store, "SELECT * FROM training_run")


def test_what_it_says_would_work_does_work(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughHumanText) as caught:
        run(tmp_path, generations=40)
    with Store.open(tmp_path / "store.duckdb", writable=True) as store:
        settings = experiment(arms=ARMS, generations=caught.value.affordable)
        report = run_experiment(store, settings, out=tmp_path / "out", jobs=1)
        assert report.n_done == 1 + caught.value.affordable


def test_one_generation_more_than_it_says_really_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotEnoughHumanText) as caught:
        run(tmp_path, generations=40)
    monkeypatch.setattr("training.loop.check_human_text", lambda *arguments, **named: None)
    with Store.open(tmp_path / "store.duckdb", writable=True) as store:
        # It keeps room for one document a generation, which a lucky draw does not need; without text none is lucky.
        settings = experiment(arms=ARMS, generations=caught.value.available // caught.value.a_generation + 1)
        with pytest.raises(InfeasibleMix):
            run_experiment(store, settings, out=tmp_path / "out", jobs=1)


def test_a_fixed_part_needs_its_text_once(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughHumanText):
        run(tmp_path, generations=40)
    with Store.open(tmp_path / "store.duckdb", writable=True) as store:  # generation 0's set is there now
        check_human_text(store, experiment(arms=[ARMS[0] | {"human": "fixed"}], generations=1_000), seed=1)
