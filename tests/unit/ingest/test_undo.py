"""A run that is taken back leaves the store as if it had never been."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import UnknownName
from provenance.ingest import errors
from provenance.ingest.errors import AlreadyUndone, AmbiguousRun, DocumentsAreParents, DocumentsInUse
from provenance.ingest.history import list_runs, require_not_undone, show_run
from provenance.ingest.sources import Source, add_source
from provenance.ingest.undo import undo_ingest
from provenance.records import Claim
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import count, dump, ingest, ingest_paths, prose, rows, run, violations, write_lines

#: What differs between stores that hold the same: runs, and numbers that are local to a store.
LOCAL = ("ingest", "ingest_file", "ingest_id", "content_no")

Step = Callable[[Store], Any]


def state(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    return dump(store, without=LOCAL)


def undone(store: Store, report: Any) -> Any:
    return undo_ingest(store, str(report.ingest_id))


def first(store: Store) -> Any:
    return ingest(store, [{"text": prose(i), "id": f"r{i}"} for i in range(4)], licence="CC0-1.0")


def copies(store: Store, **claim: Any) -> Any:
    """Copies and near-copies of the first, bad records, and something new, all of it wrongly called human."""
    made = [{"text": prose(0) + " more", "id": "near"}, {"text": prose(1), "id": "same", "date": "1790"},
            {"text": prose(50), "id": "new", "licence": "MIT"}, {"text": None}, {"no": "text"}]  # fmt: skip
    return ingest(store, made, name="copies", **{"source": "books", "origin": "human", **claim})


@pytest.mark.parametrize(
    "claim",
    [
        {},
        {"source": "made on the fly"},
        {"origin": "synthetic", "generation": 1, "model": "gpt-x"},
        {"source": "outputs", "origin": "synthetic", "generation": 1, "model": "gpt-x"},
    ],
)
def test_as_if_it_had_never_been(make_store: Maker, claim: dict[str, Any]) -> None:
    store, other = make_store("one.duckdb"), make_store("other.duckdb")
    first(store)
    first(other)
    report = copies(store, **claim)
    assert state(store) != state(other)
    found = undone(store, report)
    assert state(store) == state(other)
    assert violations(store) == []
    assert (found.removed.n_documents, found.removed.n_contents, found.removed.n_clusters) == (3, 2, 2)
    assert (found.n_quarantined, found.source_removed) == (2, "source" in claim)
    assert found.models == (("gpt-x",) if "model" in claim else ())
    (row,) = rows(store, "SELECT * FROM ingests WHERE ingest_id::VARCHAR = :run", run=str(report.ingest_id))
    assert (row["state"], row["n_read"], row["n_inserted"]) == ("undone", 5, 3)
    # The same records, now rightly: as if they had come so at once.
    for one in (store, other):
        copies(one, source="outputs", origin="synthetic", generation=2)
    assert state(store) == state(other)
    assert violations(store) == []


def test_the_other_run_may_be_undone_first(make_store: Maker) -> None:
    store, other = make_store("one.duckdb"), make_store("other.duckdb")
    early = first(store)
    copies(store, source="b")
    undone(store, early)
    copies(other, source="b")
    assert state(store) == state(other)
    assert violations(store) == []


def test_files_are_read_again_after(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"text": prose(i)} for i in range(3)] + [b"no JSON"])
    report = ingest_paths(store, path)
    before = state(store)
    undone(store, report)
    assert [count(store, table) for table in ("document", "content", "band", "quarantine", "source", "evidence")] == [
        0
    ] * 6
    assert count(store, "ingest_file") == 1, "which files it read stays known"
    again = ingest_paths(store, path)
    assert again.ingest_id != report.ingest_id
    assert again.counts == report.counts
    assert state(store) == before
    assert violations(store) == []


# ---------------------------------------------------------------- descriptions that were changed


def described(store: Store, name: str, **fields: Any) -> Any:
    return ingest(
        store, [{"text": prose(1), "id": "x", **fields}, {"text": prose(1) + " etc", "id": "near"}], name=name
    )


DESCRIPTIONS: tuple[tuple[dict[str, Any], ...], ...] = (
    ({"author": "A"}, {"author": "B"}, {"author": "C"}),
    ({"author": "A"}, {"author": "B"}, {"author": "A"}),
    ({}, {"author": "B", "licence": "GPL-3.0-only", "date": "1790-01-08T10:00:00.5"}, {"licence": "CC0-1.0"}),
    ({"licence": "CC-BY-NC-4.0", "n": 1}, {"licence": "MIT", "n": 2}, {"date": "1850", "title": "T"}),
    ({"licence": "MIT"}, {"licence": "odd", "url": "u"}, {"licence": "MIT", "url": "v", "collected_at": "2020"}),
    ({"author": "A"}, {"title": "T"}, {"author": "C", "title": "T2"}),
)


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("steps", DESCRIPTIONS)
def test_descriptions_come_back(make_store: Maker, steps: tuple[dict[str, Any], ...], which: int) -> None:
    """Three runs describe a document; the second or the third is taken back."""
    store, other = make_store("one.duckdb"), make_store("other.duckdb")
    reports = [described(store, f"run {i}", **fields) for i, fields in enumerate(steps)]
    for i, fields in enumerate(steps):
        if i != which:
            described(other, f"run {i}", **fields)
    found = undone(store, reports[which])
    assert state(store) == state(other)
    assert violations(store) == []
    assert found.removed.n_documents == 0
    later = set(steps[2]) & set(steps[1]) if which == 1 else set()
    assert found.n_kept == len(later)
    assert found.n_restored == bool(set(steps[which]) - later)
    assert found.source_removed is False
    if which == 1:
        assert [one.ingest_id for one in found.later] == [reports[2].ingest_id]


def test_what_all_runs_said_goes_step_by_step(make_store: Maker) -> None:
    store = make_store()
    states, reports = [], []
    for i in range(3):
        states.append(state(store))
        reports.append(described(store, f"run {i}", author=f"A{i}", licence=("MIT", "GPL-3.0-only", "CC0-1.0")[i]))
    for before, report in zip(reversed(states), reversed(reports), strict=True):
        undone(store, report)
        assert state(store) == before
    assert violations(store) == []


# ---------------------------------------------------------------- refusals


def test_a_document_in_a_training_set(store: Store) -> None:
    first(store)
    report = copies(store, source="b")
    with store.transaction() as connection:
        for name, ids in (("pretrain", "('near', 'r0')"), ("tune", "('near', 'new')"), ("other", "('r1')")):
            connection.exec_driver_sql(
                f"""INSERT INTO training_set SELECT '{name}', 'd', TIMESTAMP '2026-01-01', '{{}}', '{{}}', 'words',
                    count(*), sum(n_words), sum(n_bytes), NULL, 1.0 FROM document WHERE external_id IN {ids}"""
            )
            connection.exec_driver_sql(
                f"""INSERT INTO training_set_item SELECT '{name}', row_number() OVER () - 1, document_id, 0, n_words,
                    n_bytes, NULL, origin, generation, evidence_rank, model, source, licence_class, cluster_id, 'all'
                    FROM document WHERE external_id IN {ids}"""
            )
    before = dump(store)
    with pytest.raises(DocumentsInUse, match=r"2 of these documents .*: pretrain \(1\), tune \(2\)\.") as refused:
        undone(store, report)
    assert refused.value.training_sets == {"pretrain": 1, "tune": 2}
    assert dump(store) == before


def test_a_parent_of_others(store: Store) -> None:
    report = first(store)
    ids = {row["external_id"]: str(row["document_id"]) for row in rows(store, "SELECT * FROM document")}
    children = [{"text": f"made from {i}", "parent": [ids["r0"], ids["r1"]]} for i in range(3)]
    outputs = ingest(store, children, source="outputs", origin="synthetic", generation=1)
    before = dump(store)
    with pytest.raises(DocumentsAreParents, match=r"2 of these documents .*: outputs \(3\)") as refused:
        undone(store, report)
    assert refused.value.children == {"outputs": 3}
    assert dump(store) == before
    assert undone(store, outputs).source_removed
    assert undone(store, report).source_removed
    assert count(store, "parent") == 0
    assert violations(store) == []


def test_which_run(store: Store) -> None:
    report = first(store)
    others = [ingest(store, [], name=str(i)) for i in range(40)]
    run_id = str(report.ingest_id)
    with pytest.raises(UnknownName, match="provenance ingests"):
        undo_ingest(store, "nothing")
    with pytest.raises(UnknownName):
        undo_ingest(store, "")
    shared = next(c for c in "0123456789abcdef" if sum(str(one.ingest_id)[0] == c for one in others) > 1)
    with pytest.raises(AmbiguousRun, match="several runs"):
        undo_ingest(store, shared)
    assert undo_ingest(store, run_id[:8].upper()).removed.n_documents == 4
    with pytest.raises(AlreadyUndone, match=f"{run_id[:8]}.*already undone"):
        undo_ingest(store, run_id.replace("-", ""))


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if getattr(kind, "__module__", "") == errors.__name__]
)
def test_errors_survive_a_process_boundary(kind: type[Exception]) -> None:
    facts = {"DocumentsInUse": (2, {"a": 1}), "DocumentsAreParents": (1, {"b": 2}), "AmbiguousRun": ("a", ["a1", "a2"])}
    error = kind(*facts.get(kind.__name__, ("1a2b", "books")))
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 (made one line before)
    assert (type(twin), str(twin), twin.__dict__) == (kind, str(error), error.__dict__)
    assert "\n" not in str(error)


# ---------------------------------------------------------------- what goes with a run, what stays


def test_a_source_of_its_own_stays(store: Store) -> None:
    add_source(store, Source("books", Claim.make("human"), note="mine"))
    found = undone(store, ingest(store, [{"text": "x"}]))
    assert not found.source_removed
    add_source(store, Source("plain", Claim.make("human")))
    assert not undone(store, ingest(store, [{"text": "x"}], source="plain", origin=None)).source_removed
    assert count(store, "source") == 2
    assert violations(store) == []


def test_a_source_with_refused_records_of_another_run_stays(store: Store) -> None:
    report = ingest(store, [{"text": "good"}], name="a")
    other = ingest(store, [{"text": None}], name="b")
    assert not undone(store, report).source_removed
    assert undone(store, other).source_removed


def test_later_runs_that_found_its_records(store: Store, tmp_path: Path) -> None:
    records = [{"text": prose(i)} for i in range(3)]
    path = write_lines(tmp_path / "a.jsonl", [*records, b"no JSON"])
    more = write_lines(tmp_path / "b.jsonl", [records[0], {"text": prose(9)}])
    early = ingest(store, [{"text": prose(7)}, {"text": prose(7)}], name="early")
    report = ingest_paths(store, path)
    again, part = ingest_paths(store, path), ingest_paths(store, more)
    ingest(store, [{"text": prose(8)}], name="else")
    ingest_paths(store, path, source="other")
    assert early.counts.n_present == 1
    found = undone(store, report)
    assert [one.ingest_id for one in found.later] == [again.ingest_id, part.ingest_id]
    assert [(one.n_present, one.n_quarantined) for one in found.later] == [(3, 1), (1, 0)]
    assert violations(store) == []
    ingest_paths(store, path)
    assert count(store, "document") == 9
    assert violations(store) == []


def test_an_unfinished_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(store, [{"text": "a"}, {"text": "b"}])
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE ingest SET state = 'running', finished_at = NULL")
    (row,) = list_runs(store).rows
    run_id = row["ingest_id"]
    found = undo_ingest(store, str(run_id)[:6])
    assert (found.removed.n_documents, found.source_removed) == (2, True)
    assert show_run(store, str(run_id))["state"] == "undone"
    with store.read() as connection, pytest.raises(errors.RunTakenBack, match="while it was going on"):
        require_not_undone(connection, run_id)
    fresh = ingest(store, [{"text": "a"}])
    assert fresh.ingest_id != run_id, "an undone run is not gone on with"
    with store.read() as connection:
        require_not_undone(connection, fresh.ingest_id)


#: Dies in the transaction that takes a run back, or just after it.
KILLS = (
    "import provenance.dedup.incremental as module; name = '_leave'",
    "import provenance.ingest.undo as module; name = 'drop_bare_models'",
)


@pytest.mark.parametrize("place", KILLS)
def test_killed_in_the_middle(tmp_path: Path, place: str) -> None:
    path = tmp_path / "s.duckdb"
    with Store.create(path) as store:
        first(store)
        report = copies(store)
        before = dump(store)
    prelude = f"{place}\nimport os, signal\nsetattr(module, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    assert run("--store", path, "ingest-undo", report.ingest_id, prelude=prelude).code == -9
    with Store.open(path, writable=True) as store:
        assert dump(store) == before
        assert violations(store) == []
        undone(store, report)
        assert count(store, "document") == 4
        assert violations(store) == []
