"""A line of 200 MB with the default limit: kept in parts, byte for byte, in bounded memory."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from provenance.store.store import Store
from tests.factories import rows, run

HUGE = 200_000_000
_SAY_PEAK = """
import atexit, resource, sys
atexit.register(lambda: print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr))
"""


def test_huge_line(tmp_path: Path) -> None:
    path, store_path = tmp_path / "huge.jsonl", tmp_path / "s.duckdb"
    digest = hashlib.sha256()
    n_bytes = 0
    with path.open("wb") as file:
        file.write(b'{"text":"before"}\n')
        block = b'{"text": "' + bytes(range(32, 127)) * 10_000
        while n_bytes < HUGE:
            file.write(block)
            digest.update(block)
            n_bytes += len(block)
        file.write(b'\n{"text":"after"}\n')
    assert run("--store", store_path, "init").code == 0
    ingest = ("--store", store_path, "ingest", path, "--source", "s", "--origin", "human")
    answer = run(*ingest, prelude=_SAY_PEAK)
    assert answer.code == 0, answer.err
    assert "3 records read = 2 inserted + 0 already there + 1 quarantined" in answer.err
    assert "too large: 1" in answer.err
    peak = int(answer.err.split("peak")[1]) * (1 if sys.platform == "darwin" else 1024)
    assert peak < 1_600_000_000, f"{peak / 1e6:.0f} MB"
    with Store.open(store_path) as store:
        parts = rows(store, "SELECT part, n_bytes, place FROM quarantined ORDER BY part")
        assert [part["part"] for part in parts] == list(range(len(parts)))
        assert {part["place"] for part in parts} == {"line 2"}
        assert sum(part["n_bytes"] for part in parts) == n_bytes
        whole = hashlib.sha256()
        for part in rows(store, "SELECT raw FROM quarantined ORDER BY part"):
            whole.update(part["raw"])
    assert whole.hexdigest() == digest.hexdigest()
