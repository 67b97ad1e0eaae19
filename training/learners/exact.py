"""What the exact learners share: they are fitted on documents in closed form, and need no tokenizer.

They exist for theory: what recursion does to them is known exactly, so that the store, the mix and the driver can be
tested against it.
"""

from __future__ import annotations

import hashlib
import json
import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from training.errors import DecodingUnusable, DocumentsUnusable
from training.learners.base import (
    Decoding,
    FitData,
    FitResult,
    Learner,
    Progress,
    Prompts,
    Sample,
    TokenNll,
    no_progress,
)
from training.learners.configs import Init, LearnerConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Floats = npt.NDArray[np.float64]


class ExactLearner(Learner):
    """A learner with a handful of parameters, kept as JSON."""

    reads: ClassVar[Literal["blocks", "documents"]] = "documents"
    unit: ClassVar[Literal["tokens", "documents"]] = "documents"
    #: Fields of a decoding other than its temperature that it knows.
    decodes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: LearnerConfig) -> None:
        self.config = config

    @classmethod
    def train_tokenizer(cls, texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
        """Raise: there is no tokenizer."""
        raise DocumentsUnusable(f"learner {cls.name!r} reads documents, not tokens")

    @classmethod
    def create(
        cls, config: LearnerConfig, *, tokenizer_json: str, block_length: int, init: Init = "scratch", seed: int
    ) -> Self:
        """Make a learner that knows nothing yet; it needs neither tokenizer, block length nor seed."""
        return cls(config)

    def fit(
        self,
        data: FitData,
        *,
        epochs: int,
        learning_rate: float,
        batch_size: int,
        seed: int,
        checkpoints: Path | None = None,
        progress: Progress = no_progress,
    ) -> FitResult:
        """Fit in closed form: epochs, learning rate, batches and seed mean nothing to it.

        Raises
        ------
        DocumentsUnusable : there are none, or they are not of this learner's kind
        """
        started = time.perf_counter()
        texts = list(data.texts or ())
        if not texts:
            raise DocumentsUnusable("there are none")
        loss = self.learn(texts)
        progress(len(texts), len(texts))
        return FitResult(n_steps=1, n_tokens=len(texts), loss=loss, seconds=time.perf_counter() - started)

    @abstractmethod
    def learn(self, texts: Sequence[str]) -> float:
        """Estimate the parameters and return the mean negative log-likelihood of these documents, in nats."""

    def sample(
        self,
        n: int,
        *,
        decoding: Decoding,
        seed: int,
        prompts: Prompts | None = None,
        progress: Progress = no_progress,
    ) -> list[Sample]:
        """Draw exactly `n` documents.

        Raises
        ------
        DecodingUnusable : the decoding means nothing to this learner, or there are prompts
        """
        plain = Decoding(temperature=decoding.temperature, **{name: getattr(decoding, name) for name in self.decodes})
        if decoding != plain or prompts is not None:
            raise DecodingUnusable(self.name, ("temperature", *self.decodes))
        texts = self.draw(n, decoding, np.random.default_rng(seed))
        progress(n, n)
        return [Sample(text, 1) for text in texts]

    @abstractmethod
    def draw(self, n: int, decoding: Decoding, rng: np.random.Generator) -> list[str]:
        """Draw `n` documents."""

    def nll(self, texts: Sequence[str], *, progress: Progress = no_progress) -> list[TokenNll]:
        """Score every document as one token; one that the model cannot have written has no score."""
        nats = self.nats(texts)
        progress(len(texts), len(texts))
        return [
            TokenNll(nats[i : i + 1], np.array([[0, len(text)]], np.int64))
            if np.isfinite(nats[i])
            else TokenNll(np.zeros(0), np.zeros((0, 2), np.int64))
            for i, text in enumerate(texts)
        ]

    @abstractmethod
    def nats(self, texts: Sequence[str]) -> Floats:
        """Return the negative log-likelihood of every document, (n,), infinite where it is impossible."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """What was fitted, as plain data."""

    @property
    def digest(self) -> str:
        """SHA-256 over settings and parameters."""
        whole = {"config": self.config.model_dump(mode="json"), "parameters": self.parameters}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def write(self, directory: Path) -> dict[str, Any]:
        """Return settings and parameters; they are all there is to it."""
        return {"config": self.config.model_dump(mode="json"), "parameters": self.parameters}


def numbers_in(texts: Sequence[str], width: int) -> Floats:
    """Return the numbers of documents, `width` in each, (n, width).

    Raises
    ------
    DocumentsUnusable : a document is something else
    """
    try:
        rows = np.array([[float(word) for word in text.split()] for text in texts], dtype=np.float64)
    except ValueError:
        rows = np.zeros((0, 0))
    if rows.shape != (len(texts), width) or not np.isfinite(rows).all():
        odd = next((text for text in texts if not _is_row(text, width)), "")
        raise DocumentsUnusable(f"{odd[:40]!r} is not {width} finite number{'s' * (width > 1)}")
    return rows


def _is_row(text: str, width: int) -> bool:
    try:
        row = [float(word) for word in text.split()]
    except ValueError:
        return False
    return len(row) == width and bool(np.isfinite(row).all())


def as_text(*numbers: float) -> str:
    """Return numbers as a document, every digit kept."""
    return " ".join(repr(float(number)) for number in numbers)
