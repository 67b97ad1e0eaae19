"""The ingest: read, validate, hash and sign in one thread, write in another, one transaction a batch.

A batch is whole or not there: after a kill at any instant the store holds whole batches only, the run's row says
`running`, and the same command goes on. What the interrupted run had entered counts as inserted by the finished one,
so its row and the store equal those of an undisturbed run.
"""

from __future__ import annotations

import gc
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from provenance import __version__
from provenance.dedup.signatures import SignatureKernel
from provenance.evidence.claims import state_claim
from provenance.ids import as_uuid, composite_digest
from provenance.ingest.prepare import Batch, prepare
from provenance.ingest.progress import NoProgress, Progress
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import Chunk, ReadOptions, Refused
from provenance.ingest.sources import Source, add_source_in, find_source, require_source
from provenance.ingest.validate import Defaults, Documents, Validator
from provenance.ingest.write import BatchWriter, Counts, options_json, settled, update_run
from provenance.lineage.models import ensure_models
from provenance.records import Claim
from provenance.store import schema
from provenance.store.store import Store, utc_now

#: A batch is written when its texts reach this size, or its records this number.
BATCH_BYTES = 48 << 20
BATCH_RECORDS = 100_000
#: Batches that wait to be written: while the store packs a row group, reading goes on.
_AHEAD = 2


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
    """

    ingest_id: UUID
    source: str
    counts: Counts
    seconds: float
    reasons: dict[str, int]


def ingest_files(
    store: Store,
    files: Sequence[Path],
    *,
    source: str,
    claim: Claim | None = None,
    licence: str | None = None,
    options: ReadOptions | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Read files into the store.

    Parameters
    ----------
    source : name of a source; made on the fly when it is new and a claim is given
    claim : origin of these files, where it differs from what the source says
    licence : SPDX expression for records that carry none themselves

    Raises
    ------
    UnknownSource
        If the source is new and no claim is given.
    UnreadableFile, UnknownFormat, FieldMissing
        If a file cannot be read; what was read before it is stored.
    StoreWriteFailed
        If the store cannot write; whole batches written before are stored.
    """
    readers = [(path, reader_for(path)) for path in files]
    chosen = options or ReadOptions()

    def chunks() -> Iterator[Chunk]:
        for path, reader in readers:
            yield from reader.read(path, chosen)

    names = [str(path) for path in files]
    run = _Run(store, source, claim, licence, chosen, names)
    sizes = {str(path): path.stat().st_size for path in files if path.exists()}
    return run.execute(chunks(), progress or NoProgress(), sizes)


def ingest_chunks(
    store: Store,
    chunks: Iterable[Chunk],
    *,
    name: str,
    source: str,
    claim: Claim | None = None,
    licence: str | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Read chunks that a program made (see `readers.records.chunks_of`) into the store.

    Parameters
    ----------
    name : stands for the file name: the same name, source and claim mean the same run
    """
    run = _Run(store, source, claim, licence, ReadOptions(), [name])
    return run.execute(chunks, progress or NoProgress(), {})


class _Run:
    """One run of an ingest, from its row to its report."""

    def __init__(
        self,
        store: Store,
        source: str,
        claim: Claim | None,
        licence: str | None,
        options: ReadOptions,
        files: list[str],
    ) -> None:
        self.store = store
        self.options = options
        self.started = time.monotonic()
        now = utc_now()
        described = {"files": files, "claim": claim and claim.__dict__, "licence": licence, **options.__dict__}
        with store.transaction() as connection:
            if claim is not None and find_source(connection, source) is None:
                add_source_in(connection, Source(source, claim, licence))
            known = require_source(connection, source)
            fingerprint = options_json({"source": source, **described})
            self.ingest_id = _enter_run(connection, source, fingerprint, described)
            own = claim if claim is not None and claim != known.claim else None
            if own is not None:
                ensure_models(connection, [own.model])
                _state_once(connection, self.ingest_id, own)
        self.defaults = Defaults(source, own or known.claim, licence or known.licence, known.uri)
        self.writer = BatchWriter(store, ingest_id=self.ingest_id, source=source, stated_at=now)

    def execute(self, chunks: Iterable[Chunk], progress: Progress, sizes: dict[str, int]) -> IngestReport:
        parameters = self.store.dedup
        kernel = SignatureKernel(parameters.n_permutations, parameters.seed, shingle_tokens=parameters.shingle_tokens)
        batches = _batches(chunks, Validator(self.defaults, self.options), kernel, self.defaults.source, sizes)
        counts = Counts()
        reasons: dict[str, int] = {}
        with _without_garbage_collection(), _Prefetched(batches) as ready:
            for batch, fraction in ready:
                with self.store.transaction() as connection:
                    counts += self.writer.write(connection, batch)
                    update_run(connection, self.ingest_id, counts, self._seconds(), "running")
                for _, refused in batch.refused:
                    if refused.part == 0:
                        reasons[refused.reason] = reasons.get(refused.reason, 0) + 1
                progress.update(counts, fraction)
                self.store.yield_to_waiting()
        with self.store.transaction() as connection:
            counts = settled(connection, self.ingest_id, counts)
            update_run(connection, self.ingest_id, counts, self._seconds(), "finished")
        return IngestReport(self.ingest_id, self.defaults.source, counts, self._seconds(), reasons)

    def _seconds(self) -> float:
        return time.monotonic() - self.started


def _enter_run(connection: Connection, source: str, fingerprint: str, described: dict[str, Any]) -> UUID:
    """Return the id of the unfinished run with this fingerprint, or of a new one."""
    table = schema.ingest
    same = table.c.fingerprint == fingerprint
    unfinished = connection.execute(select(table.c.ingest_id).where(same, table.c.state == "running")).scalar()
    if unfinished is not None:
        connection.execute(update(table).where(table.c.ingest_id == unfinished).values(started_at=utc_now()))
        return UUID(str(unfinished))
    n_before = connection.execute(select(func.count()).select_from(table).where(same)).scalar_one()
    ingest_id = as_uuid(composite_digest("ingest", fingerprint, str(n_before)))
    row = {
        "ingest_id": ingest_id,
        "source": source,
        "state": "running",
        "started_at": utc_now(),
        "code_version": __version__,
        "fingerprint": fingerprint,
        "options": described,
        **Counts().__dict__,
        "seconds": 0.0,
    }
    connection.execute(insert(table), [row])
    return ingest_id


def _state_once(connection: Connection, ingest_id: UUID, claim: Claim) -> None:
    table = schema.evidence
    said = select(func.count()).where(table.c.subject_kind == "ingest", table.c.subject == str(ingest_id))
    if not connection.execute(said).scalar_one():
        state_claim(connection, "ingest", str(ingest_id), claim, method="declared at ingest", stated_at=utc_now())


def _batches(
    chunks: Iterable[Chunk], validator: Validator, kernel: SignatureKernel, source: str, sizes: dict[str, int]
) -> Iterator[tuple[Batch, float | None]]:
    """Yield batches with the share of the input that is read; what was read before an error comes before the error."""
    documents, refused, n_bytes = Documents(), list[tuple[str, Refused]](), 0
    n_refused_bytes = 0
    position = _Position(sizes)
    error: Exception | None = None
    iterator = iter(chunks)
    while True:
        try:
            chunk = next(iterator)
        except StopIteration:
            break
        except Exception as raised:  # kept until what was read before it is written
            error = raised
            break
        new = validator.take(chunk, documents)
        refused.extend((chunk.file, one) for one in new)
        n_refused_bytes += sum(len(one.raw) for one in new)
        n_bytes += chunk.n_bytes
        position.reach(chunk.file, chunk.position)
        if documents.n_text_bytes + n_refused_bytes >= BATCH_BYTES or len(documents) + len(refused) >= BATCH_RECORDS:
            yield prepare(documents, refused, n_bytes, source=source, kernel=kernel), position.fraction
            documents, refused, n_bytes, n_refused_bytes = Documents(), [], 0, 0
    if len(documents) or refused or n_bytes:
        yield prepare(documents, refused, n_bytes, source=source, kernel=kernel), position.fraction
    if error is not None:
        raise error


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


class _Position:
    """How much of the files is read."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self._sizes = sizes
        self._reached: dict[str, int] = {}

    def reach(self, file: str, position: int) -> None:
        self._reached[file] = position

    @property
    def fraction(self) -> float | None:
        total = sum(self._sizes.values())
        return min(1.0, sum(self._reached.values()) / total) if total else None


class _Prefetched:
    """Runs an iterator in a thread, some items ahead, and hands its items and its error over."""

    def __init__(self, items: Iterator[tuple[Batch, float | None]]) -> None:
        self._items = items
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prepare batches", daemon=True)

    def _run(self) -> None:
        try:
            for item in self._items:
                self._put(item)
                if self._stop.is_set():
                    return
            self._put(None)
        except BaseException as error:  # handed to the thread that waits for items
            self._put(error)

    def _put(self, item: Any) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def __enter__(self) -> Iterator[tuple[Batch, float | None]]:
        self._thread.start()
        return self._received()

    def _received(self) -> Iterator[tuple[Batch, float | None]]:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
