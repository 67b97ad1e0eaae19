"""Candidates whose text shares a run of tokens with something that must stay out: held-out sets, evaluation files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import func, select, text

from provenance.dedup.spans import KnownRuns
from provenance.mix.decontaminate import read_against
from provenance.mix.spec import MixSpec
from provenance.mix.strata import Mask
from provenance.store import schema
from provenance.store.store import arrow_batches, staged
from provenance.store.views import documents

if TYPE_CHECKING:
    from provenance.store.store import Store

#: Texts that are compared at a time.
_ROWS = 20_000
_TEXTS = (
    "SELECT w.place, c.text FROM wanted w JOIN document d ON d.document_id = CAST(w.id AS UUID) "
    "JOIN content c ON c.content_id = d.content_id"
)


def shares_spans(store: Store, spec: MixSpec, ids: npt.NDArray[np.uint8], keep: Mask) -> Mask:
    """Return which candidates share a run of tokens with a document of an excluded training set."""
    if spec.exclude.spans is None or not keep.any():
        return np.zeros(len(ids), dtype=bool)
    verdicts = _verdicts_on(store, spec)
    found, known = verdicts.on(ids)
    unknown = keep & ~known
    if unknown.any():
        if verdicts.runs is None:
            item = schema.training_set_item
            excluded = select(item.c.document_id).where(item.c.training_set.in_(spec.exclude.training_sets))
            against = store.fetch(select(documents.c.text).where(documents.c.document_id.in_(excluded)))["text"]
            verdicts.runs = KnownRuns(_one_array(against), n_tokens=spec.exclude.spans)
        shared = _shared(store, ids, unknown, verdicts.runs)
        verdicts.add(ids[unknown], shared[unknown])
        found |= shared
    return keep & found


class _Verdicts:
    """Which documents share a run with the excluded sets, as far as they were compared in this process; and the runs.

    A program that makes many mixes with the same exclusion compares every document once. An id stands for its text,
    and the draws of a training set never change, so nothing that is remembered can become wrong.
    """

    def __init__(self) -> None:
        self.runs: KnownRuns | None = None
        self._ids: npt.NDArray[Any] = np.zeros(0, dtype="S16")  # sorted
        self._shared: Mask = np.zeros(0, dtype=bool)

    def add(self, ids: npt.NDArray[np.uint8], shared: Mask) -> None:
        """Remember verdicts on documents that are not known yet."""
        if len(self._ids) + len(ids) > _MOST_VERDICTS:
            self._ids, self._shared = self._ids[:0], self._shared[:0]
        every, verdict = np.concatenate([self._ids, _keys(ids)]), np.concatenate([self._shared, shared])
        order = np.argsort(every, kind="stable")
        self._ids, self._shared = every[order], verdict[order]

    def on(self, ids: npt.NDArray[np.uint8]) -> tuple[Mask, Mask]:
        """Return which documents are known to share a run, and on which there is a verdict."""
        keys = _keys(ids)
        place = np.searchsorted(self._ids, keys)
        known: Mask = place < len(self._ids)
        known[known] = self._ids[place[known]] == keys[known]
        shared = known.copy()
        shared[known] = self._shared[place[known]]
        return shared, known


#: Verdicts that are remembered at most, 17 bytes each; more than these and all are made anew.
_MOST_VERDICTS = 4_000_000
_remembered: dict[tuple[Any, ...], _Verdicts] = {}


def _verdicts_on(store: Store, spec: MixSpec) -> _Verdicts:
    """Return what is known about documents beside the sets that a mix excludes; of one exclusion at a time."""
    made, item, held = schema.training_set.c, schema.training_set_item.c, schema.document.c
    sets = select(made.name, made.digest).where(made.name.in_(spec.exclude.training_sets)).order_by(made.name)
    excluded = select(item.document_id).where(item.training_set.in_(spec.exclude.training_sets))
    # Documents can leave the store: then there is less to compare with.
    n_there = store.fetch(select(func.count().label("n")).where(held.document_id.in_(excluded)))["n"].to_pylist()
    key = (spec.exclude.spans, *store.fetch(sets)["digest"].to_pylist(), *n_there)
    if key not in _remembered:
        _remembered.clear()
        _remembered[key] = _Verdicts()
    return _remembered[key]


def _keys(ids: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return (n, 16) uint8 as n values that can be sorted."""
    return np.ascontiguousarray(ids).view("S16").reshape(-1)


def shares_with_files(
    store: Store, spec: MixSpec, ids: npt.NDArray[np.uint8], keep: Mask
) -> tuple[list[dict[str, Any]], Mask]:
    """Return what the files to decontaminate against are, and which candidates share a run of tokens with them.

    Raises
    ------
    EvaluationSetUnreadable
        If one of the files cannot be read.
    """
    if spec.decontaminate is None:
        return [], np.zeros(len(ids), dtype=bool)
    against = read_against(spec.decontaminate)
    return against.files, _shared(store, ids, keep, against.runs())


def _shared(store: Store, ids: npt.NDArray[np.uint8], keep: Mask, known: KnownRuns) -> Mask:
    found = np.zeros(len(ids), dtype=bool)
    rows = np.flatnonzero(keep)
    wanted = pa.table({"place": rows, "id": id_array(ids[rows])})
    with store.read() as connection, staged(connection, wanted=wanted):
        for batch in arrow_batches(connection, text(_TEXTS), size=_ROWS):
            found[batch.column("place").to_numpy()] = known.shared_by(batch.column("text"))
    return found


def id_array(ids: npt.NDArray[np.uint8]) -> pa.Array:
    """Return (n, 16) uint8 as binary values, which DuckDB casts to UUID."""
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(ids), [None, pa.py_buffer(np.ascontiguousarray(ids))]
    )


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
