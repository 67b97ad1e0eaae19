"""kill -9 at any instant: the store opens, holds whole batches only, and the same command finishes the job."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from random import Random

import pytest

from provenance.store.store import Store
from tests.factories import dump, provenance, rows, run, started, violations
from tests.faults.conftest import N_RECORDS, SMALL_BATCHES, Job

#: Sends its own process a signal at the n-th call of a function, after it or before: `die(path, n, after)`.
SUICIDE = """
import importlib, os, signal
def die(path, n, after, number=signal.SIGKILL):
    module, kind, name = path.split(":")
    owner = importlib.import_module(module)
    owner = getattr(owner, kind) if kind else owner
    real, calls = getattr(owner, name), [0]
    def counted(*args, **kwargs):
        calls[0] += 1
        if calls[0] == n and not after:
            os.kill(os.getpid(), number)
        result = real(*args, **kwargs)
        if calls[0] == n and after:
            os.kill(os.getpid(), number)
        return result
    setattr(owner, name, counted)
"""


def size(store: Path) -> int:
    """Return how much is written: every commit makes it grow."""
    return sum(path.stat().st_size for path in (store, store.with_name(store.name + ".wal")) if path.exists())


def assert_whole_batches(path: Path) -> int:
    """The store is sound and holds the beginning of the file, nothing else; return how many records that are."""
    with Store.open(path) as store:
        assert violations(store) == []
        (ingest,) = rows(store, "SELECT * FROM ingest")
        assert ingest["state"] == "running"
        numbers = {int(row["external_id"][1:]) for row in rows(store, "SELECT external_id FROM document")}
        refused = {int(row["place"].removeprefix("line ")) - 1 for row in rows(store, "SELECT place FROM quarantine")}
        entered = numbers | refused
        assert entered == set(range(len(entered)))
        assert not numbers & refused
        return len(entered)


def finish(job: Job, store: Path) -> None:
    """The same command finishes the job, and the store equals one that was never disturbed."""
    answer = run(*job.arguments(store, jobs=2), prelude=SMALL_BATCHES)
    assert answer.code == 0, answer.err
    with Store.open(store) as opened:
        assert violations(opened) == []
        assert dump(opened) == job.expected


def test_random_instants(job: Job) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    chance = Random(seed)
    store = job.new_store()
    entered = 0
    for _ in range(2):
        with started(*job.arguments(store, jobs=2), prelude=SMALL_BATCHES) as process:
            wait_for_growth(store, process, times=chance.randrange(1, 5))
            time.sleep(chance.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, f"seed {seed}"
        before, entered = entered, assert_whole_batches(store)
        assert entered >= before, f"seed {seed}"
    finish(job, store)
    again = run(*job.arguments(store), prelude=SMALL_BATCHES)
    assert " 0 inserted " in again.err
    with Store.open(store) as opened:
        found = dump(opened, without=["ingest", "ingest_file"])
        assert found == {name: table for name, table in job.expected.items() if name in found}
        (file,) = rows(opened, "SELECT DISTINCT * EXCLUDE (ingest_id, finished_at) FROM ingest_file")
        assert file["n_read"] == N_RECORDS


def wait_for_growth(store: Path, process: subprocess.Popen[bytes], *, times: int) -> None:
    for _ in range(times):
        before = size(store)
        while size(store) == before and process.poll() is None:
            time.sleep(0.002)


#: Where a process dies: the function, at which call of it, and whether before or after it.
PLACES = (
    ("provenance.ingest.pipeline::enter_run", 1, True),
    ("provenance.dedup.incremental::_insert_signatures", 2, False),
    ("provenance.ingest.write:BatchWriter:_add_claims", 2, False),
    ("provenance.ingest.pipeline::update_run", 5, True),
    ("provenance.ingest.pipeline:_Run:_seconds", 7, False),
    ("provenance.ingest.pipeline::add_files", 8, True),
    ("provenance.ingest.pipeline::settled", 1, True),
)


def test_chosen_instants(job: Job) -> None:
    """In the middle of a transaction, just before and after its end; one process after the other, on one store.

    Without worker processes; the last run has them.
    """
    store = job.new_store()
    entered = []
    for place, n, after in PLACES:
        prelude = f"{SMALL_BATCHES}\n{SUICIDE}\ndie({place!r}, {n}, {after})"
        answer = run(*job.arguments(store), prelude=prelude)
        assert answer.code == -signal.SIGKILL, f"{place}: {answer.err}"
        entered.append(0 if place.endswith("::enter_run") else assert_whole_batches(store))
    assert entered == sorted(entered)
    assert entered[0] == 0
    assert entered[-1] == N_RECORDS
    finish(job, store)


@pytest.mark.parametrize("after", [False, True])
def test_during_init(tmp_path: Path, after: bool) -> None:
    path = tmp_path / "s.duckdb"
    place = "provenance.store.store::_write_settings"
    answer = run("--store", path, "init", prelude=f"{SUICIDE}\ndie({place!r}, 1, {after})")
    assert answer.code == -signal.SIGKILL
    assert not path.exists(), "half a store is no store"
    assert provenance("--store", path, "init").code == 0
    assert provenance("--store", path, "check").code == 0


def test_interrupted_from_the_keyboard(job: Job) -> None:
    store = job.new_store()
    place = ("provenance.ingest.pipeline::update_run", 5, True)
    answer = run(*job.arguments(store, jobs=2), prelude=f"{SMALL_BATCHES}\n{SUICIDE}\ndie(*{place!r}, signal.SIGINT)")
    assert answer.code == 130, answer.err
    assert "Traceback" not in answer.err, answer.err
    assert assert_whole_batches(store) > 0
