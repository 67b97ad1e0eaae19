"""What a filter says of every document becomes an attribute of it in the store, which the mix reads like any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from provenance.annotations.annotate import annotate
from provenance.store.store import Store
from training.arms import Filter, PerplexityBand
from training.errors import NothingPassed
from training.filters.classifier import Classifier
from training.learners.base import Learner

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

#: A detector calls human what is more probably human than not.
HUMAN_ABOVE = 0.5

_TEXTS = """
SELECT document_id::VARCHAR AS id, text FROM documents WHERE source = :source AND model = :source ORDER BY document_id
"""
_UNKNOWN = "SELECT document_id::VARCHAR AS id, text FROM documents WHERE origin = 'unknown' ORDER BY document_id"
_DRAWN = """
SELECT d.text FROM training_set_item i JOIN documents d USING (document_id)
WHERE i.training_set = :name ORDER BY i.position
"""
#: One document of every cluster, and none of a cluster in which human text is.
_UNIQUE = """
SELECT document_id::VARCHAR AS id, row_number() OVER (PARTITION BY cluster_id ORDER BY document_id) = 1
    AND cluster_id NOT IN (SELECT cluster_id FROM document WHERE origin = 'human') AS keep
FROM document WHERE source = :source AND model = :source ORDER BY document_id
"""


def judge_output(
    store: Store, filter_: Filter, *, model: str, first: str, first_learner: Learner, attribute: str, scratch: Path
) -> int:
    """Say of every document that a model wrote whether it passes a filter; return how many do.

    Parameters
    ----------
    model : whose output is judged
    first : generation 0's model: its training set is what human text is like, its output what synthetic text is like
    first_learner : that model
    attribute : what is written, true or false
    scratch : file that the values are handed over in

    Raises
    ------
    NothingPassed
        If no document does.
    """
    table = store.fetch(_TEXTS, {"source": model})
    texts: list[str] = table["text"].to_pylist()
    passes = np.ones(len(texts), dtype=bool)
    if filter_.perplexity is not None:
        own = mean_nats(first_learner, store.fetch(_TEXTS, {"source": first})["text"].to_pylist())
        passes &= in_band(mean_nats(first_learner, texts), own, filter_.perplexity)
    if filter_.near_duplicates:
        passes &= store.fetch(_UNIQUE, {"source": model})["keep"].to_numpy(zero_copy_only=False).astype(bool)
    if filter_.classifier is not None:
        passes &= human_or_model(store, first).probability(texts) >= filter_.classifier
    if not passes.any():
        raise NothingPassed(model, len(texts))
    _annotate(store, table["id"].to_pylist(), passes, attribute, scratch)
    return int(passes.sum())


def judge_unknown(store: Store, *, first: str, attribute: str, scratch: Path) -> int:
    """Say of every document of unknown origin whether a detector takes it for human; return how many it does.

    The detector has seen generation 0's human text and what generation 0's model wrote, and nothing else.
    """
    table = store.fetch(_UNKNOWN)
    found = human_or_model(store, first).probability(table["text"].to_pylist()) > HUMAN_ABOVE
    if len(found):
        _annotate(store, table["id"].to_pylist(), found, attribute, scratch)
    return int(found.sum())


def human_or_model(store: Store, first: str) -> Classifier:
    """Return a classifier between generation 0's human text and what its model wrote."""
    human = store.fetch(_DRAWN, {"name": first})["text"].to_pylist()
    return Classifier.fit(human, store.fetch(_TEXTS, {"source": first})["text"].to_pylist())


def mean_nats(learner: Learner, texts: Sequence[str]) -> Floats:
    """Return the mean nats per token of every text; infinite where there is nothing to score."""
    scored = learner.nll(texts)
    return np.array([float(score.nats.mean()) if len(score.nats) else np.inf for score in scored])


def in_band(nats: Floats, reference: Floats, band: PerplexityBand) -> Mask:
    """Return which values lie between two quantiles of a reference, both ends included."""
    low, high = np.quantile(reference[np.isfinite(reference)], [band.low, band.high])
    return np.asarray((nats >= low) & (nats <= high))


def _annotate(store: Store, ids: list[str], values: Mask, attribute: str, scratch: Path) -> None:
    scratch.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"document_id": ids, attribute: values}), scratch)
    try:
        annotate(store, [scratch], key="document_id", kinds={attribute: "boolean"}, tool="recurse")
    finally:
        scratch.unlink(missing_ok=True)
