"""Drawing text from a causal LM: sequences side by side, with a key-value cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.learners.base import Decoding, Progress


def draw_sequences(
    model: Any,
    n_sequences: int,
    length: int,
    *,
    begin: int,
    context: int,
    batch: int,
    decoding: Decoding,
    seed: int,
    progress: Progress,
) -> npt.NDArray[np.int64]:
    """Draw sequences after the token `begin`; a model that ends a text goes on with the next in the same sequence.

    Parameters
    ----------
    context : tokens that the model sees at most
    batch : sequences drawn side by side

    Returns
    -------
    (n_sequences, length) int64
    """
    generator = torch.Generator().manual_seed(seed)
    total = n_sequences * length
    batches = []
    model.eval()
    with torch.inference_mode():
        for first in range(0, n_sequences, batch):
            rows = min(batch, n_sequences - first)
            columns: list[torch.Tensor] = []
            for tokens in _columns(model, rows, begin=begin, context=context, decoding=decoding, generator=generator):
                columns.append(tokens)
                progress(first * length + len(columns) * rows, total)
                if len(columns) == length:
                    break
            batches.append(torch.cat(columns, dim=1).cpu().numpy())
    return np.concatenate(batches)


def _columns(
    model: Any, rows: int, *, begin: int, context: int, decoding: Decoding, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    """Yield the next token of every sequence, (rows, 1), without end.

    Notes
    -----
    When the context is full the model goes on from its second half. A block of training text begins amid a document as
    well, so this is nothing new to it.
    """
    from transformers import DynamicCache

    tokens = torch.full((rows, 1), begin, dtype=torch.long, device=model.device)
    window, cache = [tokens], DynamicCache(config=model.config)
    while True:
        out = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        tokens = draw(out.logits[:, -1].float(), decoding, generator)
        yield tokens
        window.append(tokens)
        if len(window) > context:
            window, cache = window[-max(1, context // 2) :], DynamicCache(config=model.config)
            tokens = torch.cat(window, dim=1)


def draw(logits: torch.Tensor, decoding: Decoding, generator: torch.Generator) -> torch.Tensor:
    """Draw one token per row of logits, (rows, vocabulary) -> (rows, 1).

    Notes
    -----
    By inverting the cumulative distribution: on a processor twice as fast as `torch.multinomial`, which draws one
    number per entry of the vocabulary.
    """
    cumulative = decode_logits(logits, decoding).cumsum(dim=-1)
    uniform = torch.rand(len(logits), 1, generator=generator).to(logits.device)
    chosen = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    return chosen.clamp_(max=logits.shape[-1] - 1)


def decode_logits(logits: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """Return the probabilities that a decoding draws from: temperature, then top-k, then top-p."""
    if decoding.temperature != 1:
        logits = logits / decoding.temperature
    if decoding.top_k is not None and decoding.top_k < logits.shape[-1]:
        least = logits.topk(decoding.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    probabilities = logits.softmax(dim=-1)
    if decoding.top_p is not None and decoding.top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        # A token stays while those before it have not reached top_p: the first always stays.
        ordered[ordered.cumsum(dim=-1) - ordered >= decoding.top_p] = 0
        probabilities = torch.zeros_like(probabilities).scatter_(-1, order, ordered)
    return probabilities
