"""The draws of an allocation, in their order, with the labels that are recorded with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import text

from provenance.mix.allocate import Allocation
from provenance.mix.candidate_texts import id_array
from provenance.mix.candidates import Candidates
from provenance.mix.draw import I64, U64, draw_keys, repeats_of
from provenance.mix.order import Order, in_turn, interleaved, shuffled
from provenance.mix.spec import MixSpec
from provenance.store.store import fetch, staged

if TYPE_CHECKING:
    from provenance.store.store import Store


@dataclass(frozen=True)
class Draws:
    """The ordered draws.

    Attributes
    ----------
    rows : (n,) the candidate of every draw
    stratum : (n,) its stratum
    repeats : (n,) how often its document was drawn before
    order : the order, with what it promises
    """

    rows: I64
    stratum: I64
    repeats: I64
    order: Order


def draw(candidates: Candidates, allocation: Allocation, spec: MixSpec) -> Draws:
    """Return the draws of an allocation in the order that the mix asks for."""
    strata = allocation.strata
    chosen = [rows[taken.places()] for rows, taken in zip(strata.rows, allocation.taken, strict=True)]
    rows = np.concatenate([*chosen, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    stratum = np.repeat(np.arange(len(strata)), [len(c) for c in chosen]).astype(np.int64)
    if spec.order == "shuffled":
        order = shuffled(candidates.ids[rows], _order_keys(candidates.ids[rows], repeats_of(rows), spec.seed))
    elif strata.extents:
        order = in_turn(candidates.sizes[rows], stratum, strata.constraints, [e.members for e in strata.extents])
    else:
        order = interleaved(candidates.sizes[rows], stratum, strata.constraints, len(strata))
    rows = rows[order.permutation]
    return Draws(rows, stratum[order.permutation], repeats_of(rows), order)


def _order_keys(ids: npt.NDArray[np.uint8], repeats: I64, seed: int) -> U64:
    """Return keys that are independent of the draw, and of each other for the repetitions of a document."""
    keys = np.zeros(len(ids), dtype=np.uint64)
    for repeat in np.unique(repeats):
        again = repeats == repeat
        keys[again] = draw_keys(ids[again], seed=seed, purpose=f"order {repeat}" if repeat else "order")
    return keys


#: What `training_set_item` records of every draw; a document's cluster and labels as they are now.
_ITEMS = """
    SELECT w.position, d.document_id, w."repeat", d.n_words, d.n_bytes, {n_tokens} AS n_tokens, d.origin, d.generation,
           d.evidence_rank, d.model, d.source, d.licence_class, d.cluster_id,
           CAST(w.stratum AS VARCHAR) AS stratum
    FROM wanted w JOIN document d ON d.document_id = w.document_id {counts}
    ORDER BY w.position
"""
_COUNTS = "JOIN token_count t ON t.content_id = d.content_id AND t.tokenizer = :tokenizer"
_WANTED = (
    "CREATE OR REPLACE TEMP TABLE wanted AS SELECT * REPLACE (CAST(document_id AS UUID) AS document_id) FROM drawn"
)


def items_of(store: Store, candidates: Candidates, draws: Draws, labels: tuple[str, ...], spec: MixSpec) -> pa.Table:
    """Return the draws as rows of `training_set_item`, in their order.

    Parameters
    ----------
    labels : of the strata
    """
    wanted = pa.table(
        {
            "position": np.arange(len(draws.rows), dtype=np.int64),
            "document_id": id_array(candidates.ids[draws.rows]),
            "repeat": draws.repeats.astype(np.uint32),
            "stratum": pa.DictionaryArray.from_arrays(pa.array(draws.stratum.astype(np.int32)), list(labels)),
        }
    )
    is_counted = spec.tokenizer is not None
    query = _ITEMS.format(n_tokens="t.n_tokens" if is_counted else "NULL::UINTEGER", counts=_COUNTS * is_counted)
    values: dict[str, Any] = {"tokenizer": spec.tokenizer} if is_counted else {}
    with store.read() as connection, staged(connection, drawn=wanted) as raw:
        raw.execute(_WANTED)
        items = fetch(connection, text(query), values)
        raw.execute("DROP TABLE temp.wanted")
    return items
