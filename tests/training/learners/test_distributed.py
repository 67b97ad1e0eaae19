"""Two real processes: every global batch holds the blocks in order, and the model is that of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.learners.tiny import blocks_of, fit, make

pytestmark = pytest.mark.slow

#: What each process runs: it notes the blocks that its model is given in every step, and its weights at the end.
SCRIPT = """
import json, os, sys
from pathlib import Path
import numpy as np
from tests.training.learners.tiny import blocks_of, fit, make
from training.learners.trainer import OrderedTrainer

folder = Path(sys.argv[1])
rank = os.environ["RANK"]
given, compute_loss = [], OrderedTrainer.compute_loss
def spy(self, model, inputs, *arguments, **named):
    rows = inputs["input_ids"][inputs["labels"][:, 0] != -100]
    given.append((self.state.global_step, rows.tolist()))
    return compute_loss(self, model, inputs, *arguments, **named)
OrderedTrainer.compute_loss = spy

definition = (folder / "tokenizer.json").read_text()
blocks = blocks_of(definition)[:13]
for name, weights in {"plain": None, "weighted": np.load(folder / "weights.npy")}.items():
    given.clear()
    learner = make(definition, gradient_accumulation=2, checkpoint_steps=3)
    result = fit(learner, blocks, weights=weights, checkpoints=folder / name)
    values = np.concatenate([p.detach().numpy().ravel() for p in learner.model.parameters()])
    np.save(folder / f"{name}.{rank}.npy", values)
    account = {"given": given, "loss": result.loss, "n_steps": result.n_steps, "n_tokens": result.n_tokens}
    (folder / f"{name}.{rank}.json").write_text(json.dumps(account))
"""


@pytest.fixture(scope="module")
def two_processes(tokenizer_json: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the script by torchrun; return the folder in which it wrote what it saw."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "tokenizer.json").write_text(tokenizer_json)
    (folder / "script.py").write_text(SCRIPT)
    np.save(folder / "weights.npy", np.random.default_rng(0).random((13, 16), np.float32))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d"]
    command += ["--rdzv-endpoint=localhost:0", str(folder / "script.py"), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", ["plain", "weighted"])
def test_every_global_batch_holds_the_blocks_in_order(two_processes: Path, tokenizer_json: str, name: str) -> None:
    blocks = blocks_of(tokenizer_json)[:13]
    accounts = [json.loads((two_processes / f"{name}.{rank}.json").read_text()) for rank in range(2)]
    steps: dict[int, list[list[int]]] = {}
    for first, second in zip(*(account["given"] for account in accounts), strict=True):
        assert first[0] == second[0]
        steps.setdefault(first[0], []).extend(first[1] + second[1])
    expected = [blocks[first : first + 4].tolist() for _ in range(2) for first in range(0, 13, 4)]
    assert [steps[i] for i in sorted(steps)] == expected


@pytest.mark.parametrize("name", ["plain", "weighted"])
def test_two_processes_train_the_model_of_one(two_processes: Path, tokenizer_json: str, name: str) -> None:
    weights = np.load(two_processes / "weights.npy") if name == "weighted" else None
    learner = make(tokenizer_json)
    expected = fit(learner, blocks_of(tokenizer_json)[:13], weights=weights)
    one = np.concatenate([p.detach().numpy().ravel() for p in learner.model.parameters()])
    both = [np.load(two_processes / f"{name}.{rank}.npy") for rank in range(2)]
    assert np.array_equal(*both)
    assert np.abs(both[0] - one).max() < 1e-4
    for rank in range(2):
        account = json.loads((two_processes / f"{name}.{rank}.json").read_text())
        assert account["loss"] == pytest.approx(expected.loss, rel=1e-4)
        assert (account["n_steps"], account["n_tokens"]) == (expected.n_steps, expected.n_tokens)


def test_their_state_is_kept_once_and_whole(two_processes: Path) -> None:
    state = two_processes / "plain" / "checkpoint-6"
    assert {"whole.json", "model.safetensors", "optimizer.pt", "rng_state_0.pth", "rng_state_1.pth"} <= {
        path.name for path in state.iterdir()
    }
    assert len(np.load(state / "losses.npy")) == 6
