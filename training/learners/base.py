"""What the loop expects of a learner. Learners see token blocks and texts, never the store."""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from training.errors import BlocksUnusable, CheckpointDamaged
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
    beams: int = Field(1, ge=1)
    """More than one: search for the most probable continuation with so many hypotheses; no chance in it."""
    repetition_penalty: float = Field(1.0, gt=0)
    """Above 1 makes tokens that stand in the text already less probable (Keskar et al., arXiv 1909.05858, 4.1)."""

    @property
    def plain(self) -> bool:
        """Whether the model's distribution is used as it is."""
        return self == Decoding()

    def __str__(self) -> str:
        parts = [f"T={self.temperature:g}"]
        if self.top_k is not None:
            parts.append(f"top-k={self.top_k}")
        if self.top_p is not None:
            parts.append(f"top-p={self.top_p:g}")
        if self.beams > 1:
            parts = [*parts[1:], f"beams={self.beams}"]
        if self.repetition_penalty != 1:
            parts.append(f"penalty={self.repetition_penalty:g}")
        return " ".join(parts)


class Progress(Protocol):
    """Told how far a long step is."""

    def __call__(self, done: int, total: int) -> None:
        """Take the number of units done, out of `total`."""


def no_progress(done: int, total: int) -> None:
    """Take progress and tell nobody."""


@dataclass(frozen=True)
class FitData:
    """What a learner is fitted on: an exported, verified training set, in its order.

    Attributes
    ----------
    blocks : (n_blocks, block_length) token numbers, may be a memory map; None for learners that read documents
    weights : (n_blocks, block_length) float32, how much the loss of each token counts; None where all count alike
    texts : the documents in order; None for learners that read blocks
    """

    blocks: npt.NDArray[np.integer[Any]] | None = None
    weights: npt.NDArray[np.float32] | None = None
    texts: Sequence[str] | None = None

    def token_blocks(self, n_types: int) -> npt.NDArray[np.integer[Any]]:
        """Return the blocks, for a learner whose tokenizer has so many types.

        Raises
        ------
        BlocksUnusable : there are none, or they hold tokens beyond the vocabulary
        """
        if self.blocks is None or self.blocks.size == 0 or int(self.blocks.max()) >= n_types:
            raise BlocksUnusable(f"they are empty, or hold tokens beyond the vocabulary of {n_types:,}")
        return self.blocks


@dataclass(frozen=True)
class Prompts:
    """What samples continue.

    Attributes
    ----------
    tokens : (n_prompts, length) int64; used in their order, and from the first again when all were used
    new_tokens : tokens drawn after each
    """

    tokens: npt.NDArray[np.int64]
    new_tokens: int


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
    prompt: int | None = None
    """Row of the prompt that it continues. The text holds what was drawn, not the prompt."""


@dataclass(frozen=True)
class TokenNll:
    """Negative log-likelihood of one text, token by token; where a learner cannot score a token, it is absent."""

    nats: npt.NDArray[np.float64]  # (n_tokens,)
    spans: npt.NDArray[np.int64]  # (n_tokens, 2): first character and the one after the last


class Learner(ABC):
    """Something that is fitted on token blocks or on documents, gives text, and scores text.

    Attributes
    ----------
    reads : what it is fitted on
    unit : what sizes of training sets and samples count
    """

    name: ClassVar[str]
    reads: ClassVar[Literal["blocks", "documents"]] = "blocks"
    unit: ClassVar[Literal["tokens", "documents"]] = "tokens"

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
        data: FitData,
        *,
        epochs: int,
        learning_rate: float,
        batch_size: int,
        seed: int,
        checkpoints: Path | None = None,
        progress: Progress = no_progress,
    ) -> FitResult:
        """Fit on blocks or documents in the order given, every epoch in the same order.

        Parameters
        ----------
        checkpoints : folder in which a long training keeps its state; called again with the same folder it goes on
            there, with the same result

        Raises
        ------
        LossNotFinite : training diverged
        BlocksUnusable : the blocks were made with another tokenizer or are empty
        """

    @abstractmethod
    def sample(
        self,
        n: int,
        *,
        decoding: Decoding,
        seed: int,
        prompts: Prompts | None = None,
        progress: Progress = no_progress,
    ) -> list[Sample]:
        """Draw at least `n` tokens, or exactly `n` documents where that is the unit.

        Each text begins where the model's texts begin, or after a prompt.
        """

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
