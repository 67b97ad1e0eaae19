"""A batch made ready for the store: blocks become documents, ids, signatures and Arrow tables; no store is touched.

This is the work that is done in several processes at once: `Preparer.prepare` takes a `Task` and returns a `Batch`,
and both can be sent from one process to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import Features, SignatureKernel
from provenance.ids import as_uuid, uuid_array
from provenance.ingest.mapping import FieldMapping
from provenance.ingest.readers.base import TAKEN_DOWN, Block, Chunk, Ground, Reader, ReadOptions, Refused
from provenance.ingest.readers.records import RecordsReader
from provenance.ingest.tombstones import Tombstones
from provenance.ingest.validate import Defaults, Documents, Validator
from provenance.records import Claim


@dataclass(frozen=True)
class FinishedFile:
    """An input that has been read to its end.

    Attributes
    ----------
    place : its place among the inputs of the run, from 0
    file, format, size_bytes, stamp, sha256 : as in the table `ingest_file`
    """

    place: int
    file: str
    format: str
    size_bytes: int | None
    stamp: str | None
    sha256: str | None


@dataclass
class Task:
    """What makes one batch.

    Attributes
    ----------
    pieces : (reader, block) in the order of reading
    finished : inputs whose last block is among them or was in an earlier task
    fraction : share of the input that is read with this task, 0..1, where it is known
    """

    pieces: list[tuple[Reader | RecordsReader, Block]]
    finished: list[FinishedFile]
    fraction: float | None = None


@dataclass(frozen=True)
class RefusedRecord:
    """A record that goes into quarantine.

    Attributes
    ----------
    file : name of the input
    format : of the reader that read it
    record : the record
    context : what reading it again needs beside its bytes
    """

    file: str
    format: str
    record: Refused
    context: bytes | None


@dataclass(frozen=True)
class FileCounts:
    """What was read of one input."""

    n_read: int = 0
    n_quarantined: int = 0
    n_bytes: int = 0

    def __add__(self, other: FileCounts) -> FileCounts:
        return FileCounts(
            self.n_read + other.n_read, self.n_quarantined + other.n_quarantined, self.n_bytes + other.n_bytes
        )


@dataclass(frozen=True)
class Batch:
    """What one transaction writes.

    Attributes
    ----------
    documents : one row a distinct document: the columns of `document` that records decide, `n_bytes`, `n_words`
    contents : one row a distinct content: content_id, n_bytes, n_words, text
    content_ids : the ids of `contents` as bytes, in the same order
    features : of the texts of `contents`, in the same order
    claims : (document id as text, claim, what it rests on) of records that say themselves where they come from
    parents : (document id, parent id, relation)
    refused : in the order of reading
    refused_at : (n,) int64 — number in this batch, from 1, of every refused record, parts left out
    files : what was read of each input
    finished : inputs that are read to their end with this batch
    fields : every field that a record had
    fraction : share of the input that is read with this batch, 0..1, where it is known
    """

    documents: pa.Table
    contents: pa.Table
    content_ids: list[bytes]
    features: Features
    claims: list[tuple[str, Claim, Ground | None]]
    parents: list[tuple[bytes, bytes, str]]
    refused: list[RefusedRecord]
    refused_at: npt.NDArray[np.int64]
    files: dict[str, FileCounts]
    finished: list[FinishedFile]
    fields: tuple[str, ...]
    fraction: float | None

    @property
    def faulty_at(self) -> npt.NDArray[np.int64]:
        """The numbers in `refused_at` of records that are refused for a fault of theirs, not because of a takedown."""
        whole = [one.record.reason != TAKEN_DOWN for one in self.refused if one.record.part == 0]
        return self.refused_at[np.array(whole, dtype=np.bool_)]

    @property
    def n_read(self) -> int:
        """Records read, refused ones included."""
        return sum(counts.n_read for counts in self.files.values())

    @property
    def n_bytes(self) -> int:
        """Uncompressed bytes of input."""
        return sum(counts.n_bytes for counts in self.files.values())


class Preparer:
    """Makes batches of tasks by one set of defaults, options, mapping and deduplication parameters.

    Parameters
    ----------
    tombstones : what was taken down, and so is refused
    with_spans : whether to pick spans, which saves picking them when the batch is written
    """

    def __init__(
        self,
        defaults: Defaults,
        options: ReadOptions,
        mapping: FieldMapping,
        parameters: DedupParameters,
        *,
        tombstones: Tombstones | None = None,
        with_spans: bool = False,
    ) -> None:
        self._validator = Validator(defaults, options, mapping, tombstones)
        self._options = options
        self._source = defaults.source
        self._with_spans = with_spans or parameters.containment is not None
        self._sampled_frac = parameters.sampled_frac
        self._kernel = SignatureKernel(
            parameters.n_permutations, parameters.seed, shingle_tokens=parameters.shingle_tokens
        )

    def prepare(self, task: Task) -> Batch:
        """Return the batch that a task makes."""
        documents = Documents()
        refused: list[RefusedRecord] = []
        refused_at: list[int] = []
        files: dict[str, FileCounts] = {}
        n_read = 0
        for reader, block in task.pieces:
            chunk = reader.parse(block, self._options)
            new = self._validator.take(chunk, documents)
            refused.extend(
                RefusedRecord(chunk.file, reader.name, one, None if one.reason == TAKEN_DOWN else chunk.context)
                for one in new
            )
            refused_at.extend(_numbers(new, chunk, first=n_read + 1))
            counts = FileCounts(chunk.n_records, sum(one.part == 0 for one in new), block.n_bytes)
            files[block.file] = files.get(block.file, FileCounts()) + counts
            n_read += counts.n_read
        return self._batch(task, documents, refused, refused_at, files)

    def _batch(
        self,
        task: Task,
        documents: Documents,
        refused: list[RefusedRecord],
        refused_at: list[int],
        files: dict[str, FileCounts],
    ) -> Batch:
        content_rows = unique_rows(documents.content_ids)
        contents, features = self._contents(documents, content_rows)
        place = {documents.content_ids[row]: i for i, row in enumerate(content_rows)}
        content_row = np.fromiter((place[one] for one in documents.content_ids), np.int64, len(documents))
        table = documents.table(source=self._source)
        for name in ("n_bytes", "n_words"):
            table = table.append_column(name, pa.array(contents[name].to_numpy()[content_row]))
        rows = unique_rows(documents.document_ids)
        return Batch(
            documents=table if len(rows) == len(documents) else table.take(pa.array(rows, pa.int64())),
            contents=contents,
            content_ids=[documents.content_ids[row] for row in content_rows],
            features=features,
            claims=_first_claims(documents, rows),
            parents=documents.parents,
            refused=refused,
            refused_at=np.array(refused_at, dtype=np.int64),
            files=files,
            finished=task.finished,
            fields=tuple(self._validator.fields),
            fraction=task.fraction,
        )

    def _contents(self, documents: Documents, rows: list[int]) -> tuple[pa.Table, Features]:
        texts = [documents.texts[row] for row in rows]
        # Encoded from str, so the bytes are UTF-8: a view saves checking them again.
        array = pa.array(texts, pa.large_binary()).view(pa.large_string())
        features = self._kernel.features(array, with_spans=self._with_spans, sampled_frac=self._sampled_frac)
        table = pa.table(
            {
                "content_id": uuid_array([documents.content_ids[row] for row in rows]),
                "n_bytes": np.fromiter(map(len, texts), np.int64, len(rows)),
                "n_words": features.n_words,
                "text": array,
            }
        )
        return table, features


def _numbers(refused: Sequence[Refused], chunk: Chunk, *, first: int) -> list[int]:
    """Return the number of every refused record of a chunk whose first record has the number `first`."""
    numbers = []
    n_unread = 0
    could_not_read = {id(one) for one in chunk.refused}
    for one in refused:
        if one.part:
            continue
        numbers.append(first + one.n_before + n_unread)
        n_unread += id(one) in could_not_read
    return numbers


def unique_rows(ids: list[bytes]) -> list[int]:
    """Return the row of the first occurrence of every id, in order."""
    first: dict[bytes, int] = {}
    for row, one in enumerate(ids):
        first.setdefault(one, row)
    return list(first.values())


def _first_claims(documents: Documents, rows: list[int]) -> list[tuple[str, Claim, Ground | None]]:
    """Return the claims of the documents that stand in `rows`."""
    if not documents.claims:
        return []
    taken = set(rows)
    return [
        (str(as_uuid(documents.document_ids[row])), claim, ground)
        for row, claim, ground in documents.claims
        if row in taken
    ]
