from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from training.learners.base import Decoding
from training.learners.decoding import decode_rows, draw_from_rows

DECODINGS = [
    Decoding(),
    Decoding(temperature=0.5),
    Decoding(temperature=2),
    Decoding(top_k=2),
    Decoding(top_p=0.6),
    Decoding(temperature=0.7, top_k=3, top_p=0.9),
    Decoding(repetition_penalty=1.7),
    Decoding(temperature=0.7, top_k=3, top_p=0.9, repetition_penalty=0.6),
]


def _rows() -> np.ndarray:
    rows = np.random.default_rng(0).dirichlet(np.ones(7), size=20)
    return np.concatenate([rows, [[0.5, 0.3, 0.1, 0.06, 0.04, 0, 0]]])


def test_known_rows() -> None:
    row = np.array([[0.5, 0.3, 0.2]])
    assert decode_rows(row, Decoding(temperature=0.5))[0] == pytest.approx(np.array([0.25, 0.09, 0.04]) / 0.38)
    assert decode_rows(row, Decoding(top_k=2))[0] == pytest.approx([0.625, 0.375, 0])
    assert decode_rows(row, Decoding(top_p=0.6))[0] == pytest.approx([0.625, 0.375, 0])
    assert decode_rows(row, Decoding(top_p=0.5))[0] == pytest.approx([1, 0, 0])


@pytest.mark.parametrize("decoding", DECODINGS, ids=str)
def test_transformer_decodes_as_numpy_does(decoding: Decoding) -> None:
    import torch

    from training.learners.sampling import decode_logits, log_probabilities

    rows = _rows()
    seen = np.random.default_rng(1).random(rows.shape) < 0.4
    expected = decode_rows(rows, decoding, seen)
    with np.errstate(divide="ignore"):
        logits = torch.from_numpy(np.log(rows))
    found = decode_logits(logits, decoding, torch.from_numpy(seen)).numpy()
    assert found / found.sum(axis=1, keepdims=True) == pytest.approx(expected, abs=1e-12)
    logs = log_probabilities(logits, decoding, torch.from_numpy(seen)).numpy()
    assert np.exp(logs) == pytest.approx(expected, abs=1e-12)


def test_draws_follow_the_rows() -> None:
    rng = np.random.default_rng(3)
    row = np.array([0.5, 0.0, 0.3, 0.2])
    n = 20_000
    counts = np.bincount(draw_from_rows(np.tile(row, (n, 1)), rng.random(n)), minlength=4)
    assert counts[1] == 0
    assert np.abs(counts / n - row).max() < 4 * np.sqrt(0.25 / n)


@pytest.mark.parametrize(
    "wrong", [{"temperature": 0}, {"top_k": 0}, {"top_p": 1.5}, {"beams": 0}, {"repetition_penalty": 0}, {"beam": 5}]
)
def test_decoding_refuses_what_it_does_not_know(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Decoding(**wrong)
