"""Asking a detector for scores, whatever it does instead of giving them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from provenance.detection.base import Detector, Floats

#: Texts of a batch: at most so many, and of at most so many bytes unless one alone has more.
_TEXTS, _BYTES = 2_000, 8_000_000


def score_texts(detector: Detector, texts: Sequence[str], *, max_failures: int) -> tuple[Floats, dict[int, str]]:
    """Return the scores of texts, NaN where there is none, and why there is none, by place.

    Texts are given to the detector together; if that fails, one by one. After more than `max_failures` failures the
    rest has no score and no reason.
    """
    together, problem = _scores(detector, texts)
    if problem is None and np.isfinite(together).all():
        return together, {}
    scores, reasons = np.full(len(texts), np.nan), {}
    for place, text in enumerate(texts):
        alone = together[place : place + 1] if problem is None else None
        reason = None
        if alone is None:
            alone, reason = _scores(detector, [text])
        if reason is None and not np.isfinite(alone[0]):
            reason = f"it gave {alone[0]}"
        if reason is None:
            scores[place] = alone[0]
            continue
        reasons[place] = reason
        if len(reasons) > max_failures:
            break
    return scores, reasons


def _scores(detector: Detector, texts: Sequence[str]) -> tuple[Floats, str | None]:
    """Return what a detector gives, or nothing and what is wrong."""
    try:
        given = np.asarray(detector.score(list(texts)), dtype=np.float64)  # a copy: it may sort its list
    except Exception as error:  # whatever somebody else's program raises
        message = " ".join(str(error).split())
        return np.zeros(0), f"it raised {type(error).__name__}" + (f": {message[:200]}" if message else "")
    if given.shape != (len(texts),):
        return np.zeros(0), f"it gave an array of shape {given.shape} for {len(texts):,} texts"
    return given, None


def batch_sizes(sizes: Sequence[int]) -> list[int]:
    """Return how many texts each batch holds."""
    found, n, n_bytes = [], 0, 0
    for size in sizes:
        if n and (n == _TEXTS or n_bytes + size > _BYTES):
            found.append(n)
            n, n_bytes = 0, 0
        n, n_bytes = n + 1, n_bytes + size
    return [*found, n] if n else found
