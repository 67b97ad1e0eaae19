"""Compacting gives back space and changes nothing else; a kill leaves one whole file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from provenance.errors import CompactFailed, StoreBusy
from provenance.ingest.removal import remove
from provenance.store import compact as module
from provenance.store import connection
from provenance.store.compact import compact
from provenance.store.connection import someone_waits
from provenance.store.documentation import describe_views
from provenance.store.files import publish
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import count, dump, environment, held, ingest, prose_records, rows, violations


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


_WAITS = """
import sys
from pathlib import Path
from provenance.store.store import Store
from tests.factories import count, ingest, prose_records
print("waits", flush=True)
with Store.open(Path(sys.argv[1]), writable=True, wait_s=30) as store:
    ingest(store, prose_records(3, start=9000))
    print(count(store, "document"), flush=True)
"""


def test_who_waits_writes_into_the_new_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the copy and the new name nobody gets the old file, in which all that was written would be lost."""
    ingest(store, prose_records(5))
    store.close()
    waiting: list[subprocess.Popen[bytes]] = []

    def slow(draft: Path, target: Path) -> None:
        waiting.append(
            subprocess.Popen([sys.executable, "-c", _WAITS, str(store.path)], stdout=subprocess.PIPE, env=environment())
        )
        while not someone_waits(store.path):
            assert waiting[0].poll() is None
            time.sleep(0.02)
        time.sleep(0.2)  # long enough for it to try again
        publish(draft, target)

    monkeypatch.setattr(module, "publish", slow)
    compact(store.path)
    out, _ = waiting[0].communicate(timeout=30)
    assert out == b"waits\n8\n"
    with Store.open(store.path) as found:
        assert count(found, "document") == 8


def test_a_file_that_was_replaced_while_it_was_opened_is_opened_again(
    make_store: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes it anew between the look at its name and the lock on it."""
    old, new = make_store("old.duckdb"), make_store("new.duckdb")
    ingest(new, prose_records(2))
    for one in (old, new):
        one.close()
    looked: list[object] = []

    def replaced_after(path: Path) -> object:
        found = identity(path)
        if not looked:
            with old.path.open("rb"):  # keeps its number from being given again
                new.path.replace(old.path)
        looked.append(found)
        return found

    identity = connection._identity
    monkeypatch.setattr(connection, "_identity", replaced_after)
    with Store.open(old.path) as store:
        assert count(store, "document") == 2
    assert len(looked) == 4, "it was looked at twice more"


def test_a_link_stays_and_its_file_is_written_anew(holey: Path) -> None:
    link = holey.parent / "elsewhere" / "link.duckdb"
    link.parent.mkdir()
    link.symlink_to(holey)
    size = holey.stat().st_size
    report = compact(link)
    assert link.is_symlink()
    assert (report.before_bytes, report.after_bytes) == (size, holey.stat().st_size)
    assert report.after_bytes < 0.8 * size
    assert [one.name for one in link.parent.iterdir()] == ["link.duckdb"]


def test_other_names_of_the_old_file_are_counted(holey: Path) -> None:
    assert compact(holey).other_names == 0
    (holey.parent / "hard.duckdb").hardlink_to(holey)
    assert compact(holey).other_names == 1


def test_rights_are_kept_and_the_draft_gives_none_away(holey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def looked(connection: duckdb.DuckDBPyConnection, table: str) -> object:
        (draft,) = holey.parent.glob(".*.compact")
        seen.append(draft.stat().st_mode & 0o777)
        return checksum(connection, table)

    checksum = module._checksum
    monkeypatch.setattr(module, "_checksum", looked)
    holey.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(holey, 1234, 4321)
    before = holey.stat()
    compact(holey)
    after = holey.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert set(seen) == {0o600}


def test_what_a_killed_rewriting_put_on_the_disk_goes(holey: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = holey.parent / f".holey.duckdb.{dead.pid}.compact.tmp"
    folder.mkdir()
    (folder / "duckdb_temp_storage_DEFAULT-0.tmp").touch()
    compact(holey)
    assert not folder.exists()


def test_drafts_of_dead_processes_go_when_a_store_is_made(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leftover, other = tmp_path / f".s.duckdb.{dead.pid}.new", tmp_path / f".t.duckdb.{dead.pid}.new"
    leftover.touch()
    other.touch()
    Store.create(tmp_path / "s.duckdb").close()
    assert not leftover.exists()
    assert other.exists()
