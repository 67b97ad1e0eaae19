"""Which documents a takedown is about: by id, author, source, licence or address.

Values of one kind are a union. Authors and addresses are looked for in what a document says today and in what it said
before it was amended, since both are in the store; an author's name in any composition of its characters. Addresses are
patterns, see `patterns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection

from provenance.errors import UnknownName
from provenance.store.lookup import find_id
from provenance.store.store import registered
from provenance.takedown.patterns import regular

Kind = Literal["document", "author", "source", "licence", "url"]

#: Kinds whose values may tell who somebody is: of those the store keeps a digest only.
_PERSONAL = ("author", "url")
_AUTHOR = "nfc_normalize(trim({column})) = nfc_normalize(trim($value))"
# What is not UTF-8 once it is decoded is compared as it stands.
_URL = "regexp_full_match(nfc_normalize(coalesce(TRY(url_decode({column})), {column})), $value)"


def _now_or_before(field: str, condition: str) -> str:
    return f"""
        SELECT document_id FROM document WHERE {condition.format(column=field)}
        UNION
        SELECT document_id FROM amendment
        WHERE field = '{field}' AND ({condition.format(column="previous")} OR {condition.format(column="value")})
    """


_MATCHES: dict[str, str] = {
    "author": _now_or_before("author", _AUTHOR),
    "source": "SELECT document_id FROM document WHERE source = $value",
    "licence": "SELECT document_id FROM document WHERE licence = $value",
    "url": _now_or_before("uri", _URL),
}
_KNOWN = {"author": "author", "licence": "licence", "url": "uri"}
_NEAREST = """
    SELECT known FROM (SELECT DISTINCT {column} AS known FROM document WHERE {column} IS NOT NULL)
    ORDER BY jaro_winkler_similarity(lower(known), lower($value)) DESC, known LIMIT 3
"""
_SOURCES = "SELECT name FROM source ORDER BY ALL"
_BY_ID = "SELECT document_id FROM document WHERE document_id = $value::UUID"
_EARLIER = """
    SELECT strftime(max(taken_down_at), '%Y-%m-%d') FROM takedown
    WHERE selection->>'kind' = $kind AND list_contains((selection->'sha256')::VARCHAR[], $digest)
"""
_HINTS = {
    "author": "Expected the name exactly as in the view documents.",
    "licence": "Expected a licence exactly as in the view documents.",
    "url": "Expected a pattern over the column uri of the view documents, such as 'https://example.org/*'; capitals "
    "and small letters differ behind the host.",
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
        return {"kind": self.kind, "sha256": [_digest(one) for one in self.values]}

    @property
    def personal(self) -> tuple[str, ...]:
        """The values that must not stay in the store."""
        return self.values if self.kind in _PERSONAL else ()


def choose(connection: Connection, selection: Selection) -> tuple[str, ...]:
    """Make the temporary table `chosen` (document_id) of the documents selected; return values that none has.

    Raises
    ------
    UnknownName
        If a value is no id, or the beginning of several, or no source or licence that is known.
    """
    unmatched = []
    with registered(connection) as raw:
        raw.execute("CREATE OR REPLACE TEMP TABLE chosen (document_id UUID)")
        for value in dict.fromkeys(selection.values):
            query, bound = _query(connection, selection.kind, value)
            raw.execute(f"CREATE OR REPLACE TEMP TABLE matching AS {query}", {"value": bound})
            has_any = raw.execute("SELECT 1 FROM matching LIMIT 1").fetchone() is not None
            raw.execute("INSERT INTO chosen FROM matching ANTI JOIN chosen USING (document_id)")
            if not has_any and selection.kind in _PERSONAL:
                unmatched.append(value)
            elif selection.kind == "source":
                _require_source(raw, value)
            elif not has_any:
                raise unknown(connection, selection.kind, value)
        raw.execute("DROP TABLE IF EXISTS temp.matching")
    return tuple(unmatched)


def unknown(connection: Connection, kind: Kind, value: str) -> UnknownName:
    """Return the error that says that nothing has an author, licence or address, and when it was taken down."""
    what = "document with the URL" if kind == "url" else f"document with the {kind}"
    with registered(connection) as raw:
        earlier = raw.execute(_EARLIER, {"kind": kind, "digest": _digest(value)}).fetchone()[0]
        if earlier:
            return UnknownName(what, value, hint=f"It was taken down on {earlier}.")
        near = raw.execute(_NEAREST.format(column=_KNOWN[kind]), {"value": value}).fetchall()
    return UnknownName(what, value, [name for (name,) in near], hint=_HINTS[kind])


def _query(connection: Connection, kind: Kind, value: str) -> tuple[str, str]:
    """Return the query for the documents of a value, and what its parameter is."""
    if kind == "document":
        return _BY_ID, find_id(connection, "document", value)
    return _MATCHES[kind], regular(value) if kind == "url" else value


def _require_source(raw: Any, value: str) -> None:
    known = [name for (name,) in raw.execute(_SOURCES).fetchall()]
    if value not in known:
        raise UnknownName("source", value, known, hint=_HINTS["source"])


def _digest(value: str) -> str:
    return sha256(value.encode("utf-8")).hexdigest()
