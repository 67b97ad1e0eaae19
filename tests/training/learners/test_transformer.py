"""The transformer learner on a model so small that every test takes a moment."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.training.learners.tiny import CONFIG, LENGTH, TEXTS, blocks_of, fit, make
from training.errors import BlocksUnusable, CheckpointDamaged, LossNotFinite, TokenizerUnusable
from training.learners import Decoding, FitData, learner_type, load_learner
from training.learners.base import END_OF_TEXT
from training.learners.configs import TransformerConfig
from training.learners.tokenizers import train_byte_bpe


def test_tokenizer_round_trip_marks_where_texts_begin(tokenizer_json: str) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(tokenizer_json)
    for text in ["Grüße, 世界 \x07", " two  spaces", ""]:
        ids = tokenizer.encode(text).ids
        assert ids[0] == tokenizer.token_to_id(END_OF_TEXT)
        assert tokenizer.decode(ids) == text
    assert train_byte_bpe(TEXTS, vocab_size=300).to_str() == tokenizer_json


def test_the_documented_size() -> None:
    tokenizer = train_byte_bpe([" ".join(f"word{i}{i * i}" for i in range(6000))], vocab_size=2048)
    learner = learner_type("transformer").create(
        TransformerConfig(), tokenizer_json=tokenizer.to_str(), block_length=128, seed=0
    )
    assert learner.n_parameters == 675_584


def test_fit_learns_a_small_text_by_heart(tokenizer_json: str) -> None:
    learner = make(tokenizer_json)
    blocks = np.array([learner.tokenizer.encode(text).ids[:LENGTH] for text in TEXTS])
    begun = learner.tokenizer.decode_batch(blocks[:3].tolist())
    before = np.concatenate([score.nats for score in learner.nll(begun)]).mean()
    assert before == pytest.approx(math.log(300), abs=0.3)
    seen: list[tuple[int, int]] = []
    result = learner.fit(
        FitData(blocks), epochs=40, learning_rate=1e-2, batch_size=4, seed=0, progress=lambda *at: seen.append(at)
    )
    after = np.concatenate([score.nats for score in learner.nll(begun)]).mean()
    assert after < 1 < before
    assert result.loss < 1
    assert result.n_tokens == 40 * blocks.size
    assert result.n_steps == 40 * math.ceil(len(blocks) / 4) == len(seen)
    assert seen[-1][0] == seen[-1][1]


def test_same_seed_same_model_other_seed_another(tokenizer_json: str) -> None:
    blocks = blocks_of(tokenizer_json)
    digests = []
    for seed in (5, 5, 6):
        learner = make(tokenizer_json, seed=seed)
        fit(learner, blocks, seed=seed)
        digests.append(learner.digest)
    assert digests[0] == digests[1] != digests[2]


def test_scores_are_those_of_the_model_itself(tokenizer_json: str) -> None:
    """Against a plain forward pass over the one window that a short text fits in."""
    import torch

    learner = make(tokenizer_json)
    text = "The Union is free."
    ids = learner.tokenizer.encode(text).ids
    assert len(ids) <= LENGTH + 1
    with torch.inference_mode():
        logits = learner.model(torch.tensor([ids[:-1]])).logits[0]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").numpy()
    [score, short] = learner.nll([text, "a"])
    assert score.nats == pytest.approx(expected, rel=1e-5)
    assert len(short.nats) == 1
    assert "".join(text[a:b] for a, b in score.spans) == text


def test_long_text_is_scored_once_per_token_in_windows(tokenizer_json: str) -> None:
    import torch

    learner = make(tokenizer_json)
    text = " ".join(TEXTS[:4])
    ids = learner.tokenizer.encode(text).ids
    [score] = learner.nll([text])
    assert len(score.nats) == len(ids) - 1 > 2 * LENGTH
    # The second window begins after the last token of the first.
    with torch.inference_mode():
        logits = learner.model(torch.tensor([ids[LENGTH : 2 * LENGTH]])).logits[0]
    expected = torch.nn.functional.cross_entropy(
        logits, torch.tensor(ids[LENGTH + 1 : 2 * LENGTH + 1]), reduction="none"
    ).numpy()
    assert score.nats[LENGTH : 2 * LENGTH] == pytest.approx(expected, rel=1e-5)


def test_samples_are_repeatable_and_end_where_the_model_ends_a_text(tokenizer_json: str) -> None:
    learner = make(tokenizer_json)
    fit(learner, blocks_of(tokenizer_json), epochs=5)
    first = learner.sample(200, decoding=Decoding(temperature=0.8), seed=1)
    assert first == learner.sample(200, decoding=Decoding(temperature=0.8), seed=1)
    assert first != learner.sample(200, decoding=Decoding(temperature=0.8), seed=2)
    assert sum(sample.n_tokens for sample in first) >= 200
    assert not any(END_OF_TEXT in sample.text for sample in first)


def test_loss_that_is_no_number_stops_the_training(tokenizer_json: str) -> None:
    learner = make(tokenizer_json, config=CONFIG.model_copy(update={"warmup_frac": 0.0, "max_grad_norm": 1e30}))
    with pytest.raises(LossNotFinite, match=r"training step \d+"):
        fit(learner, blocks_of(tokenizer_json), learning_rate=1e30, epochs=4)


def test_unusable_blocks_and_tokenizers_are_refused(tokenizer_json: str) -> None:
    with pytest.raises(BlocksUnusable):
        fit(make(tokenizer_json), np.full((2, LENGTH), 5000))
    foreign = json.loads(tokenizer_json.replace(END_OF_TEXT, "<s>"))
    with pytest.raises(TokenizerUnusable):
        make(json.dumps(foreign))


def test_saved_model_loads_here_and_in_transformers(tokenizer_json: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    learner = make(tokenizer_json)
    fit(learner, blocks_of(tokenizer_json))
    learner.save(tmp_path / "model")
    loaded = load_learner(tmp_path / "model")
    assert loaded.digest == learner.digest
    assert loaded.nll(TEXTS[:1])[0].nats == pytest.approx(learner.nll(TEXTS[:1])[0].nats, abs=0)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    inputs = tokenizer("The Union", return_tensors="pt")
    with torch.inference_mode():
        theirs = model(inputs["input_ids"]).logits
        ours = learner.model.eval()(inputs["input_ids"]).logits
    assert torch.equal(theirs, ours)
    assert inputs["input_ids"][0].tolist() == learner.tokenizer.encode("The Union").ids


def test_changed_weights_are_refused(tokenizer_json: str, tmp_path: Path) -> None:
    make(tokenizer_json, seed=1).save(tmp_path / "one")
    make(tokenizer_json, seed=2).save(tmp_path / "two")
    (tmp_path / "two" / "model.safetensors").replace(tmp_path / "one" / "model.safetensors")
    with pytest.raises(CheckpointDamaged):
        load_learner(tmp_path / "one")


def test_pretrained_settings_are_kept_when_saved(tokenizer_json: str, tmp_path: Path) -> None:
    make(tokenizer_json).save(tmp_path / "model")
    card = json.loads((tmp_path / "model" / "learner.json").read_text())
    assert card["learner"] == "transformer" and card["block_length"] == LENGTH
    assert TransformerConfig.model_validate(card["config"]) == CONFIG
