"""Fixtures of the tests of benchmarks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import _bench
import _bench_commands as bench
import _bench_dedup_planted as made
import pytest

from tests.factories import provenance


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep the benchmark's files in a folder of the test, and run its commands in this process."""

    def run(command: Sequence[str | Path], *, quiet: bool = False) -> bench.Run:
        start, cpu_start = time.perf_counter(), time.process_time()
        answer = provenance(*command[1:])
        assert answer.code == 0, answer.err
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        return bench.Run(seconds, cpu_seconds, bench.memory_bytes(os.getpid()), answer.raw)

    monkeypatch.setattr(_bench, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(bench, "run", run)
    yield tmp_path
    left = {path.name for path in tmp_path.iterdir()} - {"kept.duckdb", f"planted-v{made.VERSION}-seed1"}
    assert not left
