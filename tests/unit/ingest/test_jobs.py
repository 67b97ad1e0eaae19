"""Several processes prepare: the store is the same as with one, whatever the inputs hold and whatever goes wrong."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from provenance.errors import UnreadableFile
from provenance.ids import content_digest, document_digest
from provenance.ingest import tasks, workers
from provenance.ingest.pipeline import IngestOptions, ingest_files
from provenance.ingest.write import Counts
from provenance.records import Claim
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import (
    count,
    dump,
    ingest_paths,
    prose,
    prose_records,
    rows,
    started,
    violations,
    write_lines,
    write_parquet,
)
from tests.faults.conftest import SMALL_BATCHES

OPTIONS = IngestOptions(chunk_bytes=5000, max_record_bytes=1000)
#: Slots through which two processes get their tasks and give their batches, and are used again.
N_SLOTS = 4


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every block a task of its own."""
    monkeypatch.setattr(tasks, "TASK_RECORDS", 1)


def lines(n: int, *, seed: int) -> list[dict[str, Any] | bytes]:
    """Return records of every kind: copies, near-copies, claims of their own, parents, bad lines, too long ones."""
    chance = Random(seed)
    found: list[dict[str, Any] | bytes] = []
    for i in range(n):
        name = f"{seed}-{i}"
        record: dict[str, Any] = {"id": name, "text": prose(1000 * seed + i, n_words=25), "n": i}
        kind = i % 11
        if kind == 2:
            record["text"] = prose(1000 * seed + i - 2, n_words=25) + " edited"
        elif kind == 3:
            record["text"] = prose(1000 + chance.randrange(40), n_words=25)
        elif kind == 4:
            record |= {
                "origin": "synthetic",
                "generation": 1,
                "model": f"model-{i % 3}",
                "parent": parent_of(found[-4]),
            }
        elif kind == 5:
            record |= {"licence": chance.choice(["MIT", "CC-BY-NC-4.0", "gibberish"]), "date": "1790-01-08"}
        elif kind == 6:
            record["text"] = None
        found.append({8: b"no JSON %d" % i, 9: b'{"text": "' + b"x" * 2500 + b'"}', 10: b""}.get(kind, record))
    return found


def parent_of(record: dict[str, Any] | bytes) -> str:
    assert isinstance(record, dict)
    return str(UUID(bytes=document_digest("books", record["id"], content_digest(record["text"].encode()))))


def inputs(folder: Path) -> list[Path]:
    """Return files of several formats with records in common."""
    texts = [prose(1000 + i, n_words=25) for i in range(30)]
    return [
        write_lines(folder / "a.jsonl", lines(80, seed=1)),
        write_lines(folder / "b.jsonl.gz", [*lines(45, seed=2), *lines(30, seed=1)]),
        write_parquet(folder / "c.parquet", {"text": [*texts, None], "id": [str(i) for i in range(31)]}),
        write_lines(folder / "d.jsonl", []),
        write_lines(folder / "e.jsonl.zst", lines(20, seed=3)),
    ]


def test_as_many_processes_as_you_like(make_store: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = inputs(tmp_path)
    n_batches = 0
    real = workers._Workers.prepare

    def counting(self: Any, given: Any) -> Any:
        nonlocal n_batches
        for batch in real(self, given):
            n_batches += 1
            yield batch

    monkeypatch.setattr(workers._Workers, "prepare", counting)
    one, two = make_store(), make_store()
    alone, together = (ingest_paths(store, *files, options=OPTIONS, jobs=n) for store, n in ((one, 1), (two, 3)))
    assert n_batches > 3 * N_SLOTS, "no slot was used again: this test shows nothing"
    assert alone.counts == together.counts
    assert alone.reasons == together.reasons
    assert dump(one) == dump(two)
    for table in ("parent", "near_duplicate", "quarantine", "evidence", "model"):
        assert count(two, table) > 1, f"nothing in {table}: this test shows nothing"
    assert rows(two, "SELECT max(part) AS n FROM quarantine") == [{"n": 2}]
    assert violations(two) == []


def test_little_input_starts_no_process(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(workers, "ProcessPoolExecutor", refuse)
    monkeypatch.setattr(tasks, "TASK_RECORDS", 1000)
    assert ingest_paths(store, write_lines(tmp_path / "x.jsonl", prose_records(5)), jobs=2).counts.n_inserted == 5


def test_an_unreadable_file_in_the_middle(make_store: Maker, tmp_path: Path) -> None:
    """Everything before the damage is stored, nothing behind it, and the mended files complete it."""
    files = inputs(tmp_path)
    second = files[1]
    whole = second.read_bytes()
    found = []
    for jobs in (1, 2):
        second.write_bytes(whole[: len(whole) * 2 // 3])
        store = make_store()
        with pytest.raises(
            UnreadableFile, match=r"b\.jsonl\.gz: the gzip stream is damaged or cut off after line \d+\."
        ):
            ingest_paths(store, *files, options=OPTIONS, jobs=jobs)
        (run,) = rows(store, "SELECT * FROM ingest")
        assert run["state"] == "running"
        assert 100 < run["n_read"] < 190, "all records of the first file, some of the second"
        assert [row["file"] for row in rows(store, "SELECT file FROM ingest_file")] == [str(files[0])]
        found.append(dump(store))
        second.write_bytes(whole)
        again = ingest_paths(store, *files, options=OPTIONS, jobs=3 - jobs)
        assert again.n_skipped_files == 1
        found.append(dump(store, without=["stamp"]))
    assert found[0] == found[2]
    undisturbed = make_store()
    ingest_paths(undisturbed, *files, options=OPTIONS)
    assert found[1] == found[3] == dump(undisturbed, without=["stamp"])


def test_an_error_of_this_process_leaves_no_other_behind(store: Store, tmp_path: Path) -> None:
    class Failing:
        def update(self, counts: Counts, fraction: float | None) -> None:
            raise RuntimeError("this one")

    with pytest.raises(RuntimeError, match="this one"):
        run(store, inputs(tmp_path), Failing())
    assert multiprocessing.active_children() == []
    assert violations(store) == []


def test_a_killed_worker(make_store: Maker, tmp_path: Path) -> None:
    """It is said aloud, the store is whole, and the same command finishes the job."""
    files = inputs(tmp_path)

    class Killing:
        def __init__(self) -> None:
            self.n_batches = 0

        def update(self, counts: Counts, fraction: float | None) -> None:
            self.n_batches += 1
            if self.n_batches == 3:
                victim = multiprocessing.active_children()[0].pid
                assert victim is not None
                os.kill(victim, signal.SIGKILL)

    store, undisturbed = make_store(), make_store()
    killing = Killing()
    with pytest.raises(BrokenProcessPool):
        run(store, files, killing)
    assert multiprocessing.active_children() == []
    assert violations(store) == []
    (row,) = rows(store, "SELECT * FROM ingest")
    assert row["state"] == "running"
    assert 3 <= killing.n_batches < 3 + 2 * N_SLOTS
    assert 0 < count(store, "document") + count(store, "quarantine")
    run(store, files, None)
    ingest_paths(undisturbed, *files, options=OPTIONS)
    assert dump(store) == dump(undisturbed)


def run(store: Store, files: list[Path], progress: Any) -> None:
    claim = Claim.make("human")
    ingest_files(store, files, source="books", claim=claim, options=OPTIONS, jobs=3, progress=progress)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the children of a process are looked up in /proc")
def test_workers_end_with_the_process_that_started_them(make_store: Maker, tmp_path: Path) -> None:
    with make_store() as store:
        path = store.path
    file = write_lines(tmp_path / "many.jsonl", prose_records(3000, n_words=40))
    slowly = SMALL_BATCHES + (
        "import time\nfrom provenance.ingest.write import BatchWriter\nwrite = BatchWriter.write\n"
        "BatchWriter.write = lambda *args: (time.sleep(0.2), write(*args))[1]\n"
    )
    arguments = ("--store", path, "ingest", file, "--source", "s", "--origin", "human", "--jobs", 3)
    with started(*arguments, prelude=slowly) as process:
        wait_until(lambda: len(workers_of(process.pid)) == 2 or process.poll() is not None)
        found = workers_of(process.pid)
        assert len(found) == 2
        process.kill()
        process.communicate()
    wait_until(lambda: not any(is_running(pid) for pid in found))


def workers_of(pid: int) -> list[int]:
    """Return the processes that a process has spawned to work for it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
    except FileNotFoundError:  # it has just ended
        return []


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
