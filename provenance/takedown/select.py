"""Which documents a takedown is about: by id, author, source, licence or address.

Values of one kind are a union. Authors and addresses are looked for in what a document says today and in what it said
before it was amended, since both are in the store. Addresses are patterns: `*` stands for anything, `?` for one
character, `[ab]` for one of some; capitals and small letters differ, as they do on the web.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection

from provenance.errors import UnknownName
from provenance.store.store import registered

Kind = Literal["document", "author", "source", "licence", "url"]

#: Digits of the id of a document.
_WHOLE_ID = 32
_HEXADECIMAL = re.compile(r"[0-9a-f]{4,32}")
#: Kinds whose values may tell who somebody is: of those the store keeps a digest only.
_PERSONAL = ("author", "url")
_SHOWN = 3

_MATCHES: dict[str, str] = {
    "author": """
        SELECT document_id FROM document WHERE author = $value
        UNION
        SELECT document_id FROM amendment WHERE field = 'author' AND (previous = $value OR value = $value)
    """,
    "source": "SELECT document_id FROM document WHERE source = $value",
    "licence": "SELECT document_id FROM document WHERE licence = $value",
    "url": """
        SELECT document_id FROM document WHERE uri GLOB $value
        UNION
        SELECT document_id FROM amendment WHERE field = 'uri' AND (previous GLOB $value OR value GLOB $value)
    """,
}
_KNOWN = {"author": "author", "licence": "licence", "url": "uri"}
_NEAREST = """
    SELECT known FROM (SELECT DISTINCT {column} AS known FROM document WHERE {column} IS NOT NULL)
    ORDER BY jaro_winkler_similarity(lower(known), lower($value)) DESC, known LIMIT 3
"""
_SOURCES = "SELECT name FROM source ORDER BY ALL"
_BY_ID = "SELECT document_id FROM document WHERE document_id = $value::UUID"
_BY_PREFIX = """
    SELECT document_id FROM document WHERE starts_with(replace(document_id::VARCHAR, '-', ''), $value) LIMIT 4
"""
_TOMBSTONE = """
    SELECT strftime(t.taken_down_at, '%Y-%m-%d') FROM tombstone s JOIN takedown t USING (takedown_id)
    WHERE starts_with(replace(s.document_id::VARCHAR, '-', ''), $value) LIMIT 1
"""
_HINTS = {
    "author": "Expected the name exactly as in the view documents.",
    "licence": "Expected a licence exactly as in the view documents.",
    "url": "Expected a pattern over the column uri of the view documents, such as 'https://example.org/*'; capitals "
    "and small letters differ.",
    "source": "See: provenance stats",
}


@dataclass(frozen=True)
class Selection:
    """What is to be taken down.

    Attributes
    ----------
    kind : what the values are
    values : ids of documents or beginnings of them, names of authors, sources or licences, or patterns of addresses
    """

    kind: Kind
    values: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """Return what the store keeps of it: values that may tell who somebody is as their SHA-256."""
        if self.kind not in _PERSONAL:
            return {"kind": self.kind, "values": list(self.values)}
        return {"kind": self.kind, "sha256": [sha256(one.encode("utf-8")).hexdigest() for one in self.values]}

    @property
    def personal(self) -> tuple[str, ...]:
        """The values that must not stay in the store."""
        return self.values if self.kind in _PERSONAL else ()


def choose(connection: Connection, selection: Selection) -> None:
    """Make the temporary table `chosen` (document_id) of the documents selected.

    Raises
    ------
    UnknownName
        If a value stands for no document, or the beginning of an id for several.
    """
    with registered(connection) as raw:
        raw.execute("CREATE OR REPLACE TEMP TABLE chosen (document_id UUID)")
        for value in dict.fromkeys(selection.values):
            query, bound = _query(raw, selection.kind, value)
            raw.execute(f"INSERT INTO chosen {query} EXCEPT SELECT document_id FROM chosen", {"value": bound})
            if selection.kind != "document":
                _require_match(raw, selection.kind, query, value)


def _query(raw: Any, kind: Kind, value: str) -> tuple[str, str]:
    """Return the query for the documents of a value, and what its parameter is."""
    if kind != "document":
        return _MATCHES[kind], value
    digits = value.strip().lower().replace("-", "")
    found: list[Any] = []
    if _HEXADECIMAL.fullmatch(digits):
        found = raw.execute(_BY_ID if len(digits) == _WHOLE_ID else _BY_PREFIX, {"value": digits}).fetchall()
        gone = raw.execute(_TOMBSTONE, {"value": digits}).fetchone() if not found else None
        if gone:
            raise UnknownName("document", value, hint=f"It was taken down on {gone[0]}.")
    if not found:
        raise UnknownName("document", value, hint="Expected ids as in the view documents, or at least 4 digits of one.")
    if len(found) > 1:
        some = ", ".join(str(one) for (one,) in found[:_SHOWN])
        raise UnknownName("single document", value, hint=f"Several ids begin so: {some}. Give more of the id.")
    return _BY_ID, str(found[0][0])


def _require_match(raw: Any, kind: Kind, query: str, value: str) -> None:
    if kind == "source":
        known: Iterable[str] = [name for (name,) in raw.execute(_SOURCES).fetchall()]
        if value not in known:
            raise UnknownName("source", value, known, hint=_HINTS[kind])
        return
    if raw.execute(f"SELECT document_id FROM ({query}) LIMIT 1", {"value": value}).fetchone() is None:
        near = raw.execute(_NEAREST.format(column=_KNOWN[kind]), {"value": value}).fetchall()
        what = "document with the URL" if kind == "url" else f"document with the {kind}"
        raise UnknownName(what, value, [name for (name,) in near], hint=_HINTS[kind])
