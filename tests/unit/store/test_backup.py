"""A backup is the store of one moment, verified, or nothing."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest

from provenance.errors import BackupFailed, StoreBusy
from provenance.store import backup as module
from provenance.store.backup import backup
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import dump, held, ingest, prose_records, violations


@pytest.fixture
def filled(make_store: Maker) -> Path:
    store = make_store("filled.duckdb")
    ingest(store, prose_records(50))
    store.close()
    return store.path


def test_the_copy_holds_everything(filled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    report = backup(filled, copy)
    assert report.size_bytes == copy.stat().st_size
    assert report.sha256 == sha256(copy.read_bytes()).hexdigest()
    with Store.open(filled) as store, Store.open(copy) as other:
        assert dump(store) == dump(other)
        assert store.setting("store_id") == other.setting("store_id")
        assert violations(other) == []


def test_what_a_killed_process_left_in_the_log_is_copied(filled: Path, tmp_path: Path) -> None:
    """The log of a committed transaction that was never merged into the file."""
    live, log = tmp_path / "live.duckdb", tmp_path / "live.duckdb.wal"
    with duckdb.connect(str(filled)) as database:
        database.execute("SET checkpoint_threshold = '1GB'")
        database.execute("INSERT INTO setting VALUES ('late', '1')")
        shutil.copyfile(filled, live)
        shutil.copyfile(filled.with_name(filled.name + ".wal"), log)
    assert log.stat().st_size > 0
    backup(live, tmp_path / "copy.duckdb")
    with Store.open(tmp_path / "copy.duckdb") as store:
        assert store.setting("late") == 1


def test_refused(filled: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.duckdb"
    taken.write_bytes(b"mine")
    for target, reason in ((taken, "already"), (filled, "already"), (tmp_path / "no" / "copy.duckdb", "no folder")):
        with pytest.raises(BackupFailed, match=reason):
            backup(filled, target)
    assert taken.read_bytes() == b"mine"
    with held(filled) as pid, pytest.raises(StoreBusy, match=str(pid)):
        backup(filled, tmp_path / "copy.duckdb", wait_s=0)


@pytest.mark.parametrize("fault", ["altered", "disk full"])
def test_a_failure_leaves_nothing(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    copy = module._copy

    def faulty(source: Path, target: Path) -> str:
        digest = copy(source, target)
        if fault == "disk full":
            raise OSError(28, "No space left on device")
        with target.open("r+b") as file:
            file.seek(5000)
            file.write(b"other bytes")
        return digest

    monkeypatch.setattr(module, "_copy", faulty)
    before = set(tmp_path.iterdir())
    with pytest.raises(BackupFailed, match=r"No space|read back"):
        backup(filled, tmp_path / "copy.duckdb")
    assert set(tmp_path.iterdir()) == before
