"""JSON Lines that are bad in every way: each line is refused with reason, place and exact bytes; the rest is taken."""

from __future__ import annotations

import bz2
import lzma
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from provenance.ingest.inputs import Input
from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.readers import base
from provenance.ingest.readers.base import REASONS, ReadOptions
from provenance.ingest.readers.jsonl import JsonLinesReader
from provenance.store.store import Store
from tests.conftest import Maker
from tests.factories import (
    compressed,
    count,
    dump,
    ingest,
    ingest_paths,
    read_chunks,
    rows,
    texts,
    violations,
    write_lines,
)

GOOD = b'{"text": "a good line"}'

#: line, reason, words of the detail
BAD: tuple[tuple[bytes, str, str], ...] = (
    (b"not JSON", base.BAD_JSON, "line 1 column"),
    (b'{"text": "open', base.BAD_JSON, ""),
    (b"{'text': 'quotes'}", base.BAD_JSON, ""),
    (b'{"text": "a"} trailing', base.BAD_JSON, ""),
    (b'{"text": NaN}', base.BAD_JSON, ""),
    (b'{"text": "tab\tinside"}', base.BAD_JSON, ""),
    (b'{"text": "nul\x00inside"}', base.BAD_JSON, ""),
    (b"\x00\x00\x00", base.BAD_JSON, ""),
    (b'{"text":' + b"[" * 2000 + b"]" * 2000 + b"}", base.BAD_JSON, "depth"),
    (b'["text"]', base.NOT_AN_OBJECT, "array"),
    (b'"text"', base.NOT_AN_OBJECT, "string"),
    (b"17", base.NOT_AN_OBJECT, "number"),
    (b"true", base.NOT_AN_OBJECT, "boolean"),
    (b"null", base.NOT_AN_OBJECT, "null"),
    (b"{}", base.MISSING_FIELD, "no field 'text'"),
    (b'{"body": "b", "title": "t"}', base.MISSING_FIELD, "it has: body, title"),
    (b'{"Text": "b"}', base.MISSING_FIELD, "it has: Text"),
    (b'{"text": null}', base.MISSING_FIELD, "null"),
    (b'{"text": ""}', base.EMPTY_TEXT, ""),
    (b'{"text": " \\n\\t\\u00a0\\u2003"}', base.EMPTY_TEXT, ""),
    (b'{"text": 17}', base.WRONG_TYPE, "int"),
    (b'{"text": 1.5}', base.WRONG_TYPE, "float"),
    (b'{"text": true}', base.WRONG_TYPE, "bool"),
    (b'{"text": ["a"]}', base.WRONG_TYPE, "list"),
    (b'{"text": {"a": "b"}}', base.WRONG_TYPE, "dict"),
    (b'{"text": "caf\xe9"}', base.INVALID_UTF8, "UTF-8"),
    (b'{"text": "\xed\xa0\x80"}', base.INVALID_UTF8, ""),
    (b'{"text": "\xc0\xaf"}', base.INVALID_UTF8, ""),
    (b'{"text": "\xf5\x80\x80\x80"}', base.INVALID_UTF8, ""),
    (b"\xff\xfe{\x00", base.INVALID_UTF8, ""),
    (b"\x1f\x8b\x08\x00binary", base.INVALID_UTF8, ""),
    (b'{"text": "\\ud800"}', base.LONE_SURROGATE, "surrogate"),
    (b'{"text": "\\udc00 low"}', base.LONE_SURROGATE, ""),
    (b'{"text": "a", "x": "\\ud83d"}', base.LONE_SURROGATE, ""),
    (b'{"text": "a\\u0000b"}', base.NUL_CHARACTER, "'text'"),
    (b'{"text": "a", "author": "b\\u0000"}', base.NUL_CHARACTER, "'author'"),
    (b'{"text": "a", "id": "\\u0000"}', base.NUL_CHARACTER, "'id'"),
    (b'{"text": "a", "origin": "humann"}', base.WRONG_TYPE, "human, synthetic, mixed, unknown"),
    (b'{"text": "a", "origin": 7}', base.WRONG_TYPE, "'origin' is 7"),
    (b'{"text": "a", "origin": ["human"]}', base.WRONG_TYPE, "origin"),
    (b'{"text": "a", "generation": "one"}', base.WRONG_TYPE, "generation"),
    (b'{"text": "a", "generation": "1"}', base.CONTRADICTION, "'human' with generation 1"),
    (b'{"text": "a", "generation": "' + b"9" * 5000 + b'"}', base.WRONG_TYPE, "generation"),
    (b'{"text": "a", "generation": 1.0}', base.WRONG_TYPE, "generation"),
    (b'{"text": "a", "generation": true}', base.WRONG_TYPE, "generation"),
    (b'{"text": "a", "origin": "synthetic", "generation": 4294967296}', base.WRONG_TYPE, "generation"),
    (b'{"text": "a", "generation": 1}', base.CONTRADICTION, "'human' with generation 1"),
    (b'{"text": "a", "origin": "synthetic", "generation": 0}', base.CONTRADICTION, "generation 0"),
    (b'{"text": "a", "origin": "mixed", "generation": -1}', base.CONTRADICTION, "negative"),
    (b'{"text": "a", "origin": "unknown", "generation": 2}', base.CONTRADICTION, "unknown"),
    (b'{"text": "a", "model": "gpt-x"}', base.CONTRADICTION, "model 'gpt-x'"),
    (b'{"text": "a", "author": 17}', base.WRONG_TYPE, "'author' is int"),
    (b'{"text": "a", "url": ["x"]}', base.WRONG_TYPE, "'url' is list"),
    (b'{"text": "a", "id": 1.5}', base.WRONG_TYPE, "'id' is float"),
    (b'{"text": "a", "id": true}', base.WRONG_TYPE, "'id' is bool"),
    (b'{"text": "a", "date": "yesterday"}', base.WRONG_TYPE, "ISO 8601"),
    (b'{"text": "a", "date": "2020-13-01"}', base.WRONG_TYPE, "ISO 8601"),
    (b'{"text": "a", "date": 20200101}', base.WRONG_TYPE, "20200101"),
    (b'{"text": "a", "date": {}}', base.WRONG_TYPE, "ISO 8601"),
    (b'{"text": "a", "date": "0001-01-01T00:00:00+14:00"}', base.WRONG_TYPE, "ISO 8601"),
    (b'{"text": "a", "date": "9999-12-31T23:59:59-14:00"}', base.WRONG_TYPE, "ISO 8601"),
    (b'{"text": "a", "parent": "no id"}', base.WRONG_TYPE, "'parent' is 'no id'"),
    (b'{"text": "a", "parent": [17]}', base.WRONG_TYPE, "parent"),
    (b'{"text": "a", "parent": {"relation": "edit"}}', base.WRONG_TYPE, "parent"),
    (b'{"text": "a", "x": ' + b"[" * 400 + b"]" * 400 + b"}", base.WRONG_TYPE, "metadata"),
)


#: Reasons that other readers have: lines of JSON have no rows, no payload, and no other file behind them;
#: and nothing is taken down in these stores.
NOT_OF_LINES = {base.BAD_ROW, base.BAD_RECORD, base.NO_TEXT, base.UNREADABLE, base.TAKEN_DOWN}


def test_there_is_a_bad_line_for_every_reason() -> None:
    found = {reason for _, reason, _ in BAD} | {base.TOO_LARGE}
    assert found.isdisjoint(NOT_OF_LINES)
    assert found | NOT_OF_LINES == set(REASONS)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_all_at_once(store: Store, tmp_path: Path, suffix: str) -> None:
    lines = [line for bad, _, _ in BAD for line in (bad, GOOD.replace(b"good", b"%d" % len(bad)))]
    path = write_lines(tmp_path / f"bad{suffix}", lines)
    report = ingest_paths(store, path)
    n_good = len(set(lines[1::2]))
    assert report.counts.n_read == len(lines)
    assert report.counts.n_inserted == n_good
    assert report.counts.n_quarantined == len(BAD)
    assert report.counts.n_bytes == sum(len(line) + 1 for line in lines)
    found = {row["place"]: row for row in rows(store, "SELECT * FROM quarantined")}
    for i, (line, reason, detail) in enumerate(BAD):
        row = found[f"line {2 * i + 1}"]
        assert (row["raw"], row["reason"], row["part"], row["n_bytes"]) == (line, reason, 0, len(line)), line
        assert detail in (row["detail"] or ""), row["detail"]
        assert (row["file"], row["source"], str(row["ingest"])) == (str(path), "books", str(report.ingest_id))
    assert len(found) == len(BAD)
    assert violations(store) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{"text":"a"}\r\n\r\n{"text":"b"}\r\n', ["a", "b"], id="CRLF"),
        pytest.param(b'\xef\xbb\xbf{"text":"a"}\n{"text":"b"}', ["a", "b"], id="byte order mark, no last line break"),
        pytest.param(b'\n\n  \n\t\n{"text":"a"}\n\n \r\n\n', ["a"], id="blank lines"),
        pytest.param(b"", [], id="empty file"),
        pytest.param(b"\n", [], id="one line break"),
        pytest.param(b"\xef\xbb\xbf", [], id="nothing but a byte order mark"),
        pytest.param(b"\xef\xbb\xbf\n", [], id="a byte order mark and a line break"),
        pytest.param(b'{"text":"a\xe2\x80\xa8b"}\n', ["a\u2028b"], id="a line separator is no line break"),
        pytest.param(b'{"text":"a\\nb"}\n', ["a\nb"], id="an escaped line break"),
        pytest.param(b'{"text":"a\x7f\xef\xbb\xbf"}', ["a\x7f\ufeff"], id="odd characters are kept"),
        pytest.param(b'   {"text" : "a"}   \n', ["a"], id="spaces around"),
        pytest.param(b'{"text":"\\ud83d\\ude00"}\n', ["😀"], id="an escaped surrogate pair"),
    ],
)  # fmt: skip
def test_what_is_no_fault(store: Store, tmp_path: Path, data: bytes, expected: list[str]) -> None:
    path = tmp_path / "fine.jsonl"
    path.write_bytes(data)
    counts = ingest_paths(store, path).counts
    assert texts(store) == expected
    assert (counts.n_read, counts.n_quarantined) == (len(expected), 0)
    assert counts.n_bytes == len(data)


def test_a_byte_order_mark_in_the_middle_is_a_fault(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [GOOD, b"\xef\xbb\xbf" + GOOD])
    assert ingest_paths(store, path).reasons == {base.BAD_JSON: 1}


def test_the_byte_order_mark_is_kept_with_a_bad_first_line(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [b'\xef\xbb\xbf{"no": "text"}', b"\xef\xbb\xbf"])
    ingest_paths(store, path)
    assert [row["raw"] for row in rows(store, "SELECT raw FROM quarantined ORDER BY place")] == [
        b'\xef\xbb\xbf{"no": "text"}', b"\xef\xbb\xbf",
    ]  # fmt: skip


def test_carriage_returns_are_kept_with_a_bad_line(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"bad\r\n")
    ingest_paths(store, path)
    assert rows(store, "SELECT raw FROM quarantined") == [{"raw": b"bad\r"}]


def test_compressions_give_the_same_documents(make_store: Maker, tmp_path: Path) -> None:
    lines: list[Any] = [{"text": f"number {i}", "id": i} for i in range(50)] + [b"bad", b""]
    found = []
    for i, name in enumerate(
        ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.jsonl.bz2", "a.jsonl.xz", "a.ndjson", "A.JSON.GZ", "a.jsonlines",
         "a.b.json")
    ):  # fmt: skip
        folder = tmp_path / str(i)
        folder.mkdir()
        path = folder / name
        write_lines(path, lines)
        if path.suffix in (".bz2", ".xz"):
            path.write_bytes((bz2 if path.suffix == ".bz2" else lzma).compress(path.read_bytes()))
        store = make_store(f"{i}.duckdb")
        counts = ingest_paths(store, path).counts
        assert (counts.n_read, counts.n_inserted, counts.n_quarantined) == (51, 50, 1)
        assert rows(store, "SELECT sha256 FROM ingest_file") == [{"sha256": sha256(path.read_bytes()).hexdigest()}]
        of_the_file = ["file", "size_bytes", "stamp", "sha256"]
        found.append(dump(store, without=["ingest", "ingest_id", "quarantine_id", *of_the_file]))
    assert all(one == found[0] for one in found)


def test_several_members_are_one_file(store: Store, tmp_path: Path) -> None:
    """Concatenated gzip members and zstd frames (pigz, pzstd, cat) are read to the end."""
    for suffix in (".gz", ".zst"):
        path = tmp_path / f"parts.jsonl{suffix}"
        first, second = (compressed(b'{"text":"%s %d"}\n' % (suffix[1:].encode(), i), path) for i in range(2))
        skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" if suffix == ".zst" else b""
        path.write_bytes(skipped + first + skipped + second)
        assert ingest_paths(store, path).counts.n_inserted == 2
    assert texts(store) == ["gz 0", "gz 1", "zst 0", "zst 1"]


# ---------------------------------------------------------------- too large


@pytest.mark.parametrize("length", [99, 100, 101, 199, 200, 201, 1000])
@pytest.mark.parametrize("chunk_bytes", [1, 7, 100, 8 << 20])
@pytest.mark.parametrize("last", [False, True])
def test_long_lines(tmp_path: Path, length: int, chunk_bytes: int, last: bool) -> None:
    """A line above the limit is refused in parts of the limit that make up the line; one of the limit is taken."""
    line = line_of(length)
    path = tmp_path / "long.jsonl"
    path.write_bytes(GOOD + b"\n" + line + (b"" if last else b"\n" + GOOD + b"\n"))
    options = ReadOptions(max_record_bytes=100, chunk_bytes=chunk_bytes)
    assert sum(block.n_bytes for block in JsonLinesReader().blocks(Input(str(path)), options)) == path.stat().st_size
    chunks = list(read_chunks(JsonLinesReader(), path, options))
    refused = [one for chunk in chunks for one in chunk.refused]
    places = [place for chunk in chunks for place in chunk.places]
    if length <= 100:
        assert refused == []
        assert places == ["line 1", "line 2", "line 3"][: 2 if last else 3]
        return
    assert places == ["line 1"] if last else ["line 1", "line 3"]
    assert {(one.place, one.reason) for one in refused} == {("line 2", base.TOO_LARGE)}
    assert [one.part for one in refused] == list(range(len(refused)))
    assert [len(one.raw) for one in refused[:-1]] == [100] * (len(refused) - 1)
    assert 0 < len(refused[-1].raw) <= 100
    assert b"".join(one.raw for one in refused) == line
    assert "longer than 100 bytes" in str(refused[0].detail)


def line_of(length: int) -> bytes:
    head, tail = b'{"text": "', b'"}'
    return head + b"x" * (length - len(head) - len(tail)) + tail


def test_long_lines_in_the_store(store: Store, tmp_path: Path) -> None:
    lines = [GOOD, line_of(100), line_of(101), line_of(1000), GOOD.replace(b"good", b"better")]
    path = write_lines(tmp_path / "long.jsonl", lines)
    report = ingest_paths(store, path, options=IngestOptions(max_record_bytes=100))
    assert (report.counts.n_read, report.counts.n_inserted, report.counts.n_quarantined) == (5, 3, 2)
    assert report.reasons == {base.TOO_LARGE: 2}
    parts = rows(store, "SELECT place, part, raw FROM quarantined ORDER BY place, part")
    assert [(part["place"], part["part"]) for part in parts] == [
        *(("line 3", i) for i in range(2)), *(("line 4", i) for i in range(10)),
    ]  # fmt: skip
    assert b"".join(part["raw"] for part in parts) == lines[2] + lines[3]


def test_a_large_text_from_memory_is_refused_whole(store: Store) -> None:
    """There the text is measured, not the line."""
    text = "é" * (8 << 20)
    assert ingest(store, [{"text": text}, {"text": text + "x"}]).reasons == {base.TOO_LARGE: 1}
    assert count(store, "document") == 1


def test_records_of_a_program_may_hold_anything(store: Store) -> None:
    records: list[dict[Any, Any]] = [
        {"text": "\ud800"}, {"t\ud800": 1}, {"text": "a", "k\ud800": 1}, {"text": "a", "x": 2**80},
        {"text": "a", "author": "\udfff"}, {"text": "a", "origin": "\ud800"}, {"text": b"bytes"},
        {"text": "fine", "x": {1, 2}, 3: "three", "nan": float("nan")},
    ]  # fmt: skip
    counts = ingest(store, records).counts
    assert (counts.n_read, counts.n_inserted, counts.n_quarantined) == (8, 1, 7)
    assert texts(store) == ["fine"]
    assert all(row["raw"] for row in rows(store, "SELECT raw FROM quarantined"))
