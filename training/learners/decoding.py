"""Decoding rules applied to rows of probabilities (numpy; the transformer has the same rules on its tensors)."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from training.learners.base import Decoding

Rows = npt.NDArray[np.float64]


def decode_rows(rows: Rows, decoding: Decoding, seen: npt.NDArray[np.bool_] | None = None) -> Rows:
    """Return the distributions that a decoding draws from: penalty, temperature, top-k, top-p, each renormalised.

    Parameters
    ----------
    rows : (n, vocabulary) float64, every row sums to one
    seen : (n, vocabulary), tokens that stand in the text already

    Notes
    -----
    The penalty is the transformer's for scores that are logarithms of probabilities: p becomes p^penalty.

    References
    ----------
    Keskar et al., CTRL, arXiv 1909.05858, section 4.1.
    """
    if decoding.repetition_penalty != 1 and seen is not None:
        rows = np.where(seen, rows**decoding.repetition_penalty, rows)
    if decoding.temperature != 1:
        rows = (rows / rows.max(axis=1, keepdims=True)) ** (1 / decoding.temperature)
    if decoding.top_k is not None and decoding.top_k < rows.shape[1]:
        least = np.partition(rows, -decoding.top_k, axis=1)[:, -decoding.top_k, None]
        rows = np.where(rows >= least, rows, 0)
    rows = rows / rows.sum(axis=1, keepdims=True)
    if decoding.top_p is not None and decoding.top_p < 1:
        order = np.argsort(-rows, axis=1, kind="stable")
        ordered = np.take_along_axis(rows, order, axis=1)
        # A token stays while those before it have not reached top_p: the first always stays.
        ordered[np.cumsum(ordered, axis=1) - ordered >= decoding.top_p] = 0
        rows = np.zeros_like(rows)
        np.put_along_axis(rows, order, ordered, axis=1)
        rows /= rows.sum(axis=1, keepdims=True)
    return rows


def draw_from_rows(rows: Rows, uniform: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Draw one index per row by inversion; `uniform` holds one number in [0, 1) per row."""
    cumulative = np.cumsum(rows, axis=1)
    target = uniform * cumulative[:, -1]
    drawn: npt.NDArray[np.int64] = (cumulative <= target[:, None]).sum(axis=1)
    limit = np.int64(rows.shape[1] - 1)
    return cast(npt.NDArray[np.int64], np.minimum(drawn, limit))
