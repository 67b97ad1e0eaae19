"""What mixing costs on stores of 1, 3 and 10 million documents: stats, a training set, its verification, its opening.

A set of a tenth of the documents is solved, drawn, proved and written with six quotas that overlap, and that forbid
what an earlier set used. Every step is a process of its own, so that its memory is known; its seconds are those of the
work in an open store, and `command` those of the whole command `provenance stats`. Beside it the same draw with
`datasets.interleave_datasets`, which takes the human share as a probability, and the share that each of them gives.
The stores are made once and kept in the cache folder; the sets are made in copies.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import _bench
import _bench_commands as bench
from _bench_mix_store import stored

MILLION = 1_000_000
FULL_DOCUMENTS = 10 * MILLION
#: What the project set out to reach on 10 million documents: seconds, and memory for making the set.
WANTED_SECONDS = {"stats": 1.0, "make": 15.0, "verify": 10.0, "open": 2.0}
WANTED_PEAK_BYTES = 3e9
#: Seconds a document in the largest store by those in the next smaller one: 1 is linear, 3.3 quadratic.
WANTED_GROWTH = 1.2
#: Steps whose growth is judged; the others are over before it shows.
GROWING = ("make", "verify")

EARLIER, NAME = "earlier", "bench"
HUMAN_SHARE = 0.5
SEED = 7
QUOTAS: list[dict[str, Any]] = [
    {"name": "human", "where": "origin = 'human'", "min": HUMAN_SHARE},
    {"name": "fresh human", "where": "origin = 'human'", "min": 0.25, "not_used_by": [EARLIER]},
    {"name": "far from people", "where": "generation >= 3", "max": 0.1},
    {"name": "any one model", "per": "model", "max": 0.2},
    {"name": "any one source", "per": "source", "max": 0.4},
    {"name": "long", "where": "n_words >= 200", "min": 0.3},
]


def make_earlier(path: Path, n_documents: int) -> None:
    """Make the set whose documents are not fresh, of a twentieth of the documents."""
    from provenance.mix.make import make_training_set
    from provenance.mix.spec import MixSpec
    from provenance.store.store import Store

    with Store.open(path, writable=True) as store:
        make_training_set(store, MixSpec(name=EARLIER, budget={"documents": n_documents // 20}, quotas=QUOTAS[:1]))


def timed(path: Path, work: Callable[[Any], object], *, writable: bool = False) -> dict[str, Any]:
    """Return the seconds of some work with an open store, and the largest memory of this process."""
    from provenance.store.store import Store

    with Store.open(path, writable=writable) as store:
        start = time.perf_counter()
        work(store)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_bytes": _bench.peak_bytes(resource.RUSAGE_SELF)}


def stats(path: Path, n_documents: int) -> dict[str, Any]:
    """Read the composition of the store."""
    from provenance.store.stats import read_stats

    return timed(path, read_stats)


def make(path: Path, n_documents: int) -> dict[str, Any]:
    """Solve, draw, prove and write the set; with the human share that it has."""
    from provenance.mix.make import make_training_set
    from provenance.mix.spec import MixSpec

    made = []
    spec = MixSpec(name=NAME, budget={"documents": n_documents // 10}, quotas=QUOTAS, seed=SEED)
    took = timed(path, lambda store: made.append(make_training_set(store, spec)), writable=True)
    human = made[0].manifest["human"]
    return took | {unit: human[unit]["share"] for unit in ("documents", "words")}


def verify(path: Path, n_documents: int) -> dict[str, Any]:
    """Verify the set."""
    from provenance.mix.verify import verify

    found = []
    took = timed(path, lambda store: found.extend(verify(store, NAME).violations))
    if found:
        raise SystemExit(f"the set is violated: {found[0]}")
    return took


def open_set(path: Path, n_documents: int) -> dict[str, Any]:
    """Open the set as a trainer does."""
    from provenance.mix.training_set import TrainingSet

    return timed(path, lambda store: TrainingSet.open(NAME, store))


def peer(path: Path, n_documents: int) -> dict[str, Any]:
    """Draw as many documents with `interleave_datasets`, the wanted human share as probability."""
    import pyarrow.compute as pc
    from datasets import Dataset, interleave_datasets

    from provenance.store.store import Store

    query = (
        "SELECT document_id::VARCHAR AS id, origin = 'human' AS human, n_words FROM document WHERE is_representative"
    )
    with Store.open(path) as store:
        rows = store.fetch(query)
    start = time.perf_counter()
    parts = [Dataset(rows.filter(mask)).shuffle(SEED) for mask in (rows["human"], pc.invert(rows["human"]))]
    shares = [HUMAN_SHARE, 1 - HUMAN_SHARE]
    mixed = interleave_datasets(parts, probabilities=shares, seed=SEED, stopping_strategy="first_exhausted")
    drawn = mixed.select(range(n_documents // 10)).with_format("arrow")[:]
    seconds = time.perf_counter() - start
    human, words = drawn["human"], drawn["n_words"]
    return {
        "seconds": seconds,
        "peak_bytes": _bench.peak_bytes(resource.RUSAGE_SELF),
        "documents": pc.mean(human).as_py(),
        "words": pc.sum(words.filter(human)).as_py() / pc.sum(words).as_py(),
    }


STEPS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "stats": stats, "make": make, "verify": verify, "open": open_set, "peer": peer,
}  # fmt: skip


def measure(step: str, path: Path, n_documents: int, *, repeats: int = 1) -> dict[str, Any]:
    """Return what a step took in a process of its own, the run with the median of the seconds."""
    command = [sys.executable, __file__, "--step", step, path, str(n_documents)]
    runs = [json.loads(bench.run(command, quiet=True).out) for _ in range(repeats)]
    return sorted(runs, key=lambda run: float(run["seconds"]))[len(runs) // 2]


def measure_all(n_documents: int, *, repeats: int, with_peer: bool) -> dict[str, dict[str, Any]]:
    """Return step -> what it took on a copy of the store of so many documents."""
    with tempfile.TemporaryDirectory(dir=_bench.cache_dir()) as folder:
        path = Path(shutil.copy(stored(_bench.cache_dir(), n_documents), folder))
        make_earlier(path, n_documents)
        found = {"make": measure("make", path, n_documents)}
        found |= {step: measure(step, path, n_documents, repeats=repeats) for step in ("stats", "verify", "open")}
        commands = [bench.provenance(path, "stats").seconds for _ in range(repeats)]
        found["command"] = {"seconds": statistics.median(commands)}
        if with_peer:
            found["peer"] = measure("peer", path, n_documents)
    return found


def report(seen: dict[int, dict[str, dict[str, Any]]]) -> str:
    """Return all that was measured, by number of documents, as tables and verdicts."""
    columns = ("stats", "command", "make", "verify", "open")
    rows = [
        [f"{n:,}", *(f"{found[step]['seconds']:.2f} s" for step in columns), _gigabytes(found["make"])]
        for n, found in seen.items()
    ]
    parts = [bench.text_table(("documents", *columns, "memory of make"), rows)]
    largest = max(seen)
    if "peer" in seen[largest]:
        parts.append(_shares(largest, seen[largest]))
    lines = _verdicts(seen[largest]) if largest == FULL_DOCUMENTS else []
    return "\n\n".join([*parts, "\n".join([*lines, *_growth(seen)])])


def _gigabytes(took: dict[str, Any]) -> str:
    return f"{took['peak_bytes'] / 1e9:.2f} GB"


def _shares(n_documents: int, found: dict[str, dict[str, Any]]) -> str:
    head = f"A draw of {n_documents // 10:,} documents of which {HUMAN_SHARE:.0%} or more are asked to be human"
    rows = [
        [
            title,
            *(f"{found[step]['seconds']:.2f} s", _gigabytes(found[step])),
            *(f"{found[step][unit]:.4%}" for unit in ("documents", "words")),
            "yes" if found[step]["documents"] >= HUMAN_SHARE else "NO",
        ]
        for title, step in (("ours, all six quotas", "make"), ("interleave_datasets, this quota", "peer"))
    ]
    return f"{head}:\n{bench.text_table(('', 'seconds', 'memory', 'documents', 'words', 'kept'), rows)}"


def _verdicts(found: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for step, wanted in [*WANTED_SECONDS.items(), ("command", WANTED_SECONDS["stats"])]:
        seconds = found[step]["seconds"]
        title = "the command provenance stats" if step == "command" else step
        lines.append(bench.verdict(f"{title} in {wanted:g} s", reached=seconds <= wanted, found=f"{seconds:.2f} s"))
    wanted = f"make in {WANTED_PEAK_BYTES / 1e9:g} GB"
    reached = found["make"]["peak_bytes"] <= WANTED_PEAK_BYTES
    return [*lines, bench.verdict(wanted, reached=reached, found=_gigabytes(found["make"]))]


def _growth(seen: dict[int, dict[str, dict[str, Any]]]) -> list[str]:
    if len(seen) < 2:
        return []
    small, large = sorted(seen)[-2:]
    lines = []
    for step in GROWING:
        each = [seen[n][step]["seconds"] / n for n in (small, large)]
        by = each[1] / each[0]
        wanted = f"{step} of {large:,} at most {WANTED_GROWTH:g} times as long a document as of {small:,}"
        lines.append(bench.verdict(wanted, reached=by <= WANTED_GROWTH, found=f"{by:.2f} times"))
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every size and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [MILLION, 3 * MILLION, FULL_DOCUMENTS]
    parser.add_argument("--documents", type=int, nargs="+", default=sizes, help="of every store (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of all but make, of which the median counts")
    parser.add_argument("--no-peer", action="store_true", help="leave interleave_datasets out")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.step:
        step, path, n_documents = arguments.step
        print(json.dumps(STEPS[step](Path(path), int(n_documents))))
        return 0
    print(f"{_bench.versions('duckdb', 'scipy', 'datasets')}; at the start {_bench.load()}")
    seen = {
        n: measure_all(n, repeats=arguments.repeats, with_peer=not arguments.no_peer)
        for n in sorted(set(arguments.documents))
    }
    print(report(seen))
    print(f"at the end {_bench.load()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
