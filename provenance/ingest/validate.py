"""Records become documents, or are refused with a reason: nothing is dropped in silence, nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pyarrow as pa

from provenance.ids import content_digest, document_digest, uuid_array
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Chunk, ReadOptions, Refused
from provenance.licences import licence_class
from provenance.records import ORIGINS, Claim, contradiction

#: Fields of a record that have a column of their own; where two name the same column, the first in the record counts.
_FIELDS = {
    "uri": "uri",
    "url": "uri",
    "author": "author",
    "title": "title",
    "licence": "licence",
    "license": "licence",
    "model": "model",
    "authored_at": "authored_at",
    "date": "authored_at",
    "collected_at": "collected_at",
    "origin": "origin",
    "generation": "generation",
    "parent": "parent",
}
#: Columns of `document` that a record decides.
_COLUMNS = (
    "external_id",
    "uri",
    "author",
    "title",
    "authored_at",
    "collected_at",
    "licence",
    "licence_class",
    "origin",
    "generation",
    "model",
    "metadata",
)


@dataclass(frozen=True)
class Defaults:
    """What holds for a record that does not say otherwise itself."""

    source: str
    claim: Claim
    licence: str | None
    uri: str | None = None


@dataclass
class Documents:
    """Valid records as columns, in the order in which they were read."""

    texts: list[bytes] = field(default_factory=list)
    content_ids: list[bytes] = field(default_factory=list)
    document_ids: list[bytes] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})
    own_claim: list[bool] = field(default_factory=list)
    parents: list[tuple[bytes, bytes, str]] = field(default_factory=list)
    n_text_bytes: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    def table(self, *, source: str) -> pa.Table:
        """Return everything but the text as an Arrow table with the names of the `document` table."""
        types = {"authored_at": pa.timestamp("us"), "collected_at": pa.timestamp("us"), "generation": pa.uint32()}
        columns: dict[str, Any] = {
            "document_id": uuid_array(self.document_ids),
            "content_id": uuid_array(self.content_ids),
            "source": pa.array([source] * len(self), pa.string()),
        }
        for name, values in self.columns.items():
            columns[name] = pa.array(values, types.get(name, pa.string()))
        return pa.table(columns)


class _Refusal(Exception):
    """Raised inside this module for a record that cannot be taken."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        # A detail may quote a record that a program made, and so hold what cannot be written as UTF-8.
        self.detail = detail and detail.encode("utf-8", "backslashreplace").decode("utf-8")


class Validator:
    """Turns chunks into documents by one set of defaults and options."""

    def __init__(self, defaults: Defaults, options: ReadOptions) -> None:
        self.defaults = defaults
        self.options = options
        # The text and nested metadata are dealt with apart: they are named here so that they are no metadata.
        own = {"metadata": "nested", options.id_field: "external_id", options.text_field: "text"}
        self._columns = {**_FIELDS, **own}

    def take(self, chunk: Chunk, documents: Documents) -> list[Refused]:
        """Append the valid records of a chunk to `documents` and return the others."""
        refused = list(chunk.refused)
        for i, record in enumerate(chunk.records):
            try:
                self._take_record(record, documents)
            except _Refusal as refusal:
                refused.append(Refused(chunk.places[i], refusal.reason, refusal.detail, chunk.raw(i)))
        return refused

    def _take_record(self, record: dict[str, Any], documents: Documents) -> None:
        text = self._text(record)
        row = self._row(record)
        claim, own = self._claim(row["origin"], row["generation"], row["model"])
        row["model"], row["origin"], row["generation"] = claim.model, claim.origin, claim.generation
        row["licence"] = row["licence"] or self.defaults.licence
        row["licence_class"] = licence_class(row["licence"])
        row["uri"] = row["uri"] or self.defaults.uri
        content_id = content_digest(text)
        document_id = document_digest(self.defaults.source, row["external_id"], content_id)
        documents.texts.append(text)
        documents.content_ids.append(content_id)
        documents.document_ids.append(document_id)
        for name, values in documents.columns.items():
            values.append(row[name])
        documents.own_claim.append(own)
        documents.parents.extend((document_id, parent, relation) for parent, relation in row["parent"] or ())
        documents.n_text_bytes += len(text)

    def _row(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the record's fields by column, checked; what has no column goes to `metadata`."""
        row: dict[str, Any] = dict.fromkeys(_COLUMNS)
        row["parent"] = None
        rest: dict[str, Any] = {}
        for name, value in record.items():
            column = self._columns.get(name)
            if column is None:
                rest[name] = value
            elif value is None or value == "" or column not in row:
                continue
            elif row[column] is None:
                check: Callable[[str, Any], Any] = _CHECKS.get(column) or _string
                row[column] = check(name, value)
            else:  # a second name of the same column
                rest[name] = value
        nested = record.get("metadata")
        if isinstance(nested, dict) and rest.keys().isdisjoint(nested):
            rest = {**nested, **rest}
        elif nested is not None:
            rest["metadata"] = nested
        row["metadata"] = _packed(rest) if rest else None
        return row

    def _text(self, record: dict[str, Any]) -> bytes:
        name = self.options.text_field
        if name not in record:
            raise _Refusal(base.MISSING_FIELD, f"no field {name!r}; it has: {', '.join(map(str, record))[:200]}")
        text = record[name]
        if not isinstance(text, str):
            kind = base.MISSING_FIELD if text is None else base.WRONG_TYPE
            raise _Refusal(kind, f"{name!r} is {'null' if text is None else type(text).__name__}, expected text")
        if not text or text.isspace():
            raise _Refusal(base.EMPTY_TEXT)
        encoded = _checked(text, name)
        if len(encoded) > self.options.max_record_bytes:
            raise _Refusal(base.TOO_LARGE, f"{name!r} has {len(encoded):,} bytes")
        return encoded

    def _claim(self, origin: str | None, generation: int | None, model: str | None) -> tuple[Claim, bool]:
        """Return what holds for a record that says this much itself, and whether it says anything."""
        if origin is None and generation is None and model is None:
            return self.defaults.claim, False
        default = self.defaults.claim
        if origin is None or origin == default.origin:
            generation = default.generation if generation is None else generation
            model = default.model if model is None else model
        origin = origin or default.origin
        if origin == "human" and generation is None:
            generation = 0
        problem = contradiction(origin, generation, model)
        if problem:
            raise _Refusal(base.CONTRADICTION, problem)
        return Claim(origin, generation, model), True


def _checked(text: str, name: str) -> bytes:
    if "\0" in text:
        raise _Refusal(base.NUL_CHARACTER, f"in {name!r}")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _Refusal(base.LONE_SURROGATE, f"in {name!r}") from error


def _packed(metadata: dict[str, Any]) -> str:
    try:
        packed = orjson.dumps(metadata, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise _Refusal(base.WRONG_TYPE, f"metadata cannot be kept as JSON: {error}") from error
    return packed.decode("utf-8")


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _Refusal(base.WRONG_TYPE, f"{name!r} is {type(value).__name__}, expected text")
    _checked(value, name)
    return value


def _external_id(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _Refusal(base.WRONG_TYPE, f"{name!r} is {type(value).__name__}, expected text or a whole number")
    identifier = str(value)
    _checked(identifier, name)
    return identifier


def _origin(name: str, value: Any) -> str:
    if value not in ORIGINS:
        raise _Refusal(base.WRONG_TYPE, f"{name!r} is {value!r}, expected one of: {', '.join(ORIGINS)}")
    return str(value)


def _generation(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value >= 2**32:
        raise _Refusal(base.WRONG_TYPE, f"{name!r} is {value!r}, expected a small whole number")
    return value


def _date(name: str, value: Any) -> datetime:
    given = value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 9999:
        value = f"{value:04d}"
    if hasattr(value, "isoformat"):
        value = value.isoformat()
    try:
        if not isinstance(value, str):
            raise ValueError
        padded = value + {4: "-01-01", 7: "-01"}.get(len(value), "")  # a year or a month stands for its first day
        moment = datetime.fromisoformat(padded)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:  # overflow: a zone that leads before the year 1
        raise _Refusal(base.WRONG_TYPE, f"{name!r} is {given!r}, expected an ISO 8601 date") from error


def _parents(name: str, value: Any) -> list[tuple[bytes, str]]:
    """Return the ids of the documents that a record says it was made from, with the relation."""
    found = []
    for one in value if isinstance(value, list) else [value]:
        parent = one if isinstance(one, dict) else {"document_id": one}
        relation = parent.get("relation", "prompt")
        try:
            found.append((UUID(parent["document_id"]).bytes, str(relation)))
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise _Refusal(base.WRONG_TYPE, f"{name!r} is {one!r}, expected the id of a document") from error
    return found


#: How the value of a column is checked; all others are text.
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "external_id": _external_id,
    "authored_at": _date,
    "collected_at": _date,
    "origin": _origin,
    "generation": _generation,
    "parent": _parents,
}
