"""The benchmark of claims runs, on few documents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.factories import REPOSITORY

SCRIPTS = REPOSITORY / "scripts"


def shown_by(script: str, *arguments: object) -> str:
    command = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_evidence_benchmark_runs(tmp_path: Path) -> None:
    shown = shown_by("bench_evidence.py", "--docs", 2000, "--repeats", 1, "--folder", tmp_path)
    assert "2,000 documents, 6,000 claims" in shown
    assert "labels changed, then 0;" in shown
    for line in (
        "all resolved, nothing to write",
        "one relabelled as a model's",
        "why, in an open store",
        "curate: next one shown",
    ):
        assert line in shown
    assert [path.suffix for path in tmp_path.iterdir()] == [".duckdb"] * 2, "the copy that was measured is gone"
