"""What a filter says of every document becomes an attribute of it in the store, which the mix reads like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

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

#: A detector is set so that it takes so large a share of human text for human: that of text which it has not seen.
KEPT_HUMAN = 0.95

_TEXTS = """
SELECT document_id::VARCHAR AS id, text FROM documents WHERE source = :source AND model = :source ORDER BY document_id
"""
_UNKNOWN = "SELECT document_id::VARCHAR AS id, text FROM documents WHERE origin = 'unknown' ORDER BY document_id"
#: Human text of the sources of generation 0, none that it had itself: its model's output is made of the words of that,
#: so that a classifier would learn to tell other people's text from it. None that shares a cluster with held-out text.
_OTHER_HUMAN = """
WITH first AS (SELECT DISTINCT document_id FROM training_set_item WHERE training_set = :name)
SELECT document_id::VARCHAR AS id, text FROM documents
WHERE origin = 'human' AND source IN (SELECT source FROM document WHERE document_id IN (SELECT document_id FROM first))
    AND document_id NOT IN (SELECT document_id FROM first)
    AND cluster_id NOT IN (
        SELECT cluster_id FROM document
        WHERE document_id IN (SELECT document_id FROM training_set_item WHERE training_set = :heldout)
    )
ORDER BY document_id LIMIT 1000
"""
_OWN_HUMAN = """
SELECT DISTINCT d.document_id::VARCHAR AS id, d.text FROM training_set_item i JOIN documents d USING (document_id)
WHERE i.training_set = :name ORDER BY id
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
        passes &= Detector.of(store, first).probability(table["id"].to_pylist(), texts) >= filter_.classifier
    if not passes.any():
        raise NothingPassed(model, len(texts))
    attach(store, table["id"].to_pylist(), passes, attribute, scratch)
    return int(passes.sum())


def judge_unknown(store: Store, *, first: str, attribute: str, scratch: Path) -> int:
    """Say of every document of unknown origin whether a detector takes it for human; return how many it does.

    The detector has seen known human text and what generation 0's model wrote, and nothing else.
    """
    table = store.fetch(_UNKNOWN)
    detector = Detector.of(store, first)
    found = detector.probability(table["id"].to_pylist(), table["text"].to_pylist()) >= detector.threshold
    if len(found):
        attach(store, table["id"].to_pylist(), found, attribute, scratch)
    return int(found.sum())


class Detector:
    """Two classifiers between human text and what generation 0's model wrote, each fitted on half of both.

    A text that one of them was fitted on is judged by the other: a classifier knows the texts that it has seen, and
    would let none of generation 0's output through. Other texts are judged by both.
    """

    def __init__(self, human: Mapping[str, str], synthetic: Mapping[str, str]) -> None:
        self._human = human
        self._half = {name: place % 2 for kind in (human, synthetic) for place, name in enumerate(sorted(kind))}
        self._fitted = [
            Classifier.fit(*([text for name, text in kind.items() if self._half[name] == half] or list(kind.values())
                             for kind in (human, synthetic)))
            for half in (0, 1)
        ]  # fmt: skip

    @classmethod
    def of(cls, store: Store, first: str) -> Self:
        """Return the detector that generation 0 of an experiment gives."""
        heldout = f"{first.split('.')[0]}.heldout"  # names of experiments have no dots
        human = store.fetch(_OTHER_HUMAN, {"name": first, "heldout": heldout})
        if not human.num_rows:
            human = store.fetch(_OWN_HUMAN, {"name": first})
        synthetic = store.fetch(_TEXTS, {"source": first})
        kinds = (dict(zip(t["id"].to_pylist(), t["text"].to_pylist(), strict=True)) for t in (human, synthetic))
        return cls(*kinds)

    @cached_property
    def threshold(self) -> float:
        """The probability that human text reaches, but for a small share of it."""
        return float(np.quantile(self.probability(list(self._human), list(self._human.values())), 1 - KEPT_HUMAN))

    def probability(self, ids: Sequence[str], texts: Sequence[str]) -> Floats:
        """Return the probability of every document being human, (n,) in 0..1."""
        both = np.array([classifier.probability(texts) for classifier in self._fitted])  # (2, n)
        half = np.array([self._half.get(name, 2) for name in ids], dtype=np.int64)
        return np.asarray(np.select([half == 0, half == 1], [both[1], both[0]], both.mean(axis=0)))


def mean_nats(learner: Learner, texts: Sequence[str]) -> Floats:
    """Return the mean nats per token of every text; infinite where there is nothing to score."""
    scored = learner.nll(texts)
    return np.array([float(score.nats.mean()) if len(score.nats) else np.inf for score in scored])


def in_band(nats: Floats, reference: Floats, band: PerplexityBand) -> Mask:
    """Return which values lie between two quantiles of a reference, both ends included."""
    low, high = np.quantile(reference[np.isfinite(reference)], [band.low, band.high])
    return np.asarray((nats >= low) & (nats <= high))


def attach(store: Store, ids: list[str], values: Sequence[Any] | Mask, attribute: str, scratch: Path) -> None:
    """Give documents their values of an attribute, true or false or a number, by way of a file."""
    scratch.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"document_id": ids, attribute: values}), scratch)
    try:
        annotate(store, [scratch], key="document_id", tool="recurse")
    finally:
        scratch.unlink(missing_ok=True)
