"""How much of a model's text is a near-copy of its other text, and of the human text that generation 0 learned from.

Compared are the signatures that the store has anyway, over the documents that all other metrics look at: how many
documents a model wrote, and what other models wrote, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup.parameters import DedupParameters
from provenance.store.store import Store

Signatures = npt.NDArray[np.uint32]

_GENERATED = """
SELECT s.hashvalues FROM document d JOIN signature s USING (content_id)
WHERE d.source = :source AND CAST(d.external_id AS BIGINT) <= :last ORDER BY d.external_id
"""
_HUMAN = """
SELECT hashvalues FROM signature WHERE content_id IN (
    SELECT d.content_id FROM document d JOIN training_set_item i USING (document_id)
    WHERE i.training_set = :training_set AND i.origin = 'human'
) ORDER BY content_id
"""
#: Odd numbers that make one number of a band; what they confuse is compared and told apart.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def near_duplicate_metrics(
    store: Store, *, sources: Mapping[str, str], n_documents: Mapping[str, float], human_set: str
) -> dict[str, float]:
    """Return the near-duplicate rates of the texts that a model wrote, once they are in the store.

    Parameters
    ----------
    sources : kind of sample (`arm`, `t1`) -> the source that its documents have in the store
    n_documents : kind -> how many texts, counted as they were written, the other metrics looked at
    human_set : generation 0's training set
    """
    human = _matrix(store.fetch(_HUMAN, {"training_set": human_set}), store.dedup)
    found = {}
    for kind, source in sources.items():
        rows = store.fetch(_GENERATED, {"source": source, "last": int(n_documents[kind])})
        generated = _matrix(rows, store.dedup)
        if len(generated):
            found[f"{kind}_near_duplicates_within"] = within_rate(generated, store.dedup)
            found[f"{kind}_near_duplicates_human"] = against_rate(generated, human, store.dedup)
    return found


def within_rate(signatures: Signatures, parameters: DedupParameters) -> float:
    """Return the share of texts that are near-duplicates of another one of them."""
    return _rate(signatures, signatures, parameters, same=True)


def against_rate(signatures: Signatures, others: Signatures, parameters: DedupParameters) -> float:
    """Return the share of texts that are near-duplicates of at least one of the others."""
    return _rate(signatures, others, parameters, same=False)


def _rate(signatures: Signatures, others: Signatures, parameters: DedupParameters, *, same: bool) -> float:
    """Return the share of texts with a neighbour among the others: a band in common, and the estimate high enough."""
    mine, theirs = _bands(signatures, parameters), _bands(others, parameters)
    candidates = np.flatnonzero(np.isin(theirs, mine).any(axis=1))
    n_found = 0
    for row, signature in enumerate(signatures):
        near = candidates[(theirs[candidates] == mine[row]).any(axis=1)]
        if same:
            near = near[near != row]
        n_found += bool(((others[near] == signature).mean(axis=1) >= parameters.threshold).any())
    return n_found / len(signatures)


def _bands(signatures: Signatures, parameters: DedupParameters) -> npt.NDArray[np.uint64]:
    """Return one number for every band of every signature, different for different bands at the same place.

    Returns
    -------
    (n_docs, n_bands) uint64
    """
    rows = signatures.reshape(-1, parameters.n_bands, parameters.rows_per_band).astype(np.uint64)
    numbers = np.broadcast_to(np.arange(parameters.n_bands, dtype=np.uint64), rows.shape[:2]).copy()
    for at in range(parameters.rows_per_band):
        numbers = (numbers ^ rows[:, :, at]) * _MULTIPLIER
        numbers ^= numbers >> np.uint64(29)
    return numbers


def _matrix(table: pa.Table, parameters: DedupParameters) -> Signatures:
    column = table.column("hashvalues").combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False)
    matrix: Signatures = values.astype(np.uint32, copy=False).reshape(-1, parameters.n_permutations)
    return matrix
