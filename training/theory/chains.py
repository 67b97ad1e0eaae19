"""A chain of generations without a store: the same draws as through store, mix and driver, a thousand times as fast.

It calls the functions by which the mix draws and by which learners fit and sample, with the ids and seeds that the
driver would use. What it does not share is the database, the allocation, exports and files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from provenance.ids import DocumentDigester, content_digest
from provenance.mix.draw import draw_keys, draw_order
from provenance.mix.spec import MixSpec
from training.arms import SHARED_ARM, Arm
from training.experiment import Experiment
from training.learners.base import Decoding, FitData, Learner
from training.learners.registry import learner_type
from training.mixes import first_mix, largest_synthetic_share, later_mix, model_name
from training.seeds import derive_seed

Ids = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Documents:
    """Documents of one source.

    Attributes
    ----------
    ids : (n, 16) uint8, as the store gives them
    texts : their texts
    """

    ids: Ids
    texts: list[str]

    @classmethod
    def of(cls, source: str, texts: Sequence[str]) -> Documents:
        """Return the documents that ingesting these texts, numbered from 1, makes of them."""
        digest = DocumentDigester(source)
        ids = [digest(f"{n:06d}", content_digest(text.encode())) for n, text in enumerate(texts, start=1)]
        return cls(np.frombuffer(b"".join(ids), np.uint8).reshape(-1, 16), list(texts))

    def take(self, rows: Rows) -> Documents:
        """Return some of them."""
        return Documents(self.ids[rows], [self.texts[row] for row in rows])


@dataclass(frozen=True)
class Generation:
    """One generation of a chain: what it was trained on, human and of models, and the model."""

    number: int
    human: Documents
    synthetic: Documents
    learner: Learner

    @property
    def ids(self) -> set[bytes]:
        """Ids of everything it was trained on."""
        return {row.tobytes() for part in (self.human, self.synthetic) for row in part.ids}


def chain(experiment: Experiment, arm: Arm, pool: Documents, *, seed: int) -> Iterator[Generation]:
    """Yield generation 0 and then all generations of an arm.

    Parameters
    ----------
    experiment : of a learner that reads documents, without held-out text, with `duplicates: all`
    arm : of regime replace, quota or accumulate
    pool : the human documents
    """
    nobody = Documents(np.zeros((0, 16), np.uint8), [])
    n_first = int(experiment.first.documents or 0)
    human = _drawn(pool, first_mix(experiment, seed=seed), n_first)
    learner = _fitted(experiment, human.texts)
    yield Generation(0, human, nobody, learner)
    used, written = human.ids, [_written(experiment, experiment.arms, learner, SHARED_ARM, seed, 0)]
    for number in range(1, experiment.generations + 1):
        spec = later_mix(experiment, arm, seed=seed, generation=number)
        human, synthetic = _training_set(experiment, arm, spec, pool, used, written, n_first)
        learner = _fitted(experiment, [*human.texts, *synthetic.texts])
        yield Generation(number, human, synthetic, learner)
        if arm.human == "fresh":
            used = np.concatenate([used, human.ids])
        written.append(_written(experiment, (arm,), learner, arm.name, seed, number))


def _training_set(
    experiment: Experiment, arm: Arm, spec: MixSpec, pool: Documents, used: Ids, written: list[Documents], n_first: int
) -> tuple[Documents, Documents]:
    """Return the human and the synthetic documents of a later generation."""
    size = experiment.later.size
    if arm.regime == "accumulate":
        parts = [_drawn(documents, spec, size) for documents in written]
        whole = Documents(np.concatenate([part.ids for part in parts]), [text for part in parts for text in part.texts])
        return _drawn(pool, spec, n_first), whole
    n_human = -(-(arm.human_share or 0) * size // 1)
    fresh = pool.take(np.flatnonzero(~_among(pool.ids, used)))
    return _drawn(fresh, spec, int(n_human)), _drawn(written[-1], spec, size - int(n_human))


def _drawn(documents: Documents, spec: MixSpec, n: int) -> Documents:
    """Return the first `n` documents in the order in which a stratum of a mix is drawn."""
    return documents.take(draw_order(documents.ids, draw_keys(documents.ids, seed=spec.seed))[:n])


def _among(ids: Ids, others: Ids) -> npt.NDArray[np.bool_]:
    """Return which ids are among others; ids are digests, of which 8 bytes tell a few thousand apart."""
    begins, known = (np.ascontiguousarray(part).view(np.uint64).reshape(-1, 2)[:, 0] for part in (ids, others))
    return np.isin(begins, known)


def _fitted(experiment: Experiment, texts: Sequence[str]) -> Learner:
    learner = learner_type(experiment.learner.name).create(
        experiment.learner, tokenizer_json="", block_length=experiment.block_length, seed=0
    )
    learner.fit(FitData(texts=texts), epochs=1, learning_rate=1.0, batch_size=1, seed=0)
    return learner


def _written(
    experiment: Experiment, arms: Sequence[Arm], learner: Learner, arm: str, seed: int, number: int
) -> Documents:
    """Return what the driver lets a model write, under the arm's decoding, as documents."""
    n = max(experiment.evaluation.tokens, round(experiment.later.size * float(largest_synthetic_share(arms))))
    own = derive_seed(derive_seed(seed, arm, number), "sample", "arm", 0)
    samples = learner.sample(n, decoding=Decoding.model_validate(experiment.decoding), seed=own)
    source = model_name(experiment, arm=arm, seed=seed, generation=number)
    return Documents.of(source, [sample.text for sample in samples])
