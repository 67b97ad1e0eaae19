"""Laws of the readers of text: any bytes give records or refusals, nothing is lost, blocks change nothing."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provenance.errors import FieldMissing, UnreadableFile
from provenance.ingest.readers.base import BAD_ROW, Reader
from provenance.ingest.readers.csv import CsvReader
from provenance.ingest.readers.gutenberg import GutenbergReader
from provenance.ingest.readers.streams import compression_of
from provenance.ingest.readers.text import TextReader
from provenance.ingest.readers.wikitext import WikiTextReader
from tests.reading import Outcome, check_rereading, line_numbers, read
from tests.strategies import PIECES

# ---------------------------------------------------------------- files

CELLS = st.lists(
    st.sampled_from((*PIECES, '"', '""', ",", ";", "\t", "|", "\n", "\r\n", "\0", "a", "b")), max_size=5
).map("".join)


@st.composite
def tables(draw: st.DrawFn, *, cells: st.SearchStrategy[str] = CELLS, min_columns: int = 1) -> dict[str, Any]:
    """Return a random table with the CSV that Python's own writer makes of it."""
    names = ["text", *(f"c{i}" for i in range(1, draw(st.integers(min_columns, 4))))]
    rows = draw(st.lists(st.lists(cells, min_size=len(names), max_size=len(names)), max_size=8))
    delimiter = draw(st.sampled_from(",;\t|")) if len(names) > 1 else ","
    ending = draw(st.sampled_from(["\r\n", "\n"]))
    out = io.StringIO(newline="")
    # The writer quotes carriage returns only where they are part of the line's end.
    quoting = csv.QUOTE_ALL if ending == "\n" else draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows([names, *rows])
    return {"names": names, "rows": rows, "delimiter": delimiter, "ending": ending, "data": out.getvalue().encode()}


_WIKI_LINES = (
    " = Title = ", " = = Section = = ", " = x = y = ", " A sentence , with an <unk> . ", " ", "", " = = = Deep = = = ",
    "=", " = = ", " = ", " Ünï . ", "\ufeff",
)  # fmt: skip
_BOOK_LINES = (
    "The Project Gutenberg eBook of A Book, by Somebody", "Title: A Book", "Author: Somebody", "        Another", "",
    "", "Release date: May 1, 2001 [eBook #123]", "Original publication: London, 1867",  "Café",
    "Character set encoding: ISO-8859-1",
    "*** START OF THE PROJECT GUTENBERG EBOOK A BOOK ***", "*** END OF THE PROJECT GUTENBERG EBOOK A BOOK ***",
    "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*", "Produced by Nobody", "It was a text.",
    "End of Project Gutenberg's A Book, by Somebody", "Project Gutenberg Literary Archive Foundation", "* * * *", "***",
)  # fmt: skip
_NOTE_LINES = ("# Heading #", "Heading", "=======", "---", "```", "    # code", "text", "", "#", "###### six", "\ufeff")
_CSV_LINES = (
    "a,text", "1,x", '"1","x"', '1,"open', 'close",2', '"a""b",2', "1,2,3", "1", "", ",", '5",6', '"', '"",""', '","',
)  # fmt: skip

FILES = {
    CsvReader(): (_CSV_LINES, "a.csv", b"a,text\n"),
    WikiTextReader(): (_WIKI_LINES, "wiki.x.tokens", b" = T = \n \n"),
    GutenbergReader(): (_BOOK_LINES, "book.txt", b""),
    TextReader(): (_NOTE_LINES, "note.md", b""),
}
READERS = [pytest.param(reader, *rest, id=reader.name) for reader, rest in FILES.items()]


@st.composite
def spoilt(draw: st.DrawFn, lines: tuple[str, ...], begin: bytes) -> bytes:
    """Return a file of plausible lines, some of its bytes replaced, removed or added."""
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    data = begin * draw(st.booleans()) + ending.join(draw(st.lists(st.sampled_from(lines), max_size=25))).encode()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        new = draw(st.sampled_from([b"", b'"', b"\n", b"\r", b"\xff", b"\0", b"\xe2\x82", b" ", b",", b"=", b"*"]))
        data = data[:at] + new + data[at + draw(st.integers(0, 2)) :]
    other = draw(st.one_of(st.just(data), st.just(data), st.just(data), st.binary(max_size=60)))
    assume(compression_of(other) is None)
    return other


def check_outcome(reader: Reader, path: Path, data: bytes, limit: int) -> Outcome:
    found = read(reader, path, max_record_bytes=limit)
    assert found.error is None or isinstance(found.error, UnreadableFile | FieldMissing)
    for chunk_bytes in (1, 5, 64):
        again = read(reader, path, max_record_bytes=limit, chunk_bytes=chunk_bytes)
        assert again.same_as() == found.same_as()
    check_rereading(reader, path, found, max_record_bytes=limit)
    if found.error is None:
        assert found.n_bytes == len(data)
    assert all(len(raw) <= limit for raw in found.raws)
    return found


# ---------------------------------------------------------------- laws of all


@pytest.mark.parametrize(("reader", "lines", "name", "begin"), READERS)
@given(data=st.data())
def test_whatever_the_bytes(
    tmp_path: Path, reader: Reader, lines: tuple[str, ...], name: str, begin: bytes, data: st.DataObject
) -> None:
    raw = data.draw(spoilt(lines, begin))
    path = tmp_path / name
    path.write_bytes(raw)
    limit = data.draw(st.sampled_from([1, 7, 40, 200, 1 << 20]))
    found = check_outcome(reader, path, raw, limit)
    if found.error is not None:
        return
    if reader.name in ("csv", "wikitext"):
        numbers = line_numbers(found)
        assert numbers == sorted(set(numbers))
        check_nothing_is_lost(found, raw, has_header=reader.name == "csv")
    else:
        assert [kept for _, kept in found.order] == [raw]


def check_nothing_is_lost(found: Outcome, raw: bytes, *, has_header: bool) -> None:
    """Check that the kept bytes are the file, but for blank lines and the header, and that places are right."""
    lines = without_mark(raw).split(b"\n")
    kept = [(place, without_mark(one).split(b"\n")) for place, one in found.order]
    filled = [line for line in lines if line.strip()]
    filled_kept = [line for _, one in kept for line in one if line.strip()]
    n_header = len(filled) - len(filled_kept) if has_header else 0
    assert n_header >= has_header
    assert filled_kept == filled[n_header:]
    for place, one in kept:
        assert lines[int(place.removeprefix("line ")) - 1].startswith(one[0])


def without_mark(raw: bytes) -> bytes:
    return raw.removeprefix(b"\xef\xbb\xbf")


# ---------------------------------------------------------------- CSV


@given(table=tables(), limit=st.sampled_from([1 << 10, 1 << 20]))
def test_tables_come_out_as_they_went_in(tmp_path: Path, table: dict[str, Any], limit: int) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(table["data"])
    found = check_outcome(CsvReader(), path, table["data"], limit)
    assert (found.error, found.refused) == (None, [])
    names = table["names"]
    kept = [
        {name: cell for name, cell in zip(names, row, strict=True) if cell or name == "text"} for row in table["rows"]
    ]
    assert found.records == kept
    ending = table["ending"].encode()
    body = ending.join(raw.removesuffix(b"\r") for raw in found.raws)
    header = table["data"].partition(ending)[0]
    assert header + ending + body + ending * bool(body) == table["data"]


SINGLE_LINES = CELLS.map(lambda text: text.replace("\n", "").replace("\r", ""))


@given(table=tables(cells=SINGLE_LINES, min_columns=2), data=st.data())
def test_one_wrong_quote_costs_one_row(tmp_path: Path, table: dict[str, Any], data: st.DataObject) -> None:
    lines = table["data"].split(b"\n")[:-1]
    if len(lines) < 2:
        return
    path = tmp_path / "table.csv"
    path.write_bytes(table["data"])
    before = read(CsvReader(), path).records
    spoilt_row = data.draw(st.integers(1, len(lines) - 1))
    line = lines[spoilt_row]
    at = data.draw(st.integers(0, len(line.removesuffix(b"\r"))))
    if line[at : at + 1] == b'"' and data.draw(st.booleans()):
        lines[spoilt_row] = line[:at] + line[at + 1 :]
    else:
        lines[spoilt_row] = line[:at] + b'"' + line[at:]
    path.write_bytes(b"\n".join(lines) + b"\n")
    found = read(CsvReader(), path)
    assert found.reasons == [(f"line {spoilt_row + 1}", BAD_ROW)]
    del before[spoilt_row - 1]
    assert found.records == before
