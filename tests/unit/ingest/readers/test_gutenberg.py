"""Project Gutenberg: nothing of its boilerplate stays, what the header states is kept."""

from __future__ import annotations

import re
from pathlib import Path

import ingest_gutenberg
import pytest

from provenance.ingest.inputs import Input
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import BAD_RECORD, INVALID_UTF8, TOO_LARGE, UNREADABLE
from provenance.ingest.readers.gutenberg import GutenbergReader
from provenance.ingest.readers.gutenberg_header import read_header
from provenance.ingest.readers.text import TextReader
from provenance.store.store import Store
from tests.factories import rows, violations
from tests.reading import Outcome, check_rereading, read

READER = GutenbergReader()

STORY = "CHAPTER I.\n\nThe lamp in the window had been lit\nsince noon -- nobody knew why.\n\nTHE END"
FOOTER = (
    "\n\n\n\nUpdated editions will replace the previous one.\n\nSTART: FULL LICENSE\n\n"
    "THE FULL PROJECT GUTENBERG LICENSE\n\nSection 1. General Terms\n\n"
    "The Project Gutenberg Literary Archive Foundation is here to help.\n"
)

MODERN = (
    "The Project Gutenberg eBook of The Lamp\n    \n"
    "This ebook is for the use of anyone anywhere, see the Project Gutenberg License included.\n\n"
    "Title: The Lamp\n       or, A Light at Noon\n\n"
    "Author: Ada Brown\n        Charles Dunn\n\n"
    "Translator: Eva Frost\n\n"
    "Release date: June 1, 1998 [eBook #1342]\n                Most recently updated: October 29, 2020\n\n"
    "Language: English\n\n"
    "Original publication: London: Green & Sons, 1813\n\n"
    "Credits: Some Volunteer and\n         another one\n\n\n"
    "*** START OF THE PROJECT GUTENBERG EBOOK THE LAMP ***\n\n\n\n"
    f"{STORY}\n\n\n*** END OF THE PROJECT GUTENBERG EBOOK THE LAMP ***{FOOTER}"
)

#: As files were from about 2003 to 2020: credits below the start, a line of words above the end.
MIDDLE = (
    "\ufeffProject Gutenberg's The Lamp, by Ada Brown\n\n"
    "This eBook is for the use of anyone anywhere at no cost\n\n\n"
    "Title: The Lamp\n\nAuthor: Ada Brown\n\nPosting Date: March 12, 2009 [EBook #76]\n"
    "Release Date: July, 1991\nLast Updated: March 15, 2018\n\nLanguage: English\n\n"
    "Character set encoding: UTF-8\n\n"
    "*** START OF THIS PROJECT GUTENBERG EBOOK THE LAMP, WITH A TITLE\nOVER TWO LINES ***\n\n\n\n\n"
    "Produced by Some Volunteer and the Online Distributed\nProofreading Team at https://www.pgdp.net\n\n\n"
    "E-text prepared by Another Volunteer\n\n\n"
    f"{STORY}\n\n\n\n\nEnd of Project Gutenberg's The Lamp, by Ada Brown\n\n"
    f"*** END OF THIS PROJECT GUTENBERG EBOOK THE LAMP ***\n\n***** This file should be named 76.txt *****{FOOTER}"
)

#: As files were in the nineties: no fields, and the small print above the text.
OLD = (
    "**The Project Gutenberg Etext of The Lamp, by Ada Brown**\n#3 in our series by Ada Brown\n\n"
    "Copyright laws are changing all over the world, be sure to check.\n\n"
    "The Lamp\n\nby Ada Brown\n\nJuly, 1993  [Etext #76]\n\n"
    '***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\nWhy is this "Small Print!" here?\n'
    "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n\n\n"
    f"{STORY}\n\n\n\nEnd of The Project Gutenberg Etext of The Lamp, by Ada Brown\n\n"
)


def outcome_of(tmp_path: Path, data: bytes | str, name: str = "76.txt", **options: int) -> Outcome:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    found = read(READER, path, **options)
    assert read(READER, path, chunk_bytes=7, **options).same_as() == found.same_as()
    check_rereading(READER, path, found, **options)
    assert len(found.order) == 1
    return found


def test_a_modern_file(tmp_path: Path) -> None:
    (record,) = outcome_of(tmp_path, MODERN).records
    assert record == {
        "text": STORY,
        "id": "1342",
        "title": "The Lamp or, A Light at Noon",
        "author": "Ada Brown; Charles Dunn",
        "date": "1813",
        "uri": "https://www.gutenberg.org/ebooks/1342",
        "metadata": {
            "ebook": "1342",
            "translator": "Eva Frost",
            "language": "English",
            "credits": "Some Volunteer and another one",
            "released": "June 1, 1998",
            "updated": "October 29, 2020",
            "original_publication": "London: Green & Sons, 1813",
            "path": str(tmp_path / "76.txt"),
        },
    }


def test_a_file_of_the_middle_years(tmp_path: Path) -> None:
    (record,) = outcome_of(tmp_path, MIDDLE).records
    assert (record["text"], record["id"], record["title"], record["author"]) == (STORY, "76", "The Lamp", "Ada Brown")
    assert "date" not in record, "the release says nothing about when it was written"
    metadata = record["metadata"]
    assert (metadata["released"], metadata["updated"]) == ("July, 1991", "March 15, 2018")
    assert metadata["credits"] == (
        "Produced by Some Volunteer and the Online Distributed Proofreading Team at https://www.pgdp.net "
        "E-text prepared by Another Volunteer"
    )


def test_a_file_of_the_nineties(tmp_path: Path) -> None:
    (record,) = outcome_of(tmp_path, OLD).records
    assert (record["text"], record["id"], record["title"], record["author"]) == (STORY, "76", "The Lamp", "Ada Brown")


@pytest.mark.parametrize("data", [MODERN, MIDDLE, OLD])
def test_line_ends_stay_and_no_boilerplate(tmp_path: Path, data: str) -> None:
    (record,) = outcome_of(tmp_path, data.replace("\n", "\r\n")).records
    assert record["text"] == STORY.replace("\n", "\r\n")
    assert record["title"].startswith("The Lamp") and "\r" not in str(record["metadata"])
    assert not re.search("gutenberg|volunteer|small print", record["text"], re.IGNORECASE)


@pytest.mark.parametrize(
    ("end", "note"),
    [
        ("*** END OF THE PROJECT GUTENBERG EBOOK X ***\nlicence", None),
        ("***END OF THIS PROJECT GUTENBERG EBOOK***", None),
        ("End of the Project Gutenberg EBook of X", None),
        ("  End of Project Gutenberg's X, by Y", None),
        ("The End of the Project Gutenberg Etext of X", None),
        ("*** START: FULL LICENSE ***\nlicence", None),
        ("Updated editions will replace the previous one", None),
        ("", "no mark at the end of the text"),
    ],
)
def test_ends(tmp_path: Path, end: str, note: str | None) -> None:
    begin = MODERN[: MODERN.index("THE LAMP ***")] + "X\n\n"
    (record,) = outcome_of(tmp_path, f"{begin}{STORY}\n\n{end}").records
    assert record["text"] == STORY
    assert record["metadata"].get("note") == note


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ("A talk about Project Gutenberg.\n", "no line `*** START OF THE PROJECT GUTENBERG EBOOK` or the like"),
        (MODERN.replace("*** START", "START"), "no line `*** START OF THE PROJECT GUTENBERG EBOOK` or the like"),
        (MODERN.replace(STORY, "\n"), "nothing stands between the marks"),
        (MODERN + MODERN, "more than one text of Project Gutenberg, expected one a file"),
        (MODERN.replace("noon", "noon, says the Project Gutenberg-tm License,"), "words of the licence stand inside"),
    ],
)
def test_refused(tmp_path: Path, data: str, detail: str) -> None:
    found = outcome_of(tmp_path, data)
    ((refused, _),) = found.refused
    assert (refused.place, refused.reason, refused.raw) == ("whole file", BAD_RECORD, data.encode())
    assert refused.detail is not None and refused.detail.startswith(detail)


def test_too_large_and_unreadable(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, MODERN, max_record_bytes=300)
    assert found.reasons == [("whole file", TOO_LARGE)]
    path = tmp_path / "76.txt.gz"
    path.write_bytes(b"\x1f\x8b\x08")
    assert read(READER, path).reasons == [("whole file", UNREADABLE)]


@pytest.mark.parametrize(
    ("declared", "codec"),
    [("ISO-8859-1", "latin-1"), ("ISO Latin-1", "latin-1"), ("ISO-8859-2", "iso8859-2"), ("Windows-1252", "cp1252")],
)
def test_files_that_declare_their_encoding(tmp_path: Path, declared: str, codec: str) -> None:
    text = MIDDLE.removeprefix("\ufeff").replace("encoding: UTF-8", f"encoding: {declared}").replace("lamp", "pérë")
    (record,) = outcome_of(tmp_path, text.encode(codec)).records
    assert record["text"] == STORY.replace("lamp", "pérë")
    (record,) = outcome_of(tmp_path, text.encode()).records
    assert record["text"] == STORY.replace("lamp", "pérë"), "UTF-8 is taken for what it is"


@pytest.mark.parametrize("declared", ["UTF-8", "ASCII", "unicode_escape", "zlib", "something else", ""])
def test_files_that_are_not_what_they_declare(tmp_path: Path, declared: str) -> None:
    text = MIDDLE.removeprefix("\ufeff").replace("encoding: UTF-8", f"encoding: {declared}").replace("lamp", "pére")
    ((refused, _),) = outcome_of(tmp_path, text.encode("latin-1")).refused
    assert refused.reason == INVALID_UTF8
    assert refused.detail is not None and refused.detail.startswith("invalid continuation byte at byte ")
    assert refused.detail.endswith(f", and the file declares {declared!r}" if declared else "")


def test_a_copyrighted_book_is_not_in_the_public_domain(tmp_path: Path) -> None:
    data = MODERN.replace("This ebook is", "** This is a COPYRIGHTED Project Gutenberg eBook **\n\nThis ebook is")
    (record,) = outcome_of(tmp_path, data).records
    assert record["licence"] == "LicenseRef-ProjectGutenberg-Copyrighted"


@pytest.mark.parametrize(
    ("name", "content", "reader"),
    [
        ("76.txt", MODERN, GutenbergReader),
        ("76.TXT", OLD, GutenbergReader),
        ("76.txt", "a note", TextReader),
        ("76.md", MODERN, TextReader),
    ],
)
def test_what_is_taken(tmp_path: Path, name: str, content: str, reader: type) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert isinstance(reader_for(Input(str(path))), reader)


@pytest.mark.parametrize(
    ("text", "title", "author"),
    [
        ("The Project Gutenberg EBook of The Lamp, by Ada Brown\n", "The Lamp", "Ada Brown"),
        ("Project Gutenberg Etext of The Lamp by Ada Brown\n", "The Lamp", "Ada Brown"),
        ("Project Gutenberg's The Lamp, by Ada Brown\n", "The Lamp", "Ada Brown"),
        (
            "*The Project Gutenberg Etext of The Lamp\nand the Window, by Ada Brown*\n",
            "The Lamp and the Window",
            "Ada Brown",
        ),
        ("**The Project Gutenberg Etext of The Lamp**\n#3 in our series by Ada Brown\n", "The Lamp", None),
        ("nothing known\n", None, None),
    ],
)
def test_headers_without_fields(text: str, title: str | None, author: str | None) -> None:
    found = read_header(text)
    assert (found.title, found.author) == (title, author)


def test_a_year_is_stated_once_or_not_at_all() -> None:
    assert read_header("Original publication: New York, 1917, reprinted 1918\n").year is None
    assert read_header("Original publication: 12345 copies in 1917, 1917\n").year == "1917"
    assert read_header("Release date: May, 1917\n").year is None


def test_fields_end_where_the_lines_are_not_indented() -> None:
    found = read_header("Author: A\nB: no field\n  not of A\n\nLanguage: English\n\n   Title: Late\nTitle: Later\n")
    assert (found.author, found.title, found.metadata) == ("A", "Late", {"language": "English"})


def test_long_lines_take_no_quadratic_time(tmp_path: Path) -> None:
    for line in (" " * 400_000, "*" * 400_000, "[ " * 200_000, "***START OF THE PROJECT GUTENBERG" + " " * 400_000):
        outcome = read(READER, _written(tmp_path, f"{MODERN[:200]}{line}\nTitle{line}: x\n{MODERN[200:]}{line}"))
        assert len(outcome.order) == 1


def _written(tmp_path: Path, data: str) -> Path:
    path = tmp_path / "long.txt"
    path.write_text(data)
    return path


def test_script(tmp_path: Path) -> None:
    folder, store_path = tmp_path / "books", tmp_path / "books.duckdb"
    folder.mkdir()
    (folder / "1342.txt").write_text(MODERN)
    (folder / "bad.txt").write_text("no book")
    copyrighted = MODERN.replace("Language", "A COPYRIGHTED Project Gutenberg eBook\n\nLanguage")
    (folder / "9.txt").write_text(copyrighted.replace("#1342", "#9").replace("lamp", "shade"))
    assert ingest_gutenberg.main([str(folder), "--store", str(store_path), "--jobs", "1", "--source", "books"]) == 0
    with Store.open(store_path) as store:
        found = rows(store, "SELECT * FROM documents ORDER BY external_id")
        assert [(row["external_id"], row["source"], row["origin"], row["licence_class"]) for row in found] == [
            ("1342", "books", "human", "public-domain"),
            ("9", "books", "human", "proprietary"),
        ]
        assert [row["authored_at"].year for row in found] == [1813, 1813]
        assert [row["reason"] for row in rows(store, "SELECT reason FROM quarantined")] == [BAD_RECORD]
        assert violations(store) == []
