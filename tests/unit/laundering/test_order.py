"""What is found is a function of the documents and of which runs brought them, not of order, batches or detours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from provenance.dedup.parameters import DedupParameters
from provenance.ingest import tasks
from provenance.ingest.pipeline import IngestOptions, IngestReport
from provenance.ingest.undo import undo_ingest
from provenance.laundering import follow
from provenance.laundering.rescan import rescan
from provenance.store.store import Store
from tests.factories import ingest_paths, prose, rows, violations, write_lines

PIECES = [prose(700 + i, n_words=60) for i in range(6)]
Record = dict[str, Any]


def world(seed: int) -> list[Record]:
    """Return documents by people and by two models, of pieces that they have in common."""
    chance = Random(seed)
    records = []
    for i in range(10):
        said = [PIECES[p] for p in chance.sample(range(6), chance.choice([1, 2, 2, 3]))]
        if chance.random() < 0.5:  # a part of a piece, long enough or not
            words = said[-1].split()
            said[-1] = " ".join(words[: chance.choice([14, 30, 49, 50, 59])])
        label: Record = {"origin": chance.choice(["human", "human", "unknown"])}
        if i % 2:
            label = {"origin": "synthetic", "model": chance.choice("mn")}
        records.append({"id": f"{i:02}", "text": " ".join(said), **label})
    return records


class Bench:
    """A store and the runs that bring documents into it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder

    def bring(self, records: Sequence[Record], *, name: str = "all", per_batch: int = 100) -> IngestReport:
        """Ingest records in batches of so many."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tasks, "TASK_RECORDS", per_batch)
            file = write_lines(self.folder / f"{name}.jsonl", records)
            return ingest_paths(self.store, file, source="web", origin="unknown", options=IngestOptions(chunk_bytes=1))

    def found(self) -> tuple[list[Record], list[Record]]:
        """Return the table of likenesses and the labels, by the documents' own ids."""
        assert violations(self.store) == []
        pairs = """SELECT h.external_id AS id, s.external_id AS output, kind, score, l.n_words, verdict, ground
                   FROM laundering l JOIN document h USING (document_id)
                   JOIN document s ON s.document_id = l.synthetic_id ORDER BY ALL"""
        shown = "SELECT external_id AS id, origin, conflict, evidence_rank FROM document ORDER BY ALL"
        return rows(self.store, pairs), rows(self.store, shown)


@contextmanager
def bench(folder: Path, containment: float | None = None) -> Iterator[Bench]:
    """Make a store."""
    folder.mkdir()
    with Store.create(folder / "s.duckdb", dedup=DedupParameters(containment=containment)) as store:
        yield Bench(store, folder)


def shuffled(records: Sequence[Record], seed: int) -> list[Record]:
    """Return records in another order."""
    return Random(seed).sample(list(records), len(records))


@pytest.mark.parametrize(("seed", "containment"), [(1, None), (2, 0.8)])
def test_one_run_in_any_order_and_batches(tmp_path: Path, seed: int, containment: float | None) -> None:
    documents = world(seed)
    results = []
    by_people = sorted(documents, key=lambda one: one["origin"] == "synthetic")
    orders = [(documents, 100), (by_people, 3), (shuffled(by_people[::-1], seed), 4)]
    for i, (order, per_batch) in enumerate(orders):
        with bench(tmp_path / str(i), containment) as one:
            one.bring(order, per_batch=per_batch)
            results.append(one.found())
    with bench(tmp_path / "rescanned", containment) as one:
        one.bring(by_people)
        rescan(one.store)
        results.append(one.found())
    assert results[0][0]
    assert all(one == results[0] for one in results)


def test_a_long_run_says_that_something_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came before a model's text in the same run is read once more, unless it is too much."""
    people, bot = {"origin": "human"}, {"origin": "synthetic", "model": "m"}
    part = {"id": "part", "text": " ".join(PIECES[0].split()[5:40]), **people}
    quote = {"id": "quote", "text": f"{PIECES[0]} {prose(1, n_words=400)}", **people}
    for limit in (follow.AT_ONCE_BYTES, 100):
        monkeypatch.setattr(follow, "AT_ONCE_BYTES", limit)
        with bench(tmp_path / str(limit)) as one:
            one.bring([quote, part, {"id": "out", "text": PIECES[0], **bot}], per_batch=1)
            assert len(violations(one.store)) == int(limit == 100)
            rescan(one.store)
            pairs, _ = one.found()
            assert {row["id"]: row["kind"] for row in pairs} == {"quote": "containment", "part": "containment"}


def test_runs_of_people_in_any_order_after_those_of_models(tmp_path: Path, seed: int = 4) -> None:
    outputs = [one for one in world(seed) if one["origin"] == "synthetic"]
    others = [one for one in world(seed) if one["origin"] != "synthetic"]
    results = []
    for i, order in enumerate((others, shuffled(others, seed))):
        with bench(tmp_path / str(i)) as one:
            one.bring(shuffled(outputs, i), name="outputs", per_batch=i + 1)
            for j in range(0, len(order), i + 2):
                one.bring(order[j : j + i + 2], name=f"part {j}")
            results.append(one.found())
    assert {row["verdict"] for row in results[0][0]} == {"conflict"}
    assert results[1:] == results[:1]


def test_people_first_are_repeated_and_the_pairs_are_the_same(tmp_path: Path, seed: int = 6) -> None:
    outputs = [one for one in world(seed) if one["origin"] == "synthetic"]
    others = [one for one in world(seed) if one["origin"] != "synthetic"]
    alike = ("id", "output", "kind", "score", "n_words")
    results = []
    for i, runs in enumerate(((outputs, others), (others, outputs))):
        with bench(tmp_path / str(i)) as one:
            for records in runs:
                one.bring(records, name=str(len(results)) + records[0]["origin"])
            rescan(one.store)
            pairs, labels = one.found()
            results.append([{name: row[name] for name in alike} for row in pairs])
            if runs[0] is others:
                assert {row["ground"] for row in pairs} == {"entered before"}
                assert {row["conflict"] for row in labels} == {None}
    assert results[0] == results[1]


def test_a_run_taken_back_and_brought_again(tmp_path: Path, seed: int = 8) -> None:
    """A run of people's that followed; and all of them, whichever goes first, in the order in which they came."""
    documents = world(seed)
    outputs = [one for one in documents if one["origin"] == "synthetic"]
    others = [one for one in documents if one["origin"] != "synthetic"]
    runs = {"early": others[:2], "outputs": outputs, "late": others[2:5], "last": others[5:]}
    with bench(tmp_path / "store") as one:
        reports = {name: one.bring(records, name=name) for name, records in runs.items()}
        rescan(one.store)
        before = one.found()
        for name in ("late", "last"):
            undo_ingest(one.store, str(reports[name].ingest_id))
            reports[name] = one.bring(runs[name], name=name)
            assert one.found() == before
        for name in shuffled([{"name": name} for name in runs], seed):
            undo_ingest(one.store, str(reports[name["name"]].ingest_id))
        assert one.found() == ([], [])
        for name, records in runs.items():
            one.bring(records, name=name)
        rescan(one.store)
        assert one.found() == before
