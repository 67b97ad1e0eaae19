"""Annotating: values from files are attached to documents, in one transaction."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from provenance.annotations.errors import AttributeDiffers, InvalidDescription
from provenance.annotations.merge import KEYS, Staging
from provenance.annotations.reading import AnnotationReader
from provenance.errors import StoreReadOnly, UnknownName
from provenance.store import schema
from provenance.store.attributes import stored_attributes, write_attributes_view
from provenance.store.store import Store, utc_now

_MOST_CHARACTERS = 1_000


@dataclass(frozen=True)
class AttributeReport:
    """What became of the values of one attribute.

    Attributes
    ----------
    name, kind : the attribute
    n_new : documents that had no value
    n_changed : documents that had another value
    n_same : documents that had this value already
    """

    name: str
    kind: str
    n_new: int
    n_changed: int
    n_same: int


@dataclass(frozen=True)
class AnnotateReport:
    """What annotating did.

    Attributes
    ----------
    attributes : every attribute in the files that had a value for a document
    n_records : records read
    n_missing : keys without a document
    n_several : keys that stand for several documents, all of which were annotated
    """

    attributes: tuple[AttributeReport, ...]
    n_records: int
    n_missing: int
    n_several: int


def annotate(
    store: Store,
    files: Sequence[str | os.PathLike[str]],
    *,
    key: str = "document_id",
    key_field: str | None = None,
    source: str | None = None,
    attributes: Iterable[str] | None = None,
    rename: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
    tool: str | None = None,
    note: str | None = None,
    ignore_missing: bool = False,
    format_name: str | None = None,
) -> AnnotateReport:
    """Attach the values in files to the documents that their keys stand for; all or nothing.

    A new value replaces the one that was there. A value that is null, an empty cell of CSV, or not there says nothing.
    An attribute keeps the kind of its first use: number (finite, double precision), text or boolean. Cells of CSV are
    numbers, booleans or text like the first one of their column, unless the store or `kinds` says otherwise.

    Parameters
    ----------
    files : JSON Lines, CSV or Parquet; anything that `ingest` reads
    key : what the keys are: `document_id`, `content_id` or `external_id`; one that stands for several documents
        annotates them all
    key_field : field that holds the key; by default the one named like it, for external ids also `id`
    source : only documents of this source
    attributes : fields to take; by default all but the key
    rename : field -> name of its attribute; by default the same
    kinds : attribute -> kind; values of another kind are then read as of this one, or refused
    tool : what made the values; an attribute has one tool
    note : what the values mean
    ignore_missing : leave out keys that stand for no document, instead of refusing

    Raises
    ------
    StoreReadOnly
        If the store was opened for reading.
    AnnotationsUnreadable, AnnotationRefused, NoSuchField
        If a file, a record or a value in it cannot be taken.
    InvalidAttribute, AttributeNameTaken, TooManyAttributes, AttributeDiffers
        If a field cannot become an attribute, or the store's is of another kind or tool.
    InvalidDescription
        If `tool` or `note` is no short line.
    ConflictingValues, AmbiguousKeys, UnknownKeys, UnknownName
        If a key has two values, occurs in two sources, stands for no document, or there is no such source.
    """
    if not store.writable:
        raise StoreReadOnly(store.path)
    if key not in KEYS:
        raise UnknownName("kind of key", key, KEYS)
    _require_short(tool=tool, note=note)
    with store.transaction() as connection:
        _require_source(connection, source)
        stored = stored_attributes(connection)
        fields = None if attributes is None else tuple(dict.fromkeys(attributes))
        reader = AnnotationReader(key, key_field, fields, rename or {}, kinds or {}, stored)
        staging = Staging(connection, key)
        for table in reader.tables(files, format_name):
            staging.add(table)
        n_missing, n_several = staging.match(source, ignore_missing=ignore_missing)
        now = _moment(connection)
        given = {one.name: one.kind for one in reader.attributes.values() if one.kind is not None and one.first}
        reports = [AttributeReport(name, kind, *staging.merge(name, now=now)) for name, kind in given.items()]
        staging.close()
        reports = [one for one in reports if one.n_new or one.n_changed or one.n_same]
        _describe(connection, reports, stored, tool=tool, note=note, now=now)
    return AnnotateReport(tuple(reports), reader.n_records, n_missing, n_several)


def _require_short(**texts: str | None) -> None:
    for what, text in texts.items():
        if text is not None and not (text.isprintable() and 0 < len(text.strip()) <= len(text) <= _MOST_CHARACTERS):
            raise InvalidDescription(what, text, _MOST_CHARACTERS)


def _require_source(connection: Connection, source: str | None) -> None:
    known = connection.execute(select(schema.source.c.name)).scalars().all()
    if source is not None and source not in known:
        raise UnknownName("source", source, known)


def _moment(connection: Connection) -> datetime:
    """Return the present time, later than every training set whatever the clock says.

    Verifying a set tells values that came after the draw from those that were there by their times.
    """
    latest: datetime | None = connection.execute(select(func.max(schema.training_set.c.created_at))).scalar()
    now = utc_now()
    return now if latest is None else max(now, latest + timedelta(microseconds=1))


def _describe(
    connection: Connection,
    reports: Sequence[AttributeReport],
    stored: Mapping[str, str],
    *,
    tool: str | None,
    note: str | None,
    now: datetime,
) -> None:
    """Enter new attributes, note what was said about those that were there, and show all of it in the view."""
    table = schema.attribute
    new = [one for one in reports if one.name not in stored]
    if new:
        rows = [{"name": one.name, "kind": one.kind, "tool": tool, "note": note, "created_at": now} for one in new]
        connection.execute(insert(table), rows)
    is_described = False
    for one in reports:
        if one.name not in stored:
            continue
        had: Any = connection.execute(select(table.c.tool, table.c.note).where(table.c.name == one.name)).one()
        if tool is not None and had.tool is not None and had.tool != tool:
            raise AttributeDiffers(one.name, "tool", had.tool, tool)
        said = {"tool": had.tool if tool is None else tool, "note": had.note if note is None else note}
        if said != {"tool": had.tool, "note": had.note}:
            connection.execute(update(table).where(table.c.name == one.name).values(said))
            is_described = True
    if new or is_described:
        write_attributes_view(connection)
