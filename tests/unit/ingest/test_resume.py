"""A run that was interrupted goes on with the same command: nothing is read again that was read to its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import UnreadableFile
from provenance.ingest import tasks
from provenance.ingest.inputs import Input
from provenance.ingest.pipeline import IngestOptions, IngestReport
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import (
    dump,
    ingest,
    ingest_paths,
    json_lines,
    prose,
    prose_records,
    rows,
    run,
    violations,
    write_lines,
    write_parquet,
)
from tests.faults.conftest import SMALL_BATCHES

NAMES = ("1.jsonl", "2.parquet", "3.jsonl.zst", "4.jsonl.gz", "5.jsonl")
SMALL = IngestOptions(chunk_bytes=1500)


def records(place: int) -> list[Any]:
    """Return the records of a file: new ones, copies of other files' records, corrections, a bad one."""
    first = 20 * place
    found: list[Any] = [{**one, "n": place} for one in prose_records(20, start=first, n_words=12)]
    found[3] = {"text": None, "id": "bad"}
    found[5] = {"id": f"copy {place}", "text": prose(first - 15, n_words=12) + " edited"}
    found[7] = {"id": f"known {place}", "text": prose(1000 + place), "author": "The corrected one"}
    found[9] = {"id": f"r{first - 19}", "text": prose(first - 19, n_words=12)}
    return found


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return five files, of which the fourth is cut off."""
    paths = []
    for place, name in enumerate(NAMES, start=1):
        path = tmp_path / name
        if path.suffix == ".parquet":
            keys = ("id", "text", "author", "n")
            write_parquet(path, {key: [one.get(key) for one in records(place)] for key in keys})
        else:
            write_lines(path, records(place))
        paths.append(path)
    return paths


def cut(path: Path) -> Callable[[], None]:
    """Cut a file off in its middle; return what mends it, with its old time."""
    whole, times = path.read_bytes(), path.stat()
    path.write_bytes(whole[: len(whole) // 2])

    def mend() -> None:
        path.write_bytes(whole)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    return mend


def replace_in_secret(path: Path) -> None:
    """Put something else into a file without changing its size and time."""
    times = path.stat()
    path.write_bytes(bytes(times.st_size))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def prepared(store: Store) -> Store:
    """Return the store with documents in it that the files describe otherwise."""
    ingest(store, [{"id": f"known {place}", "text": prose(1000 + place), "author": "A"} for place in range(1, 6)])
    return store


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the files whose contents are read, as it grows."""
    names: list[str] = []

    def noting(real: Callable[[Input], Any]) -> Callable[[Input], Any]:
        def noted(file: Input) -> Any:
            names.append(Path(file.name).name)
            return real(file)

        return noted

    for method in ("open", "open_seekable"):
        monkeypatch.setattr(Input, method, noting(getattr(Input, method)))
    return names


def assert_files_are_described(store: Store, report: IngestReport, files: list[Path]) -> None:
    query = "SELECT * FROM ingest_file WHERE ingest_id = :run ORDER BY place"
    found = rows(store, query, run=str(report.ingest_id))
    assert [row["file"] for row in found] == [str(path) for path in files]
    assert [row["place"] for row in found] == list(range(5))
    assert [row["format"] for row in found] == ["jsonl", "parquet", "jsonl", "jsonl", "jsonl"]
    for place, (row, path) in enumerate(zip(found, files, strict=True), start=1):
        content = path.read_bytes()
        assert (row["size_bytes"], row["sha256"]) == (len(content), sha256(content).hexdigest())
        assert (row["n_read"], row["n_quarantined"]) == (20, 1)
        if path.suffix != ".parquet":
            assert row["n_bytes"] == len(json_lines(records(place)))
    assert sum(row["n_bytes"] for row in found) == report.counts.n_bytes


@pytest.mark.parametrize(("small", "jobs"), [(True, 1), (True, 2), (False, 1)])
def test_finished_files_are_not_read_again(
    make_store: Maker, files: list[Path], monkeypatch: pytest.MonkeyPatch, opened: list[str], small: bool, jobs: int
) -> None:
    """Whether every block is a batch, or all of the first files are in one."""
    if small:
        monkeypatch.setattr(tasks, "TASK_RECORDS", 1)
    undisturbed = prepared(make_store())
    expected = ingest_paths(undisturbed, *files, options=SMALL)
    assert_files_are_described(undisturbed, expected, files)

    store = prepared(make_store())
    mend = cut(files[3])
    opened.clear()
    with pytest.raises(UnreadableFile, match=r"4\.jsonl\.gz"):
        ingest_paths(store, *files, options=SMALL, jobs=jobs)
    assert opened == list(NAMES[:4])
    (interrupted,) = rows(store, "SELECT * FROM ingest WHERE state = 'running'")
    assert [row["file"] for row in rows(store, "SELECT file FROM ingest_file ORDER BY place")] == [
        str(path) for path in files[:3]
    ]

    mend()
    originals = [path.read_bytes() for path in files]
    for path in files[:3]:
        replace_in_secret(path)
    opened.clear()
    report = ingest_paths(store, *files, options=SMALL, jobs=jobs)
    assert opened == list(NAMES[3:])
    assert str(report.ingest_id) == str(interrupted["ingest_id"]), "the same run goes on"
    assert report.n_skipped_files == 3
    assert report.counts == expected.counts
    assert report.counts.n_amended == 5
    for path, content in zip(files, originals, strict=True):
        path.write_bytes(content)
    assert_files_are_described(store, report, files)
    assert dump(store) == dump(undisturbed)
    assert violations(store) == []


def test_killed_in_the_fourth_file(make_store: Maker, files: list[Path]) -> None:
    kill_there = f"""
{SMALL_BATCHES.replace("15_000", "1_000")}
import os
from provenance.ingest.pipeline import _Run
write, n = _Run._write, [0]
def dying(self, batch, counts):
    n[0] += any(file.endswith("4.jsonl.gz") for file in batch.files)
    if n[0] == 2:
        os.kill(os.getpid(), {int(signal.SIGKILL)})
    return write(self, batch, counts)
_Run._write = dying
"""
    with prepared(make_store()) as store:
        path = store.path
    arguments = ("--store", path, "ingest", *files, "--source", "books", "--origin", "human", "--jobs", 1)
    killed = run(*arguments, prelude=kill_there)
    assert killed.code == -signal.SIGKILL, killed.err
    for file in files[:3]:
        replace_in_secret(file)
    with Store.open(path, writable=True) as store:
        assert violations(store) == []
        (row,) = rows(store, "SELECT n_read FROM ingest WHERE state = 'running'")
        assert row["n_read"] > 60, "a batch of the fourth file is there"
        report = ingest_paths(store, *files, options=IngestOptions())
        assert (report.n_skipped_files, report.counts.n_read, report.counts.n_quarantined) == (3, 100, 5)
        finished = dump(store)
    for place, name in enumerate(NAMES[:3], start=1):
        if name != "2.parquet":
            write_lines(files[place - 1], records(place))
    undisturbed = prepared(make_store())
    write_parquet(files[1], {key: [one.get(key) for one in records(2)] for key in ("id", "text", "author", "n")})
    expected = ingest_paths(undisturbed, *files, options=IngestOptions())
    assert report.counts == expected.counts
    # The mended files have other times.
    assert {**finished, "ingest_file": None} == {**dump(undisturbed), "ingest_file": None}


@pytest.mark.parametrize("change", ["time", "a record more", "a record less"])
def test_a_file_that_has_changed_is_read_again(store: Store, files: list[Path], opened: list[str], change: str) -> None:
    mend = cut(files[3])
    with pytest.raises(UnreadableFile):
        ingest_paths(store, *files)
    mend()
    before = files[0].stat()
    changed = {
        "time": records(1),
        "a record more": [*records(1), {"id": "one more", "text": "one more"}],
        "a record less": records(1)[:-1],
    }[change]
    write_lines(files[0], changed)
    os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    opened.clear()
    report = ingest_paths(store, *files)
    assert opened == [NAMES[0], NAMES[3], NAMES[4]]
    assert report.n_skipped_files == 2
    n_read = 80 + len(changed)
    counts = report.counts
    assert (counts.n_read, counts.n_quarantined) == (n_read, 5)
    (row,) = rows(store, "SELECT count(*) AS n FROM document")
    assert counts.n_inserted == row["n"], "what the file no longer holds was entered by this run, and stays"
    content = files[0].read_bytes()
    found = rows(store, "SELECT place, n_read, sha256, stamp FROM ingest_file ORDER BY place")
    assert [row["place"] for row in found] == list(range(5))
    assert found[0] == {
        "place": 0,
        "n_read": len(changed),
        "sha256": sha256(content).hexdigest(),
        "stamp": str(before.st_mtime_ns + 1),
    }
    assert violations(store) == []


def test_what_makes_another_run(store: Store, files: list[Path]) -> None:
    """Another licence, claim or mapping is another run; where to stop and how much to read at a time is not."""
    mend = cut(files[3])

    def interrupted(**more: Any) -> str:
        with pytest.raises(UnreadableFile):
            ingest_paths(store, *files, **more)
        (row,) = rows(store, "SELECT ingest_id FROM ingest ORDER BY started_at DESC LIMIT 1")
        return str(row["ingest_id"])

    first = interrupted()
    assert interrupted() == first
    assert interrupted(options=IngestOptions(max_quarantined=0.5, chunk_bytes=100)) == first
    others = {
        interrupted(licence="MIT"),
        interrupted(options=IngestOptions(max_record_bytes=1_000_000)),
        interrupted(origin="unknown"),
        interrupted(source="other"),
    }
    assert len(others | {first}) == 5
    mend()
    assert str(ingest_paths(store, *files).ingest_id) == first
    again = ingest_paths(store, *files)
    assert str(again.ingest_id) not in others | {first}, "a finished run is over"
    assert (again.n_skipped_files, again.counts.n_read, again.counts.n_inserted) == (0, 100, 0)
