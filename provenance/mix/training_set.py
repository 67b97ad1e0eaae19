"""A training set as its readers see it: verified when opened, then an ordered iterable of documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from sqlalchemy import select

from provenance.errors import MissingExtra, UnknownName
from provenance.mix.draw import I64
from provenance.mix.drawn import labels, texts, texts_in_order
from provenance.mix.errors import TrainingSetViolated, WorkersNotSupported
from provenance.mix.manifest_form import current_form
from provenance.mix.spec import MixSpec
from provenance.mix.verify import TAKEN_DOWN, verify
from provenance.store import schema
from provenance.store.views import training_sets

if TYPE_CHECKING:
    from provenance.export.stream import Stream
    from provenance.store.store import Store

#: Draws that are read at a time.
_BATCH = 5_000

#: What a reader gets of every draw: its labels as drawn, and the document's facts and text.
DOCUMENT_COLUMNS = (
    "position", "document_id", "content_id", "text", "source", "external_id", "uri", "author", "title", "authored_at",
    "licence", "licence_class", "origin", "generation", "model", "evidence_rank", "evidence_grade", "cluster_id",
    "stratum", "repeat", "n_words", "n_bytes", "n_tokens",
)  # fmt: skip


@dataclass(frozen=True)
class TrainingSetInfo:
    """One line of the list of training sets."""

    name: str
    digest: str
    created_at: datetime
    budget_unit: str
    n_documents: int
    n_words: int
    n_bytes: int
    n_tokens: int | None
    human_share: float
    n_taken_down: int


def list_training_sets(store: Store) -> list[TrainingSetInfo]:
    """Return all training sets of the store, the oldest first."""
    columns = [training_sets.c[name] for name in TrainingSetInfo.__dataclass_fields__]
    query = select(*columns).order_by(training_sets.c.created_at, training_sets.c.name)
    return [TrainingSetInfo(**row) for row in store.fetch(query).to_pylist()]


class TrainingSet:
    """A verified training set: an ordered, immutable list of draws, read from an open store.

    Iterating gives one dictionary per draw, in order; see `DOCUMENT_COLUMNS` for its keys.

    Attributes
    ----------
    name : the training set
    manifest : what it claims, all of which was verified
    """

    def __init__(self, name: str, store: Store, manifest: dict[str, Any]) -> None:
        self.name = name
        self.store = store
        self.manifest = manifest

    @classmethod
    def open(cls, name: str, store: Store, *, accept_relabelled: bool = False) -> Self:
        """Verify a training set and return it.

        Parameters
        ----------
        accept_relabelled : also take a set that held when it was drawn but no longer does by today's labels; not one
            with documents that were taken down

        Raises
        ------
        UnknownName
            If there is no training set of that name.
        TrainingSetViolated
            If a claim of its manifest does not hold.
        """
        verdict = verify(store, name)
        violations = verdict.violations
        if accept_relabelled:
            violations = tuple(v for v in violations if v.verdict == "drawn" or v.claim == TAKEN_DOWN)
        if violations:
            raise TrainingSetViolated(name, violations)
        return cls.just_verified(name, store)

    @classmethod
    def just_verified(cls, name: str, store: Store) -> Self:
        """Return a training set that the caller has verified in this very moment."""
        t = schema.training_set.c
        rows = store.fetch(select(t.manifest).where(t.name == name)).to_pylist()
        if not rows:
            raise UnknownName("training set", name, hint="See: provenance training-sets")
        return cls(name, store, current_form(json.loads(rows[0]["manifest"])))

    @property
    def spec(self) -> MixSpec:
        """The specification that it was made from."""
        return MixSpec.from_mapping(self.manifest["spec"])

    @property
    def digest(self) -> str:
        """SHA-256 over the ordered draws."""
        return str(self.manifest["digest"])

    def __len__(self) -> int:
        return int(self.manifest["totals"]["documents"])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.batches():
            yield from batch.to_pylist()

    def batches(self, *, start: int = 0, size: int = _BATCH) -> Iterator[pa.Table]:
        """Yield the draws from position `start` on as Arrow tables of at most `size` rows, in order."""
        others = tuple(column for column in DOCUMENT_COLUMNS if column != "text")
        for low, high, found in texts_in_order(self.store, self.name, low=start, high=len(self)):
            rows = labels(self.store, self.name, others, low=low, high=high)
            for first in range(0, len(found), size):
                part = rows.slice(first, size).append_column("text", found.slice(first, size).cast(pa.string()))
                yield part.select(list(DOCUMENT_COLUMNS))

    def labels(self, *columns: str) -> pa.Table:
        """Return columns of all draws, in order, without reading any text; see `DOCUMENT_COLUMNS`."""
        return labels(self.store, self.name, columns, low=0, high=len(self))

    def distinct_texts(self) -> Iterator[tuple[I64, pa.Array]]:
        """Yield every text once, with the position of its first draw, in the order in which they lie in the store."""
        yield from texts(self.store, self.name, low=0, high=len(self), distinct=True)

    def torch(
        self, *, rank: int = 0, world_size: int = 1, batch_size: int | None = None, drop_last: bool = False
    ) -> Stream:
        """Return the documents as a `torch.utils.data.IterableDataset`, for a loader without workers; see `Stream`.

        A sample is a dictionary, a batch a list of them.

        Raises
        ------
        MissingExtra
            If torch is not installed.
        WorkersNotSupported
            On iteration inside a worker process: another process cannot read an open store. Export the set instead.
        """
        from provenance.export.sources import DrawSource, stream_of

        return stream_of(DrawSource(self), rank=rank, world_size=world_size, batch_size=batch_size, drop_last=drop_last)

    def datasets(self, *, streaming: bool = False) -> Any:
        """Return the documents as a `datasets.Dataset`, or as an `IterableDataset` that reads while it goes.

        Raises
        ------
        MissingExtra
            If datasets is not installed.
        """
        try:
            from datasets import Dataset, IterableDataset
        except ImportError as error:
            raise MissingExtra("datasets", "hf") from error
        if streaming:
            return IterableDataset.from_generator(_Stream(self))
        return Dataset(pa.concat_tables(self.batches()) if len(self) else pa.table({"text": pa.array([], pa.string())}))


class _Stream:
    """The documents of a training set as a function without arguments.

    `datasets` pickles such a function to tell streams apart, and in worker processes to call it. The store cannot go
    along: name and digest stand for it, and a copy that is called refuses.
    """

    def __init__(self, training_set: TrainingSet | None, name: str = "", digest: str = "") -> None:
        self.training_set = training_set
        self.name = training_set.name if training_set else name
        self.digest = training_set.digest if training_set else digest

    def __call__(self) -> Iterator[dict[str, Any]]:
        if self.training_set is None:
            raise WorkersNotSupported(self.name)
        yield from self.training_set

    def __reduce__(self) -> tuple[Any, ...]:
        return _Stream, (None, self.name, self.digest)
