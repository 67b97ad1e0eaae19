"""A transformer so small that every test takes a moment."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.learners import FitData, learner_type
from training.learners.configs import TransformerConfig
from training.learners.tokenizers import train_byte_bpe

CONFIG = TransformerConfig(n_layers=1, width=16, n_heads=2, feedforward_width=32, sample_batch=3, sample_length=24)
TEXTS = [
    "The state of the Union is strong, and the people of the States are free.",
    "We recommend to the Congress a law for the public lands.\n\nThe lands are wide.",
    "Our commerce with all nations – friendly and free – grows from year to year.",
] * 6
LENGTH = 16


def tokenizer_json() -> str:
    """Return the definition of the tokenizer of all these tests."""
    return train_byte_bpe(TEXTS, vocab_size=300).to_str()


def make(definition: str, *, seed: int = 0, config: TransformerConfig = CONFIG, **changes: Any) -> Any:
    """Return a model from scratch; `changes` are settings other than the usual ones."""
    return learner_type("transformer").create(
        config.model_copy(update=changes), tokenizer_json=definition, block_length=LENGTH, init="scratch", seed=seed
    )


def blocks_of(definition: str) -> np.ndarray:
    """Return the texts as blocks."""
    from tokenizers import Tokenizer

    encodings = Tokenizer.from_str(definition).encode_batch(TEXTS)
    ids = [i for encoding in encodings for i in encoding.ids]
    return np.array(ids[: len(ids) // LENGTH * LENGTH], dtype=np.uint16).reshape(-1, LENGTH)


def fit(learner: Any, blocks: np.ndarray, *, weights: np.ndarray | None = None, **changes: Any) -> Any:
    """Fit with settings that learn something; `changes` are other ones."""
    settings = {"epochs": 2, "learning_rate": 1e-2, "batch_size": 4, "seed": 0, **changes}
    return learner.fit(FitData(blocks, weights), **settings)
