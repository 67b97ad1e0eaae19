"""Drawing text from a causal LM: sequences side by side, with a key-value cache."""

from __future__ import annotations

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
    batch: int,
    decoding: Decoding,
    seed: int,
    progress: Progress,
) -> npt.NDArray[np.int64]:
    """Draw sequences after the token `begin`; a model that ends a text goes on with the next in the same sequence.

    Returns
    -------
    (n_sequences, length) int64

    Notes
    -----
    Tokens are drawn by inverting the cumulative distribution: on a CPU twice as fast as `torch.multinomial`, which
    draws one number per entry of the vocabulary.
    """
    from transformers import DynamicCache

    generator = torch.Generator().manual_seed(seed)
    model.eval()
    batches = []
    done = 0
    with torch.inference_mode():
        while done < n_sequences:
            rows = min(batch, n_sequences - done)
            tokens = torch.full((rows, 1), begin, dtype=torch.long, device=model.device)
            cache = DynamicCache(config=model.config)
            columns = []
            for step in range(length):
                out = model(input_ids=tokens, past_key_values=cache, use_cache=True)
                tokens = draw(out.logits[:, -1].float(), decoding, generator)  # (rows, 1)
                columns.append(tokens)
                progress(done * length + (step + 1) * rows, n_sequences * length)
            batches.append(torch.cat(columns, dim=1).cpu().numpy())
            done += rows
    return np.concatenate(batches)


def draw(logits: torch.Tensor, decoding: Decoding, generator: torch.Generator) -> torch.Tensor:
    """Draw one token per row of logits, (rows, vocabulary) -> (rows, 1)."""
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
