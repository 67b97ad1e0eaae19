"""What mixing costs on stores of 1, 3 and 10 million documents: stats, a training set, its verification, its opening.

A set of a tenth of the documents is solved, drawn, proved and written with six quotas; every step is a process of its
own, so that its memory is known. Beside it the same draw by `datasets.interleave_datasets`, which takes shares as
probabilities, with the human share that each of them really gives. Stores are made once and kept in the cache folder.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _bench
import _bench_commands as bench
from _bench_mix_store import stored

from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.training_set import TrainingSet
from provenance.mix.verify import verify
from provenance.store.stats import read_stats
from provenance.store.store import Store

MILLION = 1_000_000
FULL_DOCUMENTS = 10 * MILLION
#: What the project set out to reach on 10 million documents, in seconds; and memory for making the set.
WANTED_S = {"stats": 1.0, "make": 15.0, "verify": 10.0, "open": 2.0}
WANTED_PEAK_BYTES = 3e9
#: How much more of a second a document takes in the largest store than in the next smaller one: 1 is linear.
WANTED_GROWTH = 1.2

NAME = "bench"
HUMAN_SHARE = 0.5
QUOTAS: list[dict[str, Any]] = [
    {"name": "human", "where": "origin = 'human'", "min": HUMAN_SHARE},
    {"name": "well attested", "where": "origin = 'human' AND evidence_rank >= 4", "min": 0.2},
    {"name": "far from people", "where": "generation >= 3", "max": 0.1},
    {"name": "any one model", "per": "model", "max": 0.2},
    {"name": "any one source", "per": "source", "max": 0.4},
    {"name": "long", "where": "n_words >= 200", "min": 0.3},
]


def step(kind: str, path: Path, n_documents: int) -> dict[str, Any]:
    """Return seconds and peak memory of one step, done in this process."""
    spec = MixSpec(name=NAME, budget={"documents": n_documents // 10}, quotas=QUOTAS, seed=7)
    with Store.open(path, writable=kind == "make") as store:
        start = time.perf_counter()
        if kind == "stats":
            read_stats(store)
        elif kind == "make":
            make_training_set(store, spec)
        elif kind == "verify":
            if violations := verify(store, NAME).violations:
                raise SystemExit(f"the set is violated: {violations[0]}")
        else:
            TrainingSet.open(NAME, store)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def peer(path: Path, n_documents: int) -> dict[str, Any]:
    """Draw a tenth of the documents with interleave_datasets, human with the wanted share as its probability."""
    from datasets import Dataset, interleave_datasets

    query = "SELECT origin = 'human' AS human, n_words FROM documents WHERE is_representative"
    with Store.open(path) as store:
        table = store.fetch(query)
    start = time.perf_counter()
    parts = [Dataset(table.filter(mask)) for mask in (table["human"], _not(table["human"]))]
    mixed = interleave_datasets(
        parts, probabilities=[HUMAN_SHARE, 1 - HUMAN_SHARE], seed=7, stopping_strategy="all_exhausted"
    ).select(range(n_documents // 10))
    columns = mixed.with_format("numpy")[:]
    human, words = columns["human"].astype(bool), columns["n_words"].astype(int)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "documents": float(human.mean()), "words": float(words[human].sum() / words.sum())}


def _not(mask: Any) -> Any:
    import pyarrow.compute as pc

    return pc.invert(mask)


def ours(path: Path) -> dict[str, Any]:
    """Return the human share of the set that was made."""
    with Store.open(path) as store:
        human = TrainingSet.just_verified(NAME, store).manifest["human"]
    return {unit: human[unit]["share"] for unit in ("documents", "words")}


def measure(kind: str, path: Path, n_documents: int, *, repeats: int = 1) -> dict[str, Any]:
    """Return the median of a step in processes of its own."""
    command = [sys.executable, __file__, "--step", kind, str(path), str(n_documents)]
    runs = [json.loads(bench.run(command).out) for _ in range(repeats)]
    return sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]


def compare(sizes: Sequence[int], *, repeats: int, with_peer: bool) -> None:
    """Print the table of all sizes, the peer, and what was asked beside what was seen."""
    rows, seen = [], {}
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(shutil.copy(stored(_bench.cache_dir(), n), folder))
            found = {"make": measure("make", path, n)}
            found |= {kind: measure(kind, path, n, repeats=repeats) for kind in ("stats", "verify", "open")}
            seen[n] = found
            peak = f"{found['make']['peak_bytes'] / 1e9:.2f} GB"
            rows.append([f"{n:,}", *(f"{found[kind]['seconds']:.2f} s" for kind in WANTED_S), peak])
            if with_peer:
                shares = {"ours": ours(path), "interleave_datasets": measure("peer", path, n)}
    print(bench.text_table(("documents", *WANTED_S, "memory of make"), rows))
    if with_peer:
        print(f"\nhuman share of the largest set, {HUMAN_SHARE} asked for:")
        for name, share in shares.items():
            print(f"  {name}: {share['documents']:.6f} of documents, {share['words']:.6f} of words")
        print(f"  interleave_datasets took {shares['interleave_datasets']['seconds']:.1f} s, with one of six quotas")
    print()
    last = seen[sizes[-1]]
    if sizes[-1] == FULL_DOCUMENTS:
        for kind, limit_s in WANTED_S.items():
            seconds = last[kind]["seconds"]
            print(bench.verdict(f"{kind} in {limit_s:g} s", reached=seconds <= limit_s, found=f"{seconds:.2f} s"))
        peak = last["make"]["peak_bytes"]
        print(bench.verdict("make in 3 GB", reached=peak <= WANTED_PEAK_BYTES, found=f"{peak / 1e9:.2f} GB"))
    if len(sizes) > 1:
        growth = last["make"]["seconds"] / seen[sizes[-2]]["make"]["seconds"] / (sizes[-1] / sizes[-2])
        wanted = f"growth of make by document below {WANTED_GROWTH:g}"
        print(bench.verdict(wanted, reached=growth < WANTED_GROWTH, found=f"{growth:.2f}"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[MILLION, 3 * MILLION, FULL_DOCUMENTS])
    parser.add_argument("--repeats", type=int, default=3, help="runs of stats, verify and open; the median counts")
    parser.add_argument("--no-peer", action="store_true", help="leave interleave_datasets out")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.step:
        kind, path, n = given.step[0], Path(given.step[1]), int(given.step[2])
        print(json.dumps(peer(path, n) if kind == "peer" else step(kind, path, n)))
        return
    compare(sorted(given.documents), repeats=given.repeats, with_peer=not given.no_peer)


if __name__ == "__main__":
    main()
