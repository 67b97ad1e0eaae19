"""How fast the transformer is trained and sampled beside plain torch loops, and what the loop around it takes.

The transformer of the demonstration (two layers, width 128, 2,048 tokens) on the embedded corpus, one thread. Learner
and plain loop do the same work in turn, in the same process, every time from the same weights; a ratio is the median
of the ratios of the turns. Then `recurse run` makes a few generations, and the store says what of their time was fit,
sample and evaluate.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import _bench
import _bench_commands
import _bench_training

#: What the project set out to reach.
WANTED_RATIO = 0.9
WANTED_OVERHEAD_FRAC = 0.05
#: Arms of the loop that has a model a core.
N_ARMS = 4


def beside_plain_loops(*, n_tokens: int, n_rounds: int) -> None:
    """Measure training and sampling and print both."""
    rows, verdicts = [], []
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        text = _bench_training.prepare(Path(folder), n_tokens=n_tokens)
        _bench_training.warm_up(text)
        trained = [_bench_training.training(text) for _ in range(n_rounds)]
        learner = _bench_training.learner_of(text)
        sampled = [_bench_training.sampling(learner, n_tokens=n_tokens, seed=seed) for seed in range(n_rounds)]
    for name, pairs in {"training": [turn[:2] for turn in trained], "sampling": sampled}.items():
        ours, theirs = (statistics.median(pair[i] for pair in pairs) for i in range(2))
        ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
        rows.append((name, f"{ours:,.0f}", f"{theirs:,.0f}", f"{ratio:.2f}"))
        verdicts.append(
            _bench_commands.verdict(
                f"{name} of at least {WANTED_RATIO} × a plain loop",
                reached=ratio >= WANTED_RATIO,
                found=f"{ratio:.2f}, in turns {min(a / b for a, b in pairs):.2f} to {max(a / b for a, b in pairs):.2f}",
            )
        )
    print(_bench_commands.text_table(("tokens a second", "learner", "plain loop", "ratio"), rows))
    print(f"loss of learner {trained[0][2]:.4f}, of the plain loop {trained[0][3]:.4f} nats a token")
    print(*verdicts, sep="\n")


def around_the_learner(*, n_tokens: int, n_generations: int) -> None:
    """Run a loop one model after the other, and one with a model a core, and print what is around their models."""
    one_by_one = _loop(n_tokens, n_generations, n_arms=1, jobs=1)
    side_by_side = _loop(n_tokens, n_generations, n_arms=N_ARMS, jobs=os.cpu_count() or 1)
    print(f"one model after the other: {one_by_one:.1%} of the time is outside fit, sample and evaluate")
    print(
        _bench_commands.verdict(
            f"at most {WANTED_OVERHEAD_FRAC:.0%} of a generation outside them, with {N_ARMS} arms and a model a core",
            reached=side_by_side <= WANTED_OVERHEAD_FRAC,
            found=f"{side_by_side:.1%}",
        )
    )


def _loop(n_tokens: int, n_generations: int, *, n_arms: int, jobs: int) -> float:
    """Run a loop, print its generations and return the share of its time that is around the models.

    The first generation after generation 0 is not counted: the tokens of the corpus are counted in it, once in an
    experiment.
    """
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        store = Path(folder) / "store.duckdb"
        _bench_training.make_store(store)
        experiment = _bench_training.write_experiment(
            Path(folder), tokens=n_tokens, generations=n_generations, n_arms=n_arms
        )
        recurse = Path(sys.executable).with_name("recurse")
        command = [recurse, "run", experiment, "--store", store, "--out", Path(folder) / "out", "--jobs", str(jobs)]
        _bench_commands.run(command, quiet=True)
        generations = [(wall * jobs, busy) for wall, busy in _bench_training.overhead(store)]
    rows = [
        (f"generation {i}", f"{wall:.2f}", f"{busy:.2f}", f"{1 - busy / wall:.1%}")
        for i, (wall, busy) in enumerate(generations, start=1)
    ]
    heads = (f"{n_arms} arms, {jobs} at a time; seconds", "wall × jobs", "fit, sample, evaluate", "the rest")
    print(_bench_commands.text_table(heads, rows))
    later = generations[1:]
    return 1 - sum(busy for _, busy in later) / sum(wall for wall, _ in later)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=40_000, help="tokens of a generation (default 40,000)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of learner and plain loop (default 5)")
    parser.add_argument("--generations", type=int, default=4, help="generations of the loop; 0: no loop (default 4)")
    arguments = parser.parse_args(argv)
    if arguments.generations == 1 or arguments.generations < 0:
        parser.error("--generations must be 0, or at least 2: the first is not judged")
    os.environ.update(_bench.one_thread())  # before torch is imported
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    load = _bench.load()
    packages = ("torch", "transformers", "accelerate")
    print(f"Training and sampling on one thread; {_bench.versions(*packages)}; at the start {load}")
    beside_plain_loops(n_tokens=arguments.tokens, n_rounds=arguments.rounds)
    if arguments.generations:
        around_the_learner(n_tokens=arguments.tokens, n_generations=arguments.generations)
    return 0


if __name__ == "__main__":
    sys.exit(main())
