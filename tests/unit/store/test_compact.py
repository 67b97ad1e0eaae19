"""Compacting gives back space and changes nothing else; a kill leaves one whole file."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from provenance.errors import CompactFailed, StoreBusy
from provenance.ingest.removal import remove
from provenance.store import compact as module
from provenance.store.compact import compact
from provenance.store.documentation import describe_views
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import dump, held, ingest, prose_records, rows, violations


@pytest.fixture
def holey(make_store: Maker) -> Path:
    """Return a store most of whose documents were removed."""
    store = make_store("holey.duckdb")
    ingest(store, prose_records(1500, n_words=300))
    store.merge_log()
    remove(store, [str(row["document_id"]) for row in rows(store, "SELECT document_id FROM document LIMIT 1450")])
    store.close()
    return store.path


def test_space_is_given_back_and_nothing_else_changes(holey: Path) -> None:
    with Store.open(holey) as store:
        before, views = dump(store), describe_views(store)
    size = holey.stat().st_size
    report = compact(holey)
    assert report.before_bytes == size
    assert report.after_bytes == holey.stat().st_size
    assert report.after_bytes < 0.8 * size
    with Store.open(holey, writable=True) as store:
        assert dump(store) == before
        assert describe_views(store) == views
        assert violations(store) == []
        ingest(store, prose_records(20, start=5000))
    with duckdb.connect(str(holey)) as database:
        kinds = database.execute(
            "SELECT DISTINCT compression FROM pragma_storage_info('content') "
            "WHERE column_name = 'text' AND segment_type = 'VARCHAR'"
        ).fetchall()
    assert kinds == [("ZSTD",)]
    assert [path.name for path in holey.parent.iterdir() if path.name.startswith(".")] == []


def test_a_difference_keeps_the_old_file(holey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = holey.read_bytes()
    seen: list[int] = []
    monkeypatch.setattr(module, "_checksum", lambda *_: seen.append(1) or len(seen))  # every table differs
    with pytest.raises(CompactFailed, match="came out differently"):
        compact(holey)
    assert holey.read_bytes() == before


def test_a_held_store_is_waited_for(holey: Path) -> None:
    with held(holey) as pid, pytest.raises(StoreBusy, match=str(pid)):
        compact(holey, wait_s=0)


_KILLED = """
import os, signal, sys
from pathlib import Path
import provenance.store.compact as module
def killing(name):
    run = getattr(module, name)
    def instead(*arguments, **options):
        if name == "_checksum":
            run(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(module, name, instead)
killing(sys.argv[2])
module.compact(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("at", ["_checksum", "publish"])
def test_killed(holey: Path, at: str) -> None:
    with Store.open(holey) as store:
        before = dump(store)
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(holey), at], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(holey.parent.glob(".holey.duckdb.*.compact"))
    with Store.open(holey) as store:
        assert dump(store) == before
    compact(holey)
    assert list(holey.parent.glob(".*")) == []
    with Store.open(holey) as store:
        assert dump(store) == before


def test_drafts_of_dead_processes_go_when_a_store_is_made(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leftover, other = tmp_path / f".s.duckdb.{dead.pid}.new", tmp_path / f".t.duckdb.{dead.pid}.new"
    leftover.touch()
    other.touch()
    Store.create(tmp_path / "s.duckdb").close()
    assert not leftover.exists()
    assert other.exists()
