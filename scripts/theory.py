"""The recursive loop beside exact predictions, samplers that are wrong, and the errors that collapse is made of.

Every line is a prediction, what the mean over replicates was, and how many standard errors lie between them; one beyond
4 is rejected. The replicates draw, fit and sample by the functions that the database, the mix and the loop use (the
tests prove that the draws are the same documents). Then wrong samplers are tried: each must be rejected.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _bench_commands import text_table

from training.theory.checks import CHECKS, MOST_Z, MUTANTS, Check, word_documents
from training.theory.errors import ERRORS, two_components

N_CORPUS = 20_000

COLUMNS = ("prediction", "expected", "seen", "standard error", "z", "")


def row(check: Check) -> list[str]:
    """Return a check as a row of the table."""
    numbers = [f"{check.expected:.4f}", f"{check.seen:.4f}", f"{check.error:.4f}", f"{check.z:+.2f}"]
    return [check.name, *numbers, "holds" if check.holds else "REJECTED"]


def write_corpus(folder: Path) -> int:
    """Write what people wrote for the experiments `theory` and `three-errors`: words, and numbers of two kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for name, texts in (("words", word_documents(N_CORPUS, rng)), ("two-components", two_components(N_CORPUS, rng))):
        lines = [json.dumps({"id": f"{n:06d}", "text": text}) + "\n" for n, text in enumerate(texts, start=1)]
        path = folder / f"{name}.jsonl"
        path.write_text("".join(lines), encoding="utf-8")
        print(f"provenance ingest {path} --source {name} --origin human")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Print all checks and mutants; return 1 if a prediction is rejected or a mutant is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=1_000, help="of every check (default: %(default)s)")
    parser.add_argument("--no-mutants", action="store_true", help="leave the wrong samplers out")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="only write what `recurse run theory` needs")
    arguments = parser.parse_args(argv)
    if arguments.corpus is not None:
        return write_corpus(arguments.corpus)
    if arguments.replicates < 2:
        parser.error("--replicates must be at least 2: the standard error is taken over them")
    began = time.perf_counter()
    checks = [found for check in CHECKS for found in check(arguments.replicates)]
    print(text_table(COLUMNS, [row(check) for check in checks]))
    failed = [check for check in checks if not check.holds]
    print(f"\n{len(checks) - len(failed)} of {len(checks)} predictions hold at {arguments.replicates:,} replicates")
    missed = []
    if not arguments.no_mutants:
        for name, mutant in MUTANTS.items():
            worst = max(mutant(arguments.replicates), key=lambda check: abs(check.z))
            missed += [name] * worst.holds
            print(f"wrong sampler, {name}: z = {worst.z:+.1f}, {'NOT noticed' if worst.holds else 'rejected'}")
    outcomes = [found for error in ERRORS for found in error(max(60, arguments.replicates // 10))]
    verdicts = [["holds" if one.holds else "DOES NOT HOLD"] for one in outcomes]
    rows = [
        [one.name, f"{one.expected:.4f}", f"{one.seen:.6f}", f"{one.low:.4g} to {one.high:.4g}"] for one in outcomes
    ]
    print(
        "\n"
        + text_table(
            ("error", "expected", "seen", "taken for it", ""), [a + b for a, b in zip(rows, verdicts, strict=True)]
        )
    )
    missed += [one.name for one in outcomes if not one.holds]
    print(f"\n{time.perf_counter() - began:.0f} s; rejected means more than {MOST_Z:g} standard errors away")
    return 1 if failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
