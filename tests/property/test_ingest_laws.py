"""Laws of ingest, on files of lines that may be anything: nothing is lost, nothing is entered twice."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provenance.ids import composite_digest, content_digest, document_digest
from provenance.ingest import tasks
from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.readers import records as readers_of_records
from provenance.ingest.readers.base import REASONS
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import compressed, count, dump, ingest, ingest_paths, rows, violations
from tests.strategies import json_values, lines, metadata_keys, record_texts, records, unicode_texts

# Every example makes a store or two.
few = settings(max_examples=settings().max_examples // 4)


def is_record(line: bytes, first: bool) -> bool:
    return bool(line.removeprefix(b"\xef\xbb\xbf" if first else b"").strip())


@few
@given(
    content=st.lists(lines, max_size=25),
    suffix=st.sampled_from([".jsonl", ".jsonl.gz", ".jsonl.zst"]),
    tail=st.booleans(),
)
@example(content=[b'{"text":"a"}'] * 3, suffix=".jsonl", tail=False)
@example(content=[b"\xef\xbb\xbf", b"\r", b"", b'\xef\xbb\xbf{"text":"a"}'], suffix=".jsonl", tail=True)
def test_read_is_inserted_and_present_and_quarantined(
    make_store: Maker, tmp_path: Path, content: list[bytes], suffix: str, tail: bool
) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(compressed(b"\n".join(content) + (b"\n" if tail else b""), path))
    store = make_store("law.duckdb")
    report = ingest_paths(store, path, options=IngestOptions(max_record_bytes=200, chunk_bytes=64))
    counts = report.counts
    real = [line for i, line in enumerate(content) if is_record(line, i == 0)]
    assert counts.n_read == len(real)
    assert counts.n_read == counts.n_inserted + counts.n_present + counts.n_quarantined
    assert counts.n_inserted == count(store, "document")
    assert sum(report.reasons.values()) == counts.n_quarantined
    assert set(report.reasons) <= set(REASONS)
    assert_quarantine_is_exact(store, content)
    (row,) = rows(store, "SELECT * FROM ingest")
    assert row["state"] == "finished"
    assert {name: row[name] for name in counts.__dict__} == counts.__dict__
    assert violations(store) == []
    again_changes_nothing(store, path, counts.n_read, counts.n_quarantined)
    store.close()


def assert_quarantine_is_exact(store: Store, content: list[bytes]) -> None:
    """The parts of every refused line, put together, are the line; its place is right."""
    parts: dict[str, list[tuple[int, bytes]]] = {}
    for row in rows(store, "SELECT place, part, raw, n_bytes FROM quarantined"):
        assert row["n_bytes"] == len(row["raw"])
        parts.setdefault(row["place"], []).append((row["part"], row["raw"]))
    for place, found in parts.items():
        numbers = [number for number, _ in sorted(found)]
        assert numbers == list(range(len(numbers)))
        assert b"".join(raw for _, raw in sorted(found)) == content[int(place.removeprefix("line ")) - 1]


def again_changes_nothing(store: Store, path: Path, n_read: int, n_quarantined: int) -> None:
    before = dump(store, without=["ingest", "ingest_file"])
    again = ingest_paths(store, path, options=IngestOptions(max_record_bytes=200, chunk_bytes=64)).counts
    assert (again.n_read, again.n_quarantined, again.n_inserted) == (n_read, n_quarantined, 0)
    assert dump(store, without=["ingest", "ingest_file"]) == before
    assert count(store, "ingest_file") == 2
    (file,) = rows(store, "SELECT DISTINCT * EXCLUDE (ingest_id, finished_at) FROM ingest_file")
    assert (file["n_read"], file["n_quarantined"]) == (n_read, n_quarantined)


@few
@given(content=st.lists(lines, max_size=20), chunk_bytes=st.integers(1, 300), limit=st.integers(1, 300))
def test_blocks_are_irrelevant(
    make_store: Maker, tmp_path: Path, content: list[bytes], chunk_bytes: int, limit: int
) -> None:
    """However the file is cut into blocks, the same records are read and refused."""
    path = tmp_path / "blocks.jsonl"
    path.write_bytes(b"\n".join(content))
    found = []
    for size in (chunk_bytes, 1 << 20):
        store = make_store("blocks.duckdb")
        ingest_paths(store, path, options=IngestOptions(max_record_bytes=limit, chunk_bytes=size))
        found.append(dump(store, without=["ingest", "ingest_id"]))
        store.close()
    assert found[0] == found[1]


@few
@given(entered=st.lists(records, min_size=1, max_size=12), places=st.data())
def test_two_runs_are_as_one(make_store: Maker, entered: list[dict[str, Any]], places: st.DataObject) -> None:
    """Documents, contents and clusters do not depend on how the records are spread over runs, or entered twice."""
    cut = places.draw(st.integers(0, len(entered)))
    overlap = places.draw(st.integers(cut, len(entered)))
    whole, parts = make_store("whole.duckdb"), make_store("parts.duckdb")
    ingest(whole, [dict(one) for one in entered], name="whole")
    ingest(parts, [dict(one) for one in entered[:overlap]], name="first")
    ingest(parts, [dict(one) for one in entered[cut:]], name="second")
    left_out = ["ingest", "ingest_id", "content_no", "band"]
    assert dump(whole, without=left_out) == dump(parts, without=left_out)
    assert violations(parts) == []
    whole.close()
    parts.close()


@few
@given(
    text=record_texts,
    external_id=st.none() | st.text("ab", min_size=1, max_size=3) | st.integers(-(2**63), 2**64 - 1),
    extra=st.dictionaries(metadata_keys, json_values, max_size=4),
    nested=st.none() | json_values,
    tmp=st.sampled_from(["x", "y"]),
)
def test_records_come_out_as_they_went_in(
    make_store: Maker, tmp_path: Path, text: str, external_id: Any, extra: dict[str, Any], nested: Any, tmp: str
) -> None:
    record = {**extra, "text": text}
    if external_id is not None:
        record["id"] = external_id
    if nested is not None:
        record["metadata"] = nested
    path = tmp_path / "one.jsonl"
    path.write_bytes(orjson.dumps(record) + b"\n")
    store = make_store("one.duckdb")
    assert ingest_paths(store, path, source=tmp).counts.n_inserted == 1
    (row,) = rows(store, "SELECT * FROM documents")
    assert row["text"] == text
    assert row["n_bytes"] == len(text.encode())
    assert row["external_id"] == (None if external_id is None else str(external_id))
    assert metadata_of(row) == expected_metadata(extra, nested)
    content = content_digest(text.encode())
    assert str(row["content_id"]).replace("-", "") == content.hex()
    assert str(row["document_id"]).replace("-", "") == document_digest(tmp, row["external_id"], content).hex()
    store.close()


def metadata_of(row: dict[str, Any]) -> Any:
    return None if row["metadata"] is None else json.loads(row["metadata"])


def expected_metadata(extra: dict[str, Any], nested: Any) -> Any:
    if nested is None:
        return extra or None
    if isinstance(nested, dict) and not nested.keys() & extra.keys():
        return {**nested, **extra} or None
    return {**extra, "metadata": nested}


@given(st.lists(st.none() | st.text(max_size=4), max_size=4), st.lists(st.none() | st.text(max_size=4), max_size=4))
def test_composite_ids_differ_when_parts_differ(first: list[str | None], second: list[str | None]) -> None:
    assert (composite_digest(*first) == composite_digest(*second)) == (first == second)


@given(texts=st.lists(unicode_texts, max_size=8))
def test_content_ids_are_of_the_text_alone(texts: list[str]) -> None:
    ids = Counter(content_digest(text.encode()) for text in texts)
    assert len(ids) == len(set(texts))
    assert all(len(one) == 16 for one in ids)


def test_a_vanishing_difference_is_a_difference() -> None:
    assert document_digest("s", None, b"x" * 16) != document_digest("s", "", b"x" * 16)
    assert document_digest("s", "a", b"x" * 16) != document_digest("sa", "", b"x" * 16)


def test_the_same_record_in_several_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "TASK_RECORDS", 1)
    monkeypatch.setattr(readers_of_records, "_RECORDS", 2)
    counts = ingest(store, [{"text": f"number {i % 3}"} for i in range(10)]).counts
    assert (counts.n_read, counts.n_inserted, counts.n_present) == (10, 3, 7)
    assert violations(store) == []


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_file_named_several_times_is_read_once(store: Store, tmp_path: Path, n: int) -> None:
    path = tmp_path / "same.jsonl"
    path.write_bytes(b'{"text":"good one"}\nbroken\n{"text":"another"}\n')
    counts = ingest_paths(store, *[path] * n).counts
    assert (counts.n_read, counts.n_inserted, counts.n_present, counts.n_quarantined) == (3, 2, 0, 1)
    assert count(store, "quarantine") == 1
    assert violations(store) == []
