"""How well and how fast the built-in detector tells the embedded corpus from a bigram model's output.

The model is fitted on every second document, and the detector is trained on the other half against what the model
writes, cut to lengths as people's documents have them. Once with the documents as they are printed, and once with
them put through the model's tokenizer and back, so that spaces before commas, lost capitals and rare words betray
nothing: then only the language itself can.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import _bench

VOCAB_SIZE = 8_192
#: Length of the blocks that the model counts in.
BLOCK = 256


def fit_model(texts: Sequence[str]) -> Any:
    """Return a bigram model of texts, over their words."""
    import numpy as np

    from training.learners.base import FitData
    from training.learners.configs import NgramConfig
    from training.learners.ngram import NgramLearner
    from training.learners.tokenizers import encode

    tokenizer = NgramLearner.train_tokenizer(texts, vocab_size=VOCAB_SIZE)
    config = NgramConfig(bigram=0.9, unigram=0.0999)
    model = NgramLearner.create(config, tokenizer_json=tokenizer.to_str(), block_length=BLOCK, seed=0)
    tokens = np.concatenate([np.append(model.end, ids) for ids, _ in encode(model.tokenizer, texts)])
    blocks = tokens[: len(tokens) // BLOCK * BLOCK].reshape(-1, BLOCK)
    model.fit(FitData(blocks=blocks), epochs=1, learning_rate=0, batch_size=1, seed=0)
    return model


def write_texts(model: Any, *, lengths: Sequence[int]) -> list[str]:
    """Return texts of so many words that a model writes."""
    from training.learners.base import Decoding

    samples = model.sample(2 * sum(lengths), decoding=Decoding(), seed=1)
    words = iter(" ".join(sample.text for sample in samples).split())
    return [" ".join(islice(words, n)) for n in lengths]


def through_tokenizer(model: Any, texts: Sequence[str]) -> list[str]:
    """Return texts as the model's tokenizer writes them, without the words that it does not know."""
    from training.learners.tokenizers import encode

    return [model.tokenizer.decode([i for i in ids.tolist() if i != model.unknown])
            for ids, _ in encode(model.tokenizer, texts)]  # fmt: skip


def measure(folder: Path, human: Sequence[str], synthetic: Sequence[str]) -> dict[str, Any]:
    """Train and run a detector in a store of its own; return its report and the times taken."""
    from provenance.detection.run import run_detector, stored_detector
    from provenance.detection.train import train_detector
    from provenance.ingest.pipeline import ingest_records
    from provenance.records import Claim
    from provenance.store.store import Store

    with Store.create(folder / "bench.duckdb") as store:
        n = len(human) // 2  # the second half is scored, not trained on
        for name, texts, claim in (
            ("people", human, Claim.make("human")),
            ("model", synthetic, Claim.make("synthetic", generation=1)),
        ):
            records = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
            ingest_records(store, records, name=name, source=name, claim=claim)
        start = time.perf_counter()
        made = train_detector(store, "bench", n=n)
        middle = time.perf_counter()
        done = run_detector(store, stored_detector(store, "bench"))
        end = time.perf_counter()
    return {"report": made.report, "train_s": middle - start, "run_s": end - middle, "done": done}


def main(argv: Sequence[str] | None = None) -> int:
    """Write, train, run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=int, default=10_000, help="at most so many documents (default: all)")
    arguments = parser.parse_args(argv)
    os.environ.update(_bench.one_thread())
    load = _bench.load()
    from provenance.demo.corpus import read_corpus

    texts = [document["text"] for document in islice(read_corpus(), arguments.docs)]
    model = fit_model(texts[::2])
    human = texts[1::2]
    synthetic = write_texts(model, lengths=[len(text.split()) for text in through_tokenizer(model, human)])
    print(f"Detector on one thread; {_bench.versions('scikit-learn', 'numpy', 'numba')}; at the start {load}")
    for label, people in (("as printed", human), ("through the tokenizer", through_tokenizer(model, human))):
        with tempfile.TemporaryDirectory(prefix="bench-detector-") as folder:
            found = measure(Path(folder), people, synthetic)
        report, done = found["report"], found["done"]
        point, n = report["operating"], report["trained_on"]["n_human"]
        print(f"human text {label}: {n:,} documents of each kind")
        print(
            f"  AUC {report['auc']:.4f}; at {point['fpr']:.2%} false positives ({point['fpr_low']:.2%} to "
            f"{point['fpr_high']:.2%}) {point['tpr']:.2%} found ({point['tpr_low']:.2%} to {point['tpr_high']:.2%}); "
            f"Brier score {report['calibration']['brier']:.4f}"
        )
        print(
            f"  training and cross-validation {found['train_s']:.1f} s ({2 * n / found['train_s']:,.0f} documents/s); "
            f"scoring {done.n_scored:,} documents {found['run_s']:.1f} s ({done.n_scored / found['run_s']:,.0f}/s), "
            f"{done.n_human_flagged:,} human ones flagged"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
