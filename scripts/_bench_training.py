"""What `bench_training` measures: the learner, and beside it the loops that a user of torch would write."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: The transformer and the training of the demonstration.
VOCAB_SIZE, BLOCK_LENGTH, BATCH_SIZE, LEARNING_RATE, EPOCHS = 2048, 128, 4, 1e-3, 2
WARMUP_FRAC, TEMPERATURE = 0.1, 0.8
#: Documents of the corpus that the blocks are made from.
N_DOCS = 2000


@dataclass(frozen=True)
class Text:
    """Blocks on disk, and the tokenizer that they were made with."""

    tokenizer_json: str
    blocks: np.ndarray[Any, Any]


def prepare(folder: Path, *, n_tokens: int) -> Text:
    """Write the first tokens of the embedded corpus as blocks, and map them into memory."""
    from provenance.demo.corpus import read_corpus
    from training.learners.tokenizers import train_byte_bpe

    texts = [document["text"] for document in itertools.islice(read_corpus(), N_DOCS)]
    tokenizer = train_byte_bpe(texts, vocab_size=VOCAB_SIZE)
    ids: list[int] = []
    for encoding in tokenizer.encode_batch(texts):
        ids += encoding.ids
        if len(ids) >= n_tokens:
            break
    whole = min(n_tokens, len(ids)) // BLOCK_LENGTH * BLOCK_LENGTH
    np.save(folder / "blocks.npy", np.array(ids[:whole], np.uint16).reshape(-1, BLOCK_LENGTH))
    return Text(tokenizer.to_str(), np.load(folder / "blocks.npy", mmap_mode="r"))


def learner_of(text: Text) -> Any:
    """Return the transformer of the demonstration, always with the same weights."""
    from training.learners.configs import TransformerConfig
    from training.learners.transformer import TransformerLearner

    return TransformerLearner.create(
        TransformerConfig(), tokenizer_json=text.tokenizer_json, block_length=BLOCK_LENGTH, seed=1
    )


def fit_plainly(model: Any, text: Text) -> float:
    """Train with a loop as one writes it; return the mean loss of the last tenth of the steps."""
    import torch

    blocks, losses = text.blocks, []
    steps_per_epoch = -(-len(blocks) // BATCH_SIZE)
    n_steps = EPOCHS * steps_per_epoch
    warmup = int(np.ceil(WARMUP_FRAC * n_steps))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / warmup if step < warmup else (n_steps - step) / (n_steps - warmup)
    )
    model.train()
    for step in range(n_steps):
        first = step % steps_per_epoch * BATCH_SIZE
        ids = torch.from_numpy(blocks[first : first + BATCH_SIZE].astype(np.int64))
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return float(np.mean(losses[-max(1, n_steps // 10) :]))


def sample_plainly(model: Any, *, begin: int, n_sequences: int, length: int) -> Any:
    """Draw with a loop as one writes it: cache, softmax, multinomial; a full context goes on from its second half."""
    import torch
    from transformers import DynamicCache

    model.eval()
    with torch.inference_mode():
        tokens = torch.full((n_sequences, 1), begin)
        text, cache, seen = tokens, DynamicCache(), 0
        for _ in range(length):
            out = model(input_ids=tokens, past_key_values=cache, use_cache=True)
            seen += tokens.shape[1]
            tokens = torch.multinomial((out.logits[:, -1] / TEMPERATURE).softmax(-1), 1)
            text = torch.cat([text, tokens], dim=1)
            if seen == BLOCK_LENGTH:
                tokens, cache, seen = text[:, -BLOCK_LENGTH // 2 :], DynamicCache(), 0
    return text[:, 1:]


def warm_up(text: Text) -> None:
    """Import what the first training of a process imports; a worker does so while the first set is mixed."""
    training(Text(text.tokenizer_json, text.blocks[:BATCH_SIZE]))


def training(text: Text) -> tuple[float, float, float, float]:
    """Return the tokens a second of learner and plain loop, and their losses."""
    from training.learners.base import FitData

    n_tokens = EPOCHS * text.blocks.size
    learner, other = learner_of(text), learner_of(text).model
    ours = _seconds(
        lambda: learner.fit(
            FitData(text.blocks), epochs=EPOCHS, learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE, seed=1
        )
    )
    theirs = _seconds(lambda: fit_plainly(other, text))
    return n_tokens / ours[0], n_tokens / theirs[0], ours[1].loss, theirs[1]


def sampling(learner: Any, *, n_tokens: int, seed: int) -> tuple[float, float]:
    """Return the tokens a second of learner and plain loop."""
    from training.learners.base import Decoding

    config = learner.config
    n_sequences = max(1, round(n_tokens / config.sample_length))
    n_tokens = n_sequences * config.sample_length
    ours = _seconds(lambda: learner.sample(n_tokens, decoding=Decoding(temperature=TEMPERATURE), seed=seed))
    theirs = _seconds(
        lambda: learner.tokenizer.decode_batch(
            sample_plainly(
                learner.model, begin=learner.begin, n_sequences=n_sequences, length=config.sample_length
            ).tolist()
        )
    )
    return n_tokens / ours[0], n_tokens / theirs[0]


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


# ------------------------------------------------------------------ what the loop takes beside the learner


EXPERIMENT = """
name: overhead
corpus: source = 'annual-messages'
heldout: metadata->>'address' IN ('1797-Adams-1', '1872-Grant-1', '1947-Truman-1', '2007-Bush-1')
learner: {{name: transformer}}
tokenizer: {{vocab_size: {vocab_size}}}
block_length: {block_length}
batch_size: {batch_size}
first: {{words: {words}, epochs: 1, learning_rate: 2.0e-3}}
later: {{tokens: {tokens}, epochs: {epochs}, learning_rate: 1.0e-3, init: previous}}
decoding: {{temperature: 0.8}}
evaluation: {{tokens: {evaluated}, heldout_tokens: {tokens}}}
controls: false
arms:
{arms}
generations: {generations}
seeds: [1]
"""


def write_experiment(folder: Path, *, tokens: int, generations: int, n_arms: int) -> Path:
    """Write an experiment whose generations are those of the demonstration, and whose arms have other human shares."""
    arms = [f"  - {{name: quota-{i}, regime: quota, share: 0.{i}}}" for i in range(5, 5 - n_arms, -1)]
    text = EXPERIMENT.format(
        vocab_size=VOCAB_SIZE,
        block_length=BLOCK_LENGTH,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        words=tokens,
        tokens=tokens,
        evaluated=tokens // 2,
        generations=generations,
        arms="\n".join(arms),
    )
    path = folder / "overhead.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def make_store(path: Path) -> None:
    """Make a store that holds the embedded corpus."""
    from provenance.demo.corpus import read_corpus
    from provenance.ingest.pipeline import ingest_records
    from provenance.records import Claim
    from provenance.store.store import Store

    with Store.create(path) as store:
        ingest_records(store, list(read_corpus()), name="corpus", source="annual-messages", claim=Claim("human"))


def overhead(path: Path) -> list[tuple[float, float]]:
    """Return for every generation after the first its wall time, and what of it was fit, sample and evaluate.

    The wall time goes from the end of the generation before: mixing, export, loading, ingest and metrics are in it.
    """
    from sqlalchemy import select

    from provenance.store import schema
    from provenance.store.store import Store

    run = schema.training_run.c
    with Store.open(path) as store:
        query = select(run.generation, run.finished_at, run.seconds).order_by(run.generation)
        rows = store.fetch(query).to_pylist()
    ends: dict[int, Any] = {}
    busy: dict[int, float] = {}
    for row in rows:
        seconds = json.loads(row["seconds"]) if isinstance(row["seconds"], str) else dict(row["seconds"])
        generation = row["generation"]
        ends[generation] = max(ends.get(generation, row["finished_at"]), row["finished_at"])
        busy[generation] = busy.get(generation, 0.0) + sum(seconds.values())
    return [((ends[g] - ends[g - 1]).total_seconds(), busy[g]) for g in sorted(ends) if g - 1 in ends]
