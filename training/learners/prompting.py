"""Which sequences a sample is made of: from the beginning of a text, or after prompts."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from training.errors import BeamsUnusable, PromptsUnusable
from training.learners.base import Decoding, Prompts
from training.learners.configs import TransformerConfig

Ints = npt.NDArray[np.int64]


class Continues(Protocol):
    """What must be known of a transformer to plan its samples."""

    config: TransformerConfig
    begin: int
    ends: tuple[int, ...]
    block_length: int
    context: int

    @property
    def vocab_size(self) -> int:
        """Tokens that the model knows."""


class Plan(NamedTuple):
    """Sequences to be drawn.

    Attributes
    ----------
    starts : (n_sequences, width) int64
    length : tokens to be drawn after each
    context : tokens that the model may look back
    n_distinct : starts after which they repeat from the first
    """

    starts: Ints
    length: int
    context: int
    n_distinct: int


def plan_sequences(n: int, prompts: Prompts | None, decoding: Decoding, learner: Continues) -> Plan:
    """Return the sequences that give at least `n` tokens.

    Raises
    ------
    PromptsUnusable, BeamsUnusable : as `check_prompts` says
    """
    if prompts is None:
        if decoding.beams > 1:
            raise BeamsUnusable("without a prompt it finds one text, as often as it is asked")
        length = learner.config.sample_length
        starts = np.full((-(-n // length), 1), learner.begin, np.int64)
        return Plan(starts, length, learner.block_length, len(starts))
    check_prompts(prompts, learner.vocab_size)
    tokens = np.asarray(prompts.tokens, np.int64)
    if decoding.beams > 1 and bool(np.isin(tokens, learner.ends).all()):
        raise BeamsUnusable("the prompts are empty, so it finds one text, as often as it is asked")
    if tokens.shape[1] == 0:
        tokens = np.full((len(tokens), 1), learner.begin, np.int64)
    n_sequences = -(-n // prompts.new_tokens)
    # Longer than a block only where the model knows such places.
    context = max(learner.block_length, min(learner.context, tokens.shape[1] + prompts.new_tokens))
    return Plan(
        tokens[np.arange(n_sequences) % len(tokens)], prompts.new_tokens, context, min(n_sequences, len(tokens))
    )


def check_prompts(prompts: Prompts, vocab_size: int) -> None:
    """Refuse prompts that are no rows of tokens, or are not to be continued.

    Raises
    ------
    PromptsUnusable : saying which
    """
    tokens = prompts.tokens
    if tokens.ndim != 2 or len(tokens) == 0:
        raise PromptsUnusable(f"they have the shape {tokens.shape}")
    if not np.issubdtype(tokens.dtype, np.integer):
        raise PromptsUnusable(f"they are {tokens.dtype}, not numbers of tokens")
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocab_size:
        raise PromptsUnusable(f"they hold tokens outside the vocabulary of {vocab_size:,}")
    if prompts.new_tokens < 1:
        raise PromptsUnusable(f"{prompts.new_tokens} tokens are to be drawn after each")
