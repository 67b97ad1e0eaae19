"""What a record of WARC holds: the text of a page, or why there is none."""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import re
from typing import Any

from provenance.errors import MissingExtra
from provenance.ingest.readers import base
from provenance.ingest.readers.warc_cutter import (
    DOCUMENT_TYPES,
    content_length,
    header_end,
    header_fields,
)
from provenance.ingest.readers.warc_http import decompressed, parse_response, transferred
from provenance.ingest.readers.whole import Unusable

_HTML = ("text/html", "application/xhtml+xml")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DIGESTS = ("md5", "sha1", "sha256", "sha512")
#: Extracting text takes time that grows with the square of the depth; browsers stop at about this one.
_MOST_LEVELS = 500
_DEEP = " > ".join(["*"] * _MOST_LEVELS)


class Libraries:
    """The functions of resiliparse that are used.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """

    def __init__(self) -> None:
        try:
            from resiliparse.extract.html2text import extract_plain_text
            from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5
            from resiliparse.parse.html import HTMLTree
        except ImportError as error:
            raise MissingExtra("fastwarc and resiliparse", "warc") from error
        self.main_text: Any = extract_plain_text
        self.bytes_to_str: Any = bytes_to_str
        self.detect_encoding: Any = detect_encoding
        self.known_encoding: Any = map_encoding_to_html5
        self.parse_html: Any = HTMLTree.parse


def record_of(raw: bytes, libraries: Libraries, *, limit: int) -> dict[str, Any] | None:
    """Return the document of a record, header and block; None for a record of a type that holds none.

    Raises
    ------
    Unusable
        If the record is malformed or holds no text.
    """
    header, block = _parted(raw)
    kind = header.get("warc-type", "").lower()
    if not kind:
        raise Unusable(base.BAD_RECORD, "the header has no WARC-Type")
    if kind not in DOCUMENT_TYPES:
        return None
    if "warc-segment-number" in header:
        raise Unusable(base.BAD_RECORD, "it is one of several segments")
    is_truncated = bool(header.get("warc-truncated"))
    if not is_truncated:
        _check_digest(header.get("warc-block-digest"), block)
    metadata: dict[str, Any] = {}
    payloads: tuple[bytes, ...]
    if kind == "response":
        response = parse_response(block) if _is_http(header, block) else None
        if response is None:
            raise Unusable(base.NO_TEXT, f"no HTTP response but {_named(_media(header.get('content-type')))}")
        if response.status != 200:
            raise Unusable(base.NO_TEXT, f"HTTP status {response.status}")
        metadata["http_status"] = response.status
        content_type = response.fields.get("content-type") or header.get("warc-identified-payload-type", "")
        media = _text_media(content_type)
        whole = transferred(response, is_truncated=is_truncated)
        codings = response.fields.get("content-encoding", "")
        body = decompressed(whole, codings, limit=limit, is_truncated=is_truncated)
        payloads = (response.body, whole, body)  # crawlers differ in what they call payload
    else:
        content_type = header.get("content-type", "")
        media, body, payloads = _text_media(content_type), block, (block,)
    if not is_truncated:
        _check_digest(header.get("warc-payload-digest"), *payloads)
    record = _text_of(body, media, content_type, libraries)
    if not record["text"]:
        raise Unusable(base.NO_TEXT, f"no text in {_named(media)}")
    return record | _about(header, metadata | {"content_type": media})


def _parted(raw: bytes) -> tuple[dict[str, str], bytes]:
    """Return the fields of the header and the block."""
    if not raw.startswith(b"WARC/"):
        raise Unusable(base.BAD_RECORD, "no WARC header stands here")
    begin = header_end(raw)
    if begin is None:
        raise Unusable(base.BAD_RECORD, "the WARC header has no end")
    header = header_fields(raw[:begin])
    length = content_length(header)
    if length is None:
        raise Unusable(base.BAD_RECORD, "the header has no Content-Length that is a number")
    if length > len(raw) - begin or raw[begin + length :].strip(b"\r\n"):
        raise Unusable(base.BAD_RECORD, f"Content-Length is {length:,}, but the block has {len(raw) - begin:,} bytes")
    return header, raw[begin : begin + length]


def _is_http(header: dict[str, str], block: bytes) -> bool:
    return block.startswith(b"HTTP/") or _media(header.get("content-type")) == "application/http"


def _media(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _named(media: str) -> str:
    return f"content type {media[:100]}" if media else "no content type"


def _text_media(content_type: str) -> str:
    media = _media(content_type)
    if media not in _HTML and not media.startswith("text/"):
        raise Unusable(base.NO_TEXT, _named(media))
    return media


def _check_digest(stated: str | None, *contents: bytes) -> None:
    """Raise `Unusable` where a digest is that of none of the contents; of unknown kinds nothing is known."""
    name, colon, value = (stated or "").partition(":")
    name, value = name.strip().lower().replace("-", ""), value.strip()
    if not colon or name not in _DIGESTS:
        return
    n_bytes = hashlib.new(name, usedforsecurity=False).digest_size
    try:
        if len(value) == 2 * n_bytes:
            digest = binascii.unhexlify(value)
        elif len(value.rstrip("=")) == -(-n_bytes * 8 // 5):
            digest = base64.b32decode(value.rstrip("=").upper() + "=" * (-len(value.rstrip("=")) % 8))
        else:
            return
    except ValueError:
        digest = b""
    if all(hashlib.new(name, one, usedforsecurity=False).digest() != digest for one in contents):
        raise Unusable(base.BAD_RECORD, f"its {name} digest does not match")


def _text_of(body: bytes, media: str, content_type: str, libraries: Libraries) -> dict[str, Any]:
    """Return text and, where there is one, title of a page."""
    text = _decoded(body, content_type, libraries, is_html=media in _HTML)
    if media not in _HTML:
        return {"text": text.strip()}
    tree = libraries.parse_html(text)
    if text.count("<") >= _MOST_LEVELS and tree.document.query_selector(_DEEP) is not None:
        raise Unusable(base.NO_TEXT, f"the HTML is nested {_MOST_LEVELS} levels deep")
    record = {"text": libraries.main_text(tree, main_content=True).strip()}
    title = " ".join((tree.title or "").split())
    return record | ({"title": title} if title else {})


def _decoded(body: bytes, content_type: str, libraries: Libraries, *, is_html: bool) -> str:
    """Return the text of a body.

    What says the encoding: a byte order mark, the HTTP header, being UTF-8, the page itself, its bytes. One that does
    not fit the bytes is passed over.
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    charset = _CHARSET.search(content_type)
    named = libraries.known_encoding(charset[1], fallback_utf8=False) if charset else None
    for fitting in (named, None if body.isascii() else "utf-8"):
        if fitting is not None:
            try:
                return body.decode(fitting)
            except (UnicodeDecodeError, LookupError):
                continue
    found = libraries.detect_encoding(body, from_html_meta=is_html)
    try:
        return str(libraries.bytes_to_str(body, found))
    except LookupError:  # detected, but unknown to Python
        return body.decode("utf-8", "replace")


def _about(header: dict[str, str], metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what the header says about a document; fields that it lacks are left out."""
    more = {
        "payload_digest": header.get("warc-payload-digest") or header.get("warc-block-digest"),
        "language": header.get("warc-identified-content-language"),
        "truncated": header.get("warc-truncated"),
        "refers_to": _bare_id(header.get("warc-refers-to")),
    }
    record = {
        "id": _bare_id(header.get("warc-record-id")),
        "uri": (header.get("warc-target-uri") or "").removeprefix("<").removesuffix(">"),
        "collected_at": header.get("warc-date"),
    }
    record = {name: value for name, value in record.items() if value}
    return record | {"metadata": metadata | {name: value for name, value in more.items() if value}}


def _bare_id(stated: str | None) -> str | None:
    """Return the id of a record without `<urn:uuid:` and `>`."""
    return stated and stated.removeprefix("<").removesuffix(">").removeprefix("urn:uuid:")
