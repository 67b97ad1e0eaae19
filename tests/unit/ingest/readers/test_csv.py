"""CSV and TSV: every row becomes a record or a refusal, whatever the quotes do."""

from __future__ import annotations

import bz2
import csv
import gzip
from pathlib import Path

import pytest

from provenance.errors import FieldMissing, UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import BAD_ROW, EMPTY_TEXT, INVALID_UTF8, NUL_CHARACTER, TOO_LARGE, ReadOptions
from provenance.ingest.readers.csv import CsvReader
from provenance.ingest.readers.row_cutter import MOST_LIMITS
from provenance.ingest.readers.rows import RowSyntax
from provenance.store.store import Store
from tests.factories import ingest_paths, rows, violations
from tests.reading import Outcome, check_rereading, line_numbers, read

READER = CsvReader()


def write(tmp_path: Path, data: bytes | str, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def outcome_of(tmp_path: Path, data: bytes | str, name: str = "table.csv", **options: object) -> Outcome:
    path = write(tmp_path, data, name)
    found = read(READER, path, **options)
    for chunk_bytes in (1, 7):
        assert read(READER, path, chunk_bytes=chunk_bytes, **options).same_as() == found.same_as()
    check_rereading(READER, path, found, **options)
    if found.error is None:
        assert line_numbers(found) == sorted(set(line_numbers(found)))
    return found


# ---------------------------------------------------------------- what is read

TABLE = (
    'id,author,text\n1,Ada,plain text\n2,,"with, a comma and ""quotes"""\n3,Émile,"two\nlines"\n'
    '\n4,Борис,"crlf inside\r\nand out"\r\n'
)


def test_rows_are_records(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, TABLE)
    assert found.records == [
        {"id": "1", "author": "Ada", "text": "plain text"},
        {"id": "2", "text": 'with, a comma and "quotes"'},
        {"id": "3", "author": "Émile", "text": "two\nlines"},
        {"id": "4", "author": "Борис", "text": "crlf inside\r\nand out"},
    ]
    assert found.places == ["line 2", "line 3", "line 4", "line 7"]
    assert found.raws[1] == b'2,,"with, a comma and ""quotes"""'
    assert (found.refused, found.error, found.n_bytes) == ([], None, len(TABLE.encode()))


@pytest.mark.parametrize(
    ("name", "header", "delimiter"),
    [
        ("a.csv", "id,text", ","),
        ("a.csv", "id;text", ";"),
        ("a.csv", "id\ttext", "\t"),
        ("a.csv", "id|text", "|"),
        ("a.csv", '"x;y;z",text,id', ","),
        ("a.csv", "text", ","),
        ("a.tsv", "id,with,commas\ttext", "\t"),
        ("A.TAB", "text", "\t"),
    ],
)
def test_delimiters_are_found(tmp_path: Path, name: str, header: str, delimiter: str) -> None:
    names = next(csv.reader([header], delimiter=delimiter))
    values = [f"v{i}" for i in range(len(names))]
    found = outcome_of(tmp_path, f"{header}\n{delimiter.join(values)}\n", name)
    assert found.records == [dict(zip(names, values, strict=True))]


def test_a_delimiter_that_is_named_counts(tmp_path: Path) -> None:
    assert outcome_of(tmp_path, "a,b:text\n1:x\n", delimiter=":").records == [{"a,b": "1", "text": "x"}]
    assert outcome_of(tmp_path, "id\ttext\n1\tx\n", delimiter="\\t").records == [{"id": "1", "text": "x"}]
    assert outcome_of(tmp_path, "id,text\n1,x\n", "a.tsv", delimiter=",").records == [{"id": "1", "text": "x"}]


@pytest.mark.parametrize("named", ["", '"', "ab", "\n", "§"])
def test_what_cannot_part_columns_is_refused(tmp_path: Path, named: str) -> None:
    error = outcome_of(tmp_path, "id,text\n1,x\n", delimiter=named).error
    assert isinstance(error, UnreadableFile)
    assert "cannot part columns" in str(error)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_compressed(tmp_path: Path, compress: object) -> None:
    assert callable(compress)
    path = write(tmp_path, compress(TABLE.encode()), "table.csv.gz" if compress is gzip.compress else "table.csv.bz2")
    assert isinstance(reader_for(Input(str(path))), CsvReader)
    assert len(read(READER, path).records) == 4


def test_byte_order_mark_and_blank_lines_before_the_header(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, "\ufeff\r\n\nid,text\r\n1,x\r\n\r\n2,y")
    assert found.records == [{"id": "1", "text": "x"}, {"id": "2", "text": "y"}]
    assert found.places == ["line 4", "line 6"]


def test_header_over_several_lines(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, '"a\nb",text\n1,x\n')
    assert (found.records, found.places) == ([{"a\nb": "1", "text": "x"}], ["line 3"])


def test_empty_cells_are_left_out_but_for_columns_that_are_named(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, "text,author,note\n,,\nx,,\n")
    assert found.records == [{"text": ""}, {"text": "x"}]
    found = outcome_of(tmp_path, "text,author,note\nx,,\n", fields=("text", "note"))
    assert found.records == [{"text": "x", "note": ""}]


def test_fields_above_the_limit_of_the_csv_module(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    long = "word, " * 50_000
    assert read(READER, write(tmp_path, f'id,text\n1,"{long}"\n')).records == [{"id": "1", "text": long}]
    assert csv.field_size_limit() == before


# ---------------------------------------------------------------- files that are no table


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"\n\r\n\n", "it is empty"),
        ("id,text\n1,x\n".encode("utf-16"), "UTF-16"),
        (b"id,te\xe4xt\n1,x\n", "its header cannot be read ('utf-8' codec"),
        (b'id,"text\n1,x\n', "its header has a quote that is never closed"),
        (b'id,te"xt"\n1,x\n', "its header cannot be read (a quote stands inside"),
        (b'id,"text"x\n1,x\n', "its header cannot be read"),
        (b"id,text\r1,x\r2,y\r", "a carriage return"),
        (b"id,text,id\n1,x,2\n", "two columns named 'id'"),
        (b"text,,\nx,1,2\n", "two columns named ''"),
        (b'id,text,"' + b"x" * (1 << 20), "does not end within 1,048,576 bytes"),
    ],
)
def test_no_header(tmp_path: Path, data: bytes, said: str) -> None:
    path = write(tmp_path, data)
    found = read(READER, path)
    assert isinstance(found.error, UnreadableFile)
    assert said in str(found.error) and str(path) in str(found.error)
    assert (found.records, found.refused) == ([], [])


def test_a_missing_field_names_those_that_are_there(tmp_path: Path) -> None:
    error = outcome_of(tmp_path, "id,body\n1,x\n").error
    assert isinstance(error, FieldMissing)
    assert (error.field, error.fields) == ("text", ("id", "body"))
    error = outcome_of(tmp_path, "id,text\n1,x\n", fields=("text", "author")).error
    assert isinstance(error, FieldMissing)
    assert error.field == "author"


@pytest.mark.parametrize("chunk_bytes", [100, 1 << 20])
def test_a_cut_off_file_gives_what_stands_before(tmp_path: Path, chunk_bytes: int) -> None:
    lines = [f'{i},"number {i * 7919 % 1000} of,\nmany"' for i in range(3000)]
    data = gzip.compress("\n".join(["id,text", *lines]).encode())
    path = write(tmp_path, data[: len(data) * 2 // 3], "cut.csv.gz")
    found = read(READER, path, chunk_bytes=chunk_bytes)
    assert isinstance(found.error, UnreadableFile)
    assert "damaged or cut off after line" in str(found.error)
    assert [record["id"] for record in found.records] == [str(i) for i in range(len(found.records))]
    assert len(found.records) > 1000
    assert found.refused == []


# ---------------------------------------------------------------- rows that are none


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        (b"1", BAD_ROW, "1 fields, expected 2"),
        (b"1,x,y", BAD_ROW, "3 fields, expected 2"),
        (b'1,5" disk', BAD_ROW, "a quote stands inside a field that is not quoted"),
        (b'1, "x"', BAD_ROW, "a quote stands inside a field that is not quoted"),
        (b'1,"he said "no" to me"', BAD_ROW, "text stands behind a closing quote"),
        (b'1,"x" ', BAD_ROW, "text stands behind a closing quote"),
        (b'1,"backslash \\" quote"', BAD_ROW, "text stands behind a closing quote"),
        (b'1,"never closed', BAD_ROW, "a quote is opened and never closed"),
        (b"1,a\rb", BAD_ROW, "new-line character seen in unquoted field"),
        (b"1,x\xff", INVALID_UTF8, "invalid start byte at byte 3 of the row"),
        (b'1,"x\xe2\x82"', INVALID_UTF8, "invalid continuation byte at byte 4 of the row"),
    ],
)
def test_a_bad_row_costs_one_record(tmp_path: Path, row: bytes, reason: str, detail: str) -> None:
    found = outcome_of(tmp_path, b'id,text\n0,"before"\n%b\n2,after\n3,"and, after"\n' % row)
    ((refused, context),) = found.refused
    assert (refused.place, refused.reason, refused.raw, refused.part) == ("line 3", reason, row, 0)
    assert refused.detail is not None and detail in refused.detail
    assert context == b",id,text"
    assert [record["id"] for record in found.records] == ["0", "2", "3"]
    assert [place for place, _ in found.order] == ["line 2", "line 3", "line 4", "line 5"]


def test_an_unclosed_quote_costs_its_line(tmp_path: Path) -> None:
    good = [f"{i},row {i}" for i in range(200)]
    data = "\n".join(["id,text", *good[:50], '50,"open', *good[51:]]) + "\n"
    for limit in (300, 1 << 20):  # within the limit the quote is open, or up to the end of the file
        found = outcome_of(tmp_path, data, max_record_bytes=limit)
        assert [(one.place, one.raw) for one, _ in found.refused] == [("line 52", b'50,"open')]
        assert [int(record["id"]) for record in found.records] == [*range(50), *range(51, 200)]
    quoted = data.replace("100,row 100", '100,"row 100"')
    found = outcome_of(tmp_path, quoted)
    assert [one.place for one, _ in found.refused] == ["line 52"]
    assert [int(record["id"]) for record in found.records] == [*range(50), *range(51, 200)]


def test_the_lines_of_a_torn_cell_do_not_pass_for_rows(tmp_path: Path) -> None:
    cell = '1,"She said\nwhat nobody "had" heard\nbefore"\n'
    found = outcome_of(tmp_path, f"id,text\n{cell}2,good\n")
    assert [one.raw for one, _ in found.refused] == [b'1,"She said\nwhat nobody "had" heard', b'before"']
    assert found.records == [{"id": "2", "text": "good"}]


def test_an_unclosed_quote_before_a_cell_of_several_lines(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, 'id,text\n1,"open\n2,"of two\nlines"\n3,x\n')
    assert [(one.place, one.raw) for one, _ in found.refused] == [("line 2", b'1,"open')]
    assert found.records == [{"id": "2", "text": "of two\nlines"}, {"id": "3", "text": "x"}]


def test_with_one_column_an_open_quote_is_not_closed_by_guessing(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, 'text\nfine\n"open\nprose\nmore prose\n')
    assert found.records == [{"text": "fine"}]
    assert [one.raw for one, _ in found.refused] == [b'"open\nprose\nmore prose']


# ---------------------------------------------------------------- rows that are too large


def test_too_large_rows_are_kept_in_parts(tmp_path: Path) -> None:
    prose = "one line of it\nand another, with a comma\n" * 20
    large = f'1,"{prose}"'
    data = f"id,text\n0,x\n{large}\n2,y\n3,{'z' * 300}\n4,w"
    found = outcome_of(tmp_path, data, max_record_bytes=200)
    assert [record["id"] for record in found.records] == ["0", "2", "4"]
    assert found.reasons == [("line 3", TOO_LARGE), ("line 45", TOO_LARGE)]
    assert [one.raw for one, _ in found.refused] == [large.encode(), b"3," + b"z" * 300]
    assert {one.detail for one, _ in found.refused} == {"the row is longer than 200 bytes"}
    parts = READER.reread("table.csv", large.encode(), b",id,text", ReadOptions(max_record_bytes=200)).refused
    assert [len(part.raw) for part in parts] == [200] * (len(large) // 200) + [len(large) % 200]
    assert [part.part for part in parts] == list(range(len(parts)))


def test_a_wrong_quote_in_a_line_that_is_too_large_ends_with_the_line(tmp_path: Path) -> None:
    large = b'1,5" disk ' + b"x" * 100
    found = outcome_of(tmp_path, b"id,text\n%b\n2,y\n3,z\n" % large, max_record_bytes=50)
    assert [(one.place, one.reason, one.raw) for one, _ in found.refused] == [("line 2", TOO_LARGE, large)]
    assert [record["id"] for record in found.records] == ["2", "3"]


def test_an_open_quote_does_not_swallow_the_file(tmp_path: Path) -> None:
    # Prose below the quote is no evidence for a mistake, so that the row may be large, but not without end.
    data = 'id,text\n1,"open\n' + "some prose without the right commas\n" * 100 + "2,good\n"
    found = outcome_of(tmp_path, data, max_record_bytes=100)
    first, _ = found.refused[0]
    assert (first.place, first.reason) == ("line 2", TOO_LARGE)
    assert MOST_LIMITS * 100 <= len(first.raw) < MOST_LIMITS * 100 + 40
    assert found.records == [{"id": "2", "text": "good"}]


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.write(b'text\n"open\n')
        for _ in range(300):
            file.write(b"prose and more of it\n" * 5000)
    held = [
        sum(len(one.raw) if hasattr(one, "raw") else len(one.text) for one in block.payload.rows)
        for block in READER.blocks(Input(str(path)), ReadOptions(max_record_bytes=1 << 20))
    ]
    assert sum(held) > 25_000_000
    assert max(held) < 10_000_000


@pytest.mark.parametrize("line", [b'x",y,"z\n', b'a,b,"z\n', b'"a,b,z\n', b'",","\n', b'a,b,z\n"'])
def test_many_wrong_quotes_do_not_make_it_look_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    n_looked = [0]
    scan, are_rows = RowSyntax.scan, RowSyntax.are_rows

    def counting_scan(self: RowSyntax, data: bytes, start: int, end: int) -> tuple[int, str | None]:
        n_looked[0] += scan(self, data, start, end)[0] - start
        return scan(self, data, start, end)

    def counting_rows(self: RowSyntax, text: bytes, *, n_least: int) -> bool:
        n_looked[0] += len(text)
        return are_rows(self, text, n_least=n_least)

    monkeypatch.setattr(RowSyntax, "scan", counting_scan)
    monkeypatch.setattr(RowSyntax, "are_rows", counting_rows)
    body = line * 2000
    found = read(READER, write(tmp_path, b"a,b,text\n" + body), max_record_bytes=len(body) // 3)
    assert b"".join(raw for _, raw in found.order).replace(b"\n", b"") == body.replace(b"\n", b"")
    assert n_looked[0] < 8 * len(body)


# ---------------------------------------------------------------- into the store


def test_ingest(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "books.tsv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["body", "id", "author", "licence", "year", "shelf"])
        writer.writerow(["The first\nbook", "b1", "Ada", "MIT", "1843", "A"])
        writer.writerow(["The second book", "b2", "", "", "", ""])
        writer.writerow(["", "b3", "Ada", "", "", ""])
        writer.writerow([" ", "b4", "Ada", "", "", ""])
        writer.writerow(["a\0b", "b5", "Ada", "", "", ""])
        file.write("ragged\tb6\r\n")
    options = IngestOptions(mapping=FieldMapping(text="body", date="year"), max_quarantined=1)
    counts = ingest_paths(store, path, options=options, licence="CC0-1.0").counts
    assert (counts.n_read, counts.n_inserted, counts.n_quarantined) == (6, 2, 4)
    found = rows(store, "SELECT * FROM documents ORDER BY external_id")
    assert [(row["text"], row["author"], row["licence"]) for row in found] == [
        ("The first\nbook", "Ada", "MIT"),
        ("The second book", None, "CC0-1.0"),
    ]
    assert [row["metadata"] for row in found] == ['{"shelf":"A"}', None]
    assert found[0]["authored_at"].year == 1843
    refused = rows(store, "SELECT place, reason FROM quarantined ORDER BY place")
    assert [tuple(row.values()) for row in refused] == [
        ("line 5", EMPTY_TEXT),
        ("line 6", EMPTY_TEXT),
        ("line 7", NUL_CHARACTER),
        ("line 8", BAD_ROW),
    ]
    assert violations(store) == []


def test_ingest_in_several_processes(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "id,text\n" + "".join(f'{i},"text {i},\nof two lines"\n' for i in range(500)))
    counts = ingest_paths(store, path, options=IngestOptions(chunk_bytes=1000), jobs=2).counts
    assert (counts.n_read, counts.n_inserted) == (500, 500)
