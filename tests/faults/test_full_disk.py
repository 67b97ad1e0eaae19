"""No room left while an ingest writes: one line, exit status 1, whole batches only, and the rerun completes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provenance.store.store import Store
from tests.factories import dump, run
from tests.faults.conftest import N_RECORDS, SMALL_BATCHES, Job
from tests.faults.test_kill import assert_whole_batches, finish


def limit(n_bytes: int) -> str:
    """Return lines of Python that let no file grow beyond a size, which is how a full disk looks."""
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({n_bytes}, {n_bytes}))"


#: How far below the size of a whole batch the log is merged into the file.
EAGER = "import provenance.store.connection as opening; opening._CHECKPOINT = '100KB'"


def test_ingest(job: Job) -> None:
    """Out of room in the log and, in the second try, while the log is merged into the file; the third completes."""
    store = job.new_store()
    size = store.stat().st_size
    entered = 0
    for prelude in (limit(250_000), f"{limit(size + 600_000)}\n{EAGER}"):
        # In one process: the memory that processes share looks like a file to the limit, but not to a full disk.
        answer = run(*job.arguments(store), prelude=f"{SMALL_BATCHES}\n{prelude}")
        assert answer.code == 1, answer.err
        assert answer.out == ""
        assert answer.err.count("\n") == 1, answer.err
        assert answer.err.startswith(f"provenance: Writing {store} failed and was rolled back: ")
        assert "File too large" in answer.err
        assert "run the same command again" in answer.err
        before, entered = entered, assert_whole_batches(store)
        assert max(1, before) <= entered < N_RECORDS
    finish(job, store)


@pytest.mark.parametrize("room", [0, 100_000, 1_000_000])
def test_init(tmp_path: Path, room: int) -> None:
    answer = run("--store", tmp_path / "s.duckdb", "init", prelude=limit(room))
    assert answer.code == 1
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("provenance: No store could be made at ")
    assert os.listdir(tmp_path) == []


def test_reading_needs_no_room(job: Job) -> None:
    store = job.new_store()
    prelude = f"""
{limit(0)}
from provenance.cli import main
for arguments in (["stats"], ["check"], ["sql", "FROM composition"], ["clusters"], ["schema"]):
    try:
        main(["--store", {str(store)!r}, *arguments])
    except SystemExit as exit_:
        assert not exit_.code, arguments
raise SystemExit
"""
    answer = run(prelude=prelude)
    assert answer.code == 0, answer.err


def test_the_same_process_can_go_on(job: Job) -> None:
    """The error is ours, and the store can be closed and opened again."""
    prelude = f"""
{SMALL_BATCHES}
import resource, sys
from pathlib import Path
from provenance.errors import StoreWriteFailed
from provenance.ingest.pipeline import ingest_files
from provenance.records import Claim
from provenance.store.store import Store
path, file = Path(sys.argv[1]), Path(sys.argv[2])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, hard))
store = Store.open(path, writable=True)
try:
    ingest_files(store, [file], source="books", claim=Claim.make("human"))
except StoreWriteFailed as error:
    print("failed:", error.cause)
store.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
with Store.open(path, writable=True) as store:
    print("then:", ingest_files(store, [file], source="books", claim=Claim.make("human")).counts.n_read)
sys.exit()
"""
    store = job.new_store()
    answer = run(store, job.file, prelude=prelude)
    assert answer.code == 0, answer.err
    first, second = answer.out.splitlines()
    assert first.startswith("failed: ")
    assert second == f"then: {N_RECORDS}"
    with Store.open(store) as opened:
        assert dump(opened) == job.expected
