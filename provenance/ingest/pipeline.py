"""The ingest: inputs are cut into tasks, tasks prepared as batches, batches written, one transaction each.

A batch is whole or not there: after a kill at any instant the store holds whole batches only, the run's row says
`running`, and the same command goes on without reading a file again that it had read to its end. What the interrupted
run had entered counts as inserted by the finished one, so its row and the store equal those of an undisturbed run. How
many processes prepare changes nothing in the result: batches are cut from the inputs alone and written in their order.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, func, select

from provenance.errors import FieldMissing, TooManyQuarantined
from provenance.evidence.claims import BY_INGEST, StatedClaim, state_claims
from provenance.ingest.inputs import as_text, find_inputs
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.prepare import Batch, FileCounts, Preparer, Task
from provenance.ingest.progress import NoProgress, Progress
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import TAKEN_DOWN, ReadOptions
from provenance.ingest.readers.records import blocks_of
from provenance.ingest.runs import add_files, enter_run, settled, started_at, unread, update_run
from provenance.ingest.sources import Source, add_source_in, find_source, require_source
from provenance.ingest.tasks import InputTasks, record_tasks
from provenance.ingest.tombstones import read_tombstones
from provenance.ingest.validate import Defaults
from provenance.ingest.workers import prepared
from provenance.ingest.write import BatchWriter, Counts
from provenance.laundering.index import is_indexed
from provenance.lineage.models import ensure_models
from provenance.records import Claim
from provenance.store import schema
from provenance.store.store import Store, utc_now

#: From so many records on an ingest stops when too many of them are refused.
ENOUGH_RECORDS = 1000
MAX_QUARANTINED = 0.01


@dataclass(frozen=True, kw_only=True)
class IngestOptions:
    """How inputs are read and checked.

    Attributes
    ----------
    mapping : which field means what
    format_name : the format of all inputs; None finds it for each
    delimiter : what parts the columns of CSV; None finds it
    max_record_bytes : larger records are refused
    max_quarantined : largest share, 0..1, of refused records from the 1,000th on; more stop the ingest
    chunk_bytes : how much a reader hands over at a time, about; changes nothing in the result
    """

    mapping: FieldMapping = field(default_factory=FieldMapping)
    format_name: str | None = None
    delimiter: str | None = None
    max_record_bytes: int = ReadOptions.max_record_bytes
    max_quarantined: float = MAX_QUARANTINED
    chunk_bytes: int = ReadOptions.chunk_bytes

    def reading(self, source: str) -> ReadOptions:
        """Return what the readers need of it."""
        return ReadOptions(
            source=source,
            max_record_bytes=self.max_record_bytes,
            chunk_bytes=self.chunk_bytes,
            delimiter=self.delimiter,
            fields=self.mapping.required(),
        )


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes
    ----------
    ingest_id : id of the run's row
    source : name of the source
    counts : n_read = n_inserted + n_present + n_quarantined
    seconds : wall time
    reasons : number of refused records by reason
    n_skipped_files : inputs that an interrupted attempt had read to their end
    """

    ingest_id: UUID
    source: str
    counts: Counts
    seconds: float
    reasons: dict[str, int]
    n_skipped_files: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it with nothing but text, numbers and mappings."""
        return {
            **self.counts.__dict__,
            "source": self.source,
            "ingest": str(self.ingest_id),
            "seconds": self.seconds,
            "reasons": self.reasons,
            "n_skipped_files": self.n_skipped_files,
        }


def ingest_files(
    store: Store,
    files: Sequence[str | os.PathLike[str]],
    *,
    source: str,
    claim: Claim | None = None,
    licence: str | None = None,
    options: IngestOptions | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> IngestReport:
    """Read inputs into the store.

    Parameters
    ----------
    files : files, folders, patterns, addresses, datasets or `-`; see `inputs.find_inputs`
    source : name of a source; made on the fly when it is new and a claim is given
    claim : origin of these inputs, where it differs from what the source says
    licence : SPDX expression for records that carry none themselves
    jobs : processes that read and sign; the result does not depend on it

    Raises
    ------
    UnknownSource
        If the source is new and no claim is given.
    UnreadableFile, NothingToRead, UnknownFormat, FieldMissing
        If an input cannot be read; what was read before it is stored.
    TooManyQuarantined
        If too large a share of the records is refused; whole batches written before are stored.
    StoreWriteFailed
        If the store cannot write; whole batches written before are stored.
    """
    chosen = options or IngestOptions()
    inputs = [(one, reader_for(one, chosen.format_name)) for one in find_inputs(files)]
    run = _Run(store, source, claim, licence, chosen, [as_text(one.name) for one, _ in inputs])
    with store.transaction() as connection:
        left, done = unread(connection, run.ingest_id, [one for one, _ in inputs])
        n_stored = connection.execute(select(func.count()).select_from(schema.content)).scalar_one()
    tasks = InputTasks(
        [None if one is None else (one, reader) for one, (_, reader) in zip(left, inputs, strict=True)],
        chosen.reading(source),
        n_stored=n_stored,
    )
    n_skipped = sum(one is None for one in left)
    return run.execute(iter(tasks), lambda: tasks.error, progress, jobs=jobs, done=done, n_skipped=n_skipped)


def ingest_records(
    store: Store,
    records: Iterable[dict[str, Any]],
    *,
    name: str,
    source: str,
    claim: Claim | None = None,
    licence: str | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Read records that a program made into the store.

    Parameters
    ----------
    name : stands for the file name: the same name, source and claim mean the same run
    """
    options = IngestOptions(max_quarantined=1.0)
    run = _Run(store, source, claim, licence, options, [name])
    return run.execute(record_tasks(blocks_of(records, name=name)), lambda: None, progress)


class _Run:
    """One run of an ingest, from its row to its report."""

    def __init__(
        self,
        store: Store,
        source: str,
        claim: Claim | None,
        licence: str | None,
        options: IngestOptions,
        files: list[str],
    ) -> None:
        self.store = store
        self.options = options
        self.started = time.monotonic()
        described = {"files": files, "claim": claim and asdict(claim), "licence": licence, **asdict(options)}
        for name in ("max_quarantined", "chunk_bytes"):  # the same run goes on when these are others
            del described[name]
        with store.transaction() as connection:
            if claim is not None and find_source(connection, source) is None:
                add_source_in(connection, Source(source, claim, licence))
            known = require_source(connection, source)
            self.ingest_id = enter_run(connection, source, described, kind="ingest")
            stated_at = started_at(connection, self.ingest_id)
            own = claim if claim is not None and claim != known.claim else None
            if own is not None:
                ensure_models(connection, [own.model])
                _state_once(connection, self.ingest_id, own)
            self.tombstones = read_tombstones(connection)
            self.has_outputs = is_indexed(connection)
        self.defaults = Defaults(source, own or known.claim, licence)
        self.writer = BatchWriter(
            store, ingest_id=self.ingest_id, source=source, stated_at=stated_at, tombstones=self.tombstones
        )
        self.reasons: dict[str, int] = {}
        self._files: dict[str, FileCounts] = {}

    def execute(
        self,
        tasks: Iterator[Task],
        error: Callable[[], Exception | None],
        progress: Progress | None,
        *,
        jobs: int = 1,
        done: Counts | None = None,
        n_skipped: int = 0,
    ) -> IngestReport:
        """Write the batches of all tasks, raise the error that ended the reading if there is one, and report."""
        shown = progress or NoProgress()
        counts = done or Counts()
        preparer = Preparer(
            self.defaults,
            self.options.reading(self.defaults.source),
            self.options.mapping,
            self.store.dedup,
            tombstones=self.tombstones,
            with_spans=self.has_outputs,
        )
        is_first = True
        with _without_garbage_collection():
            for batch in prepared(tasks, preparer, jobs=jobs):
                if is_first:
                    self._require_fields(batch)
                is_first = is_first and not batch.fields
                self._stop_at_excess(batch, counts)
                counts = self._write(batch, counts)
                shown.update(counts, batch.fraction)
                self.store.yield_to_waiting()
        failure = error()
        if failure is not None:
            raise failure
        with self.store.transaction() as connection:
            counts = settled(connection, self.ingest_id, counts)
            update_run(connection, self.ingest_id, counts, self._seconds(), "finished")
        return IngestReport(self.ingest_id, self.defaults.source, counts, self._seconds(), self.reasons, n_skipped)

    def _write(self, batch: Batch, counts: Counts) -> Counts:
        for file, read in batch.files.items():
            self._files[file] = self._files.get(file, FileCounts()) + read
        with self.store.transaction() as connection:
            counts += self.writer.write(connection, batch)
            add_files(connection, self.ingest_id, batch.finished, self._files)
            update_run(connection, self.ingest_id, counts, self._seconds(), "running")
        for one in batch.finished:
            self._files.pop(one.file, None)
        _count_reasons(batch, self.reasons)
        return counts

    def _require_fields(self, batch: Batch) -> None:
        """Raise `FieldMissing` when a field that the mapping names stands in no record of the first batch."""
        if not batch.fields:
            return
        for name in self.options.mapping.required():
            if name not in batch.fields and name.partition(".")[0] not in batch.fields and name != FieldMapping.text:
                raise FieldMissing(next(iter(batch.files)), name, batch.fields)

    def _stop_at_excess(self, batch: Batch, counts: Counts) -> None:
        """Raise `TooManyQuarantined` if this batch would bring the share of refused records above the limit."""
        # The share can only rise where a record is refused; before, it is looked at when the 1,000th is reached.
        at = np.union1d(counts.n_read + batch.faulty_at, [ENOUGH_RECORDS])
        at = at[(at >= ENOUGH_RECORDS) & (at > counts.n_read) & (at <= counts.n_read + batch.n_read)]
        n_before = counts.n_quarantined - self.reasons.get(TAKEN_DOWN, 0)
        n_refused = n_before + np.searchsorted(batch.faulty_at, at - counts.n_read, side="right")
        over = np.flatnonzero(n_refused > self.options.max_quarantined * at)
        if not over.size:
            return
        with self.store.transaction() as connection:
            entered = settled(connection, self.ingest_id, counts)
            update_run(connection, self.ingest_id, entered, self._seconds(), "stopped")
        first = int(over[0])
        reasons = dict(self.reasons)
        _count_reasons(batch, reasons, n_most=int(n_refused[first]) - n_before)
        raise TooManyQuarantined(int(n_refused[first]), int(at[first]), self.options.max_quarantined, reasons)

    def _seconds(self) -> float:
        return time.monotonic() - self.started


def _count_reasons(batch: Batch, reasons: dict[str, int], *, n_most: int | None = None) -> None:
    """Count why records are refused; with `n_most` those alone that are at fault, up to so many."""
    whole = [one.record.reason for one in batch.refused if one.record.part == 0]
    if n_most is not None:
        whole = [reason for reason in whole if reason != TAKEN_DOWN]
    for reason in whole[:n_most]:
        reasons[reason] = reasons.get(reason, 0) + 1


def _state_once(connection: Connection, ingest_id: UUID, claim: Claim) -> None:
    table = schema.evidence
    said = select(func.count()).where(table.c.subject_kind == "ingest", table.c.ingest_id == ingest_id)
    if not connection.execute(said).scalar_one():
        stated = StatedClaim("ingest", str(ingest_id), claim, BY_INGEST)
        state_claims(connection, [stated], stated_at=utc_now())


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Switch the search for reference cycles off: over millions of live records it costs time and finds nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
