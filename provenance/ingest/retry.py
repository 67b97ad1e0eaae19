"""Refused records are read once more, after a fix: what goes in now leaves the quarantine, in the same transaction.

The records of each run are retried in a run of their own, of kind `retry`, by the claim, licence and mapping of the run
that refused them. What is refused again stays where it is, with its new reason; reasons change when all is read, so
that a retry that was killed goes on with the same records.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow as pa
from sqlalchemy import Connection, select

from provenance.errors import TooManyQuarantined
from provenance.evidence.claims import BY_INGEST, StatedClaim, state_claims
from provenance.ids import composite_digest, uuid_array
from provenance.ingest.history import FoundRun, find_run, require_not_undone
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.pipeline import ENOUGH_RECORDS, IngestOptions, IngestReport
from provenance.ingest.prepare import Batch, Preparer, Task
from provenance.ingest.progress import NoProgress, Progress
from provenance.ingest.quarantine import KeptRecord, Selection, groups, kept_records, load_raw
from provenance.ingest.readers import base, reader_named
from provenance.ingest.readers.base import Block, Chunk, ReadOptions, Refused
from provenance.ingest.readers.records import RecordsReader
from provenance.ingest.runs import enter_run, started_at, update_run
from provenance.ingest.sources import require_source
from provenance.ingest.tombstones import read_tombstones
from provenance.ingest.validate import Defaults
from provenance.ingest.write import BatchWriter, Counts
from provenance.laundering.index import is_indexed
from provenance.lineage.models import ensure_models
from provenance.records import Claim
from provenance.store import schema
from provenance.store.store import Store, staged, utc_now

#: id -> bytes of a part of a refused record, and what reading it needs beside them
_Raws = dict[bytes, tuple[bytes, bytes | None]]

_RUNS = """
    SELECT ingest_id::VARCHAR AS ingest FROM ingest SEMI JOIN (
        SELECT ingest_id FROM quarantine
        WHERE (:ingest IS NULL OR ingest_id::VARCHAR = :ingest) AND (:source IS NULL OR source = :source)
          AND (:reason IS NULL OR reason = :reason) AND reason <> 'taken down'
    ) q USING (ingest_id) ORDER BY started_at, ingest_id
"""
_TAKE_OUT = "DELETE FROM quarantine WHERE quarantine_id IN (SELECT quarantine_id FROM gone_in)"
# A record that was refused for both reasons, in two runs, is kept once.
_RENAME = (
    "CREATE TEMP TABLE renamed AS SELECT DISTINCT ON (new_id) * FROM again ORDER BY new_id, new_id <> quarantine_id",
    """DELETE FROM quarantine WHERE quarantine_id IN (
           SELECT quarantine_id FROM again EXCEPT SELECT quarantine_id FROM renamed
           UNION ALL SELECT quarantine_id FROM renamed
           WHERE new_id IN (SELECT quarantine_id FROM quarantine EXCEPT SELECT quarantine_id FROM again)
       )""",
    """UPDATE quarantine SET quarantine_id = r.new_id, reason = r.reason, detail = r.detail FROM renamed r
       WHERE quarantine.quarantine_id = r.quarantine_id""",
    "DROP TABLE temp.renamed",
)


@dataclass(frozen=True, kw_only=True)
class RetryOptions:
    """What is to be done otherwise than when the records were refused.

    Attributes
    ----------
    mapping : which field means what; None for what held then
    fields : things whose field has another name than the mapping says, as attributes of `FieldMapping`
    max_record_bytes : larger records are refused; None for what held then
    max_quarantined : largest share, 0..1, of records refused again from the 1,000th on; more stop the retry
    """

    mapping: FieldMapping | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    max_record_bytes: int | None = None
    max_quarantined: float = 1.0

    def over(self, before: Mapping[str, Any]) -> IngestOptions:
        """Return the options of a retry of a run that had the options `before`."""
        then = before.get("mapping") or {
            name: before[f"{name}_field"]
            for name in ("text", "id")
            if f"{name}_field" in before  # by earlier versions
        }
        mapping = self.mapping or FieldMapping(**then)
        limit = self.max_record_bytes or before.get("max_record_bytes") or IngestOptions.max_record_bytes
        return IngestOptions(
            mapping=replace(mapping, **self.fields),
            delimiter=before.get("delimiter"),
            max_record_bytes=limit,
            max_quarantined=self.max_quarantined,
        )


def retry_quarantined(
    store: Store, selection: Selection, *, options: RetryOptions | None = None, progress: Progress | None = None
) -> list[IngestReport]:
    """Read refused records once more and return a report for each run that had refused some.

    Raises
    ------
    TooManyQuarantined
        If too large a share is refused again; whole batches written before are stored.
    StoreWriteFailed
        If the store cannot write; whole batches written before are stored.
    """
    chosen = options or RetryOptions()
    runs = [row["ingest"] for row in store.fetch(_RUNS, dict(selection.__dict__)).to_pylist()]
    return [_Retry(store, replace(selection, ingest=run), chosen).execute(progress or NoProgress()) for run in runs]


class _Again:
    """Reads refused records once more, each as a block of its own; what it makes of one has its number as the place."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._reader = RecordsReader() if name == RecordsReader.name else reader_named(name)

    def parse(self, block: Block, options: ReadOptions) -> Chunk:
        """Return what the record makes now."""
        number, record, raw, context = block.payload
        if raw is None:
            chunk = Chunk(block.file, [], [], [], [Refused(number, base.TOO_LARGE, record.detail, b"")])
        else:
            chunk = self._reader.reread(block.file, raw, context, options)
        if not chunk.records and not chunk.refused:
            chunk = Chunk(block.file, [], [], [], [Refused(number, record.reason, record.detail, raw)])
        refused = [replace(one, place=number) for one in chunk.refused]
        return replace(chunk, places=[number] * len(chunk.records), refused=refused)


class _Refusal(NamedTuple):
    """A part of a record that is refused again."""

    quarantine_id: bytes
    new_id: bytes
    reason: str
    detail: str | None


class _Retry:
    """The retry of the records that one run refused."""

    def __init__(self, store: Store, selection: Selection, options: RetryOptions) -> None:
        assert selection.ingest is not None
        self.store = store
        self.selection = selection
        self.started = time.monotonic()
        with store.transaction() as connection:
            original = find_run(connection, selection.ingest)
            self.options = options.over(original.options)
            self.ingest_id = enter_run(connection, original.source, self._described(original), kind="retry")
            self.counts = _done(connection, self.ingest_id)
            stated_at = started_at(connection, self.ingest_id)
            self.defaults = _defaults(connection, self.ingest_id, original)
            self.tombstones = read_tombstones(connection)
            self.has_outputs = is_indexed(connection)
        self.writer = BatchWriter(
            store, ingest_id=self.ingest_id, source=original.source, stated_at=stated_at, tombstones=self.tombstones
        )
        self.reasons: dict[str, int] = {}
        self._again: list[_Refusal] = []
        self._n_bytes_refused = 0

    def execute(self, progress: Progress) -> IngestReport:
        source = self.defaults.source
        preparer = Preparer(
            self.defaults,
            self.options.reading(source),
            self.options.mapping,
            self.store.dedup,
            tombstones=self.tombstones,
            with_spans=self.has_outputs,
        )
        with self.store.read() as connection:
            kept = kept_records(connection, self.selection)
            # What was taken down has no bytes that could be read once more.
            records = [one for one in kept if not one.first_part and one.reason != base.TAKEN_DOWN]
        parted = list(groups(records))
        for i, group in enumerate(parted):
            with self.store.read() as connection:
                raws = load_raw(connection, group)
            batch = preparer.prepare(Task(list(self._pieces(group, raws)), [], (i + 1) / len(parted)))
            self._stop_at_excess(batch)
            self._write(batch, group, raws, is_last=i + 1 == len(parted))
            progress.update(self.counts, batch.fraction)
            self.store.yield_to_waiting()
        return IngestReport(self.ingest_id, source, self.counts, self._seconds(), self.reasons)

    def _described(self, original: FoundRun) -> dict[str, Any]:
        return {
            "retry_of": str(original.ingest_id),
            "reason": self.selection.reason,
            "claim": original.options.get("claim"),
            "licence": original.options.get("licence"),
            "mapping": asdict(self.options.mapping),
            "delimiter": self.options.delimiter,
            "max_record_bytes": self.options.max_record_bytes,
        }

    def _pieces(self, group: Sequence[KeptRecord], raws: _Raws) -> Iterator[tuple[Any, Block]]:
        readers: dict[str, _Again] = {}
        for number, record in enumerate(group):
            if any(one not in raws for one in record.ids):  # gone since the records were listed
                continue
            reader = readers.setdefault(record.format, _Again(record.format))
            is_too_large = len(record.ids) > 1 and record.n_bytes > self.options.max_record_bytes
            raw = None if is_too_large else b"".join(raws[one][0] for one in record.ids)
            payload = (str(number), record, raw, raws[record.ids[0]][1])
            yield reader, Block(record.file, payload, record.n_bytes)

    def _stop_at_excess(self, batch: Batch) -> None:
        n_read = self.counts.n_read + batch.n_read
        n_refused = self.counts.n_quarantined + len(batch.refused_at)
        if n_read < ENOUGH_RECORDS or n_refused <= self.options.max_quarantined * n_read:
            return
        with self.store.transaction() as connection:
            update_run(connection, self.ingest_id, self._stored_counts(), self._seconds(), "stopped")
        _count_reasons(batch, self.reasons)
        raise TooManyQuarantined(n_refused, n_read, self.options.max_quarantined, self.reasons)

    def _write(self, batch: Batch, group: Sequence[KeptRecord], raws: _Raws, *, is_last: bool) -> None:
        again = {int(one.record.place): one.record for one in reversed(batch.refused)}
        gone = [record for i, record in enumerate(group) if i not in again and record.ids[0] in raws]
        self._n_bytes_refused += sum(group[i].n_bytes for i in again)
        for i, refused in again.items():
            self._again.extend(_refusals(group[i], refused, raws))
        with self.store.transaction() as connection:
            require_not_undone(connection, self.ingest_id)
            self.counts += self.writer.write(connection, replace(batch, refused=[]))
            with staged(connection, gone_in=_ids(one for record in gone for one in record.ids)) as raw:
                raw.execute(_TAKE_OUT)
            if is_last:
                _rename(connection, self._again)
                update_run(connection, self.ingest_id, self.counts, self._seconds(), "finished")
            else:
                update_run(connection, self.ingest_id, self._stored_counts(), self._seconds(), "running")
        _count_reasons(batch, self.reasons)

    def _stored_counts(self) -> Counts:
        """Return the counts so far; as bytes those of records that went in, to go on with after a kill."""
        return replace(self.counts, n_bytes=self.counts.n_bytes - self._n_bytes_refused)

    def _seconds(self) -> float:
        return time.monotonic() - self.started


def _done(connection: Connection, ingest_id: UUID) -> Counts:
    """Return what earlier attempts of a retry brought in; what they refused is read again."""
    table = schema.ingest.c
    row: Any = connection.execute(select(schema.ingest).where(table.ingest_id == ingest_id)).one()
    return Counts(row.n_inserted + row.n_present, row.n_inserted, row.n_present, 0, row.n_amended, row.n_bytes)


def _defaults(connection: Connection, ingest_id: UUID, original: FoundRun) -> Defaults:
    """Return what holds for records that do not say otherwise, as in the run that refused them."""
    known = require_source(connection, original.source)
    said = original.options.get("claim")
    claim = known.claim if said is None else Claim(said["origin"], said["generation"], said["model"])
    if claim != known.claim:
        ensure_models(connection, [claim.model])
        table = schema.evidence.c
        about_this = select(table.evidence_id).where(table.subject_kind == "ingest", table.ingest_id == ingest_id)
        if connection.execute(about_this).first() is None:
            stated = StatedClaim("ingest", str(ingest_id), claim, BY_INGEST)
            state_claims(connection, [stated], stated_at=utc_now())
    return Defaults(original.source, claim, original.options.get("licence") or known.licence, known.uri)


def _refusals(record: KeptRecord, refused: Refused, raws: _Raws) -> Iterator[_Refusal]:
    """Yield the parts of a record that is refused again; where the reason is another one, their ids are too."""
    for part, one in enumerate(record.ids):
        new_id = one
        if refused.reason != record.reason:
            new_id = composite_digest(record.source, record.file, record.place, str(part), refused.reason, raws[one][0])
        yield _Refusal(one, new_id, refused.reason, refused.detail)


def _rename(connection: Connection, again: Sequence[_Refusal]) -> None:
    if not again:
        return
    rows = pa.table(
        {
            "quarantine_id": uuid_array([one.quarantine_id for one in again]),
            "new_id": uuid_array([one.new_id for one in again]),
            "reason": pa.array([one.reason for one in again]),
            "detail": pa.array([one.detail for one in again], pa.string()),
        }
    )
    with staged(connection, again=rows) as raw:
        for statement in _RENAME:
            raw.execute(statement)


def _ids(ids: Iterable[bytes]) -> pa.Table:
    return pa.table({"quarantine_id": uuid_array(list(ids))})


def _count_reasons(batch: Batch, reasons: dict[str, int]) -> None:
    for one in batch.refused:
        if one.record.part == 0:
            reasons[one.record.reason] = reasons.get(one.record.reason, 0) + 1
