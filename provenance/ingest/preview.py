"""What an ingest would do: the first records as they would be stored, and what would be refused. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import orjson

from provenance.errors import ProvenanceError
from provenance.ingest.inputs import Input, as_text, find_inputs
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.pipeline import ENOUGH_RECORDS, IngestOptions
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import Chunk, Reader, ReadOptions, Refused
from provenance.ingest.sources import Source, find_source, require_source
from provenance.ingest.tombstones import read_tombstones
from provenance.ingest.validate import Defaults, Documents, Validator
from provenance.records import Claim
from provenance.store.store import Store
from provenance.store.views import VIEW_COLUMNS

#: How many records are looked at over all inputs, and how many of them are shown.
MAX_RECORDS = 10_000
N_SHOWN = 3
#: Texts and other long values are shown up to this many characters.
SHOWN_CHARACTERS = 300
#: Small pieces, so that little is read that is not looked at.
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class PreviewedFile:
    """What was looked at of one input."""

    file: str
    format: str
    n_read: int
    n_quarantined: int
    is_whole: bool


@dataclass
class PreviewedReason:
    """Records that would be quarantined for one reason: how many, and where and what the first was."""

    n_records: int
    file: str
    place: str
    detail: str | None


@dataclass
class Preview:
    """What an ingest would do, as far as the first records tell.

    Attributes
    ----------
    source, is_new_source : where the documents would belong, and whether it would be made for them
    files : the inputs that were looked at, in order
    n_files_left : inputs that were not looked at
    columns : field of the record -> column, for the fields that occurred
    metadata_fields : fields that occurred and go to `metadata`
    absent : field -> column, for the fields that the mapping names and no record had
    records : the first valid records: file, place, and the columns of the view `documents`
    reasons : what would be quarantined, by reason
    warnings : why the ingest would stop, or would not do what was probably meant
    error : what ended the reading before its time
    """

    source: str
    is_new_source: bool
    files: list[PreviewedFile] = field(default_factory=list)
    n_files_left: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    metadata_fields: tuple[str, ...] = ()
    absent: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    reasons: dict[str, PreviewedReason] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: ProvenanceError | None = None

    @property
    def n_read(self) -> int:
        """Records looked at."""
        return sum(one.n_read for one in self.files)

    @property
    def n_quarantined(self) -> int:
        """Records that would be quarantined."""
        return sum(one.n_quarantined for one in self.files)

    @property
    def n_valid(self) -> int:
        """Records that would be stored, or are there already."""
        return self.n_read - self.n_quarantined

    @property
    def is_whole(self) -> bool:
        """Whether everything was looked at."""
        return not self.n_files_left and all(one.is_whole for one in self.files) and self.error is None

    def as_json(self) -> dict[str, Any]:
        """Return it with nothing but text, numbers, lists and mappings."""
        return {
            "source": self.source,
            "is_new_source": self.is_new_source,
            "n_read": self.n_read,
            "n_valid": self.n_valid,
            "n_quarantined": self.n_quarantined,
            "is_whole": self.is_whole,
            "files": [one.__dict__ for one in self.files],
            "n_files_left": self.n_files_left,
            "columns": self.columns,
            "metadata_fields": list(self.metadata_fields),
            "absent": self.absent,
            "records": [{name: _plain(name, value) for name, value in record.items()} for record in self.records],
            "reasons": {reason: one.__dict__ for reason, one in self.reasons.items()},
            "warnings": self.warnings,
            "error": self.error and str(self.error),
        }


def preview(
    store: Store,
    files: Sequence[str | os.PathLike[str]],
    *,
    source: str,
    claim: Claim | None = None,
    licence: str | None = None,
    options: IngestOptions | None = None,
    n_shown: int = N_SHOWN,
    max_records: int = MAX_RECORDS,
) -> Preview:
    """Return what `ingest_files` would do with the same arguments; the store is only read.

    Parameters
    ----------
    store : may lack the source when a claim is given; may be open for reading
    n_shown : how many valid records are returned
    max_records : how many records are looked at over all inputs, at least 1; every input has its share of them

    Raises
    ------
    UnknownSource
        If the source is new and no claim is given.
    UnreadableFile, NothingToRead, UnknownFormat, FieldMissing
        If an input cannot be read; what comes after the first records is kept as `error` of the preview.
    """
    chosen = options or IngestOptions()
    inputs = [(one, reader_for(one, chosen.format_name)) for one in find_inputs(files)]
    with store.read() as connection:
        known = find_source(connection, source)
        described = known or (Source(source, claim, licence) if claim else require_source(connection, source))
        tombstones = read_tombstones(connection)
    found = Preview(source, is_new_source=known is None)
    defaults = Defaults(source, claim or described.claim, licence or described.licence, described.uri)
    reading = replace(chosen.reading(source), chunk_bytes=min(chosen.chunk_bytes, _CHUNK_BYTES))
    look = _Look(found, Validator(defaults, reading, chosen.mapping, tombstones), reading, n_shown)
    for i, (file, reader) in enumerate(inputs):
        share = -(-(max_records - found.n_read) // (len(inputs) - i))
        if share <= 0 or found.error is not None:
            found.n_files_left = len(inputs) - i
            break
        look.at(file, reader, n_most=share)
    if found.error is not None and not found.n_read:
        raise found.error
    look.finish(chosen.mapping, chosen.max_quarantined)
    return found


class _Look:
    """Fills a preview."""

    def __init__(self, found: Preview, validator: Validator, options: ReadOptions, n_shown: int) -> None:
        self._found = found
        self._validator = validator
        self._options = options
        self._n_shown = n_shown

    def at(self, file: Input, reader: Reader, *, n_most: int) -> None:
        """Look at the first records of one input."""
        n_read = n_quarantined = 0
        is_whole = True
        name = as_text(file.name)
        try:
            for block in reader.blocks(file, self._options):
                whole = reader.parse(block, self._options)
                chunk = _begin(whole, n_most - n_read)
                n_read += chunk.n_records
                n_quarantined += self._take(chunk, name)
                is_whole = chunk.n_records == whole.n_records
                if not is_whole:
                    break
        except ProvenanceError as error:
            self._found.error = error
        is_whole = is_whole and self._found.error is None
        self._found.files.append(PreviewedFile(name, reader.name, n_read, n_quarantined, is_whole))

    def _take(self, chunk: Chunk, name: str) -> int:
        """Take the records of a chunk into the preview and return how many would be quarantined."""
        documents = Documents()
        refused = self._validator.take(chunk, documents)
        for one in refused:
            if one.part == 0:
                first = PreviewedReason(0, name, one.place, one.detail)
                self._found.reasons.setdefault(one.reason, first).n_records += 1
        n_missing = self._n_shown - len(self._found.records)
        if n_missing > 0 and len(documents):
            self._found.records.extend(_as_stored(documents, _places(chunk, refused), name)[:n_missing])
        return sum(one.part == 0 for one in refused)

    def finish(self, mapping: FieldMapping, max_quarantined: float) -> None:
        """Say what became of the fields, and what would stop the ingest."""
        found, occurred = self._found, self._validator.fields
        columns = mapping.columns()
        found.columns = {name: columns[name] for name in occurred if name in columns}
        found.metadata_fields = tuple(name for name in occurred if name not in columns)
        found.absent = {name: column for name, column in mapping.named().items() if name not in occurred}
        required = [name for name in mapping.required() if name in found.absent]
        if found.n_read and required:
            has = f" The records have: {', '.join(occurred)}." if occurred else ""
            found.warnings.append(f"No record has the field {required[0]!r} that the mapping names.{has}")
        limit = max_quarantined * found.n_read
        if found.n_read >= ENOUGH_RECORDS and found.n_quarantined > limit:
            share = f"{found.n_quarantined / found.n_read:.1%}"
            found.warnings.append(
                f"{share} of these records would be quarantined: an ingest stops above {max_quarantined:.1%} "
                "(--max-quarantined)."
            )


def _begin(chunk: Chunk, n_most: int) -> Chunk:
    """Return the first records of a chunk, refused ones counted."""
    refused: list[Refused] = []
    left = n_most
    unread = sorted(chunk.refused, key=lambda one: one.n_before)
    n_records = 0
    while left and (unread or n_records < len(chunk.records)):
        if unread and unread[0].n_before <= n_records:
            left -= unread[0].part == 0
            refused.append(unread.pop(0))
        else:
            left -= 1
            n_records += 1
    begun = slice(0, n_records)
    return replace(
        chunk,
        places=chunk.places[begun],
        records=chunk.records[begun],
        raws=None if chunk.raws is None else chunk.raws[begun],
        refused=refused,
        grounds=None if chunk.grounds is None else chunk.grounds[begun],
    )


def _places(chunk: Chunk, refused: Sequence[Refused]) -> list[str]:
    """Return where the valid records of a chunk stand."""
    unread = {id(one) for one in chunk.refused}
    invalid = {one.n_before for one in refused if id(one) not in unread}
    return [place for i, place in enumerate(chunk.places) if i not in invalid]


def _as_stored(documents: Documents, places: Sequence[str], name: str) -> list[dict[str, Any]]:
    """Return documents as the view `documents` would show them, with the place where each stands."""
    grounds = {i: ground for i, _, ground in documents.claims if ground is not None}
    rows = []
    for i, row in enumerate(documents.table(source="").to_pylist()):
        row |= {"licence_class": row["stated_licence_class"], "n_bytes": len(documents.texts[i])}
        row["text"] = documents.texts[i].decode("utf-8")
        shown: dict[str, Any] = {"file": name, "place": places[i]}
        shown |= {column: row[column] for column in VIEW_COLUMNS["documents"] if column in row and column != "source"}
        own_id = documents.document_ids[i]
        parents = [str(UUID(bytes=parent)) for child, parent, _ in documents.parents if child == own_id]
        if parents:
            shown["parents"] = parents
        if i in grounds:
            shown["evidence"] = grounds[i].method
        rows.append(shown)
    return rows


def _plain(name: str, value: Any) -> Any:
    """Return a value for JSON: long text shortened, metadata as what it holds, dates and ids as text."""
    if value is None or isinstance(value, int | list):
        return value
    if name == "metadata":
        return orjson.loads(value)
    return shortened(value) if isinstance(value, str) else str(value)


def shortened(value: str) -> str:
    """Return the beginning of a text, with an ellipsis where something is missing."""
    return value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 1] + "…"
