"""The benchmark of reading for training runs from the corpus to the verdict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import _bench
import bench_loader
import pytest


@pytest.mark.slow
def test_loader_benchmark_runs() -> None:
    pytest.importorskip("torch")
    script = Path(_bench.__file__).parent / "bench_loader.py"
    command = [sys.executable, script, "--docs", "100", "--seconds", "0.01", "--steps", "3"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split(":")[0] for line in shown[1:5]] == [
        f"blocks of {length:5,}, {batch_size:3} a batch" for length, batch_size in bench_loader.SHAPES
    ]
    assert "wanted 200 MB/s" in shown[5]
    assert "a step of the tiny transformer" in shown[6]
    assert "wanted 1% or less" in shown[7]
