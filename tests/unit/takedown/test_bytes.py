"""After a takedown the text is in no table, view or free page: the bytes of the files are searched."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import StoreBusy
from provenance.evidence.claims import StatedClaim, state_claims
from provenance.records import Claim
from provenance.store.compact import compact
from provenance.store.store import Store, utc_now
from provenance.takedown.erase import finish, is_pending, take_down
from provenance.takedown.errors import NotRewritten
from provenance.takedown.select import Selection
from tests.conftest import Maker
from tests.factories import (
    count,
    held,
    ingest,
    ingest_paths,
    prose,
    prose_records,
    provenance,
    rows,
    run,
    write_lines,
)
from tests.unit.takedown.searching import (
    erase_naively,
    in_files,
    in_tables,
    make_uncompressed,
    uncompressed_rewriting,
    violations_of,
)

TEXT = "The marmalade ledger of Quillfeather street was never balanced, " + prose(7, n_words=80)
AUTHOR = "Zephyrine Quillfeather-Oyelaran"
#: What must leave the files: text, author now and then, title, address, metadata, notes, support, refused records.
SECRETS = (
    TEXT, TEXT[:40], TEXT[-40:], AUTHOR, "Zephyrine Q. Oyelaran", "Ledgers of a Marmaladier",
    "https://quillfeather.example/ledger", "metadata-of-the-marmalade", "quillfeather-external-id",
    "a note on the marmalade", "bytes that support the marmalade", "label-of-the-marmalade",
    "refused-marmalade-field",
)  # fmt: skip
OTHER = prose(3)
BY_AUTHOR = Selection("author", (AUTHOR,))


@pytest.fixture
def path(make_store: Maker) -> Path:
    """Return a store, in a folder of its own and uncompressed, that holds the secrets in every way it can."""
    store = make_store("made.duckdb")
    ingest(store, prose_records(30))
    record = {
        "id": "quillfeather-external-id", "text": TEXT, "author": "Zephyrine Q. Oyelaran",
        "title": "Ledgers of a Marmaladier", "url": "https://quillfeather.example/ledger",
        "shelf": "metadata-of-the-marmalade",
    }  # fmt: skip
    refused: list[Any] = [
        {**record, "text": None, "refused-marmalade-field": 1},
        {"copy": TEXT, "refused-marmalade-field": 2},
        b'{"text": "' + TEXT.encode()[:300],
        {"text": None, "by": AUTHOR},
    ]
    lines: list[Any] = [record, *refused, {"id": "bad", "text": None, "why": "an innocent one"}]
    ingest_paths(store, write_lines(store.path.with_name("in.jsonl"), lines), source="crawl")
    ingest(store, [{**record, "author": AUTHOR}], source="crawl", name="again")
    (one,) = rows(store, "SELECT document_id::VARCHAR AS id FROM document WHERE source = 'crawl'")
    with store.transaction() as connection:
        note, digest = "a note on the marmalade", "d" * 64
        claim = StatedClaim("document", one["id"], Claim("human"), "looked", note, author="me", support_digest=digest)
        state_claims(connection, [claim], stated_at=utc_now())
        run_sql = connection.exec_driver_sql
        run_sql(
            f"INSERT INTO support VALUES ('{digest}', 'n', 'k', 3, 'bytes that support the marmalade'::BLOB, now())"
        )
        run_sql("INSERT INTO attribute VALUES ('label', 'text', NULL, NULL, now())")
        run_sql("INSERT INTO annotation SELECT document_id, 'label', NULL, 'label-of-the-marmalade', NULL, now() "
                "FROM document WHERE source = 'crawl'")  # fmt: skip
    store.close()
    folder = store.path.parent / "folder"
    folder.mkdir()
    moved = folder / "s.duckdb"
    shutil.move(store.path, moved)
    make_uncompressed(moved)
    return moved


def test_no_byte_is_left(path: Path) -> None:
    assert in_files(path.parent, SECRETS) == set(SECRETS), "the control finds everything before"
    naive = path.parent.parent / "naive"
    shutil.copytree(path.parent, naive)
    erase_naively(naive / path.name)
    left = in_files(naive, SECRETS)  # a freed block may have been taken for something else
    assert left >= {TEXT, AUTHOR, "metadata-of-the-marmalade"}, "the control finds it after DELETE, CHECKPOINT, VACUUM"
    with Store.open(path, writable=True) as store, uncompressed_rewriting():
        done = take_down(store, BY_AUTHOR, reason="request 4711")
        assert is_pending(store)
        store.close()
        assert in_files(path.parent, SECRETS), "the transaction alone does not do it"
        finish(path)
    assert (done.touched.n_documents, done.touched.n_texts, done.touched.n_quarantined) == (1, 1, 4)
    assert in_files(path.parent, SECRETS) == set()
    assert in_tables(path, SECRETS) == set()
    assert in_files(path.parent, [OTHER]) == {OTHER}, "the same search finds what stays"
    assert in_tables(path, ["an innocent one"]) != set()
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert violations_of(path) == []
    with Store.open(path) as store:
        assert not is_pending(store)
        assert count(store, "support") == 0
        (takedown,) = rows(store, "SELECT * FROM takedowns")
        assert (takedown["reason"], takedown["n_documents"]) == ("request 4711", 1)
        assert "sha256" in takedown["selection"]
        assert "@" in takedown["actor"]


def test_words_in_the_log_beside_the_file_go_too(make_store: Maker, tmp_path: Path) -> None:
    folder = tmp_path / "alone"
    folder.mkdir()
    store = make_store("alone/s.duckdb")
    ingest(store, [{"text": TEXT, "author": AUTHOR}, *prose_records(20)])
    assert (folder / "s.duckdb.wal").exists()
    assert AUTHOR in in_files(folder, SECRETS), "the control finds it in the log"
    take_down(store, BY_AUTHOR, reason="r")
    store.close()
    finish(store.path)
    assert in_files(folder, SECRETS) == set()
    assert [one.name for one in folder.iterdir()] == ["s.duckdb"]


_KILLED = """
import os, signal
import provenance.store.compact as module
module._rewrite = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_between_erasure_and_rewriting(path: Path, tmp_path: Path) -> None:
    arguments = ("--store", path, "takedown", "--author", AUTHOR, "--yes", "--reason", "r")
    assert run(*arguments, prelude=_KILLED).code == -signal.SIGKILL
    assert in_files(path.parent, SECRETS), "the bytes are still there"
    answer = provenance("--store", path, "check")
    assert (answer.code, "takedown --finish" in answer.out) == (1, True)
    assert in_tables(path, SECRETS) == set()
    other = tmp_path / "other"
    shutil.copytree(path.parent, other)
    answer = provenance("--store", path, "takedown", "--finish")
    assert (answer.code, "written anew" in answer.err) == (0, True)
    compact(other / path.name)  # does it as well
    for folder in (path.parent, other):
        assert in_files(folder, SECRETS) == set()
        assert [one.name for one in folder.iterdir()] == [path.name]
        assert violations_of(folder / path.name) == []
    assert "Nothing is left to do" in provenance("--store", path, "takedown", "--finish").err


def test_a_file_that_cannot_be_rewritten_says_so_and_can_be_later(path: Path) -> None:
    with Store.open(path, writable=True) as store:
        take_down(store, BY_AUTHOR, reason="r")
    with held(path), pytest.raises(NotRewritten, match="--finish") as failed:
        finish(path, wait_s=0)
    assert isinstance(failed.value.__cause__, StoreBusy)
    spilled, draft = path.parent / "s.duckdb.tmp" / "duckdb_temp_storage-0.tmp", path.parent / ".s.duckdb.999999.backup"
    spilled.parent.mkdir()
    for left_by_a_killed_process in (spilled, draft):
        left_by_a_killed_process.write_text(TEXT)
    finish(path)
    assert in_files(path.parent, SECRETS) == set()


def test_backups_are_named(path: Path) -> None:
    backup = path.parent / "old.duckdb"
    assert provenance("--store", path, "backup", backup).code == 0
    Store.create(path.parent / "other.duckdb").close()
    (path.parent / "broken.duckdb").write_bytes(b"01234567DUCK nothing more")
    answer = provenance("--store", path, "takedown", "--author", AUTHOR, "--yes", "--reason", "r")
    assert answer.code == 0, answer.err
    assert f"{backup} is a copy of this store" in answer.err
    assert "other.duckdb" not in answer.err
    assert "broken.duckdb" not in answer.err
