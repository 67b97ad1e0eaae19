"""An ingest stops as soon as, from the 1,000th record on, more than 1 % of the records so far would be quarantined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import TooManyQuarantined, UnreadableFile
from provenance.ingest import pipeline, tasks
from provenance.ingest.pipeline import IngestOptions, IngestReport
from provenance.ingest.readers import base
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import count, dump, ingest, ingest_paths, json_lines, provenance, rows, violations

ANYTHING_GOES = IngestOptions(max_quarantined=1.0)


def good(i: int, name: str = "") -> bytes:
    return b'{"text": "%s number %d"}' % (name.encode(), i)


def bad(i: int) -> bytes:
    return (b'{"no": "text %d"}', b"no JSON %d")[i % 2] % i


def write(path: Path, *refused: bool) -> Path:
    """Write a file in which the lines are refused or not as it is said."""
    path.write_bytes(json_lines(bad(i) if one else good(i, path.name) for i, one in enumerate(refused)))
    return path


def stopped(store: Store, *paths: Path, **more: Any) -> TooManyQuarantined:
    with pytest.raises(TooManyQuarantined) as caught:
        ingest_paths(store, *paths, **more)
    return caught.value


def state(store: Store) -> tuple[str, int, int, int]:
    """Return the state of the only run, and what it has entered."""
    (run,) = rows(store, "SELECT * FROM ingest")
    documents, refused = count(store, "document"), count(store, "quarantine")
    assert (run["n_read"], run["n_inserted"], run["n_quarantined"]) == (documents + refused, documents, refused)
    return run["state"], run["n_read"], documents, refused


# ---------------------------------------------------------------- the borders


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param([True] * 10 + [False] * 990, id="10 of 1,000, all at the beginning"),
        pytest.param([False] * 990 + [True] * 10, id="10 of 1,000, all at the end"),
        pytest.param([True] * 999, id="all of 999"),
        pytest.param([], id="nothing"),
        pytest.param([True] * 10 + [False] * 1089 + [True] + [False] * 1000, id="the 11th at the 1,100th record"),
        pytest.param(([False] * 99 + [True]) * 20, id="one in a hundred throughout"),
    ],
)
def test_passes(store: Store, tmp_path: Path, refused: list[bool]) -> None:
    counts = ingest_paths(store, write(tmp_path / "x.jsonl", *refused)).counts
    assert (counts.n_read, counts.n_quarantined) == (len(refused), sum(refused))
    assert state(store) == ("finished", len(refused), len(refused) - sum(refused), sum(refused))


@pytest.mark.parametrize(
    ("refused", "n_quarantined", "n_read"),
    [
        pytest.param([True] * 11 + [False] * 989, 11, 1000, id="11 of 1,000, all at the beginning"),
        pytest.param([False] * 989 + [True] * 11, 11, 1000, id="11 of 1,000, all at the end"),
        pytest.param([True] * 11 + [False] * 5000, 11, 1000, id="few of all, too many of the first 1,000"),
        pytest.param([True] * 1000, 1000, 1000, id="all"),
        pytest.param([True] * 10 + [False] * 1088 + [True], 11, 1099, id="the 11th at the 1,099th record"),
        pytest.param([False] * 1484 + [True] * 20 + [False] * 900, 15, 1499, id="too many in the middle only"),
    ],
)
def test_stops(store: Store, tmp_path: Path, refused: list[bool], n_quarantined: int, n_read: int) -> None:
    error = stopped(store, write(tmp_path / "x.jsonl", *refused))
    assert (error.n_quarantined, error.n_read, error.limit) == (n_quarantined, n_read, 0.01)
    places = [i for i, one in enumerate(refused) if one][:n_quarantined]
    expected = {base.MISSING_FIELD: sum(i % 2 == 0 for i in places), base.BAD_JSON: sum(i % 2 for i in places)}
    assert error.reasons == {reason: n for reason, n in expected.items() if n}
    assert state(store) == ("stopped", 0, 0, 0), "nothing of the only batch is stored"
    assert violations(store) == []


def test_records_of_a_program_never_stop(store: Store) -> None:
    assert ingest(store, [{"no": "text"}] * 1500).counts.n_quarantined == 1500


# ---------------------------------------------------------------- several batches


def test_the_thousandth_record_comes_in_a_later_batch(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole batches before are stored, the last one is not, and the same run goes on when more is allowed."""
    monkeypatch.setattr(tasks, "TASK_RECORDS", 1)
    path = write(tmp_path / "x.jsonl", *[True] * 15, *[False] * 1500)
    options = IngestOptions(chunk_bytes=10_000)
    error = stopped(store, path, options=options)
    assert (error.n_quarantined, error.n_read) == (15, 1000)
    word, n_read, n_documents, n_refused = state(store)
    assert (word, n_refused) == ("stopped", 15)
    assert 500 < n_read < 1000
    assert n_documents == n_read - 15
    (run,) = rows(store, "SELECT * FROM ingest")
    assert run["finished_at"] is None
    stopped(store, path, options=options)
    assert state(store) == ("stopped", n_read, n_documents, 15), "again nothing more"
    report = ingest_paths(store, path, options=IngestOptions(max_quarantined=0.015, chunk_bytes=10_000))
    assert str(report.ingest_id) == str(run["ingest_id"])
    assert state(store) == ("finished", 1515, 1500, 15)
    assert (report.counts.n_inserted, report.counts.n_present) == (1500, 0)


@pytest.mark.parametrize("jobs", [1, 2])
def test_size_of_batches_and_number_of_processes_are_irrelevant(
    make_store: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    files = [
        write(tmp_path / "a.jsonl", *[False] * 600, *[True] * 9),
        write(tmp_path / "b.jsonl", *[False] * 600, *[True] * 9, *[False] * 300),
    ]
    expected = stopped(make_store(), *files)
    assert (expected.n_quarantined, expected.n_read) == (13, 1213)
    monkeypatch.setattr(tasks, "TASK_RECORDS", 100)
    store = make_store()
    error = stopped(store, *files, options=IngestOptions(chunk_bytes=3000), jobs=jobs)
    assert str(error) == str(expected)
    assert error.reasons == expected.reasons
    word, n_read, _, n_refused = state(store)
    assert (word, n_refused) == ("stopped", 9)
    assert 900 < n_read < 1213
    undisturbed = make_store()
    ingest_paths(undisturbed, *files, options=ANYTHING_GOES)
    assert ingest_paths(store, *files, options=ANYTHING_GOES, jobs=jobs).n_skipped_files == 1
    assert dump(store) == dump(undisturbed)


def test_files_that_were_read_before_count(store: Store, tmp_path: Path) -> None:
    """What an interrupted attempt had read to its end is part of the records so far."""
    first = write(tmp_path / "a.jsonl", *[True] * 5, *[False] * 985)
    second = tmp_path / "b.jsonl.gz"
    second.write_bytes(b"\x1f\x8b\x08 cut off")
    with pytest.raises(UnreadableFile):
        ingest_paths(store, first, second)
    assert state(store) == ("running", 990, 985, 5)
    write(second, *[False] * 4, *[True] * 6)
    error = stopped(store, first, second)
    assert (error.n_quarantined, error.n_read) == (11, 1000)
    assert state(store) == ("stopped", 990, 985, 5)


_KINDS = {
    "good": good,
    "no text": lambda i: b'{"no": "text %d"}' % i,
    "no JSON": lambda i: b"no JSON %d" % i,
    "too long": lambda i: b'{"text": "%s"}' % (b"x" * 150),
    "blank": lambda _: b"",
}


@settings(max_examples=settings().max_examples // 2)
@given(
    kinds=st.lists(st.sampled_from(["good", "good", "good", *_KINDS]), max_size=40),
    enough=st.integers(1, 12),
    limit=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
    chunk_bytes=st.integers(1, 300),
    task_records=st.integers(1, 20),
)
def test_against_counting(
    make_store: Maker, tmp_path: Path, kinds: list[str], enough: int, limit: float, chunk_bytes: int, task_records: int
) -> None:
    """Wherever blocks and batches are cut, it stops at the first record at which the share is too large."""
    path = tmp_path / "any.jsonl"
    path.write_bytes(json_lines(_KINDS[kind](i) for i, kind in enumerate(kinds)))
    records = [kind for kind in kinds if kind != "blank"]
    refused = [sum(kind != "good" for kind in records[:n]) for n in range(len(records) + 1)]
    over = [n for n in range(enough, len(records) + 1) if refused[n] > limit * n]
    options = IngestOptions(max_quarantined=limit, chunk_bytes=chunk_bytes, max_record_bytes=100)
    with make_store("any.duckdb") as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "ENOUGH_RECORDS", enough)
        patch.setattr(tasks, "TASK_RECORDS", task_records)
        if not over:
            report: IngestReport = ingest_paths(store, path, options=options)
            assert (report.counts.n_read, report.counts.n_quarantined) == (len(records), refused[-1])
            return
        error = stopped(store, path, options=options)
        assert (error.n_read, error.n_quarantined) == (over[0], refused[over[0]])
        assert sum(error.reasons.values()) == refused[over[0]]
        (run,) = rows(store, "SELECT * FROM ingest")
        n = run["n_read"]
        assert (run["state"], run["n_quarantined"]) == ("stopped", refused[n])
        assert n < over[0]
        assert count(store, "document") == run["n_inserted"] == n - refused[n]


# ---------------------------------------------------------------- the command line


def test_command(tmp_path: Path) -> None:
    store = tmp_path / "s.duckdb"
    path = write(tmp_path / "x.jsonl", *[True] * 12, *[False] * 1500)
    command = ("--store", store, "ingest", path, "--source", "s", "--origin", "human", "--jobs", 1)
    assert provenance("--store", store, "init").code == 0
    answer = provenance(*command)
    assert (answer.code, answer.out) == (1, "")
    line = answer.err.splitlines()[-1]
    assert "12 of the first 1,000 records would be quarantined" in line
    assert "bad JSON 6" in line and "missing field 6" in line
    assert "--text-field" in line and "--max-quarantined" in line
    with Store.open(store) as opened:
        assert state(opened) == ("stopped", 0, 0, 0)
    assert provenance(*command, "--max-quarantined", 0.011).code == 1
    again = provenance(*command, "--max-quarantined", 1)
    assert again.code == 0, again.err
    with Store.open(store) as opened:
        assert state(opened) == ("finished", 1512, 1500, 12)
