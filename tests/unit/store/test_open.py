"""Making and opening a store: what is no store is said to be none, and is left as it was."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import duckdb
import pytest

from provenance import Store as LazyStore
from provenance.dedup.parameters import DedupParameters
from provenance.errors import (
    NotAStore,
    StoreBusy,
    StoreDamaged,
    StoreExists,
    StoreNotFound,
    StoreNotMade,
    StoreReadOnly,
    StoreRevisionMismatch,
)
from provenance.store import connection
from provenance.store.migrate import head_revision
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import count, ingest, prose_records, rows, texts


def closed(make_store: Maker, name: str = "closed.duckdb") -> Path:
    store = make_store(name)
    store.close()
    return store.path


def test_create_then_open(tmp_path: Path) -> None:
    path = tmp_path / "new.duckdb"
    parameters = DedupParameters(n_bands=5, rows_per_band=3, shingle_tokens=2, threshold=0.4, seed=9)
    with Store.create(path, dedup=parameters) as store:
        assert store.writable
        assert store.dedup == parameters
        assert store.setting("created_by")
        identity = store.setting("store_id")
    with Store.open(str(path)) as store:
        assert not store.writable
        assert store.setting("store_id") == identity
        assert store.dedup == parameters
    assert os.listdir(tmp_path) == ["new.duckdb"], "nothing else is left behind"
    assert LazyStore is Store


def test_two_stores_are_two(tmp_path: Path) -> None:
    with Store.create(tmp_path / "a.duckdb") as first, Store.create(tmp_path / "b.duckdb") as second:
        assert first.setting("store_id") != second.setting("store_id")


@pytest.mark.parametrize(
    "name", ["with space.duckdb", "ünïcode-中.duckdb", "per%cent#hash.duckdb", "plain", "a.b.c", "-x"]
)
def test_file_names(tmp_path: Path, name: str) -> None:
    with Store.create(tmp_path / name) as store:
        ingest(store, prose_records(2))
    with Store.open(tmp_path / name) as store:
        assert count(store, "document") == 2
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.write_text("precious")])
def test_create_never_replaces(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "there"
    make(path)
    before = path.stat()
    with pytest.raises(StoreExists, match=r"exists already, nothing was changed"):
        Store.create(path)
    assert path.stat() == before
    assert os.listdir(tmp_path) == ["there"]


def test_create_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreNotMade, match="No such file or directory") as caught:
        Store.create(tmp_path / "no" / "s.duckdb")
    assert caught.value.path == tmp_path / "no" / "s.duckdb"
    assert os.listdir(tmp_path) == []


def test_create_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(connection: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("provenance.store.migrate.upgrade", fail)
    with pytest.raises(RuntimeError, match="out of luck"):
        Store.create(tmp_path / "s.duckdb")
    assert os.listdir(tmp_path) == []


def test_open_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match=r"init$"):
        Store.open(tmp_path / "none.duckdb", writable=True)
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(StoreNotFound):
        Store.open(tmp_path / "link")
    assert os.listdir(tmp_path) == ["link"]


def empty(path: Path) -> None:
    path.touch()


def one_byte(path: Path) -> None:
    path.write_bytes(b"x")


def some_text(path: Path) -> None:
    path.write_text('{"text": "this is JSON Lines"}\n' * 1000)


def zeros(path: Path) -> None:
    path.write_bytes(bytes(50_000))


def sqlite(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE document (a)")
    database.close()


def somebody_elses(path: Path) -> None:
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TABLE document AS SELECT 1 AS document_id")


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (empty, "not a valid DuckDB database"),
        (one_byte, "not a valid DuckDB database"),
        (some_text, "not a valid DuckDB database"),
        (zeros, "not a valid DuckDB database"),
        (sqlite, "SQLite"),
        (somebody_elses, "without our tables"),
        (folder, "directory"),
    ],
)
def test_what_is_no_store(tmp_path: Path, make: Callable[[Path], None], reason: str, writable: bool) -> None:
    path = tmp_path / "thing"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(NotAStore, match=reason) as caught:
        Store.open(path, writable=writable, wait_s=0)
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before, "it was changed"
    assert os.listdir(tmp_path) == ["thing"]


def set_revision(path: Path, *revisions: str) -> None:
    with duckdb.connect(str(path)) as database:
        database.execute("DELETE FROM alembic_version")
        for revision in revisions:
            database.execute("INSERT INTO alembic_version VALUES (?)", [revision])


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize(
    ("revision", "newer", "remedy"),
    [("0000", False, "migrate"), ("9999", True, "upgrade corpus-provenance"), ("0003_x", True, "upgrade corpus-")],
)
def test_another_revision(make_store: Maker, revision: str, newer: bool, remedy: str, writable: bool) -> None:
    path = closed(make_store)
    set_revision(path, revision)
    with pytest.raises(StoreRevisionMismatch, match=remedy) as caught:
        Store.open(path, writable=writable)
    assert (caught.value.found, caught.value.expected, caught.value.newer) == (revision, head_revision(), newer)
    with duckdb.connect(str(path)) as database:  # and it was let go of
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]


def test_no_revision(make_store: Maker) -> None:
    path = closed(make_store)
    set_revision(path)
    with pytest.raises(NotAStore, match="never finished"):
        Store.open(path)
    with duckdb.connect(str(path)) as database:
        database.execute("DROP TABLE alembic_version")
    with pytest.raises(NotAStore, match="without our tables"):
        Store.open(path)


@pytest.mark.parametrize("writable", [False, True])
def test_damaged_blocks(make_store: Maker, writable: bool) -> None:
    """Every block but the headers overwritten in turn: an error of ours, or a store that says so when it is read."""
    store = make_store("good.duckdb")
    ingest(store, prose_records(300))
    store.close()
    good = store.path.read_bytes()
    n_noticed = 0
    for start in range(3 * 4096, len(good), 262_144):
        damaged = bytearray(good)
        damaged[start + 5000 : start + 5100] = b"\xee" * len(damaged[start + 5000 : start + 5100])
        path = store.path.with_name("damaged.duckdb")
        path.write_bytes(damaged)
        try:
            with Store.open(path, writable=writable, wait_s=0) as opened:
                for view in ("documents", "composition", "clusters", "signature"):
                    rows(opened, f"SELECT * FROM {view}")
        except (StoreDamaged, NotAStore) as error:
            assert "\n" not in str(error)
            n_noticed += 1
    assert n_noticed


@pytest.mark.parametrize("share", [0.0001, 0.005, 0.3, 0.6, 0.9])
def test_cut_off(make_store: Maker, share: float) -> None:
    store = make_store("good.duckdb")
    ingest(store, prose_records(300))
    store.close()
    good = store.path.read_bytes()
    path = store.path.with_name("cut.duckdb")
    path.write_bytes(good[: int(len(good) * share)])
    found = None
    with suppress(StoreDamaged, NotAStore), Store.open(path, wait_s=0) as opened:
        found = texts(opened), rows(opened, "SELECT * FROM signature ORDER BY content_no")
    if found is not None:  # only free blocks were lost
        with Store.open(store.path) as whole:
            assert found == (texts(whole), rows(whole, "SELECT * FROM signature ORDER BY content_no"))
    assert found is None or share == 0.9


def test_writing_needs_a_store_open_for_writing(make_store: Maker) -> None:
    path = closed(make_store)
    with Store.open(path) as store:
        with pytest.raises(StoreReadOnly, match="writable=True"), store.transaction():
            pass
        with pytest.raises(StoreReadOnly):
            ingest(store, prose_records(1))


def test_readers_share_and_writers_do_not(make_store: Maker) -> None:
    path = closed(make_store)
    with Store.open(path), Store.open(path) as second:
        assert count(second, "document") == 0
        began = time.monotonic()
        with pytest.raises(StoreBusy, match="another mode") as caught:
            Store.open(path, writable=True, wait_s=0.2)
        assert 0.2 <= time.monotonic() - began < 5
        assert caught.value.waited_s == 0.2
    assert os.listdir(path.parent) == [path.name], "the note of who waits is gone"


def test_a_closed_store_is_free(make_store: Maker) -> None:
    path = closed(make_store)
    for _ in range(3):
        with Store.open(path, writable=True, wait_s=0) as store:
            ingest(store, prose_records(1))
        with Store.open(path, wait_s=0) as store:
            assert count(store, "document") == 1


def test_a_transaction_is_whole_or_not_there(store: Store) -> None:
    ingest(store, prose_records(3))
    with pytest.raises(ZeroDivisionError), store.transaction() as connection_:
        connection_.exec_driver_sql("DELETE FROM document")
        _ = 1 / 0
    assert count(store, "document") == 3
    with store.transaction() as connection_:
        connection_.exec_driver_sql("DELETE FROM document")
    assert count(store, "document") == 0


def test_append_refuses_unknown_columns(store: Store) -> None:
    import pyarrow as pa

    with pytest.raises(ValueError, match="no columns"), store.transaction() as connection_:
        store.append(connection_, "metric", pa.table({"nonsense": [1]}))
    with pytest.raises(KeyError), store.transaction() as connection_:
        store.append(connection_, "nonsense", pa.table({"nonsense": [1]}))


def test_a_suspended_store_is_free_inside(store: Store) -> None:
    ingest(store, prose_records(2))
    with store.suspended(), Store.open(store.path, writable=True, wait_s=0) as other:
        ingest(other, prose_records(3))
    assert count(store, "document") == 3


def test_nobody_waits(store: Store) -> None:
    assert not connection.someone_waits(store.path)
    assert not store.yield_to_waiting()


def test_a_note_of_the_dead_is_swept_away(store: Store) -> None:
    notes = store.path.with_name(store.path.name + ".waiting")
    notes.mkdir()
    (notes / "999999999").touch()
    (notes / "no number").touch()
    (notes / str(os.getpid())).touch()
    assert not connection.someone_waits(store.path)
    assert sorted(os.listdir(notes)) == sorted(["no number", str(os.getpid())])
    (notes / "1").touch()
    assert connection.someone_waits(store.path)
    shutil.rmtree(notes)


def test_notes_that_vanish_under_our_hands(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: Path) -> None:
        raise FileNotFoundError(path)

    store.path.with_name(store.path.name + ".waiting").mkdir()
    monkeypatch.setattr(Path, "iterdir", gone)
    assert not connection.someone_waits(store.path)


def test_the_holder_is_named_without_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    message = 'Could not set lock on file "x": Conflicting lock is held in /usr/bin/python3.11 (PID 17) by user me.'
    assert "process 17" in str(connection.holder_of(message))
    monkeypatch.setenv("PATH", "/nowhere")
    assert connection.holder_of(message) == "process 17 (/usr/bin/python3.11)"
    assert connection.holder_of('IO Error: Could not set lock on file "x": try again') == "another process"
    assert connection.holder_of("IO Error: no such file") is None


@pytest.mark.parametrize("raised", [KeyboardInterrupt, OSError])
def test_interrupted_while_a_connection_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, raised: type[BaseException]
) -> None:
    """Control-C goes on to the command, which says it; other trouble is reported where it happened."""
    engine = connection.open_engine(tmp_path / "s.duckdb", writable=True, wait_s=0, create=True)

    def rollback(_: object) -> None:
        raise raised

    opened = engine.raw_connection()
    monkeypatch.setattr(engine.dialect, "do_rollback", rollback)
    with pytest.raises(KeyboardInterrupt) if raised is KeyboardInterrupt else nullcontext():
        opened.close()
    monkeypatch.undo()
    engine.dispose()
    assert [bool(record.exc_info) for record in caplog.records] == [True] * (raised is OSError)
