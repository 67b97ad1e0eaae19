from __future__ import annotations

import math

import numpy as np
import pytest

from training.learners.base import TokenNll
from training.metrics.generated import generated_metrics
from training.metrics.heldout import heldout_metrics
from training.metrics.resemblance import resemblance_metrics
from training.metrics.words import Lexicon
from training.profile.resampling import heldout_error, stretch_error, text_errors

TYPES = 600
SHARES = (1 / np.arange(1, TYPES + 1)) / (1 / np.arange(1, TYPES + 1)).sum()
LEXICON = Lexicon({f"w{at}": max(1, round(50_000 * share)) for at, share in enumerate(SHARES)})


def written(rng: np.random.Generator, n_documents: int = 60) -> list[str]:
    """Return texts of about 200 words, each with a taste of its own."""
    texts = []
    for _ in range(n_documents):
        taste = SHARES * rng.gamma(2.0, size=TYPES)
        texts.append(" ".join(f"w{w}" for w in rng.choice(TYPES, size=rng.integers(150, 250), p=taste / taste.sum())))
    return texts


def test_errors_of_texts_are_those_of_writing_them_again() -> None:
    rng = np.random.default_rng(1)
    samples = [written(rng) for _ in range(24)]
    values = [generated_metrics(texts, lexicon=LEXICON) for texts in samples]
    errors = [text_errors(texts, LEXICON) for texts in samples[:3]]
    for name in ("entropy", "tail_mass", "vocabulary"):
        true = np.std([value[name] for value in values], ddof=1)
        claimed = np.mean([error[name] for error in errors])
        # Types of one document are lost in two draws of five: the error of the vocabulary is on the safe side.
        assert 0.6 < claimed / true < (2.4 if name == "vocabulary" else 1.7), name


def test_too_few_documents_say_nothing() -> None:
    assert text_errors(written(np.random.default_rng(1), 4), LEXICON) == {}
    assert text_errors([], LEXICON) == {}
    assert text_errors(["", "...", "?"] * 5, LEXICON) == {}


def _scored(nats: np.ndarray) -> TokenNll:
    return TokenNll(nats, np.array([[2 * at, 2 * at + 1] for at in range(len(nats))], dtype=np.int64))


def _runs(rng: np.random.Generator, n_documents: int = 16) -> list[dict[str, float]]:
    """Return arm and control on the same documents, which differ far more than the two do; `b` is the tail."""
    lexicon = Lexicon({"a": 99, "b": 1})
    texts = [" ".join(rng.choice(["a", "b"], size=rng.integers(150, 250))) for _ in range(n_documents)]
    runs: list[list[TokenNll]] = [[], []]
    for text in texts:
        hard, shift = rng.normal(5, 1), rng.normal(0.3, 0.1)
        for at, scores in enumerate(runs):
            scores.append(_scored(rng.normal(hard + shift * (at == 0), 0.2, size=len(text.split()))))
    return [heldout_metrics(texts, scores, lexicon=lexicon) for scores in runs]


def test_errors_on_heldout_text_are_paired_by_document() -> None:
    rng = np.random.default_rng(2)
    differences: dict[str, list[float]] = {"heldout_ce": [], "heldout_tail_ce": []}
    claimed: dict[str, list[float]] = {"heldout_ce": [], "heldout_tail_ce": []}
    families = {
        "heldout_ce": ("heldout_group_nats", "heldout_group_tokens"),
        "heldout_tail_ce": ("heldout_group_tail_nats", "heldout_group_tail_words"),
    }
    covered = 0
    for _ in range(60):
        arm, control = _runs(rng)
        for name, (total, size) in families.items():
            differences[name].append(arm[name] - control[name])
            error = heldout_error(arm, control, total, size)
            assert error is not None and error.degrees == 15
            claimed[name].append(error.error)
        covered += abs(differences["heldout_ce"][-1] - 0.3) <= 2.131 * claimed["heldout_ce"][-1]
    for name in families:
        assert 0.75 < np.mean(claimed[name]) / np.std(differences[name], ddof=1) < 1.3, name
        assert np.mean(claimed[name]) < 0.06  # unpaired it would be √2 · 1 / √16 = .35
    assert covered >= 51  # 95 % of 60, less four standard errors


def test_runs_on_other_documents_cannot_be_paired() -> None:
    rng = np.random.default_rng(3)
    arm, control = _runs(rng)
    families = ("heldout_group_nats", "heldout_group_tokens")
    del control["heldout_group_nats_3"]
    assert heldout_error(arm, control, *families) is None
    assert heldout_error({}, {}, *families) is None
    few = _runs(rng, 4)
    assert heldout_error(*few, *families) is None


def test_errors_from_the_histogram_are_those_of_the_stretches() -> None:
    rng = np.random.default_rng(4)

    def sample() -> dict[str, float]:
        scores = [_scored(rng.normal(rng.normal(5, 0.8), 2.0, size=64)) for _ in range(150)]
        found = {f"arm_{name}": value for name, value in resemblance_metrics(scores).items()}
        return {**found, "arm_tokens": 64.0 * 150}

    samples = [sample() for _ in range(150)]
    true = np.std([one["arm_gen0_nll_mean"] for one in samples], ddof=1)
    claimed = [stretch_error(one, "arm") for one in samples]
    assert np.mean([c for c in claimed if c]) == pytest.approx(true, rel=0.2)
    assert stretch_error(samples[0], "t1") is None
    assert stretch_error({"arm_gen0_nll_bin_0": 1.0, "arm_tokens": 64.0}, "arm") == pytest.approx(0.2 / math.sqrt(12))
