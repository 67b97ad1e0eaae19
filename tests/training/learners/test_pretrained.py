"""Models by name or folder: whatever their family, they come with their tokenizer and leave as any other model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.learners.tiny import CONFIG, LENGTH, TEXTS, fit, make
from training.errors import CheckpointDamaged, ModelNotFound
from training.learners import Decoding, Prompts, learner_type, load_learner, runtime
from training.learners.configs import TransformerConfig
from training.learners.pretrained import load_tokenizer

KIND = learner_type("transformer")
HARD_TEXTS = ["The Union – free.\n 12 x", " two  spaces", "日本 é", "", "it's 1000-fold"]


def _train(tokenizer: Any, special: list[str], *, vocab_size: int, alphabet: list[str]) -> Any:
    from tokenizers import trainers

    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    return tokenizer


def _byte_level(special: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return _train(tokenizer, special, vocab_size=300, alphabet=pre_tokenizers.ByteLevel.alphabet())


def _save_tokenizer(folder: Path, tokenizer: Any, special: dict[str, str]) -> None:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def save_gpt2(folder: Path) -> None:
    """GPT-2: one token begins and ends texts, and the tokenizer puts it nowhere."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = _byte_level(["<|endoftext|>"])
    shape = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_positions=64,
        n_embd=16,
        n_layer=1,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(shape).save_pretrained(folder)
    _save_tokenizer(folder, tokenizer, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"})


def save_opt(folder: Path) -> None:
    """OPT as it is on the hub: vocabulary and merges in files of their own, more rows than tokens."""
    from transformers import OPTConfig, OPTForCausalLM

    tokenizer = _byte_level(["<s>", "<pad>", "</s>", "<unk>"])
    shape = OPTConfig(
        vocab_size=tokenizer.get_vocab_size() + 7,
        hidden_size=16,
        word_embed_proj_dim=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=32,
        max_position_embeddings=64,
        bos_token_id=2,
        eos_token_id=2,
        pad_token_id=1,
    )
    OPTForCausalLM(shape).save_pretrained(folder)
    model = json.loads(tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]) + "\n")
    settings = {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "add_prefix_space": False}
    settings |= {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def save_llama(folder: Path) -> None:
    """Llama: two tokens, the first of which the tokenizer puts in front; unknown letters become bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, **{"unk_token": "<unk>"}))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    _train(tokenizer, special, vocab_size=400, alphabet=[])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    shape = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(shape).save_pretrained(folder)
    _save_tokenizer(folder, tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})


FAMILIES: dict[str, Callable[[Path], None]] = {"gpt2": save_gpt2, "opt": save_opt, "llama": save_llama}


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runtime.prepare()
    made: Path = tmp_path_factory.mktemp("models") / request.param
    made.mkdir()
    FAMILIES[request.param](made)
    return made


def _created(folder: Path, init: str, **changes: Any) -> Any:
    config = CONFIG.model_copy(update={"model": str(folder), **changes})
    definition = KIND.own_tokenizer(config)
    assert definition is not None
    return KIND.create(config, tokenizer_json=definition, block_length=LENGTH, init=init, seed=0)


def test_its_own_tokenizer_marks_where_texts_begin(folder: Path) -> None:
    from transformers import AutoTokenizer

    learner, theirs = _created(folder, "pretrained"), AutoTokenizer.from_pretrained(folder)
    for text in HARD_TEXTS:
        ids = learner.tokenizer.encode(text).ids
        assert ids[0] == learner.begin
        assert ids[1:] == theirs(text, add_special_tokens=False)["input_ids"]
        assert learner.begin not in ids[1:]


def test_pretrained_weights_are_loaded_and_scratch_ones_are_not(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    ours = _created(folder, "pretrained").model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    scratch = _created(folder, "scratch")
    assert scratch.digest != _created(folder, "pretrained").digest
    assert scratch.digest == _created(folder, "scratch").digest
    rough = _created(folder, "pretrained", dtype="bfloat16")
    assert {p.dtype for p in rough.model.parameters()} == {torch.bfloat16}


def test_fitted_it_is_loaded_by_transformers_unmodified(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    learner = _created(folder, "pretrained")
    before = learner.digest
    fit(learner, np.array([(learner.tokenizer.encode(text).ids * 9)[:LENGTH] for text in TEXTS]))
    assert learner.digest != before
    learner.save(tmp_path / "fitted")
    loaded = load_learner(tmp_path / "fitted")
    assert loaded.digest == learner.digest
    assert (loaded.begin, loaded.ends, loaded.context) == (learner.begin, learner.ends, learner.context)

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "fitted").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "fitted")
    original = AutoTokenizer.from_pretrained(folder)
    for text in HARD_TEXTS:
        ids = tokenizer(text)["input_ids"]
        assert ids == learner.tokenizer.encode(text).ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == original.decode(ids, skip_special_tokens=True)
    assert (tokenizer.bos_token, tokenizer.eos_token) == (original.bos_token, original.eos_token)
    assert tokenizer.model_max_length == 64
    # What an evaluation harness computes: the log-likelihood of a continuation.
    text = "The Union is free."
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        logs = model(ids[:, :-1]).logits[0].log_softmax(-1)
    [score] = learner.nll([text])
    assert score.nats == pytest.approx(-logs.gather(1, ids[0, 1:, None])[:, 0].numpy(), rel=1e-4)
    assert model.config.use_cache
    # The name of the class is one that older versions know.
    settings = json.loads((tmp_path / "fitted" / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_a_pretrained_model_looks_back_over_prompt_and_continuation(folder: Path) -> None:
    """As far as it knows places; a model from scratch was trained on no more than a block."""
    from training.learners.prompting import plan_sequences

    for init, new_tokens, context in [("pretrained", 20, 32), ("pretrained", 90, 64), ("scratch", 20, LENGTH)]:
        learner = _created(folder, init)
        prompts = Prompts(np.tile(learner.tokenizer.encode("The Union is free.").ids, 3)[None, :12], new_tokens)
        assert plan_sequences(30, prompts, Decoding(), learner).context == context
    samples = learner.sample(60, decoding=Decoding(beams=2), seed=0, prompts=prompts)
    assert sum(sample.n_tokens for sample in samples) == 60


# ------------------------------------------------------------------ models that are not there


def _error_of(model: Path | str) -> ModelNotFound:
    with pytest.raises(ModelNotFound) as caught:
        load_tokenizer(str(model))
    with pytest.raises(ModelNotFound):
        KIND.create(TransformerConfig(model=str(model)), tokenizer_json="{}", block_length=8, init="pretrained", seed=0)
    assert "\n" not in str(caught.value)
    return caught.value


def test_folders_that_are_no_model_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, said in {"nowhere": "there is no folder", "empty": "has no config.json", "file": "not a folder"}.items():
        error = _error_of(tmp_path / name)
        assert said in error.cause
        assert "save_pretrained" in str(error)
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "config.json").write_text('{"model_type": "no-such-type"}')
    assert "no-such-type" in _error_of(tmp_path / "strange").cause


def test_damaged_weights_and_models_that_write_no_text_are_refused(tmp_path: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    save_gpt2(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelNotFound):
        _created(tmp_path, "pretrained")
    weights.unlink()
    with pytest.raises(ModelNotFound, match="safetensors"):
        _created(tmp_path, "pretrained")
    shape = T5Config(vocab_size=30, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(shape).save_pretrained(tmp_path / "t5")
    config = TransformerConfig(model=str(tmp_path / "t5"))
    with pytest.raises(ModelNotFound, match="T5Config"):
        KIND.create(config, tokenizer_json="{}", block_length=8, init="pretrained", seed=0)


def test_a_saved_model_without_weights_is_damaged(tokenizer_json: str, tmp_path: Path) -> None:
    make(tokenizer_json).save(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(CheckpointDamaged):
        load_learner(tmp_path / "model")


def test_a_name_without_a_hub_is_one_clear_error(tmp_path: Path) -> None:
    """In a process of its own: whether it may look is read when the library is imported."""
    code = (
        "from training.errors import ModelNotFound\n"
        "from training.learners.pretrained import load_tokenizer\n"
        "try:\n    load_tokenizer('facebook/opt-125m')\n"
        "except ModelNotFound as error:\n    print(error)\n"
    )
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    [line] = done.stdout.splitlines()
    assert line.startswith("The model 'facebook/opt-125m' cannot be loaded: ")
    assert "Give a folder" in line


def test_threads_are_those_that_were_asked_for() -> None:
    before = torch.get_num_threads()
    try:
        for n_threads in (2, 1):
            runtime.set_threads(n_threads)
            runtime.prepare()
            assert torch.get_num_threads() == n_threads
    finally:
        runtime.set_threads(1)
        torch.set_num_threads(before)
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
