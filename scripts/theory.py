"""The recursive loop beside exact predictions: categories, a Gaussian and a regression, and samplers that are wrong.

Every line is a prediction, what the mean over replicates was, and how many standard errors lie between them; one beyond
4 is rejected. The replicates draw, fit and sample by the functions that the database, the mix and the loop use (the
tests prove that the draws are the same documents). Then wrong samplers are tried: each must be rejected.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from _bench_commands import text_table

from training.theory.checks import CHECKS, MOST_Z, MUTANTS, Check

COLUMNS = ("prediction", "expected", "seen", "standard error", "z", "")


def row(check: Check) -> list[str]:
    """Return a check as a row of the table."""
    numbers = [f"{check.expected:.4f}", f"{check.seen:.4f}", f"{check.error:.4f}", f"{check.z:+.2f}"]
    return [check.name, *numbers, "holds" if check.holds else "REJECTED"]


def main(argv: Sequence[str] | None = None) -> int:
    """Print all checks and mutants; return 1 if a prediction is rejected or a mutant is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=1_000, help="of every check (default: %(default)s)")
    parser.add_argument("--no-mutants", action="store_true", help="leave the wrong samplers out")
    arguments = parser.parse_args(argv)
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
    print(f"{time.perf_counter() - began:.0f} s; rejected means more than {MOST_Z:g} standard errors away")
    return 1 if failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
