"""What a claim is about, as people name it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection

from provenance.errors import UnknownName
from provenance.evidence.claims import SubjectKind
from provenance.ids import uuid_array
from provenance.store.lookup import HINTS, find_id, id_range
from provenance.store.store import fetch, fetch_ids, staged

_SOURCES = "SELECT name FROM source ORDER BY name"
_UNDONE = "SELECT ingest_id::VARCHAR AS id FROM ingest WHERE state = 'undone'"
_PRESENT = {
    "document": "SELECT document_id::VARCHAR AS id FROM document SEMI JOIN named ON named.id = document_id",
    "ingest": "SELECT ingest_id::VARCHAR AS id FROM ingest SEMI JOIN named ON named.id = ingest_id",
}
_DOCUMENTS = {
    "document": "SELECT document_id FROM document SEMI JOIN named ON named.id = document_id",
    "ingest": "SELECT document_id FROM document SEMI JOIN named ON named.id = ingest_id",
    "source": "SELECT document_id FROM document SEMI JOIN named ON named.id = source",
}


def find_subject(connection: Connection, kind: SubjectKind, text: str) -> str:
    """Return the id, or the name of the source, that a claim is about.

    Raises
    ------
    UnknownName
        If there is no such document, ingest or source, or the ingest was undone.
    """
    [found] = find_subjects(connection, [(kind, text)]).values()
    if isinstance(found, UnknownName):
        raise found
    return found


def find_subjects(
    connection: Connection, named: Iterable[tuple[SubjectKind, str]]
) -> dict[tuple[SubjectKind, str], str | UnknownName]:
    """Return for everything that claims are about its id or name, or why there is none.

    Whole ids are looked up all at once, beginnings of ids each by itself.
    """
    found: dict[tuple[SubjectKind, str], str | UnknownName] = {}
    by_kind: dict[SubjectKind, list[str]] = {}
    for kind, text in dict.fromkeys(named):
        by_kind.setdefault(kind, []).append(text)
    for kind, texts in by_kind.items():
        known = _sources(connection, texts) if kind == "source" else _ids(connection, kind, texts)
        found |= {(kind, text): one for text, one in known.items()}
    return found


def _sources(connection: Connection, texts: Iterable[str]) -> dict[str, str | UnknownName]:
    known = dict.fromkeys(fetch(connection, _SOURCES)["name"].to_pylist())
    unknown = (UnknownName("source", text, known, hint="See: provenance stats") for text in texts if text not in known)
    return {**{text: text for text in texts if text in known}, **{one.name: one for one in unknown}}


def _ids(connection: Connection, kind: SubjectKind, texts: Iterable[str]) -> dict[str, str | UnknownName]:
    ranges = {text: bounds for text in texts if (bounds := id_range(text)) is not None}
    whole = {text: str(one["low"]) for text, one in ranges.items() if one["low"] == one["high"]}
    with staged(connection, named=_table(kind, whole.values())):
        present = set(fetch(connection, _PRESENT[kind])["id"].to_pylist())
    undone = set(fetch(connection, _UNDONE)["id"].to_pylist()) if kind == "ingest" else set()
    found: dict[str, str | UnknownName] = {}
    for text in texts:
        try:
            one = whole[text] if text in whole else find_id(connection, kind, text)
        except UnknownName as error:
            found[text] = error
            continue
        is_there = one in present or text not in whole
        found[text] = one if is_there and one not in undone else UnknownName(
            kind, text, hint="That run was undone." if one in undone else HINTS[kind]
        )  # fmt: skip
    return found


def documents_of(connection: Connection, subjects: Iterable[tuple[SubjectKind, str]]) -> pa.Table:
    """Return the ids of the documents that subjects hold, each once, as the column `document_id`."""
    by_kind: dict[SubjectKind, dict[str, None]] = {}
    for kind, subject in subjects:
        by_kind.setdefault(kind, {})[subject] = None
    found = []
    for kind, names in by_kind.items():
        with staged(connection, named=_table(kind, names)):
            found.append(fetch_ids(connection, _DOCUMENTS[kind]))
    return pa.concat_tables(found) if len(found) == 1 else _distinct(connection, found)


def _distinct(connection: Connection, tables: list[pa.Table]) -> pa.Table:
    with staged(connection, several=pa.concat_tables(tables)):
        return fetch_ids(connection, "SELECT DISTINCT document_id FROM several")


def _table(kind: SubjectKind, names: Iterable[str]) -> pa.Table:
    if kind == "source":
        return pa.table({"id": pa.array(list(names), pa.string())})
    return pa.table({"id": uuid_array([UUID(one).bytes for one in names])})
