"""Beam search with a causal LM: the most probable continuations of many prompts at once. No chance in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from training.learners.base import Decoding, Progress
from training.learners.sampling import Ints, Reader, ends_to_watch, log_probabilities


def search_sequences(
    model: Any,
    starts: Ints,
    length: int,
    *,
    context: int,
    batch: int,
    decoding: Decoding,
    ends: tuple[int, ...],
    progress: Progress,
) -> Ints:
    """Return the continuation of each start that a search with `decoding.beams` hypotheses finds most probable.

    Parameters
    ----------
    starts : (n_sequences, width)
    length : tokens of each continuation
    context : tokens that the model sees at most
    batch : hypotheses followed side by side
    ends : tokens that end a text

    Returns
    -------
    (n_sequences, length) int64

    Notes
    -----
    Probable under the distribution that the decoding would draw from: its temperature, top-k, top-p and penalty count.
    All hypotheses have `length` tokens, an end of text is a token as any other and the next text follows it: so they
    are compared by their probability alone, and their number of tokens is the number asked for.
    """
    found = []
    at_once = max(1, batch // decoding.beams)
    model.eval()
    with torch.inference_mode():
        for first in range(0, len(starts), at_once):
            begun = torch.from_numpy(starts[first : first + at_once]).to(model.device)
            reader = Reader(model, begun, length, context=context, ends=ends_to_watch(decoding, ends, model.device))
            scores = torch.zeros(len(begun), 1, dtype=torch.float64, device=model.device)  # (prompts, hypotheses)
            for done in range(1, length + 1):
                scores = _step(reader, scores, decoding)
                progress(first * length + len(begun) * done, len(starts) * length)
            rows = torch.arange(len(begun), device=model.device) * scores.shape[1] + scores.argmax(dim=1)
            found.append(reader.text[rows, begun.shape[1] :].cpu().numpy())
    return np.concatenate(found)


def _step(reader: Reader, scores: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """Continue every hypothesis by one token, keep the best of each prompt, and return their scores."""
    n_prompts, n_beams = scores.shape
    found = log_probabilities(reader.logits(), decoding, reader.seen)  # (hypotheses of all prompts, vocabulary)
    # The best of a prompt are among the best of each of its hypotheses.
    nexts = found.topk(min(decoding.beams, found.shape[1]), dim=1)
    together = (scores.view(-1, 1) + nexts.values.double()).view(n_prompts, -1)
    best = together.topk(min(decoding.beams, together.shape[1]), dim=1)
    prompts = torch.arange(n_prompts, device=scores.device)[:, None] * n_beams
    reader.choose((prompts + best.indices // nexts.values.shape[1]).flatten())
    reader.add(nexts.indices.view(n_prompts, -1).gather(1, best.indices).flatten())
    return best.values
