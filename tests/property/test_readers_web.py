"""Laws of the reader of WARC: damage costs what it touches, nothing is lost, blocks change nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from provenance.errors import UnreadableFile
from provenance.ingest.readers.streams import compression_of
from provenance.ingest.readers.warc import WarcReader
from tests.reading import Outcome, check_rereading, read

READER = WarcReader()
_BLANK = b"\r\n\r\n"
_PAGE = b"<html><head><title>T %d</title></head><body><p>A page of words, number %d.</p></body></html>"


def _packed(block: bytes, kind: bytes, number: int, content_type: bytes) -> bytes:
    fields = b"WARC-Type: %b\r\nWARC-Record-ID: <urn:uuid:%d>\r\nContent-Type: %b\r\nContent-Length: %d"
    return b"WARC/1.0\r\n" + fields % (kind, number, content_type, len(block)) + _BLANK + block + _BLANK


def record(kind: str, number: int) -> bytes:
    """Return a record; those of the first five kinds hold a document."""
    page = _PAGE % (number, number)
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html"
    if kind == "page":
        return _packed(http + _BLANK + page, b"response", number, b"application/http")
    if kind == "packed":
        body = gzip.compress(page, mtime=0)
        return _packed(http + b"\r\nContent-Encoding: gzip" + _BLANK + body, b"response", number, b"application/http")
    if kind == "chunked":
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(page), page)
        more = b"\r\nTransfer-Encoding: chunked"
        return _packed(http + more + _BLANK + body, b"response", number, b"application/http")
    if kind == "text":
        return _packed(b"Text number %d\r\n\r\nwith a blank line." % number, b"conversion", number, b"text/plain")
    if kind == "nested":
        return _packed(record("text", number), b"resource", number, b"text/plain")
    if kind == "gone":
        return _packed(b"HTTP/1.1 404 Not Found" + _BLANK + page, b"response", number, b"application/http")
    return _packed(b"GET / HTTP/1.1" + _BLANK, kind.encode(), number, b"application/http")


DOCUMENTS = ("page", "packed", "chunked", "text", "nested")
KINDS = (*DOCUMENTS, "gone", "request", "revisit", "warcinfo")
FILES = st.lists(st.sampled_from(KINDS), max_size=6)
INSERTS = st.sampled_from(
    [b"", b"\r", b"\n", b"\r\n\r\n", b"WARC/", b"WARC/1.0\r\n", b"\0", b"9", b"0", b"-", b":", b"\xff\xfe", b"chunked"]
)


def check_outcome(path: Path, limit: int) -> Outcome:
    found = read(READER, path, max_record_bytes=limit)
    assert found.error is None or isinstance(found.error, UnreadableFile)
    for chunk_bytes in (1, 7, 300):
        assert read(READER, path, max_record_bytes=limit, chunk_bytes=chunk_bytes).same_as() == found.same_as()
    check_rereading(READER, path, found, max_record_bytes=limit)
    assert all(len(raw) <= limit for raw in found.raws)
    offsets = [int(place.removeprefix("byte ")) for place, _ in found.order]
    assert offsets == sorted(set(offsets))
    return found


def ids(found: Outcome) -> list[str]:
    return [str(one.get("id")) for one in found.records]


@given(kinds=FILES, limit=st.sampled_from([1, 60, 250, 1 << 20]), data=st.data())
def test_whatever_the_bytes(tmp_path: Path, kinds: list[str], limit: int, data: st.DataObject) -> None:
    raw = b"".join(record(kind, i) for i, kind in enumerate(kinds))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw = raw[:at] + data.draw(INSERTS | st.binary(max_size=3)) + raw[at + data.draw(st.integers(0, 30)) :]
    assume(compression_of(raw) is None)
    path = tmp_path / "a.warc"
    path.write_bytes(raw)
    found = check_outcome(path, limit)
    assert (found.error, found.n_bytes) == (None, len(raw))
    for place, kept in found.order:
        assert raw[int(place.removeprefix("byte ")) :].startswith(kept)
    packed = gzip.compress(raw)
    path.write_bytes(packed[: data.draw(st.integers(0, len(packed)))])
    check_outcome(path, limit)


@given(kinds=FILES, garbage=st.binary(max_size=20))
def test_good_files_are_read(tmp_path: Path, kinds: list[str], garbage: bytes) -> None:
    if garbage.strip(b"\r\n"):  # then it cannot be told from a record that lost its end
        kinds = [kind for kind in kinds if kind != "nested"]
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(record(kind, i) + garbage + b"\r\n" for i, kind in enumerate(kinds)))
    found = check_outcome(path, 1 << 20)
    assert ids(found) == [str(i) for i, kind in enumerate(kinds) if kind in DOCUMENTS]
    n_garbage = len(kinds) if garbage.strip(b"\r\n") else 0
    assert len(found.refused) == kinds.count("gone") + n_garbage


@given(before=FILES, kind=st.sampled_from(KINDS), behind=FILES, data=st.data())
def test_damage_costs_what_it_touches(
    tmp_path: Path, before: list[str], kind: str, behind: list[str], data: st.DataObject
) -> None:
    """Damage within one record leaves all others; a damaged record may count as one or as several."""
    kinds = [*before, kind, *behind]
    whole = [record(one, i) for i, one in enumerate(kinds)]
    broken = whole[len(before)]
    # A record that lost its end is told from the next one only where that begins like a record: that stays.
    at = data.draw(st.integers(0, len(broken) - 1))
    new = data.draw(INSERTS | st.binary(max_size=3))
    whole[len(before)] = broken[:at] + new + broken[at + data.draw(st.integers(0, 60)) :]
    path = tmp_path / "a.warc"
    assume(compression_of(b"".join(whole)) is None)
    path.write_bytes(b"".join(whole))
    found = check_outcome(path, 1 << 20)
    others = {str(i) for i, one in enumerate(kinds) if one in DOCUMENTS and i != len(before)}
    assert others <= set(ids(found))
    assert len(ids(found)) <= len(others) + 2  # the damaged one, and one that stood within it
