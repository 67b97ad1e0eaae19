"""Scoring text with a causal LM: the negative log-likelihood of every token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from training.learners.base import Progress

#: Windows scored side by side: on a processor so few that their logits stay in its cache.
BATCH_CPU, BATCH_GPU = 8, 64
#: Target that is not scored.
PADDING = -100

Ints = npt.NDArray[np.int64]


class Window(NamedTuple):
    """A stretch of one text: `before` is the token in front of its first."""

    text: int
    start: int
    before: int
    ids: Ints


def score(
    model: Any, texts: Sequence[Ints], *, begin: int, length: int, progress: Progress
) -> list[npt.NDArray[np.float64]]:
    """Return the nats of every token of every text.

    Notes
    -----
    A text begins after the token `begin`. One longer than `length` is read in windows of `length` tokens that follow
    each other; each window sees the last token of the one before it and nothing earlier.
    """
    found = [np.empty(len(ids), np.float64) for ids in texts]
    windows = [window for i, ids in enumerate(texts) for window in _windows(i, ids, begin=begin, length=length)]
    # Equal lengths together: less padding.
    windows.sort(key=lambda window: (-len(window.ids), window.text, window.start))
    size = BATCH_CPU if model.device.type == "cpu" else BATCH_GPU
    model.eval()
    with torch.inference_mode():
        for first in range(0, len(windows), size):
            batch = windows[first : first + size]
            for window, nats in zip(batch, _score_batch(model, batch), strict=True):
                found[window.text][window.start : window.start + len(nats)] = nats
            progress(min(first + size, len(windows)), len(windows))
    return found


def _windows(text: int, ids: Ints, *, begin: int, length: int) -> list[Window]:
    return [
        Window(text, start, begin if start == 0 else int(ids[start - 1]), ids[start : start + length])
        for start in range(0, len(ids), length)
    ]


def _score_batch(model: Any, batch: Sequence[Window]) -> list[npt.NDArray[np.float64]]:
    """Return the nats of each window of a batch."""
    longest = max(len(window.ids) for window in batch)
    inputs = np.zeros((len(batch), longest), np.int64)  # what stands after a window's end is never looked at
    targets = np.full((len(batch), longest), PADDING, np.int64)
    for row, window in enumerate(batch):
        n = len(window.ids)
        inputs[row, 0] = window.before
        inputs[row, 1:n] = window.ids[:-1]
        targets[row, :n] = window.ids
    logits = model(input_ids=torch.from_numpy(inputs).to(model.device), use_cache=False).logits.float()
    nats = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1),
        torch.from_numpy(targets).to(model.device).flatten(),
        ignore_index=PADDING,
        reduction="none",
    )  # (windows * longest,)
    values = nats.view(targets.shape).double().cpu().numpy()
    return [values[row, : len(window.ids)] for row, window in enumerate(batch)]
