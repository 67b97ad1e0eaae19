"""Draws and beam search of the transformer against full forward passes, counting and exhaustive search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from tests.training.learners.tiny import LENGTH, blocks_of, fit, make
from training.errors import BeamsUnusable, PromptsUnusable
from training.learners import Decoding, Prompts
from training.learners.base import END_OF_TEXT
from training.learners.beams import search_sequences
from training.learners.sampling import draw_sequences

VOCAB, END = 7, 0
DECODINGS = [
    Decoding(),
    Decoding(temperature=0.6),
    Decoding(repetition_penalty=2.0),
    Decoding(top_k=3),
    Decoding(top_p=0.7, repetition_penalty=1.5),
    Decoding(temperature=1.3, top_k=5, top_p=0.9, repetition_penalty=0.7),
]


def _model(n_positions: int = 32) -> Any:
    """Return a model over seven tokens that is sure enough of itself for its choices to differ."""
    from transformers import OPTConfig, OPTForCausalLM

    from training.learners import runtime

    runtime.prepare()
    torch.manual_seed(0)
    model = OPTForCausalLM(
        OPTConfig(
            vocab_size=VOCAB,
            hidden_size=16,
            word_embed_proj_dim=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            ffn_dim=32,
            max_position_embeddings=n_positions,
            bos_token_id=END,
            eos_token_id=END,
            pad_token_id=None,
        )
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(12 if parameter.ndim > 1 else 1)
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    return _model()


def _decoded(logits: np.ndarray, decoding: Decoding, text: list[int]) -> np.ndarray:
    """Return the probabilities of a decoding, by its definition, for one text."""
    scores = logits.astype(np.float64).copy()
    last_end = max((i for i, token in enumerate(text) if token == END), default=-1)
    for token in set(text[last_end + 1 :]):
        scores[token] *= decoding.repetition_penalty if scores[token] < 0 else 1 / decoding.repetition_penalty
    p = np.exp((scores - scores.max()) / decoding.temperature)
    if decoding.top_k is not None:
        p[p < np.sort(p)[-decoding.top_k]] = 0
    p /= p.sum()
    if decoding.top_p is not None:
        order, mass = np.argsort(-p, kind="stable"), 0.0
        for token in order:
            mass, p[token] = mass + p[token], 0 if mass >= decoding.top_p else p[token]
    return p / p.sum()


def _next(model: Any, text: list[int], decoding: Decoding, seen_by_model: list[int] | None = None) -> np.ndarray:
    """Return the distribution of the next token from a forward pass over everything."""
    with torch.inference_mode():
        logits = model(torch.tensor([seen_by_model or text])).logits[0, -1].numpy()
    return _decoded(logits, decoding, text)


def _draw(model: Any, starts: list[list[int]], length: int, decoding: Decoding, **changes: Any) -> np.ndarray:
    settings = {"context": 32, "batch": 10_000, "ends": (END,), "seed": 1, "progress": lambda *_: None, **changes}
    return draw_sequences(model, np.array(starts), length, decoding=decoding, **settings)


def _search(model: Any, starts: list[list[int]], length: int, decoding: Decoding, **changes: Any) -> list[list[int]]:
    settings = {"context": 32, "batch": 64, "ends": (END,), "progress": lambda *_: None, **changes}
    return search_sequences(model, np.array(starts), length, decoding=decoding, **settings).tolist()


@pytest.mark.parametrize("decoding", DECODINGS, ids=str)
def test_pairs_of_tokens_are_drawn_as_often_as_the_model_has_it(model: Any, decoding: Decoding) -> None:
    prompt, n = [3, END, 5, 2, 5], 20_000
    found = _draw(model, [prompt] * n, 2, decoding)
    expected = np.zeros((VOCAB, VOCAB))
    for first, p in enumerate(_next(model, prompt, decoding)):
        if p > 0:
            expected[first] = p * _next(model, [*prompt, first], decoding)
    counts = np.bincount(found[:, 0] * VOCAB + found[:, 1], minlength=VOCAB**2)
    expected = expected.ravel() * n
    assert not counts[expected == 0].any()
    rare = expected < 5  # their chi-square is no chi-square: together
    cells = np.append(counts[~rare], counts[rare].sum()), np.append(expected[~rare], expected[rare].sum())
    keep = cells[1] > 0
    assert (expected > 5).sum() > 5
    assert chisquare(cells[0][keep], cells[1][keep]).pvalue > 1e-3


def test_the_penalty_makes_repeats_rarer(model: Any) -> None:
    repeats = []
    for penalty in (0.8, 1.0, 1.5, 4.0):
        rows = _draw(model, [[END]] * 200, 5, Decoding(repetition_penalty=penalty))
        repeats.append(sum(len(row) - len(set(row)) for row in rows.tolist()))
    assert repeats == sorted(repeats, reverse=True)
    assert repeats[0] > 1.2 * repeats[-1] > 0


def _read_by_the_rule(prompt: list[int], length: int, context: int, choose: Callable[[list[int]], int]) -> list[int]:
    """Continue a prompt; when the context is full, go on from its second half."""
    text, seen = list(prompt), prompt[-context:]
    for _ in range(length):
        token = choose(seen)
        text.append(token)
        seen = [*seen, token]
        if len(seen) > context:
            seen = seen[-max(1, context // 2) :]
    return text[len(prompt) :]


@pytest.mark.parametrize("width", [1, 5, 8, 11])
def test_the_cache_reads_what_a_full_pass_would(width: int) -> None:
    """Greedy text, longer than the context, after prompts shorter, as long, and longer than it."""
    model = _model(8)
    prompt = np.random.default_rng(width).integers(1, VOCAB, width).tolist()

    def greedy(seen: list[int]) -> int:
        return int(_next(model, seen, Decoding()).argmax())

    expected = _read_by_the_rule(prompt, 20, 8, greedy)
    assert _draw(model, [prompt] * 2, 20, Decoding(top_k=1), context=8).tolist() == [expected] * 2
    assert _search(model, [prompt], 20, Decoding(beams=2, top_k=1), context=8) == [expected]


def _exhaustive(model: Any, prompt: list[int], length: int, decoding: Decoding) -> list[int]:
    """Return the most probable continuation of all."""
    best, best_score = [], -math.inf
    with torch.inference_mode():
        all_of_them = list(itertools.product(range(VOCAB), repeat=length))
        logits = model(torch.tensor([[*prompt, *one] for one in all_of_them])).logits.numpy()
    for one, rows in zip(all_of_them, logits, strict=True):
        score = 0.0
        for place, token in enumerate(one):
            p = _decoded(rows[len(prompt) - 1 + place], decoding, [*prompt, *one[:place]])
            score += math.log(p[token]) if p[token] > 0 else -math.inf
        if score > best_score:
            best, best_score = list(one), score
    return best


@pytest.mark.parametrize("decoding", [DECODINGS[0], DECODINGS[2], DECODINGS[4]], ids=str)
def test_wide_beams_find_what_exhaustive_search_finds(model: Any, decoding: Decoding) -> None:
    prompts = [[3, 5], [1, 1], [END, 6]]
    wide = decoding.model_copy(update={"beams": VOCAB**2})
    assert _search(model, prompts, 3, wide) == [_exhaustive(model, prompt, 3, decoding) for prompt in prompts]


def _plain_beams(model: Any, prompt: list[int], length: int, decoding: Decoding) -> list[int]:
    """Search with lists and full passes."""
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    for _ in range(length):
        candidates = []
        for score, drawn in beams:
            with np.errstate(divide="ignore"):
                logs = np.log(_next(model, [*prompt, *drawn], decoding))
            candidates += [(score + logs[token], [*drawn, token]) for token in range(VOCAB)]
        beams = sorted(candidates, key=lambda one: -one[0])[: decoding.beams]
    return beams[0][1]


@pytest.mark.parametrize("decoding", DECODINGS, ids=str)
def test_narrow_beams_are_those_of_a_plain_search(model: Any, decoding: Decoding) -> None:
    rng = np.random.default_rng(0)
    prompts = rng.integers(0, VOCAB, (5, 3)).tolist()
    narrow = decoding.model_copy(update={"beams": 3})
    found = _search(model, prompts, 6, narrow, batch=6)  # two prompts at once, the last alone
    assert found == [_plain_beams(model, prompt, 6, narrow) for prompt in prompts]
    assert found == _search(model, prompts, 6, narrow, batch=1)


def test_beams_are_those_of_transformers(model: Any) -> None:
    prompts = torch.tensor(np.random.default_rng(1).integers(1, VOCAB, (4, 3)))
    theirs = model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        num_beams=5,
        do_sample=False,
        max_new_tokens=8,
        eos_token_id=None,
        pad_token_id=END,
    )
    assert _search(model, prompts.tolist(), 8, Decoding(beams=5)) == theirs[:, 3:].tolist()


def test_beams_find_likelier_text_than_greedy_choice(model: Any) -> None:
    def score(prompt: list[int], drawn: list[int]) -> float:
        steps = (_next(model, prompt + drawn[:i], Decoding())[token] for i, token in enumerate(drawn))
        return sum(map(math.log, steps))

    prompts = np.random.default_rng(2).integers(1, VOCAB, (12, 2)).tolist()
    greedy = _draw(model, prompts, 8, Decoding(top_k=1)).tolist()
    found = _search(model, prompts, 8, Decoding(beams=6))
    gains = [score(p, b) - score(p, g) for p, g, b in zip(prompts, greedy, found, strict=True)]
    assert sum(gains) > 0.1 and sum(gain > -1e-5 for gain in gains) >= 10


# ------------------------------------------------------------------ samples of the learner


@pytest.fixture(scope="module")
def fitted(tokenizer_json: str) -> Any:
    learner = make(tokenizer_json)
    fit(learner, blocks_of(tokenizer_json), epochs=5)
    return learner


def _prompts(learner: Any, *texts: str, width: int = 3, new_tokens: int = 8) -> Prompts:
    rows = [learner.tokenizer.encode(text, add_special_tokens=False).ids[:width] for text in texts]
    return Prompts(np.array(rows, np.int64).reshape(len(texts), width), new_tokens)


def _by_prompt(samples: list[Any]) -> Iterator[tuple[int, int]]:
    for prompt, group in itertools.groupby(samples, key=lambda sample: sample.prompt):
        yield prompt, sum(sample.n_tokens for sample in group)


@pytest.mark.parametrize("beams", [1, 3])
def test_samples_say_which_prompt_they_continue(fitted: Any, beams: int) -> None:
    prompts = _prompts(fitted, "The state", "We recommend", "Our commerce")
    samples = fitted.sample(33, decoding=Decoding(beams=beams), seed=0, prompts=prompts)
    # Five times eight tokens are the least that hold 33; the prompts are used in order and again from the first.
    assert list(_by_prompt(samples)) == [(0, 8), (1, 8), (2, 8), (0, 8), (1, 8)]
    assert not any(END_OF_TEXT in sample.text for sample in samples)


def test_a_prompted_text_holds_what_was_drawn(fitted: Any) -> None:
    prompts = _prompts(fitted, "The state of the Union is", new_tokens=4)
    [sample] = fitted.sample(4, decoding=Decoding(beams=4), seed=0, prompts=prompts)
    [row] = search_sequences(
        fitted.model,
        prompts.tokens,
        4,
        context=LENGTH,
        batch=4,
        decoding=Decoding(beams=4),
        ends=fitted.ends,
        progress=lambda *_: None,
    ).tolist()
    assert sample.text == fitted.tokenizer.decode(row)
    assert sample.n_tokens == 4


def test_draws_differ_by_seed_and_beams_do_not(fitted: Any) -> None:
    prompts = _prompts(fitted, "The state", "Our commerce")
    for decoding, same in [(Decoding(), False), (Decoding(beams=3), True)]:
        one, two = (fitted.sample(64, decoding=decoding, seed=seed, prompts=prompts) for seed in (1, 2))
        assert (one == two) == same
        assert one == fitted.sample(64, decoding=decoding, seed=1, prompts=prompts)


def test_beams_without_a_prompt_are_refused(fitted: Any) -> None:
    empty = [None, Prompts(np.zeros((3, 0), np.int64), 4), Prompts(np.full((3, 2), fitted.begin), 4)]
    for prompts in empty:
        with pytest.raises(BeamsUnusable, match="one text"):
            fitted.sample(10, decoding=Decoding(beams=2), seed=0, prompts=prompts)
    [*drawn] = fitted.sample(10, decoding=Decoding(), seed=0, prompts=empty[1])
    assert {sample.prompt for sample in drawn} == {0, 1, 2}


@pytest.mark.parametrize(
    ("tokens", "new_tokens", "said"),
    [
        (np.zeros((0, 3), np.int64), 4, "shape"),
        (np.zeros(3, np.int64), 4, "shape"),
        (np.full((2, 3), 5000), 4, "vocabulary of"),
        (np.full((2, 3), -1), 4, "vocabulary of"),
        (np.ones((2, 3)), 4, "float64"),
        (np.ones((2, 3), np.int64), 0, "0 tokens are to be drawn"),
    ],
)
def test_unusable_prompts_are_refused(fitted: Any, tokens: np.ndarray, new_tokens: int, said: str) -> None:
    with pytest.raises(PromptsUnusable, match=said):
        fitted.sample(10, decoding=Decoding(), seed=0, prompts=Prompts(tokens, new_tokens))


def test_progress_ends_at_what_was_drawn(fitted: Any) -> None:
    prompts = _prompts(fitted, "The state", "We recommend", "Our commerce", new_tokens=5)
    for decoding in (Decoding(), Decoding(beams=2)):
        seen: list[tuple[int, int]] = []
        fitted.sample(15, decoding=decoding, seed=0, prompts=prompts, progress=lambda *at, s=seen: s.append(at))
        assert seen[-1] == (15, 15)
        assert seen == sorted(seen)
