"""One process holds the file: others wait, get their turn between batches, or say who holds it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.errors import StoreBusy
from provenance.store.store import Store
from tests.factories import command, count, dump, environment, provenance, rows, started, violations
from tests.faults.conftest import N_RECORDS, SMALL_BATCHES, Job

HOLDER = """
import sys, time
from provenance.store.store import Store
with Store.open(sys.argv[1], writable=sys.argv[2] == "writing"):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""


@contextlib.contextmanager
def held(path: Path, how: str, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Let another process hold the store for a while."""
    program = [sys.executable, "-c", HOLDER, str(path), how, str(seconds)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", ["writing", "reading"])
def test_says_who_holds_it(job: Job, how: str) -> None:
    store = job.new_store()
    writing = [("source", "add", "s", "--origin", "human"), ("migrate",), ("ingest", job.file, "--source", "s")]
    commands = writing if how == "reading" else [("stats",), ("sql", "SELECT 1"), *writing]
    with held(store, how, 60) as holder:
        for arguments in commands:
            began = time.monotonic()
            answer = provenance("--store", store, "--wait", 0.3, *arguments)
            assert answer.code == 1
            assert time.monotonic() - began > 0.3
            assert (answer.out, answer.err.count("\n")) == ("", 1), answer.err
            assert f"{store} is held by process {holder.pid} (" in answer.err
            assert Path(sys.executable).name in answer.err, "the command of the holder"
            assert "--wait SECONDS" in answer.err
        if how == "reading":
            assert provenance("--store", store, "--wait", 0, "stats").code == 0, "readers do not hold up readers"
    assert not store.with_name(store.name + ".waiting").exists()


def test_waits_until_it_is_free(job: Job) -> None:
    store = job.new_store()
    with held(store, "writing", 2):
        with pytest.raises(StoreBusy):
            Store.open(store, wait_s=0)
        with Store.open(store, wait_s=60) as opened:
            assert count(opened, "document") == 0


def test_a_holder_that_was_killed_holds_nothing(job: Job) -> None:
    store = job.new_store()
    with held(store, "writing", 60) as holder:
        holder.kill()
        holder.wait()
        with Store.open(store, writable=True, wait_s=5) as opened:
            assert opened.writable
            assert count(opened, "document") == 0


#: Every batch takes a while, so that the ingest would hold the file for long.
SLOWLY = (
    SMALL_BATCHES
    + """
import time
from provenance.ingest.write import BatchWriter
write = BatchWriter.write
BatchWriter.write = lambda *args: (time.sleep(0.2), write(*args))[1]
"""
)


def test_readers_get_in_between_batches(job: Job) -> None:
    store = job.new_store()
    with started(*job.arguments(store), prelude=SLOWLY) as ingest:
        seen = [0]
        while len(seen) < 4:
            with Store.open(store, wait_s=60) as opened:
                entered = count(opened, "document") + count(opened, "quarantine")
                assert not rows(opened, "SELECT * FROM ingest WHERE state = 'finished'"), (
                    "it came in after the end only"
                )
            if entered > seen[-1]:
                seen.append(entered)
        assert ingest.poll() is None, "the ingest goes on"
        assert seen[-1] < N_RECORDS
        _, err = ingest.communicate(timeout=100)
    assert ingest.returncode == 0, err.decode()
    with Store.open(store) as opened:
        assert dump(opened) == job.expected
    assert not store.with_name(store.name + ".waiting").exists()


def test_commands_get_in_between_batches(job: Job) -> None:
    """Readers and writers from the command line, several at a time."""
    store = job.new_store()
    waiting = ("--store", store, "--wait", 60)
    with started(*job.arguments(store), prelude=SLOWLY) as ingest:
        while store.stat().st_size == 0 or not store.with_name(store.name + ".wal").exists():
            time.sleep(0.01)
        others = [
            subprocess.Popen(
                command(*waiting, *arguments), env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE
            )
            for arguments in (("sql", "FROM composition"), ("source", "add", "other", "--origin", "unknown"))
        ]
        answers = [other.communicate(timeout=100) for other in others]
        assert [other.returncode for other in others] == [0, 0], answers
        _, err = ingest.communicate(timeout=100)
    assert ingest.returncode == 0, err.decode()
    with Store.open(store) as opened:
        assert {row["name"] for row in rows(opened, "SELECT name FROM source")} == {"books", "other"}
        assert violations(opened) == []


def test_two_ingests_at_once(job: Job, tmp_path: Path) -> None:
    """Both finish, whoever waits for whom, and everything is there once."""
    store = job.new_store()
    with (
        started("--wait", 60, *job.arguments(store), prelude=SMALL_BATCHES) as first,
        started("--wait", 60, *job.arguments(store, source="more"), prelude=SMALL_BATCHES) as second,
    ):
        errors = [process.communicate(timeout=200)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), errors
    with Store.open(store) as opened:
        assert violations(opened) == []
        n = len(job.expected["document"])
        found = rows(opened, "SELECT source, count(*) AS n FROM document GROUP BY ALL ORDER BY ALL")
        assert found == [{"source": "books", "n": n}, {"source": "more", "n": n}]
        assert count(opened, "content") == len(job.expected["content"])
    assert os.listdir(tmp_path) == []
