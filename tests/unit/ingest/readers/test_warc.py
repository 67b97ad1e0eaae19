"""WARC and WET: pages as crawlers keep them, damaged and hostile files too."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import brotli
import ingest_common_crawl
import pytest
import zstandard
from fastwarc import warc
from fastwarc.warc import ArchiveIterator, WarcRecord

from provenance.errors import MissingExtra, UnreadableFile
from provenance.ingest.inputs import Input
from provenance.ingest.pipeline import IngestOptions, ingest_files
from provenance.ingest.quarantine import Selection
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import BAD_RECORD, NO_TEXT, TOO_LARGE, ReadOptions
from provenance.ingest.readers.text import TextReader
from provenance.ingest.readers.warc import WarcReader
from provenance.ingest.retry import RetryOptions, retry_quarantined
from provenance.records import Claim
from provenance.store.store import Store
from tests.factories import rows, violations
from tests.reading import Outcome, check_rereading, read

READER = WarcReader()
SENTENCE = "The stone bridge crosses the river at its narrowest point, where a ferry had run for many years. "
PAGE = f"<html><head><title> A \n bridge </title></head><body><p>{SENTENCE * 3}</p></body></html>"


def record(kind: str, block: bytes, *, length: int | None = None, **fields: str) -> bytes:
    """Return a record with the fields `WARC_Date="…"`, `Content_Type="…"` and the like."""
    lines = [f"WARC-Type: {kind}", f"Content-Length: {len(block) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return b"WARC/1.0\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def http(body: bytes | str, content_type: str | None = "text/html", status: int = 200, **fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Something", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    lines += [f"Content-Type: {content_type}"] * (content_type is not None)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body.encode() if isinstance(body, str) else body)


def response(
    body: bytes | str = PAGE, content_type: str | None = "text/html", status: int = 200, **fields: str
) -> bytes:
    return record("response", http(body, content_type, status, **fields), Content_Type="application/http")


def plain(number: int) -> bytes:
    """Return a small good record."""
    return record(
        "resource", f"Text number {number}.".encode(), Content_Type="text/plain", WARC_Record_ID=f"<{number}>"
    )


def outcome_of(tmp_path: Path, data: bytes, name: str = "a.warc", **options: int) -> Outcome:
    path = tmp_path / name
    path.write_bytes(data)
    found = read(READER, path, **options)
    for chunk_bytes in (7, 500):
        assert read(READER, path, chunk_bytes=chunk_bytes, **options).same_as() == found.same_as()
    check_rereading(READER, path, found, **options)
    return found


def texts(found: Outcome) -> list[str]:
    return [one["text"] for one in found.records]


def refusal(tmp_path: Path, data: bytes, **options: int) -> tuple[str, str | None]:
    """Return reason and detail of the one record, which is refused."""
    found = outcome_of(tmp_path, data, **options)
    assert found.records == []
    ((refused, _),) = found.refused
    return refused.reason, refused.detail


# ---------------------------------------------------------------- whole files


def test_what_fastwarc_writes(tmp_path: Path) -> None:
    out = io.BytesIO()
    for kind, block in (
        (warc.warcinfo, b"software: test\r\n"),
        (warc.request, b"GET / HTTP/1.1\r\n\r\n"),
        (warc.response, http(PAGE)),
        (warc.metadata, b"fetchTimeMs: 12\r\n"),
        (warc.revisit, http("")),
    ):
        one = WarcRecord()
        one.init_headers(kind)
        one.headers["WARC-Record-ID"] = "<urn:uuid:3f2504e0-4f89-11d3-9a0c-0305e82c3301>"
        one.headers["WARC-Date"] = "2024-05-06T07:08:09Z"
        if kind in (warc.response, warc.revisit):
            one.headers["WARC-Target-URI"] = "https://example.org/bridge"
            one.headers["Content-Type"] = "application/http; msgtype=response"
        one.set_bytes_content(block)
        one.write(out, checksum_data=True)
    data = out.getvalue()
    found = outcome_of(tmp_path, data)
    assert (found.refused, found.error, found.n_bytes) == ([], None, len(data))
    ((got),) = found.records
    digest = got["metadata"].pop("payload_digest")
    assert digest.startswith("sha1:")
    assert got == {
        "id": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "uri": "https://example.org/bridge",
        "collected_at": "2024-05-06T07:08:09Z",
        "title": "A bridge",
        "text": SENTENCE.strip() + (" " + SENTENCE.strip()) * 2,
        "metadata": {"content_type": "text/html", "http_status": 200},
    }
    offset = next(one.stream_pos for one in ArchiveIterator(io.BytesIO(data)) if one.record_type == warc.response)
    assert found.places == [f"byte {offset}"]
    assert data[offset:].startswith(found.raws[0])
    for name, packed in (
        ("b.warc.gz", b"".join(map(gzip.compress, (data[:offset], data[offset:])))),
        ("b.warc.zst", zstandard.compress(data)),
    ):
        again = outcome_of(tmp_path, packed, name)
        assert (len(again.records), again.raws, again.places) == (1, found.raws, found.places)


def test_wet(tmp_path: Path) -> None:
    text = "Über die Brücke\nkam niemand.\n"
    wet = record(
        "conversion", text.encode(), Content_Type="text/plain", WARC_Identified_Content_Language="deu",
        WARC_Refers_To="<urn:uuid:1>", WARC_Target_URI="http://example.org/", WARC_Record_ID="<urn:uuid:2>",
        WARC_Date="2024-05-06T07:08:09Z",
    )  # fmt: skip
    found = outcome_of(tmp_path, record("warcinfo", b"x") + wet, "a.warc.wet")
    metadata = {"content_type": "text/plain", "language": "deu", "refers_to": "1"}
    assert found.refused == []
    assert found.records == [
        {"id": "2", "uri": "http://example.org/", "collected_at": "2024-05-06T07:08:09Z", "text": text.strip(),
         "metadata": metadata}
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", record("warcinfo", b"x"), record("request", b"x" * 9000)])
def test_nothing(tmp_path: Path, data: bytes) -> None:
    assert outcome_of(tmp_path, data, max_record_bytes=5000).order == []


@pytest.mark.parametrize(
    ("name", "content", "is_taken"),
    [
        ("a.warc", b"", True),
        ("a.warc.wet.gz", b"", True),
        ("a.WET", b"", True),
        ("a.txt", plain(1), True),
        ("a.txt", gzip.compress(plain(1)), True),
        ("a.txt", b"WARC/ is a format", False),
    ],
)
def test_what_is_taken(tmp_path: Path, name: str, content: bytes, is_taken: bool) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert isinstance(reader_for(Input(str(path))), WarcReader if is_taken else TextReader)


# ---------------------------------------------------------------- pages


RUSSIAN = "Каменный мост пересекает реку в самом узком месте. "
JAPANESE = "石の橋は川の最も狭い所を渡っている。昔は渡し船があった。"


@pytest.mark.parametrize("declared", ["http", "meta", "nowhere", "wrongly"])
@pytest.mark.parametrize(
    ("encoding", "text"),
    [("windows-1251", RUSSIAN * 5), ("shift_jis", JAPANESE * 5), ("utf-8", "Señal über Brücken. " + RUSSIAN)],
)
def test_encodings(tmp_path: Path, encoding: str, text: str, declared: str) -> None:
    meta = f"<meta charset='{encoding}'>" if declared == "meta" else ""
    page = f"<html><head>{meta}<title>x</title></head><body><p>{text}</p></body></html>".encode(encoding)
    charset = {"http": f"; charset={encoding.upper()}", "wrongly": "; charset=utf-8"}.get(declared, "")
    found = outcome_of(tmp_path, response(page, "text/html" + charset))
    assert texts(found) == [text.strip()]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path: Path, encoding: str) -> None:
    page = record("resource", RUSSIAN.encode(encoding), Content_Type="text/plain; charset=latin-1")
    assert texts(outcome_of(tmp_path, page)) == [RUSSIAN.strip()]


def chunked(body: bytes, size: int = 50) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x; a=b\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


PACKED = {
    "gzip": gzip.compress(PAGE.encode()[:100]) + gzip.compress(PAGE.encode()[100:]),
    "x-gzip": gzip.compress(PAGE.encode()),
    "deflate": zlib.compress(PAGE.encode()),
    "Deflate, identity": zlib.compress(PAGE.encode(), wbits=-15),
    "br": brotli.compress(PAGE.encode()),
    "zstd": zstandard.compress(PAGE.encode()),
    "deflate, gzip": gzip.compress(zlib.compress(PAGE.encode())),
    "": PAGE.encode(),
}


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("coding", PACKED)
def test_codings(tmp_path: Path, coding: str, is_chunked: bool) -> None:
    more = {"Transfer_Encoding": "chunked"} if is_chunked else {}
    body = PACKED[coding]
    page = response(chunked(body) if is_chunked else body, Content_Encoding=coding, **more)
    assert outcome_of(tmp_path, page).records[0]["title"] == "A bridge"


def test_bodies_that_were_decoded_already(tmp_path: Path) -> None:
    for coding in ("gzip", "br", "deflate"):
        page = response(PAGE, Content_Encoding=coding, Transfer_Encoding="chunked")
        assert outcome_of(tmp_path, page).records[0]["title"] == "A bridge"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_bodies_that_are_cut_off_or_damaged(tmp_path: Path, coding: str) -> None:
    body = PACKED[coding]
    assert refusal(tmp_path, response(body[: len(body) - 20], Content_Encoding=coding))[0] == BAD_RECORD
    assert refusal(tmp_path, response(b"\xff\xff" + body, Content_Encoding=coding))[0] == BAD_RECORD
    cut = http(zlib.compress(PAGE.encode())[:-20], Content_Encoding="deflate")
    (kept,) = outcome_of(
        tmp_path, record("response", cut, Content_Type="application/http", WARC_Truncated="length")
    ).records
    assert (kept["title"], kept["metadata"]["truncated"]) == ("A bridge", "length")


def test_a_chunked_body_that_is_cut_off(tmp_path: Path) -> None:
    page = response(chunked(PAGE.encode())[:-40], Transfer_Encoding="chunked")
    assert refusal(tmp_path, page) == (BAD_RECORD, "the chunked body is cut off")


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (response(b"\x89PNG", "image/png"), "content type image/png"),
        (response("gone", status=404), "HTTP status 404"),
        (response("moved", status=301), "HTTP status 301"),
        (response("x", None), "no content type"),
        (response("", "text/html"), "no text in content type text/html"),
        (
            response("<p> <script>x()</script>", "application/xhtml+xml"),
            "no text in content type application/xhtml+xml",
        ),
        (response(" \n", "text/plain"), "no text in content type text/plain"),
        (response("x", Content_Encoding="pack200"), "content encoding pack200"),
        (response("<div>" * 100_000 + "x"), "the HTML is nested 500 levels deep"),
        (record("response", b"1.2.3.4", Content_Type="text/dns"), "no HTTP response but content type text/dns"),
        (record("resource", b"%PDF", Content_Type="application/pdf"), "content type application/pdf"),
        (record("conversion", b"x"), "no content type"),
    ],
)
def test_no_text(tmp_path: Path, data: bytes, detail: str) -> None:
    assert refusal(tmp_path, data) == (NO_TEXT, detail)


def test_other_text_is_plain(tmp_path: Path) -> None:
    assert texts(outcome_of(tmp_path, response("<b>a\n  b</b>\n", "text/markdown"))) == ["<b>a\n  b</b>"]


def test_the_type_that_the_crawler_found(tmp_path: Path) -> None:
    page = record("response", http(PAGE, None), WARC_Identified_Payload_Type="text/html")
    assert outcome_of(tmp_path, page).records[0]["title"] == "A bridge"


# ---------------------------------------------------------------- digests


def sha1(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def test_digests(tmp_path: Path) -> None:
    packed = chunked(gzip.compress(PAGE.encode()))
    block = http(packed, Transfer_Encoding="chunked", Content_Encoding="gzip")
    good = [sha1(packed), sha1(gzip.compress(PAGE.encode(), mtime=0)), sha1(PAGE.encode()), "crc9:12", "sha1", "sha1:x"]
    good[1] = good[0].lower()
    for stated in [*good, "sha-256:" + hashlib.sha256(PAGE.encode()).hexdigest()]:
        data = record("response", block, WARC_Payload_Digest=stated, WARC_Block_Digest=sha1(block))
        assert outcome_of(tmp_path, data).records[0]["metadata"]["payload_digest"] == stated
    detail = "its sha1 digest does not match"
    for field in ("WARC_Payload_Digest", "WARC_Block_Digest"):
        for wrong in (sha1(b"other"), "sha1:" + "1" * 32):
            assert refusal(tmp_path, record("response", block, **{field: wrong})) == (BAD_RECORD, detail)
        truncated = record("response", block, **{field: sha1(b"other")}, WARC_Truncated="length")
        assert len(outcome_of(tmp_path, truncated).records) == 1


# ---------------------------------------------------------------- damaged files


def check_damage(tmp_path: Path, middle: bytes, *, reasons: int = 1) -> list[str | None]:
    """Check that the records around a damaged place are read, and return the details of what is refused."""
    found = outcome_of(tmp_path, plain(1) + plain(2) + middle + plain(3) + plain(4))
    assert texts(found) == [f"Text number {i}." for i in (1, 2, 3, 4)]
    assert [one.reason for one, _ in found.refused] == [BAD_RECORD] * reasons
    assert b"".join(one.raw for one, _ in found.refused).strip() == middle.strip()
    assert found.error is None
    return [one.detail for one, _ in found.refused]


@pytest.mark.parametrize("length", [0, 3, 5, 40, 150, 400, 9_999, 10**12])
def test_wrong_lengths(tmp_path: Path, length: int) -> None:
    (detail,) = check_damage(tmp_path, record("resource", b"0123456", length=length, Content_Type="text/plain"))
    assert str(detail).startswith(f"Content-Length is {length:,}, but the block has ")


def test_a_length_that_hides_a_record_with_a_blank_line(tmp_path: Path) -> None:
    hidden = response()
    length = len(b"x\r\n\r\n") + hidden.index(b"\r\n\r\n", hidden.index(b"HTTP"))
    found = outcome_of(tmp_path, record("resource", b"x", length=length, Content_Type="text/plain") + hidden + plain(1))
    assert ([one.reason for one, _ in found.refused], len(found.records)) == ([BAD_RECORD], 2)


@pytest.mark.parametrize(
    ("middle", "detail"),
    [
        (b"garbage\r\nmore \x00\xff", "no WARC header stands here"),
        (b"garbage\r\n\r\nWARC/1.0 is a format\r\n", "no WARC header stands here"),
        (b"WARC/1.0\r\nWARC-Type: resp", "the WARC header has no end"),
        (b"WARC/1.0\r\nWARC-Type: response\r\n\r\nabc", "the header has no Content-Length that is a number"),
        (record("response", b"x").replace(b": 1", b": -1"), "the header has no Content-Length that is a number"),
        (record("", b"x"), "the header has no WARC-Type"),
        (record("response", b"x", WARC_Segment_Number="1"), "it is one of several segments"),
        (record("response", b"x", Content_Type="application/http"), "it begins with no HTTP status line"),
    ],
)
def test_broken_records(tmp_path: Path, middle: bytes, detail: str) -> None:
    if detail == "the WARC header has no end":  # where another follows it does seem to have one
        found = outcome_of(tmp_path, plain(1) + middle)
        assert (texts(found), found.refused[0][0].detail) == (["Text number 1."], detail)
        return
    assert check_damage(tmp_path, middle) == [detail]


def test_line_ends_of_unix_and_missing_ones(tmp_path: Path) -> None:
    data = (
        plain(1).replace(b"\r\n", b"\n")
        + plain(2).rstrip()
        + plain(3)[:-2]
        + plain(4)
        + b"\r\n" * 5
        + plain(5).rstrip()
    )
    assert texts(outcome_of(tmp_path, data)) == [f"Text number {i}." for i in range(1, 6)]


def test_a_record_within_a_record_is_text(tmp_path: Path) -> None:
    assert len(outcome_of(tmp_path, record("resource", plain(1), Content_Type="text/plain") + plain(2)).records) == 2


def test_a_cut_off_file(tmp_path: Path) -> None:
    found = outcome_of(tmp_path, plain(1) + plain(2)[:-10])
    assert (texts(found), found.reasons) == (["Text number 1."], [(f"byte {len(plain(1))}", BAD_RECORD)])


def test_a_cut_off_gzip_file(tmp_path: Path) -> None:
    packed = b"".join(gzip.compress(plain(i)) for i in range(200))
    found = outcome_of(tmp_path, packed[: len(packed) // 2], "a.warc.gz")
    assert isinstance(found.error, UnreadableFile)
    assert texts(found) == [f"Text number {i}." for i in range(len(found.records))]
    assert (found.refused, 80 < len(found.records) < 120) == ([], True)


# ---------------------------------------------------------------- large and hostile ones


def test_too_large(tmp_path: Path) -> None:
    large = record("resource", b"many words " * 300, Content_Type="text/plain")
    found = outcome_of(tmp_path, plain(1) + large + plain(2), max_record_bytes=500)
    assert texts(found) == ["Text number 1.", "Text number 2."]
    ((refused, _),) = found.refused
    assert (refused.place, refused.reason, refused.raw) == (f"byte {len(plain(1))}", TOO_LARGE, large.rstrip() + b" ")
    (again,) = READER.reread("a.warc", refused.raw, None, ReadOptions()).records
    assert again["text"] == ("many words " * 300).strip()


def test_a_header_that_is_too_large_alone(tmp_path: Path) -> None:
    data = record("resource", b"", WARC_Target_URI="x" * 900)
    found = outcome_of(tmp_path, data + plain(1), max_record_bytes=500)
    assert (texts(found), found.reasons) == (["Text number 1."], [("byte 0", TOO_LARGE)])
    assert outcome_of(tmp_path, b"WARC/1.0\r\nWARC-X:" * 5000, max_record_bytes=500).records == []


def test_a_large_record_cut_off_by_the_next(tmp_path: Path) -> None:
    large = record("resource", b"many words " * 300, length=10**9, Content_Type="text/plain")
    found = outcome_of(tmp_path, large + plain(1), max_record_bytes=500)
    assert (texts(found), found.reasons) == (["Text number 1."], [("byte 0", TOO_LARGE)])


def test_a_bomb(tmp_path: Path) -> None:
    n_megabytes = 1024
    packer = zlib.compressobj(9, wbits=-15)
    packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    header = record("resource", b"", length=n_megabytes << 20, Content_Type="text/plain")[:-4]
    path = tmp_path / "bomb.warc.gz"
    bomb = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + megabyte * n_megabytes  # without its end
    path.write_bytes(gzip.compress(plain(1)) + gzip.compress(header) + bomb)
    options = ReadOptions(max_record_bytes=1 << 20)
    n_parts = n_records = position = 0
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile):
            for block in READER.blocks(Input(str(path)), options):
                chunk = READER.parse(block, options)
                n_records += len(chunk.records)
                assert all((one.reason, one.part) == (TOO_LARGE, n_parts + i) for i, one in enumerate(chunk.refused))
                n_parts += len(chunk.refused)
                assert block.position >= position
                position = block.position
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (n_records, n_parts) == (1, n_megabytes + 1)  # with its header
    assert peak < 64 << 20


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_in_a_body(tmp_path: Path, coding: str) -> None:
    zeros = bytes(32 << 20)
    packers: dict[str, Any] = {
        "gzip": lambda data: gzip.compress(data, 1),
        "deflate": zlib.compress,
        "br": lambda data: brotli.compress(data, quality=1),
        "zstd": zstandard.compress,
    }
    page = response(packers[coding](zeros), Content_Encoding=coding)
    path = tmp_path / "a.warc"
    path.write_bytes(page + plain(1))
    del zeros
    tracemalloc.start()
    try:
        found = read(READER, path, max_record_bytes=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    detail = f"the {coding} body is longer than 1,048,576 bytes without compression"
    assert [(one.reason, one.detail) for one, _ in found.refused] == [(TOO_LARGE, detail)]
    assert (texts(found), peak < 16 << 20) == (["Text number 1."], True)
    check_rereading(READER, path, found, max_record_bytes=1 << 20)


# ---------------------------------------------------------------- without libraries


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resiliparse.extract.html2text", None)
    with pytest.raises(MissingExtra, match=r"corpus-provenance\[warc\]"):
        list(READER.blocks(Input(str(_written(tmp_path, plain(1)))), ReadOptions()))


def test_without_brotli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert refusal(tmp_path, response(PACKED["br"], Content_Encoding="br")) == (NO_TEXT, "content encoding br")


def _written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "a.warc"
    path.write_bytes(data)
    return path


# ---------------------------------------------------------------- into a store


def test_into_a_store(store: Store, tmp_path: Path) -> None:
    large = record("resource", SENTENCE.encode() * 50, Content_Type="text/plain", WARC_Record_ID="<urn:uuid:9>")
    one = record("response", http(PAGE), WARC_Date="2024-05-06T07:08:09Z", WARC_Record_ID="<urn:uuid:7>")
    bad_date = record("resource", b"text", Content_Type="text/plain", WARC_Date="yesterday")
    data = one + response("x", status=404) + large + bad_date + one + b"garbage\r\n\r\n" + plain(5)
    path = _written(tmp_path, data)
    options = IngestOptions(max_record_bytes=2000)
    counts = ingest_files(store, [path], source="web", claim=Claim.make("unknown"), options=options).counts
    assert (counts.n_read, counts.n_inserted, counts.n_present, counts.n_quarantined) == (7, 2, 1, 4)
    (kept,) = rows(store, "SELECT origin, title, collected_at, metadata FROM documents WHERE external_id = '7'")
    assert (kept["origin"], kept["title"], kept["collected_at"].year) == ("unknown", "A bridge", 2024)
    assert '"http_status":200' in kept["metadata"]
    (report,) = retry_quarantined(store, Selection(), options=RetryOptions(max_record_bytes=1 << 20))
    assert (report.counts.n_inserted, report.counts.n_quarantined) == (1, 3)
    assert len(rows(store, "SELECT 1 FROM documents WHERE external_id = '9'")) == 1
    assert violations(store) == []


def test_script(tmp_path: Path) -> None:
    (tmp_path / "crawl").mkdir()
    for i in (1, 2):
        (tmp_path / "crawl" / f"{i}.warc.gz").write_bytes(gzip.compress(plain(i)))
    store_path = tmp_path / "web.duckdb"
    arguments = [str(tmp_path / "crawl" / "*.gz"), "--source", "cc-2024", "--store", str(store_path), "--jobs", "1"]
    assert ingest_common_crawl.main(arguments) == 0
    with Store.open(store_path) as store:
        found = rows(store, "SELECT source, origin, generation, licence FROM documents")
        assert found == [{"source": "cc-2024", "origin": "unknown", "generation": None, "licence": None}] * 2
