"""Drawing text from a causal LM: sequences side by side, with a key-value cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.learners.base import Decoding, Progress

Ints = npt.NDArray[np.int64]


class Reader:
    """A model that reads rows of text as they grow, with a cache, as far back as its context reaches.

    Parameters
    ----------
    starts : (rows, width) int64, what every row begins with
    length : tokens that will be added to each
    context : tokens that the model sees at most

    Attributes
    ----------
    text : (rows, width + length) int64, of which the first `width` columns are written
    seen : (rows, vocabulary) bool, tokens of the text that a row is in; kept where `ends` are given

    Notes
    -----
    When the context is full the model goes on from its second half. A block of training text begins amid a document as
    well, so this is nothing new to it.
    """

    def __init__(
        self, model: Any, starts: torch.Tensor, length: int, *, context: int, ends: torch.Tensor | None = None
    ) -> None:
        from transformers import DynamicCache

        self._new_cache: Callable[[], Any] = lambda: DynamicCache(config=model.config)
        self.model = model
        self.context = context
        self.width = starts.shape[1]
        self.text = torch.cat([starts, starts.new_zeros(len(starts), length)], dim=1)
        self._cache: Any = self._new_cache()
        self._unread = max(0, self.width - context)  # first column that is not in the cache
        self._first = self._unread  # first column that is
        self._ends = ends
        self.seen: torch.Tensor | None = None
        if ends is not None:
            self.seen = torch.zeros(len(starts), model.config.vocab_size, dtype=torch.bool, device=starts.device)
            for column in range(self.width):
                self._see(starts[:, column])

    def logits(self) -> torch.Tensor:
        """Read what is new and return the scores of every row's next token, (rows, vocabulary)."""
        out = self.model(
            input_ids=self.text[:, self._unread : self.width],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._unread = self.width
        return out.logits[:, -1].float()  # type: ignore[no-any-return]

    def add(self, tokens: torch.Tensor) -> None:
        """Write the next token of every row, (rows,)."""
        self.text[:, self.width] = tokens
        self.width += 1
        self._see(tokens)
        if self.width - self._first > self.context:
            self._first = self._unread = self.width - max(1, self.context // 2)
            self._cache = self._new_cache()

    def choose(self, rows: torch.Tensor) -> None:
        """Go on with these rows, some of them perhaps more than once, others no more."""
        self.text = self.text[rows]
        self._cache.reorder_cache(rows)
        if self.seen is not None:
            self.seen = self.seen[rows]

    def _see(self, tokens: torch.Tensor) -> None:
        if self.seen is None or self._ends is None:
            return
        self.seen.scatter_(1, tokens[:, None], True)
        # After its end another text begins, in which nothing stands yet.
        self.seen[torch.isin(tokens, self._ends)] = False


def draw_sequences(
    model: Any,
    starts: Ints,
    length: int,
    *,
    context: int,
    batch: int,
    decoding: Decoding,
    ends: tuple[int, ...],
    seed: int,
    progress: Progress,
) -> Ints:
    """Draw tokens after each start; a model that ends a text goes on with the next in the same sequence.

    Parameters
    ----------
    starts : (n_sequences, width)
    length : tokens drawn after each
    context : tokens that the model sees at most
    batch : sequences drawn side by side
    ends : tokens that end a text

    Returns
    -------
    (n_sequences, length) int64
    """
    generator = torch.Generator().manual_seed(seed)
    batches = []
    model.eval()
    with torch.inference_mode():
        for first in range(0, len(starts), batch):
            begun = torch.from_numpy(starts[first : first + batch]).to(model.device)
            reader = Reader(model, begun, length, context=context, ends=ends_to_watch(decoding, ends, model.device))
            for done in range(1, length + 1):
                reader.add(draw(reader.logits(), decoding, generator, reader.seen))
                progress(first * length + done * len(begun), len(starts) * length)
            batches.append(reader.text[:, begun.shape[1] :].cpu().numpy())
    return np.concatenate(batches)


def ends_to_watch(decoding: Decoding, ends: tuple[int, ...], device: Any) -> torch.Tensor | None:
    """Return the tokens that end a text where a decoding asks what stands in it, else None."""
    return None if decoding.repetition_penalty == 1 else torch.tensor(ends, device=device)


def draw(
    logits: torch.Tensor, decoding: Decoding, generator: torch.Generator, seen: torch.Tensor | None = None
) -> torch.Tensor:
    """Draw one token per row of logits, (rows, vocabulary) -> (rows,).

    Notes
    -----
    By inverting the cumulative distribution: on a processor twice as fast as `torch.multinomial`, which draws one
    number per entry of the vocabulary.
    """
    cumulative = decode_logits(logits, decoding, seen).cumsum(dim=-1)
    uniform = torch.rand(len(logits), 1, generator=generator).to(logits.device)
    chosen = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    return chosen[:, 0].clamp_(max=logits.shape[-1] - 1)


def decode_logits(logits: torch.Tensor, decoding: Decoding, seen: torch.Tensor | None = None) -> torch.Tensor:
    """Return the probabilities that a decoding draws from: penalty, temperature, then top-k, then top-p.

    Parameters
    ----------
    seen : (rows, vocabulary) bool, tokens that stand in the text already

    Notes
    -----
    What is left after top-p is not scaled to one again.
    """
    probabilities = _penalised(logits, decoding, seen).softmax(dim=-1)
    if decoding.top_p is not None and decoding.top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        # A token stays while those before it have not reached top_p: the first always stays.
        ordered[ordered.cumsum(dim=-1) - ordered >= decoding.top_p] = 0
        probabilities = torch.zeros_like(probabilities).scatter_(-1, order, ordered)
    return probabilities


def log_probabilities(logits: torch.Tensor, decoding: Decoding, seen: torch.Tensor | None = None) -> torch.Tensor:
    """Return the logarithms of what `decode_logits` returns, scaled to one."""
    if decoding.top_p is not None and decoding.top_p < 1:
        probabilities = decode_logits(logits, decoding, seen)
        return (probabilities / probabilities.sum(dim=-1, keepdim=True)).log()
    return _penalised(logits, decoding, seen).log_softmax(dim=-1)


def _penalised(logits: torch.Tensor, decoding: Decoding, seen: torch.Tensor | None) -> torch.Tensor:
    """Apply penalty, temperature and top-k.

    Notes
    -----
    The paper divides the score of a token that stands in the text by the penalty, which favours it where the score is
    negative; as elsewhere, a negative one is multiplied.

    References
    ----------
    Keskar et al., CTRL, arXiv 1909.05858, section 4.1.
    """
    penalty = decoding.repetition_penalty
    if penalty != 1 and seen is not None:
        logits = torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
    if decoding.temperature != 1:
        logits = logits / decoding.temperature
    if decoding.top_k is not None and decoding.top_k < logits.shape[-1]:
        least = logits.topk(decoding.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    return logits
