"""A loop that is killed and started again equals one that was not disturbed: every metric, digest and document."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provenance.store.store import Store
from tests.factories import dump, rows, violations
from tests.training.forked import Forked
from tests.training.loop_factory import (
    TINY_TRANSFORMER,
    digests,
    environment,
    fill,
    metrics,
    recurse_command,
    write_experiment,
)

NGRAM: dict[str, Any] = {
    "arms": [{"name": "replace", "regime": "replace"}, {"name": "quota", "regime": "quota", "share": 0.5}],
    "keep": "none",
    "generations": 1,
}
TRANSFORMER: dict[str, Any] = {
    **TINY_TRANSFORMER,
    "learner": {**TINY_TRANSFORMER["learner"], "checkpoint_steps": 2},
    "arms": [{"name": "quota", "regime": "quota", "share": 0.5}],
    "generations": 1,
    "keep": "last",
}

#: Where a run of each learner dies, one attempt after the other; every attempt gets further than the one before.
MOMENTS = {
    "ngram": (
        "training.steps:make_training_set@after#2",  # generation 0 is drawn, its tokenizer not trained
        "training.steps:export_tokens@after#1",
        "training.work:write_json@before#1",  # the model is saved, the account of its fit is not written
        "training.evaluate:write_json@after#1",  # everything is in files, nothing in the store
        "training.records:ingest_records@after#1",  # output entered, evaluation sample not
        "training.loop:finish_run@before#1",
        "training.loop:finish_run@after#1",
        "training.loop:ingest_output@after#1",  # amid the arms of generation 1
        "training.loop:forget_path@after#1",  # models are removed
    ),
    "transformer": (
        "training.learners.checkpoints:CheckpointFolder.seal@before#3",  # a state half there
        "training.learners.checkpoints:CheckpointFolder.seal@after#3",
        "training.work:write_json@after#2",  # sampled, not evaluated
        "training.learners.checkpoints:CheckpointFolder.seal@after#2",  # in generation 1, which begins from 0's model
        "training.loop:finish_run@after#1",
    ),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store that holds the small corpus."""
    path = tmp_path_factory.mktemp("filled") / "filled.duckdb"
    with Store.create(path) as store:
        fill(store)
    return path


@pytest.fixture(scope="module", params=sorted(MOMENTS))
def learner(request: pytest.FixtureRequest) -> str:
    if request.param == "transformer":
        pytest.importorskip("torch")
    return str(request.param)


@pytest.fixture(scope="module")
def forked(learner: str) -> Iterator[Forked]:
    with Forked(torch=learner == "transformer") as server:
        yield server


class Place:
    """A store and an experiment in a folder of their own."""

    def __init__(self, folder: Path, filled: Path, learner: str) -> None:
        folder.mkdir()
        self.store = folder / "store.duckdb"
        shutil.copyfile(filled, self.store)
        yaml = write_experiment(folder, **(NGRAM if learner == "ngram" else TRANSFORMER))
        self.command = ("run", yaml, "--store", self.store, "--jobs", 1)

    def state(self) -> Any:
        """Return everything that the store holds but times and places, and the metrics."""
        with Store.open(self.store) as opened:
            assert violations(opened) == []
            for table in ("training_run", "ingest"):
                assert {row["state"] for row in rows(opened, f"SELECT state FROM {table}")} == {"finished"}
            held = dump(opened, without=("metric", "path", "export_id"))
            kept = {row["name"] for row in rows(opened, "SELECT name FROM model WHERE path IS NOT NULL")}
            return metrics(opened), digests(opened), held, kept


@pytest.mark.slow
def test_killed_loop_goes_on_where_it_was(learner: str, forked: Forked, filled: Path, tmp_path: Path) -> None:
    undisturbed, killed = (Place(tmp_path / name, filled, learner) for name in ("undisturbed", "killed"))
    status, said = forked.run(*undisturbed.command)
    assert status == 0, said
    expected = undisturbed.state()
    assert len(expected[0]) in (2, 3) and all(len(of_run) > 30 for of_run in expected[0].values())
    for moment in MOMENTS[learner]:
        status, said = forked.run(*killed.command, kill=moment)
        assert status == -signal.SIGKILL, f"{moment}: {said}"
    status, said = forked.run(*killed.command)
    assert status == 0, said
    found = killed.state()
    for one, other in zip(found, expected, strict=True):
        assert one == other
    for place in (undisturbed, killed):
        models = {path.name for path in (place.store.parent / "store.recurse" / "tiny" / "models").iterdir()}
        assert {name for name in models if not name.endswith(".json")} == expected[3]
        assert not list((place.store.parent / "store.recurse" / "tiny" / "checkpoints").glob("*"))


@pytest.mark.slow
def test_killed_with_its_workers(filled: Path, tmp_path: Path) -> None:
    """Two models at a time in processes of their own, killed from outside while both are at work."""
    undisturbed, killed = (Place(tmp_path / name, filled, "ngram") for name in ("undisturbed", "killed"))
    commands = [recurse_command(*place.command[:-1], 2) for place in (undisturbed, killed)]
    subprocess.run(commands[0], check=True, env=environment(), stderr=subprocess.DEVNULL)
    with subprocess.Popen(commands[1], stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        assert any("g1: sample" in line for line in process.stderr)
        process.send_signal(signal.SIGKILL)
    subprocess.run(commands[1], check=True, env=environment(), stderr=subprocess.DEVNULL)
    assert killed.state() == undisturbed.state()
