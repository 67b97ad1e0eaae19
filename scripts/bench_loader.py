"""How fast blocks of tokens are read for training, and what that costs beside a step of a tiny transformer.

The embedded corpus is ingested, mixed and exported as `--format tokens`; then the stream is read for itself, mapped
into memory, in batches of several sizes (MB are those of the file: 2 bytes a token, which become 8 in a batch), and
beside the transformer of the demonstration, which takes a step with every batch. One torch thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import _bench

#: What the project set out to reach.
WANTED_MB_PER_S = 200.0
WANTED_STEP_FRAC = 0.01
#: Tokens of a block, blocks of a batch; the first is the demonstration's.
SHAPES = ((128, 4), (128, 32), (512, 8), (1024, 8))
VOCAB_SIZE = 2048


def prepare(folder: Path, *, n_docs: int) -> None:
    """Ingest, mix and export the first documents of the embedded corpus, in blocks of every length."""
    from provenance.demo.corpus import read_corpus
    from provenance.export.tokens import export_tokens
    from provenance.ingest.pipeline import ingest_records
    from provenance.mix.make import make_training_set
    from provenance.mix.spec import MixSpec
    from provenance.mix.tokens import add_tokenizer
    from provenance.records import Claim
    from provenance.store.store import Store
    from training.learners.tokenizers import train_byte_bpe

    documents = list(islice(read_corpus(), n_docs))
    tokenizer = train_byte_bpe([document["text"] for document in documents], vocab_size=VOCAB_SIZE)
    quota = {"name": "human", "where": "origin = 'human'", "min": 1}
    with Store.create(folder / "bench.duckdb") as store:
        ingest_records(store, documents, name="corpus", source="annual-messages", claim=Claim("human"))
        add_tokenizer(store, "bench", tokenizer.to_str())
        spec = MixSpec(name="bench", budget={"tokens": "all"}, tokenizer="bench", quotas=[quota])
        made = make_training_set(store, spec)
        for length in sorted({length for length, _ in SHAPES}):
            export_tokens(made, folder / str(length), block_length=length)


def median_epoch_s(read: Callable[[], Any], *, at_least_s: float) -> float:
    """Return the median time of reading once through, repeated until `at_least_s` is spent, at least thrice."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < at_least_s:
        start = time.perf_counter()
        read()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def alone(folder: Path, *, at_least_s: float) -> list[tuple[int, int, float]]:
    """Return for every shape its length, its batch, and the MB of the file that are read per second."""
    from provenance.export.blocks import TokenBlocks

    rates = []
    for length, batch_size in SHAPES:
        blocks = TokenBlocks.open(folder / str(length))
        stream = blocks.torch(batch_size=batch_size)

        def read(stream: Any = stream) -> None:
            for _ in stream:
                pass

        seconds = median_epoch_s(read, at_least_s=at_least_s)
        rates.append((length, batch_size, blocks.blocks.nbytes / 1e6 / seconds))
    return rates


def beside_a_step(folder: Path, *, n_steps: int) -> tuple[float, float]:
    """Return the median seconds of getting a batch and of the step that is taken with it."""
    import torch

    from provenance.export.blocks import TokenBlocks
    from training.learners.configs import TransformerConfig
    from training.learners.transformer import TransformerLearner

    length, batch_size = SHAPES[0]
    blocks = TokenBlocks.open(folder / str(length))
    config = TransformerConfig()
    model = TransformerLearner.create(config, tokenizer_json=blocks.tokenizer_json, block_length=length, seed=1).model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loading, stepping = [], []
    batches = iter(blocks.torch(batch_size=batch_size, drop_last=True))
    for _ in range(min(n_steps, len(blocks) // batch_size)):
        start = time.perf_counter()
        batch = next(batches)
        middle = time.perf_counter()
        model(input_ids=batch["input_ids"], labels=batch["labels"]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loading.append(middle - start)
        stepping.append(time.perf_counter() - middle)
    return statistics.median(loading), statistics.median(stepping)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=int, default=10_000, help="at most so many documents (default: all)")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds that each shape is read for (default 3)")
    parser.add_argument("--steps", type=int, default=200, help="steps of the transformer (default 200)")
    arguments = parser.parse_args(argv)
    os.environ.update(_bench.one_thread())  # before torch is imported
    load = _bench.load()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="bench-loader-") as folder:
        prepare(Path(folder), n_docs=arguments.docs)
        rates = alone(Path(folder), at_least_s=arguments.seconds)
        loading, stepping = beside_a_step(Path(folder), n_steps=arguments.steps)
    print(f"Reading blocks on one thread; {_bench.versions('torch', 'numpy')}; at the start {load}")
    for length, batch_size, rate in rates:
        print(f"blocks of {length:5,}, {batch_size:3} a batch: {rate:8,.0f} MB/s, {rate / 2:6,.0f} million tokens/s")
    slowest = min(rate for *_, rate in rates)
    print(f"wanted {WANTED_MB_PER_S:g} MB/s: {'reached' if slowest >= WANTED_MB_PER_S else 'NOT reached'}")
    frac = loading / (loading + stepping)
    print(f"a step of the tiny transformer: {stepping * 1e3:.2f} ms, its batch {loading * 1e6:.0f} us, {frac:.3%}")
    print(f"wanted {WANTED_STEP_FRAC:.0%} or less: {'reached' if frac <= WANTED_STEP_FRAC else 'NOT reached'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
