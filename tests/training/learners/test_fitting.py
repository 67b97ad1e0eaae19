"""Training: against a plain Trainer, against a loop written out, with weights, in parts, stopped early, diverging."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.training.learners.tiny import CONFIG, blocks_of, fit, make
from training.errors import BatchNotDivisible, BlocksUnusable, LossNotFinite, TrainingUnavailable, WeightsUnusable
from training.learners.batches import BlockBatches
from training.learners.configs import TransformerConfig
from training.learners.surroundings import trackers

#: A plain step of gradient descent would be easier to follow, but this is what the Trainer does.
SETTINGS = {"learning_rate": 1e-2, "batch_size": 4}


def _plain_trainer(learner: Any, blocks: np.ndarray, *, epochs: int, folder: Path) -> None:
    """Train with transformers' Trainer as its manual has it."""
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        learning_rate=SETTINGS["learning_rate"],
        per_device_train_batch_size=4,
        warmup_steps=learner.config.warmup_frac,
        train_sampling_strategy="sequential",
        seed=0,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    rows = [{"input_ids": torch.tensor(row), "labels": torch.tensor(row)} for row in blocks.astype(np.int64)]
    Trainer(model=learner.model, args=arguments, train_dataset=rows).train()


def _plain_loop(learner: Any, blocks: np.ndarray, weights: np.ndarray, *, epochs: int) -> list[float]:
    """Train with a loop that writes everything out; return the loss of every step."""
    model, losses = learner.model.train(), []
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others}], lr=0.0, weight_decay=0.0)
    n_steps = epochs * -(-len(blocks) // 4)
    warmup = int(np.ceil(n_steps * learner.config.warmup_frac))
    for step in range(n_steps):
        rate = step / warmup if step < warmup else (n_steps - step) / (n_steps - warmup)
        for group in optimizer.param_groups:
            group["lr"] = SETTINGS["learning_rate"] * rate
        rows = slice(step * 4 % (-(-len(blocks) // 4) * 4), step * 4 % (-(-len(blocks) // 4) * 4) + 4)
        ids = torch.from_numpy(blocks[rows].astype(np.int64))
        logits = model(input_ids=ids).logits
        loss, total = torch.tensor(0.0), 0.0
        for row in range(len(ids)):
            for place in range(1, ids.shape[1]):
                weight = float(weights[rows][row, place])
                loss = loss - weight * logits[row, place - 1].log_softmax(-1)[ids[row, place]]
                total += weight
        (loss / total).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item() / total)
    return losses


def _weights_of(learner: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learner.model.parameters()])


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_without_weights_it_is_a_plain_trainer_bit_for_bit(tokenizer_json: str, tmp_path: Path, dropout: float) -> None:
    blocks = blocks_of(tokenizer_json)
    ours, theirs = (make(tokenizer_json, dropout=dropout) for _ in range(2))
    fit(ours, blocks, epochs=3)
    _plain_trainer(theirs, blocks, epochs=3, folder=tmp_path)
    assert ours.digest == theirs.digest != make(tokenizer_json, dropout=dropout).digest


def test_weighted_loss_is_that_of_a_loop_written_out(tokenizer_json: str) -> None:
    blocks = blocks_of(tokenizer_json)[:10]
    weights = np.random.default_rng(1).exponential(size=blocks.shape).astype(np.float32)
    weights[1] = 0  # a block that does not count, and a token
    weights[2, 5] = 0
    ours, theirs, other = (make(tokenizer_json) for _ in range(3))
    result = fit(ours, blocks, weights=weights, epochs=1)
    losses = _plain_loop(theirs, blocks, weights, epochs=1)
    assert result.loss == pytest.approx(losses[-1], rel=1e-5)
    assert (_weights_of(ours) - _weights_of(theirs)).abs().max() < 1e-5
    fit(other, blocks, epochs=1)
    assert (_weights_of(ours) - _weights_of(other)).abs().max() > 1e-3


def test_equal_weights_are_no_weights(tokenizer_json: str) -> None:
    blocks = blocks_of(tokenizer_json)
    plain, weighted = (make(tokenizer_json) for _ in range(2))
    expected = fit(plain, blocks)
    found = fit(weighted, blocks, weights=np.full(blocks.shape, 3.5, np.float32))
    assert found.loss == pytest.approx(expected.loss, rel=1e-4)
    assert (_weights_of(plain) - _weights_of(weighted)).abs().max() < 1e-4


def test_blocks_of_weight_zero_teach_nothing(tokenizer_json: str) -> None:
    """With every other block put out, training equals training without them."""
    blocks = blocks_of(tokenizer_json)
    weights = np.ones(blocks.shape, np.float32)
    weights[1::2] = 0
    masked, left_out = (make(tokenizer_json) for _ in range(2))
    fit(masked, blocks, weights=weights, epochs=1)
    fit(left_out, blocks[::2], batch_size=2, epochs=1)
    assert (_weights_of(masked) - _weights_of(left_out)).abs().max() < 1e-4


@pytest.mark.parametrize("weighted", [False, True])
def test_parts_of_a_step_change_nothing(tokenizer_json: str, weighted: bool) -> None:
    blocks = blocks_of(tokenizer_json)[:-1]  # the last step is short: its second part has none or few
    weights = np.random.default_rng(1).random(blocks.shape, np.float32) if weighted else None
    whole, parts = make(tokenizer_json), make(tokenizer_json, gradient_accumulation=2)
    expected, found = (fit(learner, blocks, weights=weights) for learner in (whole, parts))
    assert found.n_steps == expected.n_steps
    assert found.n_tokens == expected.n_tokens == 2 * blocks.size
    assert found.loss == pytest.approx(expected.loss, rel=1e-4)
    assert (_weights_of(whole) - _weights_of(parts)).abs().max() < 1e-4


def test_blocks_are_read_in_the_order_given_in_every_epoch(
    tokenizer_json: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[np.ndarray] = []
    original = BlockBatches.__getitems__

    def spy(self: BlockBatches, batch: int) -> dict[str, Any]:
        found = original(self, batch)
        read.append(found["input_ids"].numpy())
        return found

    monkeypatch.setattr(BlockBatches, "__getitems__", spy)
    blocks = blocks_of(tokenizer_json)
    fit(make(tokenizer_json), blocks, epochs=3)
    assert np.array_equal(np.concatenate(read), np.tile(blocks, (3, 1)))


def test_stopped_early_it_has_gone_the_first_steps(tokenizer_json: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.learners.trainer import Watch

    blocks = blocks_of(tokenizer_json)
    after: list[torch.Tensor] = []
    whole, early = make(tokenizer_json), make(tokenizer_json, max_steps=7)
    original = Watch.on_step_end

    def spy(self: Watch, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        original(self, args, state, control, **kwargs)
        after.append(_weights_of(whole))

    monkeypatch.setattr(Watch, "on_step_end", spy)
    fit(whole, blocks)
    monkeypatch.undo()
    seen: list[tuple[int, int]] = []
    result = fit(early, blocks, progress=lambda *at: seen.append(at))
    assert torch.equal(_weights_of(early), after[6])
    assert result.n_steps == 7
    steps = -(-len(blocks) // 4)
    assert result.n_tokens == (min(7 * 4, len(blocks)) + max(0, 7 - steps) * 4) * blocks.shape[1]
    assert seen[-1] == (7 * 4 * 16, 7 * 4 * 16)


def test_bfloat16_weights_stay_bfloat16(tokenizer_json: str, tmp_path: Path) -> None:
    from training.learners import load_learner

    learner, exact = make(tokenizer_json, dtype="bfloat16"), make(tokenizer_json)
    assert torch.equal(_weights_of(learner), _weights_of(exact).bfloat16())  # the same beginning, rounded
    blocks = blocks_of(tokenizer_json)
    rough, fine = fit(learner, blocks), fit(exact, blocks)
    assert 0 < abs(rough.loss - fine.loss) < 0.1 * fine.loss
    assert {p.dtype for p in learner.model.parameters()} == {torch.bfloat16}
    learner.save(tmp_path / "model")
    loaded = load_learner(tmp_path / "model")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    assert np.array_equal(loaded.nll(["The Union"])[0].nats, learner.nll(["The Union"])[0].nats)


def test_mixed_precision_keeps_weights_and_leaves_no_trace(tokenizer_json: str, tmp_path: Path) -> None:
    """The model scores as its saved copy does, and the next training computes in float32 again."""
    from training.learners import load_learner

    blocks = blocks_of(tokenizer_json)
    mixed, plain, again = make(tokenizer_json, mixed_precision="bf16"), make(tokenizer_json), make(tokenizer_json)
    fit(plain, blocks)
    fit(mixed, blocks)
    fit(again, blocks)
    assert {p.dtype for p in mixed.model.parameters()} == {torch.float32}
    assert 0 < (_weights_of(mixed) - _weights_of(plain)).abs().max() < 0.1
    assert again.digest == plain.digest
    mixed.save(tmp_path / "model")
    [ours], [theirs] = mixed.nll(["The Union is free."]), load_learner(tmp_path / "model").nll(["The Union is free."])
    assert np.array_equal(ours.nats, theirs.nats)
    assert mixed.model.config.use_cache


def test_what_is_not_possible_here_is_said(tokenizer_json: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = blocks_of(tokenizer_json)
    if not torch.accelerator.is_available():
        with pytest.raises(TrainingUnavailable, match=r"'fp16'.*needs a GPU"):
            fit(make(tokenizer_json, mixed_precision="fp16"), blocks)
    with pytest.raises(TrainingUnavailable, match=r"report_to.*nonsense") as caught:
        fit(make(tokenizer_json, report_to=("nonsense",)), blocks)
    assert "\n" not in str(caught.value)
    with pytest.raises(BatchNotDivisible):
        fit(make(tokenizer_json, gradient_accumulation=3), blocks)
    with pytest.raises(BlocksUnusable, match="nothing to predict"):
        fit(make(tokenizer_json), blocks[:, :1])


def test_unusable_weights_are_refused_before_anything_is_trained(tokenizer_json: str) -> None:
    blocks, learner = blocks_of(tokenizer_json), make(tokenizer_json)
    good = np.ones(blocks.shape, np.float32)
    for spoil, said in [
        (lambda w: w[:-1], "shape"),
        (lambda w: np.where(np.arange(len(w))[:, None] == 5, np.nan, w), "blocks from 4 on"),
        (lambda w: np.where(np.arange(len(w))[:, None] == 9, -1, w), "blocks from 8 on"),
        (lambda w: np.where(np.arange(w.shape[1]) > 0, 0, w), "only weights of 0"),
    ]:
        with pytest.raises(WeightsUnusable, match=said):
            fit(learner, blocks, weights=spoil(good).astype(np.float32))
    assert learner.digest == make(tokenizer_json).digest


def test_divergence_names_its_step_and_the_last_good_state(tokenizer_json: str, tmp_path: Path) -> None:
    """A weight that is infinite puts an end to it at its very step; what was kept before is named and usable."""
    blocks = blocks_of(tokenizer_json)
    weights = np.ones(blocks.shape, np.float32)
    learner = make(tokenizer_json, checkpoint_steps=2, logging_steps=10, warmup_frac=0.0)

    def spoil(done: int, total: int) -> None:
        if done == 5 * 4 * 16:  # after step 5 the weights are no numbers
            with torch.no_grad():
                next(learner.model.parameters()).fill_(float("inf"))

    with pytest.raises(LossNotFinite, match=r"training step 6.*checkpoint-4") as caught:
        fit(learner, blocks, weights=weights, checkpoints=tmp_path / "kept", progress=spoil)
    assert caught.value.checkpoint == tmp_path / "kept" / "checkpoint-4"
    from safetensors.torch import load_file

    kept = load_file(caught.value.checkpoint / "model.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.values())
    assert sorted(p.name for p in (tmp_path / "kept").glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4"]


def test_divergence_without_a_kept_state_says_so(tokenizer_json: str, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"warmup_frac": 0.0, "max_grad_norm": 1e30})
    with pytest.raises(LossNotFinite, match=r"training step \d+.*Everything before this generation") as caught:
        fit(make(tokenizer_json, config=config), blocks_of(tokenizer_json), learning_rate=1e30, epochs=4)
    assert caught.value.checkpoint is None


def test_tensorboard_is_told(tokenizer_json: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    learner = make(tokenizer_json, report_to=("tensorboard",), logging_dir=str(tmp_path / "logs"), logging_steps=1)
    fit(learner, blocks_of(tokenizer_json), checkpoints=tmp_path / "tiny.replace.g1")
    assert list((tmp_path / "logs" / "tiny.replace.g1").glob("events.out.tfevents.*"))


def test_trackers_get_a_folder_for_each_run_and_wandb_ends_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next model of the loop would be written into the run of this one."""
    ended: list[str] = []
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(finish=lambda: ended.append("wandb")))
    monkeypatch.setenv("WANDB_DIR", "before")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    config = CONFIG.model_copy(update={"report_to": ("wandb", "tensorboard"), "logging_dir": str(tmp_path)})
    with trackers(config, "tiny.replace.g1"):
        folder = str(tmp_path / "tiny.replace.g1")
        assert os.environ["WANDB_DIR"] == os.environ["TENSORBOARD_LOGGING_DIR"] == folder
        assert not ended
    assert ended == ["wandb"]
    assert os.environ["WANDB_DIR"] == "before"
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ


def test_tensorboard_without_a_folder_is_refused() -> None:
    with pytest.raises(ValidationError, match="logging_dir"):
        TransformerConfig(report_to=("tensorboard",))
