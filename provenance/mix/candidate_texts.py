"""Candidates whose text shares a run of tokens with something that must stay out: held-out sets, evaluation files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import select, text

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
    item = schema.training_set_item
    excluded = select(item.c.document_id).where(item.c.training_set.in_(spec.exclude.training_sets))
    against = store.fetch(select(documents.c.text).where(documents.c.document_id.in_(excluded)))["text"]
    return _shared(store, ids, keep, KnownRuns(_one_array(against), n_tokens=spec.exclude.spans))


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
