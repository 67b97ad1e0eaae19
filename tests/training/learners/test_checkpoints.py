"""A training that is killed, wherever that is, goes on in its folder and equals one that was not disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.learners.tiny import blocks_of, fit, make
from training.learners.base import FitResult
from training.learners.checkpoints import WHOLE, CheckpointFolder

#: Chance in the model, weights, and steps in two parts, so that there is much to be kept.
SETTINGS = {"dropout": 0.1, "gradient_accumulation": 2, "checkpoint_steps": 3}
EPOCHS = 2

#: Fits, and stops for ever amid keeping its third state, after two whole ones.
STALLS = """
import sys, time
from pathlib import Path
import numpy as np
from tests.training.learners.test_checkpoints import fit_all
from training.learners.checkpoints import CheckpointFolder

seal = CheckpointFolder.seal
def stall(self, step, losses):
    if step == 9:
        print("keeping", flush=True)
        time.sleep(600)
    seal(self, step, losses)
CheckpointFolder.seal = stall
fit_all(Path(sys.argv[1]).read_text(), Path(sys.argv[2]))
"""


class Interrupted(Exception):
    pass


def fit_all(definition: str, folder: Path | None, *, stop_after: int | None = None, **changes: Any) -> tuple[Any, Any]:
    """Fit as all tests here do; return the model and the account of its training."""
    blocks = blocks_of(definition)[:27]
    weights = np.random.default_rng(1).random(blocks.shape, np.float32)
    learner = make(definition, **{**SETTINGS, **changes})

    def progress(done: int, total: int) -> None:
        if stop_after is not None and done == stop_after * 4 * 16:
            raise Interrupted

    return learner, fit(learner, blocks, weights=weights, epochs=EPOCHS, checkpoints=folder, progress=progress)


@pytest.fixture(scope="module")
def undisturbed(tokenizer_json: str) -> tuple[str, FitResult]:
    """Return digest and account of a training that nothing disturbed and that kept nothing."""
    learner, result = fit_all(tokenizer_json, None)
    return learner.digest, result


def _equal(learner: Any, result: FitResult, undisturbed: tuple[str, FitResult]) -> bool:
    digest, expected = undisturbed
    same = (result.n_steps, result.n_tokens, result.loss) == (expected.n_steps, expected.n_tokens, expected.loss)
    return bool(learner.digest == digest) and same


def test_killed_amid_keeping_its_state(tokenizer_json: str, undisturbed: tuple[str, FitResult], tmp_path: Path) -> None:
    definition, folder = tmp_path / "tokenizer.json", tmp_path / "kept"
    definition.write_text(tokenizer_json)
    command = [sys.executable, "-c", STALLS, definition, folder]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "keeping\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert (folder / "checkpoint-9").is_dir() and not (folder / "checkpoint-9" / WHOLE).exists()
    seen: list[int] = []
    learner = make(tokenizer_json, **SETTINGS)
    blocks = blocks_of(tokenizer_json)[:27]
    weights = np.random.default_rng(1).random(blocks.shape, np.float32)
    result = fit(
        learner,
        blocks,
        weights=weights,
        epochs=EPOCHS,
        checkpoints=folder,
        progress=lambda done, total: seen.append(done // (4 * 16)),
    )
    assert seen[0] == 7  # it went on after the last whole state
    assert _equal(learner, result, undisturbed)


@pytest.mark.parametrize("step", [1, 3, 4, 7, 8, 13])
def test_interrupted_after_any_step(
    tokenizer_json: str, undisturbed: tuple[str, FitResult], tmp_path: Path, step: int
) -> None:
    """Seven steps are an epoch: before the first state, at one, between two, at the end of an epoch and in the next."""
    with pytest.raises(Interrupted):
        fit_all(tokenizer_json, tmp_path / "kept", stop_after=step)
    learner, result = fit_all(tokenizer_json, tmp_path / "kept")
    assert _equal(learner, result, undisturbed)
    assert len(list((tmp_path / "kept").glob("checkpoint-*"))) <= 2


def test_finished_training_done_again_is_the_same(
    tokenizer_json: str, undisturbed: tuple[str, FitResult], tmp_path: Path
) -> None:
    """Killed after its end and before the model was saved, with a state at the very last step or not."""
    for every in (7, 12):
        for _ in range(2):
            learner, result = fit_all(tokenizer_json, tmp_path / str(every), checkpoint_steps=every)
            assert _equal(learner, result, undisturbed)


def test_states_of_another_training_are_not_continued(tokenizer_json: str, tmp_path: Path) -> None:
    blocks, folder = blocks_of(tokenizer_json)[:10], tmp_path / "kept"
    changed = blocks.copy()
    changed[-1, -1] += 1
    for data, settings in [(blocks, {}), (changed, {}), (changed, {"learning_rate": 2e-3}), (changed, {"seed": 3})]:
        fresh, kept = make(tokenizer_json, checkpoint_steps=2), make(tokenizer_json, checkpoint_steps=2)
        fit(fresh, data, **settings)
        fit(kept, data, checkpoints=folder, **settings)
        assert kept.digest == fresh.digest


def test_states_are_kept_by_the_clock_too(tokenizer_json: str, tmp_path: Path) -> None:
    """With no time between two states each step is kept; the result is the same."""
    learner = make(tokenizer_json, checkpoint_seconds=1e-9)
    fit(learner, blocks_of(tokenizer_json)[:16], epochs=1, checkpoints=tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-3"]
    plain = make(tokenizer_json)
    fit(plain, blocks_of(tokenizer_json)[:16], epochs=1)
    assert plain.digest == learner.digest


def test_a_half_removed_state_does_not_look_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CheckpointFolder(tmp_path, {"seed": 1})
    folder.claim()
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "model.safetensors").write_bytes(b"weights")
        folder.seal(step, np.zeros(step))
    assert folder.latest() == tmp_path / "checkpoint-10"  # by number, not by name

    def cut(path: Path) -> None:
        (path / "model.safetensors").unlink()
        raise Interrupted

    monkeypatch.setattr("training.learners.checkpoints.shutil.rmtree", cut)
    with pytest.raises(Interrupted):
        CheckpointFolder(tmp_path, {"seed": 2}).claim()
    assert CheckpointFolder(tmp_path, {"seed": 2}).latest() == tmp_path / "checkpoint-10"
    monkeypatch.undo()
    CheckpointFolder(tmp_path, {"seed": 2}).claim()
    assert folder.latest() is None
