"""Text files: each is one document, or one refused record."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest

from provenance.errors import UnreadableFile
from provenance.ingest.inputs import Input, find_inputs
from provenance.ingest.pipeline import IngestOptions
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import EMPTY_TEXT, INVALID_UTF8, NUL_CHARACTER, TOO_LARGE, UNREADABLE, ReadOptions
from provenance.ingest.readers.text import TextReader, first_heading
from provenance.store.store import Store
from tests.factories import count, ingest_paths, rows, violations
from tests.reading import check_rereading, read

READER = TextReader()


@pytest.mark.parametrize("name", ["a.txt", "a.MD", "a.markdown", "a.text", "a.rst", "notes.txt.gz", "a.md.zst"])
def test_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"a note")
    assert isinstance(reader_for(Input(str(path))), TextReader)


def test_a_file_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    raw = b"\xef\xbb\xbf# no heading here\r\n\r\nTwo lines,\r\nwith line ends of their own: \xe2\x9c\x93\r\n"
    path.write_bytes(raw)
    found = read(READER, path)
    text = "# no heading here\r\n\r\nTwo lines,\r\nwith line ends of their own: ✓\r\n"
    assert found.records == [{"text": text, "id": str(path), "metadata": {"path": str(path)}}]
    assert (found.places, found.raws, found.error, found.n_bytes) == (["whole file"], [raw], None, len(raw))
    assert read(READER, path, chunk_bytes=3).same_as() == found.same_as()
    check_rereading(READER, path, found)


@pytest.mark.parametrize(
    ("markdown", "title"),
    [
        ("# Title\n\ntext", "Title"),
        ("\n   ## Title ##  \ntext", "Title"),
        ("text\n\n###### Deep", "Deep"),
        ("# C#\n", "C#"),
        ("#hashtag\n####### seven\n\t# code\n    # code\n#\n# ##\n# Title", "Title"),
        ("```\n# code\n```\n# Title", "Title"),
        ("~~~~ python\n# code\n~~~\n# code\n~~~~\nTitle\n---\n", "Title"),
        ("---\ntitle: x\n# a comment\n---\n# Title\n", "Title"),
        ("Title\r\n=====\r\n\r\n# Other\r\n", "Title"),
        ("- a list\n---\n> said\n---\nno heading\n\n---\n", None),
        ("", None),
        ("---", None),
        ("```\n# never closed", None),
    ],
)
def test_titles_of_markdown(tmp_path: Path, markdown: str, title: str | None) -> None:
    assert first_heading(markdown) == title
    path = tmp_path / "note.md"
    path.write_bytes(markdown.encode())
    (record,) = read(READER, path).records
    assert record.get("title") == title


def test_long_lines_take_no_quadratic_time() -> None:
    for line in ("# " + " " * 300_000 + "x", "#" * 300_000, "-" * 300_000 + "x", "`" * 300_000, "# x" + " #" * 100_000):
        first_heading(f"{line}\n{line}")


@pytest.mark.parametrize(
    ("raw", "reason", "detail"),
    [
        (b"caf\xe9", INVALID_UTF8, "unexpected end of data at byte 3"),
        (b"\xef\xbb\xbfab\xff", INVALID_UTF8, "invalid start byte at byte 5"),
        ("text".encode("utf-16"), INVALID_UTF8, "invalid start byte at byte 0; it begins like UTF-16"),
        (b"x" * 101, TOO_LARGE, "the file is longer than 100 bytes"),
        (b"x" * 500, TOO_LARGE, "the file is longer than 100 bytes"),
    ],
)
def test_refused(tmp_path: Path, raw: bytes, reason: str, detail: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(raw)
    found = read(READER, path, max_record_bytes=100)
    ((refused, _),) = found.refused
    assert (refused.place, refused.reason, refused.detail, refused.raw) == ("whole file", reason, detail, raw)
    for chunk_bytes in (1, 99, 100, 250):
        assert read(READER, path, max_record_bytes=100, chunk_bytes=chunk_bytes).same_as() == found.same_as()
    check_rereading(READER, path, found, max_record_bytes=100)


def test_parts_are_not_kept_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(b"x" * 3_000_000)
    blocks = [block.payload for block in READER.blocks(Input(str(path)), ReadOptions(max_record_bytes=1000))]
    assert [block.part for block in blocks] == list(range(3000))
    assert {len(block.raw) for block in blocks} == {1000}


def test_standard_input_has_no_name() -> None:
    assert READER.record("-", b"text") == {"text": "text"}


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")
    try:
        Path(name).write_bytes(b"text")
    except OSError:
        pytest.skip("the file system takes only names that are UTF-8")
    (record,) = read(READER, name).records
    assert record["id"] == f"{tmp_path}/caf\\xe9.txt"


# ---------------------------------------------------------------- folders


def test_a_folder(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "a.txt").write_text("the first note")
    (folder / "deep" / "b.md").write_text("# The second\n\nnote")
    (folder / "deep" / "deeper" / "c.txt.gz").write_bytes(gzip.compress(b"the third note"))
    (folder / "deep" / "empty.txt").write_bytes(b"")
    (folder / "deep" / "blank.rst").write_bytes(b" \n\n")
    (folder / "deep" / "nul.txt").write_bytes(b"a\0b")
    (folder / ".hidden.txt").write_text("not read")
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "deep" / "gone.txt").symlink_to("nowhere")
    counts = ingest_paths(store, folder, options=IngestOptions(max_quarantined=1)).counts
    assert (counts.n_read, counts.n_inserted, counts.n_quarantined) == (7, 3, 4)
    found = rows(store, "SELECT external_id, title, text FROM documents ORDER BY external_id")
    assert [tuple(row.values()) for row in found] == [
        (f"{folder}/a.txt", None, "the first note"),
        (f"{folder}/deep/b.md", "The second", "# The second\n\nnote"),
        (f"{folder}/deep/deeper/c.txt.gz", None, "the third note"),
    ]
    refused = rows(store, "SELECT reason FROM quarantined ORDER BY file")
    assert [row["reason"] for row in refused] == [EMPTY_TEXT, EMPTY_TEXT, UNREADABLE, NUL_CHARACTER]
    assert violations(store) == []
    again = ingest_paths(store, folder, options=IngestOptions(max_quarantined=1)).counts
    assert (again.n_inserted, again.n_present) == (0, 3)


# ---------------------------------------------------------------- files that cannot be read


def test_a_damaged_file_is_a_refused_record(tmp_path: Path) -> None:
    path = tmp_path / "note.txt.gz"
    text = b"".join(b"line %d of a note\n" % (i * 7919 % 10007) for i in range(5000))
    path.write_bytes(gzip.compress(text)[:-5000])
    found = read(READER, path)
    ((refused, context),) = found.refused
    assert (found.records, found.error, refused.reason) == ([], None, UNREADABLE)
    assert refused.detail is not None and "the gzip stream is damaged or cut off" in refused.detail
    assert text.startswith(refused.raw) and len(refused.raw) > 1000
    options = ReadOptions()
    again = READER.reread(str(path), refused.raw, context, options)
    assert [one.reason for one in again.refused] == [UNREADABLE]
    path.write_bytes(gzip.compress(text))
    mended = READER.reread(str(path), refused.raw, context, options)
    assert ([record["text"].encode() for record in mended.records], mended.refused) == ([text], [])
    path.unlink()
    gone = READER.reread(str(path), refused.raw, context, options)
    assert [(one.reason, one.raw) for one in gone.refused] == [(UNREADABLE, refused.raw)]
    assert "No such file" in str(gone.refused[0].detail)


def test_a_damaged_file_above_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "note.txt.gz"
    text = b"".join(b"line %d of a note\n" % (i * 7919 % 10007) for i in range(5000))
    path.write_bytes(gzip.compress(text)[:-5000])
    blocks = [block.payload for block in READER.blocks(Input(str(path)), ReadOptions(max_record_bytes=1000))]
    assert [block.reason for block in blocks] == [TOO_LARGE] * (len(blocks) - 1) + [UNREADABLE]
    assert [block.part for block in blocks] == list(range(len(blocks)))
    assert text.startswith(b"".join(block.raw for block in blocks))


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text(f"the text of {name}")
    closed = Input(str(tmp_path / "b.txt"))
    opened = Input.open

    def refusing(self: Input) -> io.BufferedReader:
        if self.name == closed.name:  # to root, who runs some test suites, no file is closed
            raise UnreadableFile(self.name, "Permission denied")
        return opened(self)

    monkeypatch.setattr(Input, "open", refusing)
    found = [read(READER, one.name) for one in find_inputs([tmp_path])]
    assert [len(one.records) for one in found] == [1, 0, 1]
    ((refused, context),) = found[1].refused
    assert (refused.reason, refused.detail, refused.raw) == (UNREADABLE, "Permission denied", b"")
    assert found[1].error is None
    monkeypatch.undo()
    again = READER.reread(closed.name, b"", context, ReadOptions())
    assert [record["text"] for record in again.records] == ["the text of b.txt"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_fails_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.symlink_to("/proc/self/mem")
    ((refused, _),) = read(READER, path).refused
    assert refused.reason == UNREADABLE
    assert refused.detail == "reading failed after 0 bytes (Input/output error)"


def test_what_is_not_there_is_said_at_once(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="No such file"):
        ingest_paths(store, tmp_path / "missing.txt")
    assert count(store, "document") == 0
