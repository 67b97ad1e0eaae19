"""The transformer learner on a model so small that every test takes a moment."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from training.errors import BlocksUnusable, CheckpointDamaged, LossNotFinite, ModelNotFound, TokenizerUnusable
from training.learners import Decoding, FitData, learner_type, load_learner
from training.learners.base import END_OF_TEXT
from training.learners.configs import TransformerConfig
from training.learners.tokenizers import train_byte_bpe

pytest.importorskip("torch")

CONFIG = TransformerConfig(n_layers=1, width=16, n_heads=2, feedforward_width=32, sample_batch=3, sample_length=24)
TEXTS = [
    "The state of the Union is strong, and the people of the States are free.",
    "We recommend to the Congress a law for the public lands.\n\nThe lands are wide.",
    "Our commerce with all nations – friendly and free – grows from year to year.",
] * 6
LENGTH = 16


@pytest.fixture(scope="module")
def tokenizer_json() -> str:
    return train_byte_bpe(TEXTS, vocab_size=300).to_str()


def _make(tokenizer_json: str, *, seed: int = 0, config: TransformerConfig = CONFIG):  # type: ignore[no-untyped-def]
    return learner_type("transformer").create(
        config, tokenizer_json=tokenizer_json, block_length=LENGTH, init="scratch", seed=seed
    )


def _blocks(tokenizer_json: str) -> np.ndarray:
    from tokenizers import Tokenizer

    encodings = Tokenizer.from_str(tokenizer_json).encode_batch(TEXTS)
    ids = [i for encoding in encodings for i in encoding.ids]
    return np.array(ids[: len(ids) // LENGTH * LENGTH], dtype=np.uint16).reshape(-1, LENGTH)


def _fit(learner, blocks, *, learning_rate: float = 1e-2, epochs: int = 2, seed: int = 0):  # type: ignore[no-untyped-def]
    return learner.fit(FitData(blocks), epochs=epochs, learning_rate=learning_rate, batch_size=4, seed=seed)


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
    learner = _make(tokenizer_json)
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


def test_blocks_are_read_in_the_order_given(tokenizer_json: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.learners.fitting import BlockDataset

    read: list[int] = []
    original = BlockDataset.__getitem__

    def spy(self: BlockDataset, index: int):  # type: ignore[no-untyped-def]
        read.append(index)
        return original(self, index)

    monkeypatch.setattr(BlockDataset, "__getitem__", spy)
    blocks = _blocks(tokenizer_json)
    _fit(_make(tokenizer_json), blocks, epochs=3)
    assert read == list(range(len(blocks))) * 3


def test_same_seed_same_model_other_seed_another(tokenizer_json: str) -> None:
    blocks = _blocks(tokenizer_json)
    digests = []
    for seed in (5, 5, 6):
        learner = _make(tokenizer_json, seed=seed)
        _fit(learner, blocks, seed=seed)
        digests.append(learner.digest)
    assert digests[0] == digests[1] != digests[2]


def test_scores_are_those_of_the_model_itself(tokenizer_json: str) -> None:
    """Against a plain forward pass over the one window that a short text fits in."""
    import torch

    learner = _make(tokenizer_json)
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

    learner = _make(tokenizer_json)
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


def test_cache_draws_what_a_full_forward_pass_would(tokenizer_json: str) -> None:
    """Greedy text with the key-value cache equals greedy text without it."""
    import torch

    from training.learners.sampling import draw_sequences

    learner = _make(tokenizer_json)
    _fit(learner, _blocks(tokenizer_json), epochs=5)
    [row] = draw_sequences(
        learner.model,
        1,
        2 * LENGTH,
        begin=learner.begin,
        context=LENGTH,
        batch=1,
        decoding=Decoding(top_k=1),
        seed=0,
        progress=lambda done, total: None,
    )
    ids, drawn = [learner.begin], []
    with torch.inference_mode():
        while len(drawn) < 2 * LENGTH:
            drawn.append(int(learner.model(torch.tensor([ids])).logits[0, -1].argmax()))
            ids.append(drawn[-1])
            if len(ids) > LENGTH:  # the context is full: go on from its second half
                ids = ids[-LENGTH // 2 :]
    assert row.tolist() == drawn


def test_draws_follow_the_models_distribution(tokenizer_json: str) -> None:
    import torch

    learner = _make(tokenizer_json)
    learner.config = learner.config.model_copy(update={"sample_batch": 4000})
    with torch.inference_mode():
        p = learner.model(torch.tensor([[learner.begin]])).logits[0, -1].softmax(-1).numpy()
    from training.learners.sampling import draw_sequences

    n = 4000
    rows = draw_sequences(
        learner.model,
        n,
        1,
        begin=learner.begin,
        context=LENGTH,
        batch=n,
        decoding=Decoding(),
        seed=1,
        progress=lambda *_: None,
    )
    share = np.bincount(rows[:, 0], minlength=len(p)) / n
    assert np.abs(share - p).max() < 5 * math.sqrt(p.max() / n)


def test_samples_are_repeatable_and_end_where_the_model_ends_a_text(tokenizer_json: str) -> None:
    learner = _make(tokenizer_json)
    _fit(learner, _blocks(tokenizer_json), epochs=5)
    first = learner.sample(200, decoding=Decoding(temperature=0.8), seed=1)
    assert first == learner.sample(200, decoding=Decoding(temperature=0.8), seed=1)
    assert first != learner.sample(200, decoding=Decoding(temperature=0.8), seed=2)
    assert sum(sample.n_tokens for sample in first) >= 200
    assert not any(END_OF_TEXT in sample.text for sample in first)


def test_loss_that_is_no_number_stops_the_training(tokenizer_json: str) -> None:
    learner = _make(tokenizer_json, config=CONFIG.model_copy(update={"warmup_frac": 0.0, "max_grad_norm": 1e30}))
    with pytest.raises(LossNotFinite, match=r"training step \d+"):
        _fit(learner, _blocks(tokenizer_json), learning_rate=1e30, epochs=4)


def test_unusable_blocks_and_tokenizers_are_refused(tokenizer_json: str) -> None:
    with pytest.raises(BlocksUnusable):
        _fit(_make(tokenizer_json), np.full((2, LENGTH), 5000))
    foreign = json.loads(tokenizer_json.replace(END_OF_TEXT, "<s>"))
    with pytest.raises(TokenizerUnusable):
        _make(json.dumps(foreign))


def test_saved_model_loads_here_and_in_transformers(tokenizer_json: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    learner = _make(tokenizer_json)
    _fit(learner, _blocks(tokenizer_json))
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
    _make(tokenizer_json, seed=1).save(tmp_path / "one")
    _make(tokenizer_json, seed=2).save(tmp_path / "two")
    (tmp_path / "two" / "model.safetensors").replace(tmp_path / "one" / "model.safetensors")
    with pytest.raises(CheckpointDamaged):
        load_learner(tmp_path / "one")


def test_any_causal_lm_from_a_folder(tmp_path: Path) -> None:
    """Another architecture with a tokenizer of its own, as a pretrained model would come."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    own.decoder = decoders.ByteLevel()
    own.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=280,
            special_tokens=["<|eot|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    end = own.token_to_id("<|eot|>")
    shape = GPT2Config(
        vocab_size=280, n_positions=64, n_embd=16, n_layer=1, n_head=2, bos_token_id=end, eos_token_id=end
    )
    GPT2LMHeadModel(shape).save_pretrained(tmp_path / "gpt")
    PreTrainedTokenizerFast(tokenizer_object=own, **{"eos_token": "<|eot|>"}).save_pretrained(tmp_path / "gpt")

    kind = learner_type("transformer")
    config = TransformerConfig(model=str(tmp_path / "gpt"))
    definition = kind.own_tokenizer(config)
    assert definition is not None
    make = {"tokenizer_json": definition, "block_length": LENGTH, "seed": 0}
    learner = kind.create(config, init="pretrained", **make)
    assert learner.digest == kind.create(config, init="pretrained", **make).digest
    assert learner.digest != kind.create(config, init="scratch", **make).digest
    blocks = np.array([learner.tokenizer.encode(text).ids[:LENGTH] for text in TEXTS])
    _fit(learner, blocks)
    assert sum(sample.n_tokens for sample in learner.sample(100, decoding=Decoding(), seed=0)) >= 100
    learner.save(tmp_path / "fitted")
    assert load_learner(tmp_path / "fitted").digest == learner.digest


def test_missing_model_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = TransformerConfig(model=str(tmp_path / "nowhere"))
    kind = learner_type("transformer")
    with pytest.raises(ModelNotFound, match="cannot be loaded") as caught:
        kind.own_tokenizer(config)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelNotFound):
        kind.create(config, tokenizer_json="{}", block_length=8, init="pretrained", seed=0)


def test_pretrained_settings_are_kept_when_saved(tokenizer_json: str, tmp_path: Path) -> None:
    _make(tokenizer_json).save(tmp_path / "model")
    card = json.loads((tmp_path / "model" / "learner.json").read_text())
    assert card["learner"] == "transformer" and card["block_length"] == LENGTH
    assert TransformerConfig.model_validate(card["config"]) == CONFIG
