"""Prompts that are followed through the generations: every model continues the same words, for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from training.learners.base import Decoding, Learner, Prompts
from training.seeds import derive_seed

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def follow(
    learner: Learner, tokenizer: Tokenizer, prompts: Sequence[str], *, decoding: Decoding, new_tokens: int, seed: int
) -> list[str]:
    """Return how a model continues each prompt, in their order.

    Raises
    ------
    PromptsUnusable : a prompt has no tokens
    """
    continued = []
    for number, prompt in enumerate(prompts):
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        given = Prompts(np.array([ids], dtype=np.int64), new_tokens)
        drawn = learner.sample(new_tokens, decoding=decoding, seed=derive_seed(seed, "followed", number), prompts=given)
        continued.append(drawn[0].text)
    return continued
