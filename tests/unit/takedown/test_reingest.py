"""What was taken down does not come in again, and leaves no bytes when it tries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provenance.ingest.errors import TakenDownMeanwhile
from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.preview import preview
from provenance.ingest.quarantine import Selection as Refused
from provenance.ingest.retry import RetryOptions, retry_quarantined
from provenance.store.store import Store
from provenance.takedown import refused as module
from provenance.takedown.erase import take_down
from provenance.takedown.refused import readable
from provenance.takedown.select import Selection
from tests.factories import count, dump, ingest, ingest_paths, prose, prose_records, rows, violations, write_lines

FIRST = Selection("source", ("books",))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "in.jsonl", [*prose_records(30), b"no JSON", {"text": prose(3), "id": "twin"}])


def test_a_file_comes_again(store: Store, file: Path) -> None:
    ingest_paths(store, file)
    ingest(store, prose_records(40, start=100), source="others")
    done = take_down(store, FIRST, reason="r")
    assert (done.touched.n_documents, done.touched.n_texts, done.touched.n_quarantined) == (31, 30, 1)
    before = {name: table for name, table in dump(store).items() if name not in ("ingest", "ingest_file")}
    for source, n_taken in (("books", 32), ("elsewhere", 31)):  # a line that was no JSON is known in the first only
        report = ingest_paths(store, file, source=source, jobs=2)
        counts = report.counts
        assert counts.n_read == counts.n_inserted + counts.n_present + counts.n_quarantined == 32
        assert (counts.n_inserted, counts.n_quarantined) == (0, 32)
        assert report.reasons["taken down"] == 31
        taken = rows(store, "SELECT raw, context, n_bytes, detail FROM quarantine WHERE reason = 'taken down' "
                            f"AND source = '{source}'")  # fmt: skip
        assert len(taken) == n_taken
        assert {(row["raw"], row["context"], row["n_bytes"]) for row in taken} == {(b"", None, 0)}
    now = {name: table for name, table in dump(store).items() if name not in ("ingest", "ingest_file")}
    assert {name for name in now if now[name] != before[name]} == {"quarantine", "source", "evidence"}
    assert rows(store, "SELECT raw FROM quarantine WHERE source = 'books' AND raw <> ''::BLOB") == [], "no JSON is gone"


def test_a_preview_says_so(store: Store, file: Path) -> None:
    ingest_paths(store, file)
    take_down(store, FIRST, reason="r", yes_all=31)
    found = preview(store, [file], source="books")
    assert found.reasons["taken down"].n_records == 31


def test_it_does_not_stop_an_ingest_as_faults_do(store: Store) -> None:
    ingest(store, prose_records(100, n_words=5))
    take_down(store, FIRST, reason="r", yes_all=100)
    path = write_lines(store.path.with_name("many.jsonl"), prose_records(1100, n_words=5))
    report = ingest_paths(store, path, options=IngestOptions(chunk_bytes=5000))
    assert (report.counts.n_inserted, report.counts.n_quarantined) == (1000, 100)


def test_a_takedown_between_two_batches(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import provenance.ingest.tasks as tasks

    monkeypatch.setattr(tasks, "TASK_RECORDS", 1)
    ingest(store, prose_records(40, start=500), source="others")
    path = write_lines(tmp_path / "in.jsonl", prose_records(60))
    options = IngestOptions(chunk_bytes=2000)

    def meanwhile() -> bool:
        if count(store, "takedown") == 0:
            take_down(store, Selection("source", ("early",)), reason="r")
        return False

    ingest(store, prose_records(1, start=59), source="early")
    monkeypatch.setattr(store, "yield_to_waiting", meanwhile)
    with pytest.raises(TakenDownMeanwhile, match="Run the same command again"):
        ingest_paths(store, path, options=options)
    report = ingest_paths(store, path, options=options)
    assert (report.counts.n_inserted, report.counts.n_quarantined) == (59, 1)
    assert [one for one in violations(store) if "written anew" not in one] == []


def test_a_retry_leaves_alone_what_was_taken_down(store: Store) -> None:
    ingest(store, [{"words": prose(1)}, *prose_records(5)], source="books")
    ingest(store, [{"words": prose(50), "id": "q"}, {"words": prose(2)}], source="other")
    take_down(store, FIRST, reason="r", yes_all=5)
    before = rows(store, "SELECT * FROM quarantine WHERE reason = 'taken down' ORDER BY source")
    assert [row["source"] for row in before] == ["books", "other"]
    options = RetryOptions(fields={"text": "words"})
    assert retry_quarantined(store, Refused(source="books"), options=options) == []
    (report,) = retry_quarantined(store, Refused(), options=options)
    assert (report.source, report.counts.n_inserted) == ("other", 1)
    assert rows(store, "SELECT * FROM quarantine ORDER BY source") == before


def test_a_retry_of_a_text_that_was_taken_down(store: Store) -> None:
    ingest(store, [{"words": prose(1), "id": "q"}], source="other")
    ingest(store, [{"text": prose(1)}, *prose_records(5, start=10)])
    with pytest.MonkeyPatch.context() as patch:
        nothing = module.Refused([], frozenset())  # as if it had not been found
        patch.setattr("provenance.takedown.touched.find_refused", lambda *_: nothing)
        take_down(store, FIRST, reason="r", yes_all=6)
    (report,) = retry_quarantined(store, Refused(), options=RetryOptions(fields={"text": "words"}))
    assert (report.counts.n_inserted, report.counts.n_quarantined) == (0, 1)


# ---------------------------------------------------------------- refused records

TEXT = prose(9, n_words=40)
SHORT = "Yes, dear."
_CASES: dict[str, tuple[Any, bool]] = {
    "the text in another field": ({"copy": TEXT}, True),
    "the text cut off": (b'{"text": "' + TEXT.encode()[:200], True),
    "the text with escapes, cut off": (b'{"text": "' + TEXT.replace(" ", "\\n").encode()[:200], True),
    "letters as escapes": (b'{"a": "' + "".join(f"\\u{ord(c):04x}" for c in TEXT).encode(), True),
    "the text as UTF-16": (b"x" + TEXT.encode("utf-16-le"), True),
    "the text as Latin-1": (b"\xe9 " + TEXT.encode("latin-1"), True),
    "in capitals": ({"copy": TEXT.upper()}, True),
    "a part of it": ({"copy": " ".join(TEXT.split()[10:24])}, True),
    "a few words of it": ({"copy": " ".join(TEXT.split()[10:20])}, False),
    "a short text": ({"copy": f"He said: {SHORT}"}, True),
    "a very short text": ({"copy": "Oh!"}, True),
    "a very short text inside another": ({"copy": "He said Oh! and left"}, False),
    "its address": ({"see": "https://nine.example/a"}, True),
    "its address in capitals": ({"see": "HTTPS://NINE.example/a"}, True),
    "its address with escapes": ({"see": "(https%3A%2F%2Fnine.example/%61)"}, True),
    "its id": ({"id": "nine", "text": None}, True),
    "its id in another field": ({"id": "ten", "of": "nine", "text": None}, False),
    "something else": ({"copy": prose(10)}, False),
}


def test_which_refused_records_go(store: Store, tmp_path: Path) -> None:
    gone = [
        {"id": "nine", "text": TEXT, "url": "https://nine.example/a"},
        {"text": SHORT, "id": "short"},
        {"text": "Oh!", "id": "very short"},
    ]
    others = [record for record, _ in _CASES.values()]
    ingest_paths(store, write_lines(tmp_path / "in.jsonl", [*gone, *others, *prose_records(9, start=90)]))
    documents = [row["id"] for row in rows(store, "SELECT document_id::VARCHAR AS id FROM document "
                                                  "WHERE external_id IN ('nine', 'short', 'very short')")]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_GROUP_BYTES", 500)
        done = take_down(store, Selection("document", tuple(documents)), reason="r")
    blank = rows(store, "SELECT place, raw = ''::BLOB AS gone FROM quarantine ORDER BY place")
    number = {row["place"]: row["gone"] for row in blank}
    found = {name: number[f"line {i}"] for i, name in enumerate(_CASES, start=4)}
    assert found == {name: goes for name, (_, goes) in _CASES.items()}
    assert done.touched.n_quarantined == sum(found.values())


def test_all_parts_of_a_record_that_was_too_large_go(store: Store, tmp_path: Path) -> None:
    line = {"text": prose(7, n_words=3000) + " " + TEXT + " " + prose(8, n_words=3000)}
    path = write_lines(tmp_path / "in.jsonl", [{"text": TEXT, "id": "a"}, line, {"text": prose(6), "id": "b"}])
    ingest_paths(store, path, options=IngestOptions(max_record_bytes=5000))
    assert rows(store, "SELECT reason, count(*) > 0 AS n FROM quarantine GROUP BY ALL") == [
        {"reason": "too large", "n": True}
    ]
    (one,) = rows(store, "SELECT document_id::VARCHAR AS id FROM document WHERE external_id = 'a'")
    take_down(store, Selection("document", (one["id"],)), reason="r")
    assert rows(store, "SELECT DISTINCT reason, raw FROM quarantine") == [{"reason": "taken down", "raw": b""}]


def test_a_source_has_an_address_for_all(store: Store) -> None:
    """An address that every document of a source gets says nothing about one of them."""
    from provenance.ingest.sources import Source, add_source
    from provenance.records import Claim

    add_source(store, Source("books", Claim("human", 0), uri="https://books.example/"))
    ingest(store, [*prose_records(3), {"see": "https://books.example/"}], source="books", origin=None)
    (one, *_) = rows(store, "SELECT document_id::VARCHAR AS id FROM document")
    assert take_down(store, Selection("document", (one["id"],)), reason="r").touched.n_quarantined == 0


@pytest.mark.parametrize("raw", [b"", b"\\", b'"\\ud83d', b"\xff\xfe\x00", b"[[1]]", b"\\ud83d\\ude00"])
def test_any_bytes_can_be_read(raw: bytes) -> None:
    readable(raw).encode("utf-8")
