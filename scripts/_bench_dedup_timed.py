"""Run the command line and write down the seconds of every transaction: `_bench_dedup_timed.py REPORT ARGUMENT…`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any


def main(arguments: Sequence[str]) -> None:
    """Run `provenance` with the arguments after the first, and write a list of seconds to the file it names."""
    from provenance.cli import main as provenance
    from provenance.store.store import Store

    seconds: list[float] = []
    transaction = Store.transaction

    @contextmanager
    def timed(self: Store) -> Iterator[Any]:
        start = perf_counter()
        try:
            with transaction(self) as connection:
                yield connection
        finally:
            seconds.append(perf_counter() - start)

    report, *rest = arguments
    Store.transaction = timed  # type: ignore[method-assign]
    try:
        provenance(list(rest))
    finally:
        Path(report).write_text(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
