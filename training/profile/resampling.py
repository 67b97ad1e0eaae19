"""How sure a difference is within one seed: documents are drawn again, with replacement.

It says how much other documents would have changed the numbers of these very models, and nothing of how models of
other seeds would differ; so it is used only where there are too few seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from provenance.store.store import Store
from training.metrics.generated import VOCABULARY_WINDOW
from training.metrics.registry import members
from training.metrics.resemblance import BIN_NATS, STRETCH_TOKENS
from training.metrics.words import Lexicon, word_types
from training.mixes import evaluation_source
from training.profile.statistics import WithinSeed
from training.report.data import Key, Results, Run

Floats = npt.NDArray[np.float64]

#: Times that the documents are drawn again.
REPLICATES = 200
#: Fewer documents, or groups of them, say nothing.
MIN_DOCUMENTS = 5
#: Metric of the model on held-out text -> families with its sums and what they are divided by.
_RATIOS = {
    "heldout_ce": ("heldout_group_nats", "heldout_group_tokens"),
    "heldout_tail_ce": ("heldout_group_tail_nats", "heldout_group_tail_words"),
}

_TEXTS = """
SELECT text FROM documents WHERE source = :source AND CAST(external_id AS BIGINT) <= :last ORDER BY external_id
"""
_FIRST_TEXTS = """
SELECT d.text FROM training_set_documents i JOIN documents d USING (document_id)
WHERE i.training_set = :training_set ORDER BY i.position
"""


class Resampler:
    """Gives the error of a difference between an arm and its control within one seed."""

    def __init__(self, store: Store, results: Results) -> None:
        self._store = store
        self._results = results
        self._lexicons: dict[int, Lexicon] = {}
        self._text_errors: dict[tuple[Key, str], dict[str, float]] = {}

    def __call__(self, metric: str, arm: str, control: str, seed: int, generation: int) -> WithinSeed | None:
        """Return the error; None where the store does not hold what it takes."""
        mine, theirs = (self._results.run(name, seed, generation) for name in (arm, control))
        if mine is None or theirs is None:
            return None
        if metric in _RATIOS:
            return heldout_error(mine.metrics, theirs.metrics, *_RATIOS[metric])
        kind, _, name = metric.partition("_")
        errors = [self._error(run, kind, name) for run in (mine, theirs)]
        known = [error for error in errors if error is not None]
        return WithinSeed(math.hypot(*known), math.inf) if len(known) == len(errors) else None

    def _error(self, run: Run, kind: str, name: str) -> float | None:
        if name == "gen0_nll_mean":
            return stretch_error(run.metrics, kind)
        key = run.key, kind
        if key not in self._text_errors:
            self._text_errors[key] = self._read_text_errors(run, kind)
        return self._text_errors[key].get(name)

    def _read_text_errors(self, run: Run, kind: str) -> dict[str, float]:
        n_documents = run.metrics.get(f"{kind}_documents")
        if run.model is None or n_documents is None:
            return {}
        source = run.model if kind == "arm" else evaluation_source(run.model)
        texts = self._store.fetch(_TEXTS, {"source": source, "last": int(n_documents)}).column("text").to_pylist()
        return text_errors(texts, self._lexicon(run.seed))

    def _lexicon(self, seed: int) -> Lexicon:
        if seed not in self._lexicons:
            first = next(run for run in self._results.runs if run.seed == seed and run.generation == 0)
            texts = self._store.fetch(_FIRST_TEXTS, {"training_set": first.training_set}).column("text").to_pylist()
            self._lexicons[seed] = Lexicon.of(texts)
        return self._lexicons[seed]


def heldout_error(
    arm: Mapping[str, float], control: Mapping[str, float], total: str, size: str, *, seed: int = 0
) -> WithinSeed | None:
    """Return the error of the difference of two means over the same held-out documents, drawn together.

    Parameters
    ----------
    arm, control : values of a run each
    total, size : families with the sums of each group of documents, and how much they are sums of
    """
    sums = [members(run, family) for run in (arm, control) for family in (total, size)]
    groups = [number for number in sums[0] if all(number in each for each in sums)]
    if len(groups) < MIN_DOCUMENTS or any(set(each) != set(groups) for each in sums):
        return None
    mine, mine_size, theirs, theirs_size = (np.array([each[g] for g in groups]) for each in sums)
    weights = _weights(len(groups), seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        differences = weights @ mine / (weights @ mine_size) - weights @ theirs / (weights @ theirs_size)
    known = differences[np.isfinite(differences)]  # a draw may hold no tail word at all
    if len(known) < REPLICATES / 2:
        return None
    # The bootstrap's variance of a mean of G is (G-1)/G of the unbiased one.
    correction = math.sqrt(len(groups) / (len(groups) - 1))
    return WithinSeed(float(known.std(ddof=1)) * correction, len(groups) - 1)


def stretch_error(values: Mapping[str, float], kind: str) -> float | None:
    """Return the error of the mean cost under generation 0's model, from the histogram of stretches."""
    bins = members(values, f"{kind}_gen0_nll_bin")
    n_tokens = values.get(f"{kind}_tokens") or values.get(f"{kind}_words")
    if not bins or not n_tokens:
        return None
    nats = BIN_NATS * (np.array(list(bins)) + 0.5)
    shares = np.array(list(bins.values()))
    mean = float(nats @ shares)
    variance = max(float((nats - mean) ** 2 @ shares), BIN_NATS**2 / 12)
    return math.sqrt(variance / max(1.0, n_tokens / STRETCH_TOKENS))


def text_errors(texts: Sequence[str], lexicon: Lexicon, *, seed: int = 0) -> dict[str, float]:
    """Return the standard errors of entropy, tail mass and vocabulary of texts; nothing for too few texts."""
    from scipy.sparse import csr_array

    documents = [word_types(text) for text in texts]
    documents = [words for words in documents if words]
    if len(documents) < MIN_DOCUMENTS:
        return {}
    types = {word: at for at, word in enumerate(sorted({word for words in documents for word in words}))}
    columns = np.array([types[word] for words in documents for word in words])
    offsets = np.cumsum([0, *(len(words) for words in documents)])
    counts = csr_array((np.ones(len(columns)), columns, offsets), shape=(len(documents), len(types)))
    tail = np.array([word in lexicon.tail for word in types], dtype=np.float64)
    human = np.array([word in lexicon.counts for word in types])
    found: dict[str, list[float]] = {"entropy": [], "tail_mass": [], "vocabulary": []}
    for row in _weights(len(documents), seed):
        drawn = row @ counts
        share = drawn / drawn.sum()
        some = share[share > 0]
        found["entropy"].append(float(-(some @ np.log2(some))))
        found["tail_mass"].append(float(share @ tail))
        found["vocabulary"].append(_vocabulary(drawn[human & (drawn > 0)], drawn.sum()))
    return {name: float(np.std(values, ddof=1)) for name, values in found.items()}


def _vocabulary(drawn: Floats, n_words: float) -> float:
    """Return how many types of these counts a window of 10,000 of the words is expected to hold."""
    part = min(1.0, VOCABULARY_WINDOW / n_words)
    return float((1 - (1 - part) ** drawn).sum())


def _weights(n: int, seed: int) -> Floats:
    """Return how often each of `n` documents is drawn: (replicates, n)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n, np.full(n, 1 / n), size=REPLICATES).astype(np.float64)
