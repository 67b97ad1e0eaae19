"""Records become documents, or are refused with a reason: nothing is dropped in silence, nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import pyarrow as pa

from provenance.ids import DocumentDigester, content_digest, uuid_array
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.readers import base
from provenance.ingest.readers.base import Chunk, Ground, ReadOptions, Refused
from provenance.ingest.tombstones import Tombstones
from provenance.licences import licence_class
from provenance.records import ORIGINS, Claim, contradiction

#: Columns of `document` that a record decides.
_COLUMNS = (
    "external_id",
    "uri",
    "author",
    "title",
    "authored_at",
    "collected_at",
    "licence",
    "stated_licence_class",
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
    """Valid records in the order in which they were read.

    Attributes
    ----------
    texts : the texts as UTF-8
    content_ids, document_ids : 16 bytes each
    rows : the values of `_COLUMNS`
    claims : (place in this list, claim, what it rests on) of records that say themselves where they come from
    parents : (document id, parent id, relation)
    """

    texts: list[bytes] = field(default_factory=list)
    content_ids: list[bytes] = field(default_factory=list)
    document_ids: list[bytes] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    claims: list[tuple[int, Claim, Ground | None]] = field(default_factory=list)
    parents: list[tuple[bytes, bytes, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    def table(self, *, source: str) -> pa.Table:
        """Return everything but the text as an Arrow table with the names of the `document` table."""
        types = {"authored_at": pa.timestamp("us"), "collected_at": pa.timestamp("us"), "generation": pa.uint32()}
        columns: dict[str, Any] = {
            "document_id": uuid_array(self.document_ids),
            "content_id": uuid_array(self.content_ids),
            "source": pa.repeat(source, len(self)),
        }
        values = list(zip(*self.rows, strict=True)) or [()] * len(_COLUMNS)
        for name, column in zip(_COLUMNS, values, strict=True):
            columns[name] = pa.array(column, types.get(name, pa.string()))
        return pa.table(columns)


class _Refusal(Exception):
    """Raised inside this module for a record that cannot be taken."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        # A detail may quote a record that a program made, and so hold what cannot be written as UTF-8.
        self.detail = detail and detail.encode("utf-8", "backslashreplace").decode("utf-8")


class Validator:
    """Turns chunks into documents by one set of defaults, options and one mapping.

    Attributes
    ----------
    fields : every field that a record had, in the order of their first occurrence
    """

    def __init__(
        self, defaults: Defaults, options: ReadOptions, mapping: FieldMapping, tombstones: Tombstones | None = None
    ) -> None:
        self.defaults = defaults
        self._tombstones = tombstones or None
        self.options = options
        self.fields: dict[str, None] = {}
        self._text_field = mapping.text
        self._columns = mapping.columns()
        self._nested = [name for name in mapping.named() if "." in name]
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._document_digest = DocumentDigester(defaults.source)

    def take(self, chunk: Chunk, documents: Documents) -> list[Refused]:
        """Append the valid records of a chunk to `documents` and return all others in their order."""
        refused: list[Refused] = []
        for i, record in enumerate(chunk.records):
            try:
                self._take_record(record, documents, chunk.grounds[i] if chunk.grounds else None)
            except _Refusal as refusal:
                # What was taken down leaves no bytes here either.
                raw = b"" if refusal.reason == base.TAKEN_DOWN else chunk.raw(i)
                refused.append(Refused(chunk.places[i], refusal.reason, refusal.detail, raw, n_before=i))
        if not chunk.refused:
            return refused
        # What could not be read stands before the record of the same number.
        return sorted((*chunk.refused, *refused), key=lambda one: one.n_before)

    def _take_record(self, record: dict[str, Any], documents: Documents, ground: Ground | None) -> None:
        if self._nested:
            record = self._lifted(record)
        names = tuple(record)
        plan = self._plans.get(names) or self._plan(names)
        text = self._text(record)
        row = self._row(record, plan)
        claim, own = self._claim(row["origin"], row["generation"], row["model"]) if plan.claims else (None, False)
        if claim is None:
            claim = self.defaults.claim
        licence = row["licence"] or self.defaults.licence
        content_id = content_digest(text)
        document_id = self._document_digest(row["external_id"], content_id)
        if self._tombstones is not None:
            _refuse_if_taken_down(document_id, content_id, self._tombstones)
        if own:
            documents.claims.append((len(documents.texts), claim, ground))
        documents.texts.append(text)
        documents.content_ids.append(content_id)
        documents.document_ids.append(document_id)
        documents.rows.append(
            (
                row["external_id"], row["uri"] or self.defaults.uri, row["author"], row["title"], row["authored_at"],
                row["collected_at"], licence, licence_class(licence), claim.origin, claim.generation, claim.model,
                row["metadata"],
            )
        )  # fmt: skip
        if row["parent"]:
            documents.parents.extend((document_id, parent, relation) for parent, relation in row["parent"])

    def _lifted(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the record with fields such as `meta.author` beside the others, where the mapping names them."""
        lifted = dict(record)
        for name in self._nested:
            value: Any = record
            for step in name.split("."):
                value = value.get(step) if isinstance(value, dict) else None
            if name not in record and value is not None:
                lifted[name] = value
        return lifted

    def _plan(self, names: tuple[str, ...]) -> _Plan:
        """Return what becomes of the fields of a record with these names; most records have the same."""
        known = [(name, self._columns[name]) for name in names if name in self._columns]
        plan = _Plan(
            known=tuple((name, column, _CHECKS.get(column, _string)) for name, column in known if column in _CHECKED),
            rest=tuple(name for name in names if name not in self._columns),
            has_metadata=any(column == "metadata" for _, column in known),
            claims=any(column in ("origin", "generation", "model") for _, column in known),
        )
        self.fields.update(dict.fromkeys(names))
        if len(self._plans) < _MOST_PLANS:
            self._plans[names] = plan
        return plan

    def _row(self, record: dict[str, Any], plan: _Plan) -> dict[str, Any]:
        """Return the record's fields by column, checked; what has no column goes to `metadata`."""
        row = _EMPTY_ROW.copy()
        rest = {name: record[name] for name in plan.rest}
        for name, column, check in plan.known:
            value = record[name]
            if value is None or value == "":
                continue
            if row[column] is None:
                row[column] = check(name, value)
            else:  # a second name of the same column
                rest[name] = value
        if plan.has_metadata:
            nested = record.get("metadata")
            if isinstance(nested, dict) and rest.keys().isdisjoint(nested):
                rest = {**nested, **rest}
            elif nested is not None:
                rest["metadata"] = nested
        if rest:
            row["metadata"] = _packed(rest)
        return row

    def _text(self, record: dict[str, Any]) -> bytes:
        name = self._text_field
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


class _Plan(NamedTuple):
    """What becomes of the fields of records that have the same ones.

    Attributes
    ----------
    known : (field, column, check) of those with a column of their own
    rest : fields that become metadata
    has_metadata : whether there is a field of that name
    claims : whether one of them says something about the origin
    """

    known: tuple[tuple[str, str, Callable[[str, Any], Any]], ...]
    rest: tuple[str, ...]
    has_metadata: bool
    claims: bool


#: Records with ever new fields (ids as names) must not fill the memory with plans.
_MOST_PLANS = 1000
_EMPTY_ROW: dict[str, Any] = {**dict.fromkeys(_COLUMNS), "parent": None}
#: Python refuses to make a number of some thousand digits.
_MOST_DIGITS = 10
#: The text and nested metadata are dealt with apart.
_CHECKED = frozenset(_EMPTY_ROW) - {"metadata"}


def _refuse_if_taken_down(document_id: bytes, content_id: bytes, tombstones: Tombstones) -> None:
    if content_id in tombstones.texts:
        raise _Refusal(base.TAKEN_DOWN, f"text {UUID(bytes=content_id)}")
    if document_id in tombstones.documents:
        raise _Refusal(base.TAKEN_DOWN, f"document {UUID(bytes=document_id)}")


def _checked(text: str, name: str) -> bytes:
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _Refusal(base.LONE_SURROGATE, f"in {name!r}") from error
    if b"\0" in encoded:
        raise _Refusal(base.NUL_CHARACTER, f"in {name!r}")
    return encoded


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
    if isinstance(value, str) and value.isdecimal() and len(value) <= _MOST_DIGITS:  # a cell of CSV
        value = int(value)
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
