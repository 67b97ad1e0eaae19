"""What can go wrong while a loop runs: each time one clear line, nothing lost, and the same command goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import StoreBusy
from provenance.store.store import Store
from tests.factories import rows, violations
from tests.training.loop_factory import digests, environment, experiment, fill, metrics
from training.cli import main
from training.errors import LossNotFinite, OutputNotWritten, SampleTooSmall, TrainingDiverged, WorkerLost
from training.learners.base import Sample
from training.learners.ngram import NgramLearner
from training.loop import run_experiment
from training.progress import Board
from training.workers import Workers

ONE_ARM: dict[str, Any] = {"arms": [{"name": "quota", "regime": "quota", "share": 0.5}], "generations": 1}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store that holds the small corpus."""
    path = tmp_path_factory.mktemp("filled") / "filled.duckdb"
    with Store.create(path) as store:
        fill(store)
    return path


@pytest.fixture
def corpus(filled: Path, tmp_path: Path) -> Iterator[Store]:
    """Return a store of its own with the small corpus."""
    shutil.copyfile(filled, tmp_path / "store.duckdb")
    with Store.open(tmp_path / "store.duckdb", writable=True) as store:
        yield store


@pytest.fixture(scope="module")
def undisturbed(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Return metrics and digests of a run without faults."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copyfile(filled, folder / "store.duckdb")
    with Store.open(folder / "store.duckdb", writable=True) as store:
        run_experiment(store, experiment(**ONE_ARM), out=folder / "out", jobs=1)
        return metrics(store), digests(store)


class Notes(Board):
    """Keeps what the user is told."""

    def __init__(self, then: Callable[[str], None] = lambda text: None) -> None:
        self.said: list[str] = []
        self.then = then

    def note(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize("name", ["models/tiny.shared.s1.g0.fit.json", "outputs/tiny.quota.s1.g1.json"])
def test_full_disk(corpus: Store, tmp_path: Path, undisturbed: tuple[Any, Any], name: str) -> None:
    """A device that is always full stands where a file is to be written."""
    target = tmp_path / "out" / "tiny" / f"{name}.partial"
    target.parent.mkdir(parents=True)
    target.symlink_to("/dev/full")
    with pytest.raises(
        OutputNotWritten, match=r"cannot be written: No space left on device.*run the same command again"
    ) as caught:
        run_experiment(corpus, experiment(**ONE_ARM), out=tmp_path / "out", jobs=1)
    assert caught.value.path.name == Path(name).name
    assert not os.path.lexists(target)
    assert violations(corpus) == []
    run_experiment(corpus, experiment(**ONE_ARM), out=tmp_path / "out", jobs=1)
    assert (metrics(corpus), digests(corpus)) == undisturbed


def test_model_that_cannot_be_saved(corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries have errors of their own for a full disk."""

    def write(self: NgramLearner, directory: Path) -> dict[str, Any]:
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)\nmore")

    monkeypatch.setattr(NgramLearner, "write", write)
    with pytest.raises(
        OutputNotWritten, match=r"tiny.shared.s1.g0 cannot be written: Error while.*os error 28"
    ) as caught:
        run_experiment(corpus, experiment(**ONE_ARM), out=tmp_path / "out", jobs=1)
    assert "\n" not in str(caught.value)


def test_faults_of_the_program_are_not_hidden(corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "a bug")

    monkeypatch.setattr(NgramLearner, "fit", fit)
    with pytest.raises(FileNotFoundError, match="a bug"):
        run_experiment(corpus, experiment(**ONE_ARM), out=tmp_path / "out", jobs=1)


_HOLD = """
import sys, time
from provenance.store.store import Store
with Store.open(sys.argv[1], writable=True, wait_s=60):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def _holder(store: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _HOLD, str(store), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())


def test_store_that_another_process_writes(filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the beginning: one line says who holds it."""
    store = tmp_path / "store.duckdb"
    shutil.copyfile(filled, store)
    with _holder(store, 60) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(SystemExit) as ended:
            main(["run", "ladder-ngram", "--store", str(store), "--wait", "0.1"])
        process.kill()
    printed = capsys.readouterr().err
    assert ended.value.code == 1 and printed.count("\n") == 1
    assert f"{store} is held by" in printed and str(process.pid) in printed
    assert StoreBusy.__name__ == "StoreBusy"


def test_store_that_another_process_takes_meanwhile(
    corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: tuple[Any, Any]
) -> None:
    """While models are fitted the store is free: whoever takes it then is waited for, and the user is told."""
    monkeypatch.setattr("training.loop._SAY_AFTER_S", 0.2)
    board = Notes()
    with _holder(corpus.path, 1.5) as process:
        waiting = corpus.path.with_name(corpus.path.name + ".waiting")
        while not waiting.exists() or not list(waiting.iterdir()):
            time.sleep(0.02)
        run_experiment(corpus, experiment(**ONE_ARM), out=tmp_path / "out", jobs=1, board=board)
        assert process.stdout is not None and process.stdout.read() == "held\n"
    assert board.said == [f"waiting for {corpus.path}: another process holds it"]
    assert (metrics(corpus), digests(corpus)) == undisturbed


def test_empty_samples_are_quarantined_and_counted(
    corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = NgramLearner.sample

    def sample(self: NgramLearner, n: int, **options: Any) -> list[Sample]:
        return [Sample("", 1), Sample(" \n", 2), Sample("a\0b", 3), *original(self, n, **options)]

    monkeypatch.setattr(NgramLearner, "sample", sample)
    board = Notes()
    run_experiment(corpus, experiment(**ONE_ARM), out=tmp_path / "out", jobs=1, board=board)
    for name in ("shared.s1.g0", "quota.s1.g1"):
        for source in (f"tiny.{name}", f"tiny.{name}.t1"):
            found = rows(corpus, "SELECT reason FROM quarantine WHERE source = :source ORDER BY 1", source=source)
            assert len(found) % 3 == 0 and len({row["reason"] for row in found}) == 2
    of_run = metrics(corpus)["quota", 1, 1]
    quarantined = rows(corpus, "SELECT count(*) AS n FROM quarantine WHERE source = 'tiny.quota.s1.g1'")[0]["n"]
    assert of_run["arm_quarantined"] == quarantined > 0 and of_run["t1_quarantined"] > 0
    assert [text for text in board.said if text.startswith(f"tiny.quota.s1.g1: {quarantined} of ")]
    [kept] = rows(corpus, "SELECT count(*) AS n FROM documents WHERE source = 'tiny.quota.s1.g1' AND n_words = 0")
    assert kept["n"] == 0


def test_model_without_a_word_stops_the_loop(corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NgramLearner, "sample", lambda self, n, **_: [Sample("", 1)] * 10)
    with pytest.raises(SampleTooSmall, match=r"'tiny.shared.s1.g0' gave 0 usable tokens"):
        run_experiment(corpus, experiment(**ONE_ARM), out=tmp_path / "out", jobs=1)


def test_diverged_training_says_where_and_keeps_its_state(
    corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = NgramLearner.fit

    def fit(self: NgramLearner, data: Any, *, checkpoints: Path, **options: Any) -> Any:
        if checkpoints.name == "tiny.quota.s1.g1":
            checkpoints.mkdir(parents=True)
            (checkpoints / "state").write_text("weights")
            raise LossNotFinite(7, float("nan"), checkpoints / "state")
        return original(self, data, checkpoints=checkpoints, **options)

    monkeypatch.setattr(NgramLearner, "fit", fit)
    changed = {**ONE_ARM, "arms": [*ONE_ARM["arms"], {"name": "human", "regime": "human"}]}
    with pytest.raises(
        TrainingDiverged, match=r"^Model 'tiny.quota.s1.g1': The loss became nan at training step 7\."
    ) as caught:
        run_experiment(corpus, experiment(**changed), out=tmp_path / "out", jobs=1)
    assert caught.value.checkpoint is not None and caught.value.checkpoint.read_text() == "weights"
    states = {row["arm"]: row["state"] for row in rows(corpus, "SELECT arm, state FROM training_run")}
    assert states == {"shared": "finished", "quota": "running", "human": "finished"}


def test_killed_worker_is_named() -> None:
    """The machine ended a process: the models in the making fail by name, and nothing hangs."""
    from tests.training.test_work import some_task

    with Workers(jobs=1, threads=1, progress=lambda *_: None) as workers:
        workers.jobs = 2
        workers.warm("ngram")
        assert workers._pool is not None
        for pid in list(workers._pool._processes or {}):
            os.kill(pid, signal.SIGKILL)
        for name in ("one", "two"):
            workers.start(some_task(name))
        found = list(workers.finish())
    assert [type(one) for one in found] == [WorkerLost, WorkerLost]
    assert "'one'" in str(found[0]) and "--jobs 1" in str(found[0])


def test_several_failures_are_all_said(corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(self: NgramLearner, data: Any, *, checkpoints: Path, **_: Any) -> Mapping[str, Any]:
        raise LossNotFinite(1, float("inf"))

    seeds = {**ONE_ARM, "seeds": [1, 2]}
    monkeypatch.setattr(NgramLearner, "fit", fit)
    board = Notes()
    with pytest.raises(TrainingDiverged, match=r"s1.g0"):
        run_experiment(corpus, experiment(**seeds), out=tmp_path / "out", jobs=1, board=board)
    assert len(board.said) == 1 and "also: Model 'tiny.shared.s2.g0'" in board.said[0]
