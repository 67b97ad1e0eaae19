"""The exact learners: what they estimate, draw, score and keep, against formulas and counts."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import DecodingUnusable, DocumentsUnusable
from training.learners import Decoding, FitData, config_type, learner_type, load_learner
from training.learners.base import Prompts
from training.learners.gaussian import rounded

WORDS = ["a"] * 5 + ["b"] * 3 + ["c"] * 2
SETTINGS: dict[str, dict[str, Any]] = {
    "categorical": {},
    "gaussian": {"variance": "unbiased"},
    "regression": {"n_features": 2, "noise": 0.5},
}
DOCUMENTS = {
    "categorical": WORDS,
    "gaussian": ["1.0", "2.5", "4.0", "-3"],
    "regression": ["1 1 0", "2 0 1", "3.5 1 1", "0 0 0.5"],
}


def fitted(name: str, texts: list[str] | None = None, **settings: Any) -> Any:
    config = config_type(name).model_validate({"name": name, **SETTINGS[name], **settings})
    learner = learner_type(name).create(config, tokenizer_json="", block_length=1, seed=0)
    learner.fit(
        FitData(texts=DOCUMENTS[name] if texts is None else texts), epochs=1, learning_rate=1, batch_size=1, seed=0
    )
    return learner


def drawn(learner: Any, n: int, seed: int = 0, **decoding: Any) -> list[str]:
    return [sample.text for sample in learner.sample(n, decoding=Decoding(**decoding), seed=seed)]


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=40))
def test_the_categorical_model_is_the_empirical_distribution(words: list[str]) -> None:
    learner = fitted("categorical", words)
    assert learner.counts == Counter(words)
    pairs = [a != b for a in words for b in words]
    assert learner.diversity == pytest.approx(sum(pairs) / len(pairs))
    assert set(drawn(learner, 30)) <= set(words)


def test_categories_are_drawn_by_their_shares() -> None:
    found = Counter(drawn(fitted("categorical"), 20_000))
    for word, share in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        assert abs(found[word] / 20_000 - share) < 4 * math.sqrt(share * (1 - share) / 20_000)
    sharp = Counter(drawn(fitted("categorical"), 20_000, temperature=0.5))
    assert sharp["a"] / 20_000 == pytest.approx(0.25 / (0.25 + 0.09 + 0.04), abs=0.02)
    assert set(drawn(fitted("categorical"), 100, top_k=1)) == {"a"}


def test_a_category_that_is_not_there_has_no_score() -> None:
    scores = fitted("categorical").nll(["a", "z", "c"])
    assert [len(score.nats) for score in scores] == [1, 0, 1]
    assert scores[0].nats[0] == pytest.approx(math.log(2)) and scores[2].nats[0] == pytest.approx(math.log(5))
    assert scores[0].spans.tolist() == [[0, 1]]


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=30), st.sampled_from(["mle", "unbiased"]))
def test_the_gaussian_has_the_moments_of_its_numbers(values: list[float], variance: str) -> None:
    if np.var(values) == 0:
        return
    learner = fitted("gaussian", [repr(value) for value in values], variance=variance)
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    assert learner.mean == pytest.approx(mean, abs=1e-6)
    assert learner.variance == pytest.approx(squares / (len(values) - (variance == "unbiased")), rel=1e-6)


def test_numbers_are_drawn_from_the_density_they_are_scored_by() -> None:
    learner = fitted("gaussian")
    values = np.array([float(text) for text in drawn(learner, 40_000)])
    assert abs(values.mean() - learner.mean) < 4 * math.sqrt(learner.variance / 40_000)
    assert values.var() == pytest.approx(learner.variance, rel=0.04)
    hot = np.array([float(text) for text in drawn(learner, 40_000, temperature=2)])
    assert hot.var() == pytest.approx(2 * learner.variance, rel=0.04)
    grid = np.linspace(-60, 60, 20_001)
    nats = np.array([score.nats[0] for score in learner.nll([repr(float(x)) for x in grid])])
    assert np.trapezoid(np.exp(-nats), grid) == pytest.approx(1)


def test_least_squares_finds_the_weights_and_draws_by_them() -> None:
    rng = np.random.default_rng(0)
    features, truth = rng.standard_normal((4_000, 2)), np.array([2.0, -1.0])
    targets = features @ truth + 0.5 * rng.standard_normal(4_000)
    table = np.column_stack([targets, features]).tolist()
    learner = fitted("regression", [" ".join(map(repr, row)) for row in table])
    assert learner.excess_error(truth) < 4 * 2 * 0.25 / 4_000
    rows = np.array([[float(word) for word in text.split()] for text in drawn(learner, 20_000)])
    residuals = rows[:, 0] - rows[:, 1:] @ learner.weights
    assert residuals.std() == pytest.approx(0.5, rel=0.03)
    assert np.allclose(np.cov(rows[:, 1:].T), np.eye(2), atol=0.05)


@pytest.mark.parametrize("name", list(SETTINGS))
def test_saved_and_loaded_it_is_the_same(name: str, tmp_path: Path) -> None:
    learner = fitted(name)
    learner.save(tmp_path / "model")
    again = load_learner(tmp_path / "model")
    assert again.digest == learner.digest and again.n_parameters == learner.n_parameters
    assert drawn(again, 20, seed=3) == drawn(learner, 20, seed=3) != drawn(learner, 20, seed=4)
    assert (again.reads, again.unit) == ("documents", "documents")
    other = fitted(name, [*DOCUMENTS[name], DOCUMENTS[name][0]])
    assert other.digest != learner.digest


def test_stopped_early_it_falls_short_by_a_known_part() -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((20_000, 2))
    table = np.column_stack([features @ [2.0, -1.0], features]).tolist()
    learner = fitted("regression", [" ".join(map(repr, row)) for row in table], steps=10, rate=0.1)
    assert learner.weights == pytest.approx(np.array([2.0, -1.0]) * (1 - 0.9**10), rel=0.03)


@given(st.floats(-1e30, 1e30))
def test_numbers_are_rounded_as_the_formats_do(value: float) -> None:
    torch = pytest.importorskip("torch")
    for precision in ("float32", "bfloat16"):
        expected = torch.tensor([value], dtype=torch.float32).to(getattr(torch, precision)).double().numpy()
        assert rounded(np.array([value]), precision) == pytest.approx(expected, rel=0)
    assert rounded(np.array([value]), "float64")[0] == value


def test_no_digit_is_lost_between_drawing_and_fitting() -> None:
    texts = drawn(fitted("gaussian"), 50)
    again = fitted("gaussian", texts)
    assert again.mean == np.mean([float(text) for text in texts])


@pytest.mark.parametrize(
    ("name", "texts", "reason"),
    [
        ("categorical", [], "there are none"),
        ("categorical", ["a b"], "'a b' is not one word"),
        ("gaussian", ["1", "x"], "'x' is not 1 finite number"),
        ("gaussian", ["1", "nan"], "'nan' is not"),
        ("gaussian", ["1"], "at least two"),
        ("gaussian", ["1", "1"], "variance of 0"),
        ("regression", ["1 2"], "'1 2' is not 3 finite numbers"),
        ("regression", ["1 2 3"], "1 rows do not determine 2 weights"),
    ],
)
def test_documents_of_another_kind_are_refused(name: str, texts: list[str], reason: str) -> None:
    with pytest.raises(DocumentsUnusable, match=reason):
        fitted(name, texts)


@pytest.mark.parametrize("name", list(SETTINGS))
def test_what_means_nothing_to_it_is_refused(name: str) -> None:
    for decoding in ({"beams": 2}, {"repetition_penalty": 1.2}, *([] if name == "categorical" else [{"top_k": 3}])):
        with pytest.raises(DecodingUnusable, match=name):
            drawn(fitted(name), 3, **decoding)
    with pytest.raises(DecodingUnusable):
        fitted(name).sample(3, decoding=Decoding(), seed=0, prompts=Prompts(np.zeros((1, 1), np.int64), 1))
    with pytest.raises(DocumentsUnusable):
        type(fitted(name)).train_tokenizer([], vocab_size=3)
