"""Refused records: listed, written out, and read again after a fix. Nothing of them is ever lost."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import TooManyQuarantined, UnknownName
from provenance.ingest import quarantine
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.pipeline import IngestOptions, IngestReport
from provenance.ingest.quarantine import Selection, choose, summarise, visible
from provenance.ingest.readers import base
from provenance.ingest.retry import RetryOptions, retry_quarantined
from provenance.ingest.undo import undo_ingest
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import (
    broken_text,
    count,
    dump,
    ingest,
    ingest_paths,
    json_lines,
    prose,
    rows,
    run,
    violations,
    write_lines,
    write_parquet,
)
from tests.strategies import lines

LOCAL = ("ingest", "ingest_file", "ingest_id", "content_no")
BODY = RetryOptions(fields={"text": "body"})


def retry(store: Store, options: RetryOptions | None = None, **selection: Any) -> IngestReport:
    """Retry what one run refused."""
    (report,) = retry_quarantined(store, Selection(**selection), options=options)
    assert report.counts.n_read == sum((report.counts.n_inserted, report.counts.n_present, report.counts.n_quarantined))
    (row,) = rows(store, "SELECT * FROM ingest WHERE ingest_id::VARCHAR = :id", id=str(report.ingest_id))
    assert (row["kind"], row["state"]) == ("retry", "finished")
    assert {name: row[name] for name in report.counts.__dict__} == report.counts.__dict__
    assert violations(store) == []
    return report


def brief(report: IngestReport) -> tuple[int, int, int, int]:
    counts = report.counts
    return counts.n_read, counts.n_inserted, counts.n_present, counts.n_quarantined


def kept(store: Store) -> list[tuple[Any, ...]]:
    found = rows(store, "SELECT place, part, reason, detail, raw FROM quarantined ORDER BY place, part")
    return [tuple(row.values()) for row in found]


def joined(store: Store) -> dict[tuple[Any, ...], bytes]:
    """Return what is in quarantine with the parts of one record put together."""
    found: dict[tuple[Any, ...], bytes] = {}
    for place, _, reason, detail, raw in kept(store):
        found[place, reason, detail] = found.get((place, reason, detail), b"") + raw
    return found


def mixed(path: Path) -> Path:
    """Write lines of which some have their text in another field, and some are broken."""
    made = [{"body": prose(i), "id": i, "author": "A"} for i in range(3)]
    return write_lines(path, [*made, b"no JSON", {"body": ""}, {"text": prose(9)}, {"body": 5}])


# ---------------------------------------------------------------- retry


def test_the_right_field_is_named(make_store: Maker, tmp_path: Path) -> None:
    store, other = make_store(), make_store()
    path = mixed(tmp_path / "a.jsonl")
    assert brief(ingest_paths(store, path)) == (7, 1, 0, 6)
    report = retry(store, BODY)
    assert brief(report) == (6, 3, 0, 3)
    assert report.reasons == {base.BAD_JSON: 1, base.EMPTY_TEXT: 1, base.WRONG_TYPE: 1}
    assert [(place, reason) for place, _, reason, _, _ in kept(store)] == [
        ("line 4", base.BAD_JSON), ("line 5", base.EMPTY_TEXT), ("line 7", base.WRONG_TYPE),
    ]  # fmt: skip
    # As if the right field had been named at once, but for the record that has its text where it was looked for.
    ingest_paths(other, path, options=IngestOptions(mapping=FieldMapping(text="body")))
    ingest(other, [{"text": prose(9)}], name="rest")
    left_out = [*LOCAL, "quarantine"]
    assert dump(store, without=left_out) == dump(other, without=left_out)
    # And nothing is refused twice when the file is read again with the right field.
    before = count(store, "quarantine")
    ingest_paths(store, path, options=IngestOptions(mapping=FieldMapping(text="body")))
    assert count(store, "quarantine") == before + 1, "the line with its text in `text`"
    assert violations(store) == []


def test_only_what_is_chosen(store: Store, tmp_path: Path) -> None:
    ingest_paths(store, mixed(tmp_path / "a.jsonl"))
    report = ingest_paths(store, mixed(tmp_path / "b.jsonl"), source="b")
    assert brief(retry(store, BODY, reason=base.BAD_JSON, source="b")) == (1, 0, 0, 1)
    assert brief(retry(store, BODY, ingest=str(report.ingest_id))) == (6, 3, 0, 3)
    assert [row["source"] for row in rows(store, "SELECT source FROM document ORDER BY ALL")] == ["b"] * 4 + ["books"]
    both = retry_quarantined(store, Selection(), options=BODY)
    assert [brief(one) for one in both] == [(6, 3, 0, 3), (3, 0, 0, 3)]
    assert retry_quarantined(store, Selection(reason=base.TOO_LARGE)) == []


def test_claim_licence_and_mapping_are_those_of_the_run(store: Store, tmp_path: Path) -> None:
    ingest(store, [{"text": "first"}])
    path = write_lines(tmp_path / "a.jsonl", [{"body": "y", "who": "Eva"}, {"body": "x " * 40, "who": "Ada"}])
    options = IngestOptions(mapping=FieldMapping(text="body", author="who"), max_record_bytes=60)
    claim = {"origin": "synthetic", "generation": 2, "model": "gpt-x"}
    assert brief(ingest_paths(store, path, options=options, licence="MIT", **claim)) == (2, 1, 0, 1)
    assert brief(retry(store, RetryOptions(max_record_bytes=1000))) == (1, 1, 0, 0)
    found = rows(store, "SELECT * FROM documents WHERE source = 'books' AND origin = 'synthetic'")
    described = {(row["author"], row["licence"], row["generation"], row["model"]) for row in found}
    assert described == {("Ada", "MIT", 2, "gpt-x"), ("Eva", "MIT", 2, "gpt-x")}
    assert count(store, "quarantine") == 0


def test_a_record_in_parts(store: Store, tmp_path: Path) -> None:
    record = {"text": prose(1), "id": "long"}
    path = write_lines(tmp_path / "a.jsonl", [record, {"text": "short"}])
    ingest_paths(store, path, options=IngestOptions(max_record_bytes=100))
    before = kept(store)
    assert [row[:3] for row in before] == [("line 1", i, base.TOO_LARGE) for i in range(len(before))]
    assert len(before) > 3
    assert brief(retry(store)) == (1, 0, 0, 1)
    assert [(*row[:3], row[4]) for row in kept(store)] == [(*row[:3], row[4]) for row in before]
    assert brief(retry(store, RetryOptions(max_record_bytes=10_000))) == (1, 1, 0, 0)
    assert count(store, "quarantine") == 0
    assert {row["text"] for row in rows(store, "SELECT text FROM documents")} == {prose(1), "short"}


def test_records_that_are_there_already(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"body": prose(1), "author": "B"}, {"body": prose(1)}])
    ingest_paths(store, path)
    ingest(store, [{"text": prose(1), "author": "A"}], name="by another way")
    report = retry(store, BODY)
    assert brief(report) == (2, 0, 2, 0)
    assert report.counts.n_amended == 1
    assert count(store, "quarantine") == 0


def test_rows_of_parquet_and_records_of_programs(store: Store, tmp_path: Path) -> None:
    columns = {"text": broken_text(b"good", b"\xff"), "body": ["other", "words"]}
    ingest_paths(store, write_parquet(tmp_path / "a.parquet", columns))
    ingest(store, [{"body": "made by a program"}], name="program")
    reports = retry_quarantined(store, Selection(), options=BODY)
    assert [brief(one) for one in reports] == [(1, 1, 0, 0)] * 2
    found = {row["text"] for row in rows(store, "SELECT text FROM documents")}
    assert found == {"good", "words", "made by a program"}
    assert count(store, "quarantine") == 0
    assert violations(store) == []


#: A byte order mark belongs to a file: a line that begins with one in the middle is refused, and read when it is alone.
_LINES = lines.filter(lambda line: not line.startswith(b"\xef\xbb\xbf"))


@settings(max_examples=settings().max_examples // 4)
@given(content=st.lists(_LINES, max_size=20), limit=st.integers(20, 200), more=st.booleans())
def test_without_a_fix_nothing_changes(
    make_store: Maker, tmp_path: Path, content: list[bytes], limit: int, more: bool
) -> None:
    """Whatever was refused is refused again for the same reason; with a larger limit, what was too large may go in."""
    path = tmp_path / "any.jsonl"
    path.write_bytes(b"\n".join(content))
    store = make_store()
    report = ingest_paths(store, path, options=IngestOptions(max_record_bytes=limit, max_quarantined=1.0))
    n_refused = report.counts.n_quarantined
    before = dump(store, without=["ingest"])
    reports = retry_quarantined(store, Selection(), options=RetryOptions(max_record_bytes=10_000 if more else None))
    assert len(reports) == bool(n_refused)
    for one in reports:
        assert brief(one)[0] == n_refused
        left = rows(store, "SELECT count(*) AS n FROM quarantine WHERE part = 0")[0]["n"]
        assert one.counts.n_quarantined == left
    if more:
        other = make_store()
        ingest_paths(other, path, options=IngestOptions(max_record_bytes=10_000, max_quarantined=1.0))
        assert joined(store) == joined(other)
        without = (*LOCAL, "quarantine", "stated_at")
        assert sorted(dump(store, without=without)["document"]) == sorted(dump(other, without=without)["document"])
        other.close()
    elif reports:
        assert dump(store, without=["ingest"]) == before
    assert violations(store) == []
    store.close()


def test_too_many_are_refused_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "GROUP_RECORDS", 600)
    ingest(store, [{"body": prose(i, n_words=3)} if i < 700 else {"nothing": i} for i in range(2000)])
    with pytest.raises(TooManyQuarantined) as stopped:
        retry_quarantined(store, Selection(), options=RetryOptions(fields={"text": "body"}, max_quarantined=0.1))
    assert stopped.value.reasons == {base.MISSING_FIELD: 500}
    assert count(store, "document") == 600
    assert violations(store) == []
    (row,) = rows(store, "SELECT * FROM ingest WHERE kind = 'retry'")
    assert (row["state"], row["n_read"], row["n_inserted"]) == ("stopped", 600, 600)
    # The same retry with a larger share goes on with the same run.
    assert brief(retry(store, BODY)) == (2000, 700, 0, 1300)


# ---------------------------------------------------------------- kills, undo


class Interrupted:
    """Progress that ends the retry after some batches."""

    def __init__(self, after: int) -> None:
        self.left = after

    def update(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_an_interrupted_retry_is_finished(make_store: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "GROUP_RECORDS", 2)
    made: list[Any] = [{"body": prose(i // 2)} if i % 3 else {"body": ""} for i in range(14)]
    path = write_lines(tmp_path / "a.jsonl", made)
    whole, parts = make_store(), make_store()
    for store in (whole, parts):
        ingest_paths(store, path)
    report = retry(whole, BODY)
    for after in (3, 2):
        with pytest.raises(KeyboardInterrupt):
            retry_quarantined(parts, Selection(), options=BODY, progress=Interrupted(after))
        assert violations(parts) == []
        assert count(parts, "document") + len({row[0] for row in kept(parts)}) >= 10
    assert retry(parts, BODY).counts == report.counts
    assert dump(parts) == dump(whole)


#: Dies in the middle of the third transaction of the retry.
KILLED = """
import os, signal
import provenance.ingest.quarantine as quarantine
import provenance.ingest.retry as retry
quarantine.GROUP_RECORDS = 2
real, calls = retry.require_not_undone, [0]
def counted(*arguments):
    calls[0] += 1
    if calls[0] == 3:
        retry.update_run = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments)
retry.require_not_undone = counted
"""


def test_killed_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with Store.create(path) as store:
        ingest_paths(store, write_lines(tmp_path / "a.jsonl", [{"body": prose(i)} for i in range(9)]))
    assert run("--store", path, "quarantine", "retry", "--text-field", "body", prelude=KILLED).code == -9
    with Store.open(path, writable=True) as store:
        assert (count(store, "document"), count(store, "quarantine")) == (4, 5)
        assert violations(store) == []
        assert brief(retry(store, BODY)) == (9, 9, 0, 0)
        assert (count(store, "document"), count(store, "quarantine")) == (9, 0)
        assert count(store, "ingest") == 2


def test_undo_takes_the_retries_along(make_store: Maker, tmp_path: Path) -> None:
    store, other = make_store(), make_store()
    for each in (store, other):
        ingest(each, [{"text": prose(1) + " copy"}, {"no": "text"}], source="before")
    report = ingest_paths(store, mixed(tmp_path / "a.jsonl"))
    again = retry(store, BODY, source="books")
    found = undo_ingest(store, str(report.ingest_id))
    assert found.retries == (again.ingest_id,)
    assert (found.removed.n_documents, found.n_quarantined, found.source_removed) == (4, 3, True)
    assert dump(store, without=LOCAL) == dump(other, without=LOCAL)
    assert violations(store) == []


def test_a_retry_is_undone(store: Store, tmp_path: Path) -> None:
    path = mixed(tmp_path / "a.jsonl")
    ingest_paths(store, path)
    before = dump(store, without=[*LOCAL, "quarantine"])
    again = retry(store, RetryOptions(fields={"text": "author"}, max_record_bytes=1000))
    assert brief(again) == (6, 3, 0, 3)
    found = undo_ingest(store, str(again.ingest_id))
    assert (found.n_released, found.removed.n_documents, found.source_removed) == (3, 3, False)
    assert dump(store, without=[*LOCAL, "quarantine"]) == before
    assert violations(store) == []
    assert brief(ingest_paths(store, path)) == (7, 0, 1, 6), "what the retry had taken is refused again"
    reports = retry_quarantined(store, Selection(), options=BODY)
    assert sum(one.counts.n_inserted for one in reports) == 3
    assert violations(store) == []


# ---------------------------------------------------------------- list, export


def test_summary(store: Store, tmp_path: Path) -> None:
    ingest_paths(store, mixed(tmp_path / "a.jsonl"))
    long = write_lines(tmp_path / "b.jsonl", [b"\x1b[31m" + b"x" * 300, b"\xff"])
    report = ingest_paths(store, long, source="b", options=IngestOptions(max_record_bytes=100))
    with store.read() as connection:
        found = summarise(connection, Selection(), limit=7)
        assert found.n_records == 8
        shown = {row["reason"]: (row["n_records"], row["n_files"], row["sources"]) for row in found.reasons}
        assert shown[base.MISSING_FIELD] == (5, 1, ["books"])
        assert shown[base.TOO_LARGE] == (1, 1, ["b"])
        assert sum(row["n_bytes"] for row in found.reasons) == sum(len(row[4]) for row in kept(store))
        assert [row["place"] for row in found.records] == [
            "line 1", "line 2", "line 1", "line 2", "line 3", "line 4", "line 5"
        ]  # fmt: skip
        chosen = choose(connection, ingest=str(report.ingest_id)[:8], source="b", reason=base.INVALID_UTF8)
        (row,) = summarise(connection, chosen).records
        assert (row["place"], row["begins"]) == ("line 2", b"\xff")
        for wrong in ({"ingest": "ffff"}, {"source": "bokos"}, {"reason": "bad jsn"}):
            with pytest.raises(UnknownName):
                choose(connection, **wrong)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\x1b[31mred\x07", "\\x1b[31mred\\x07"), (b"\xff\xc3\xa9", "\\xffé"), ("a\u202eb\n", "a\\u202eb\\n"),
        ("x" * 61, "x" * 59 + "…"), ("x" * 60, "x" * 60), (None, None), ("\ud800", "\\ud800"),
        (b"\xe4\xbd", "\\xe4\\xbd"),
    ],
)  # fmt: skip
def test_nothing_acts_on_the_terminal(value: Any, shown: str | None) -> None:
    assert visible(value) == shown


def test_export(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "GROUP_RECORDS", 2)
    broken = [b"no JSON", b"\xff\x00", b'{"text": "' + b"y" * 300, b'{"body": "\xc3\xa9"}', b"[]"]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([b'{"text": "good"}', *broken]))
    report = ingest_paths(store, path, options=IngestOptions(max_record_bytes=50))
    as_json, as_raw = io.BytesIO(), io.BytesIO()
    assert quarantine.export(store, Selection(), as_json=as_json, as_raw=as_raw) == 5
    assert as_raw.getvalue() == b"".join(line + b"\n" for line in broken)
    found = [json.loads(line) for line in as_json.getvalue().splitlines()]
    raws = [one["raw"].encode() if "raw" in one else base64.b64decode(one["raw_base64"]) for one in found]
    assert raws == broken
    assert [one["place"] for one in found] == [f"line {i}" for i in range(2, 7)]
    assert {one["ingest"] for one in found} == {str(report.ingest_id)}
    assert [one["n_bytes"] for one in found] == [len(line) for line in broken]
    as_raw = io.BytesIO()
    assert quarantine.export(store, Selection(reason=base.NOT_AN_OBJECT), as_raw=as_raw) == 1
    assert as_raw.getvalue() == b"[]\n"
    # Repaired by a person, ingested.
    repaired = tmp_path / "repaired.jsonl"
    repaired.write_bytes(json_lines([{"text": line.decode("latin-1").replace("\0", "")} for line in broken]))
    assert ingest_paths(store, repaired).counts.n_inserted == 5
