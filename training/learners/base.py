"""What the loop expects of a learner. Learners see token blocks and texts, never the store."""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from training.errors import CheckpointDamaged
from training.learners.configs import Init, LearnerConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: The file beside the weights that says what they are.
CARD = "learner.json"

#: The token that our own tokenizers put in front of every text; a model that writes it has ended its text.
END_OF_TEXT = "<|endoftext|>"


class Decoding(BaseModel):
    """How text is drawn from a model. The default draws from the model's own distribution."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(1.0, gt=0)
    """Below 1 sharpens the distribution, above 1 flattens it."""
    top_k: int | None = Field(None, ge=1)
    """Keep only the k most probable tokens."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Keep only the most probable tokens that together hold this mass."""

    @property
    def plain(self) -> bool:
        """Whether the model's distribution is used as it is."""
        return self.temperature == 1 and self.top_k is None and self.top_p is None

    def __str__(self) -> str:
        parts = [f"T={self.temperature:g}"]
        if self.top_k is not None:
            parts.append(f"top-k={self.top_k}")
        if self.top_p is not None:
            parts.append(f"top-p={self.top_p:g}")
        return " ".join(parts)


class Progress(Protocol):
    """Told how far a long step is."""

    def __call__(self, done: int, total: int) -> None:
        """Take the number of units done, out of `total`."""


def no_progress(done: int, total: int) -> None:
    """Take progress and tell nobody."""


@dataclass(frozen=True)
class FitResult:
    """What a training did."""

    n_steps: int
    n_tokens: int
    """Tokens trained on, every epoch counted."""
    loss: float
    """Mean training loss of the last tenth of the steps, in nats per token."""
    seconds: float


@dataclass(frozen=True)
class Sample:
    """One text from a model."""

    text: str
    n_tokens: int
    """Tokens that were drawn for it; the tokenizer may need fewer for the same text."""


@dataclass(frozen=True)
class TokenNll:
    """Negative log-likelihood of one text, token by token; where a learner cannot score a token, it is absent."""

    nats: npt.NDArray[np.float64]  # (n_tokens,)
    spans: npt.NDArray[np.int64]  # (n_tokens, 2): first character and the one after the last


class Learner(ABC):
    """Something that is fitted on token blocks, gives text, and scores text."""

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def train_tokenizer(cls, texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
        """Train this learner's kind of tokenizer."""

    @classmethod
    def own_tokenizer(cls, config: LearnerConfig) -> str | None:
        """Return the definition of the tokenizer that a pretrained model brings, or None."""
        return None

    @classmethod
    @abstractmethod
    def create(
        cls, config: LearnerConfig, *, tokenizer_json: str, block_length: int, init: Init = "scratch", seed: int
    ) -> Self:
        """Make a learner that has not been fitted: from scratch, or pretrained when `init` says so."""

    @abstractmethod
    def fit(
        self,
        blocks: npt.NDArray[np.integer[Any]],
        *,
        epochs: int,
        learning_rate: float,
        batch_size: int,
        seed: int,
        progress: Progress = no_progress,
    ) -> FitResult:
        """Fit on blocks in the order given, every epoch in the same order.

        Parameters
        ----------
        blocks : (n_blocks, block_length) token numbers; may be a memory map

        Raises
        ------
        LossNotFinite : training diverged
        BlocksUnusable : the blocks were made with another tokenizer or are empty
        """

    @abstractmethod
    def sample(self, n_tokens: int, *, decoding: Decoding, seed: int, progress: Progress = no_progress) -> list[Sample]:
        """Draw at least `n_tokens` tokens of text, each text from the model's own beginning."""

    @abstractmethod
    def nll(self, texts: Sequence[str], *, progress: Progress = no_progress) -> list[TokenNll]:
        """Score texts: nats and character span of every token, one result per text."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 over the weights and the tokenizer."""

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Numbers that were fitted."""

    @abstractmethod
    def write(self, directory: Path) -> dict[str, Any]:
        """Write weights and tokenizer into an existing folder; return what the card should say."""

    @classmethod
    @abstractmethod
    def read(cls, directory: Path, card: dict[str, Any]) -> Self:
        """Load what `write` wrote."""

    def save(self, directory: Path) -> None:
        """Save under a temporary name, then rename: a folder of that name is complete or absent."""
        partial = directory.with_name(directory.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        card = {"learner": self.name, "digest": self.digest, **self.write(partial)}
        (partial / CARD).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        shutil.rmtree(directory, ignore_errors=True)
        os.replace(partial, directory)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load a saved learner and check its digest.

        Raises
        ------
        CheckpointDamaged : something is missing or was changed
        """
        try:
            card = json.loads((directory / CARD).read_text(encoding="utf-8"))
            learner = cls.read(directory, card)
        except (OSError, ValueError, KeyError) as error:
            raise CheckpointDamaged(directory, f"{type(error).__name__}: {error}") from error
        if learner.digest != card["digest"]:
            raise CheckpointDamaged(directory, "the weights have another digest than when they were saved")
        return learner
