"""The benchmark of training and sampling runs to its verdicts, and both contenders do the same work."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import _bench
import pytest

SCRIPT = Path(_bench.__file__).parent / "bench_training.py"


@pytest.mark.slow
def test_training_benchmark_runs() -> None:
    pytest.importorskip("torch")
    command = [sys.executable, SCRIPT, "--tokens", "2600", "--rounds", "1", "--generations", "0"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split()[0] for line in shown[1:4]] == ["tokens", "training", "sampling"]
    losses = re.fullmatch(r"loss of learner ([\d.]+), of the plain loop ([\d.]+) nats a token", shown[4])
    assert losses is not None
    assert float(losses[1]) == pytest.approx(float(losses[2]), abs=2e-4)
    assert [line.split(":")[0] for line in shown[5:]] == [
        "wanted training of at least 0.9 × a plain loop",
        "wanted sampling of at least 0.9 × a plain loop",
    ]


def test_one_generation_is_not_judged() -> None:
    command = [sys.executable, SCRIPT, "--generations", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "at least 2" in done.stderr
