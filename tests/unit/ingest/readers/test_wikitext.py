"""WikiText: articles with titles, told from sections and formulas."""

from __future__ import annotations

import gzip
from pathlib import Path

import ingest_wikitext
import pytest

from provenance.errors import UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import BAD_RECORD, INVALID_UTF8, NO_TEXT, TOO_LARGE, ReadOptions
from provenance.ingest.readers.text import TextReader
from provenance.ingest.readers.wikitext import WikiTextReader
from provenance.store.store import Store
from tests.factories import rows, violations
from tests.reading import Outcome, check_rereading, line_numbers, read

READER = WikiTextReader()

#: In the layout of the corpus: blank lines hold a space, every line begins and ends with one.
ARTICLES = (
    " = Stone bridge = \n \n"
    " The stone bridge , built of <unk> granite , crosses the river at its narrowest point . \n"
    " It replaced a ferry that had run for 140 years . \n \n"
    " = = Design = = \n \n"
    " The load is given by \n = q @-@ value = \n where q is the weight of a cart , and : \n"
    " = Ties , A = \n Arches \n \n"
    " = = = Arches = = = \n \n"
    " Of the five arches , two were rebuilt . \n \n \n",
    " = <unk> = \n \n A short article about nothing in particular . \n \n \n",
    " = Señal = Noise ( album ) = \n \n"
    " The second album of the band was recorded in three days @,@ 1 @.@ 5 of them at night . \n \n"
    " = = <unk> = = \n \n Critics liked it . \n",
)
FILE = " \n" + "".join(ARTICLES)
PLACES = [f"line {FILE[: FILE.index(article)].count(chr(10)) + 1}" for article in ARTICLES]


def outcome_of(tmp_path: Path, data: bytes | str, name: str = "wiki.test.tokens", **options: int) -> Outcome:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    found = read(READER, path, **options)
    for chunk_bytes in (1, 50, 1200):
        assert read(READER, path, chunk_bytes=chunk_bytes, **options).same_as() == found.same_as()
    check_rereading(READER, path, found, **options)
    assert line_numbers(found) == sorted(set(line_numbers(found)))
    return found


def test_articles(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, FILE)
    assert [record["title"] for record in found.records] == ["Stone bridge", "<unk>", "Señal = Noise ( album )"]
    assert [record["id"] for record in found.records] == [f"wiki.test.tokens#{i}" for i in (1, 2, 3)]
    assert [record["text"] for record in found.records] == [article.rstrip() for article in ARTICLES]
    assert found.raws == [article.encode() for article in ARTICLES]
    assert found.places == PLACES
    assert (found.refused, found.error, found.n_bytes) == ([], None, len(FILE.encode()))


@pytest.mark.parametrize("begin", ["", " \n", "\n\n\n", "\ufeff", "\ufeff \n", "\r\n \r\n"])
@pytest.mark.parametrize("end", ["", " \n \n", "\n"])
def test_begins_and_ends(tmp_path: Path, begin: str, end: str) -> None:
    found = outcome_of(tmp_path, begin + ARTICLES[1].rstrip("\n ") + end)
    assert [(record["title"], record["text"]) for record in found.records] == [("<unk>", ARTICLES[1].rstrip())]
    assert found.refused == []


def test_line_ends_of_windows(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, FILE.replace("\n", "\r\n"))
    assert [record["title"] for record in found.records] == ["Stone bridge", "<unk>", "Señal = Noise ( album )"]
    assert found.places == PLACES


def test_ids_are_of_the_name_without_folder_and_compression(tmp_path: Path) -> None:
    path = tmp_path / "Wiki.train.raw.gz"
    path.write_bytes(gzip.compress(FILE.encode()))
    assert isinstance(reader_for(Input(str(path))), WikiTextReader)
    assert read(READER, path).records[1]["id"] == "Wiki.train.raw#2"


@pytest.mark.parametrize(
    ("name", "content", "is_taken"),
    [
        ("wiki.valid.tokens", "", True),
        ("corpus.wikitext", "", True),
        ("train.txt", FILE, True),
        ("train.txt", FILE.removeprefix(" \n"), True),
        ("train.txt", "An essay\n\n = Title = \n\ntext", False),
        ("train.txt", " = = Section = = \n \n text", False),
        ("wiki.md", FILE, False),
    ],
)
def test_what_is_taken(tmp_path: Path, name: str, content: str, is_taken: bool) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert isinstance(reader_for(Input(str(path))), WikiTextReader if is_taken else TextReader)


def test_refused(tmp_path: Path) -> None:
    before = "Licence and other words\n \n = = Section = = \n \n"
    empty = " = Empty = \n \n \n"
    broken = b" = Br\xf6ken = \n \n Text . \n \n"
    data = before.encode() + empty.encode() + broken + ARTICLES[1].encode() + b" = Last = "
    found = outcome_of(tmp_path, data)
    assert [record["id"] for record in found.records] == ["wiki.test.tokens#3"]
    assert [(one.place, one.reason, one.raw) for one, _ in found.refused] == [
        ("line 1", BAD_RECORD, before.encode()),
        ("line 5", NO_TEXT, empty.encode()),
        ("line 8", INVALID_UTF8, broken),
        ("line 17", NO_TEXT, b" = Last = "),
    ]
    assert found.refused[2][0].detail == "invalid start byte at byte 5 of the article"


def test_too_large(tmp_path: Path) -> None:
    large = " = Large = \n \n" + " Many words . \n" * 300 + " \n"
    found = outcome_of(tmp_path, ARTICLES[1] + large + ARTICLES[1], max_record_bytes=500)
    assert [record["id"] for record in found.records] == ["wiki.test.tokens#1", "wiki.test.tokens#3"]
    ((refused, context),) = found.refused
    assert (refused.place, refused.reason, refused.raw) == ("line 6", TOO_LARGE, large.encode())
    parts = READER.reread("wiki.test.tokens", refused.raw, context, ReadOptions(max_record_bytes=500)).refused
    assert [len(part.raw) for part in parts[:-1]] == [500] * (len(large) // 500)
    (record,) = READER.reread("wiki.test.tokens", refused.raw, context, ReadOptions()).records
    assert (record["id"], record["title"]) == ("wiki.test.tokens#2", "Large")


def test_a_file_without_headings_is_refused(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, "words and words\n" * 1000, max_record_bytes=1000)
    assert found.reasons == [("line 1", TOO_LARGE)]
    assert outcome_of(tmp_path, "words\n").reasons == [("line 1", BAD_RECORD)]
    assert outcome_of(tmp_path, " \n\n").order == []


def test_a_cut_off_file_gives_the_articles_before(tmp_path: Path) -> None:
    article = " = Number %d = \n \n Some %d words . \n \n"
    data = gzip.compress("".join(article % (i, i * 7919 % 10007) for i in range(5000)).encode())
    path = tmp_path / "wiki.x.tokens.gz"
    path.write_bytes(data[: len(data) // 2])
    for chunk_bytes in (100, 1 << 20):
        found = read(READER, path, chunk_bytes=chunk_bytes)
        assert isinstance(found.error, UnreadableFile)
        assert 1000 < len(found.records) < 4000
        assert [record["title"] for record in found.records] == [f"Number {i}" for i in range(len(found.records))]


def test_script(tmp_path: Path) -> None:
    path, store_path = tmp_path / "train.txt.gz", tmp_path / "wiki.duckdb"
    path.write_bytes(gzip.compress(FILE.encode()))
    for _ in range(2):  # the second time the store is there already
        assert ingest_wikitext.main([str(path), "--store", str(store_path), "--jobs", "1"]) == 0
    with Store.open(store_path) as store:
        found = rows(store, "SELECT source, origin, generation, title, licence, licence_class, uri FROM documents")
        assert {row["title"] for row in found} == {"Stone bridge", "<unk>", "Señal = Noise ( album )"}
        assert {tuple(row.values())[:3] + tuple(row.values())[4:] for row in found} == {
            ("wikitext", "human", 0, "CC-BY-SA-3.0", "share-alike", "https://arxiv.org/abs/1609.07843")
        }
        assert violations(store) == []


def test_script_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_path = str(tmp_path / "wiki.duckdb")
    assert ingest_wikitext.main([str(tmp_path / "missing"), "--store", store_path, "--jobs", "1"]) == 1
    assert "No such file" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        ingest_wikitext.main(["x", "--store", store_path, "--jobs", "0"])
    assert stopped.value.code == 2
