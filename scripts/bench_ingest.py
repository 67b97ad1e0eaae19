"""How fast a store takes in JSON Lines, beside loops over datasketch and rensa that store nothing.

The same generated file for everybody, two kilobytes a document, 3 % exact copies and 10 % near-duplicates
among them. Ours is the command `provenance ingest` on a fresh store, from the start of its process to its
end: reading, validation, ids, exact and near-duplicates, clusters, everything written to disk. The peers
read, find words, join shingles, sign, ask their LSH index for a copy and insert; their time leaves out the
start of the process. The peers see the first documents of the file only (--peer-docs): what counts is the
rate.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import _bench

OURS = "provenance ingest"
PACKAGES = ("datasketch", "rensa")
#: What the project set out to reach: as fast as the peer so many times, in so much memory.
WANTED = {"datasketch loop": 12, "datasketch batch": 12, "rensa loop": 1.5}
WANTED_PEAK_MB = 2000
_COUNTS = (
    "select count(*) as n_docs, sum(n_bytes) as n_bytes, sum(n_words) as n_words, "
    "count(*) filter (where not is_representative) as n_duplicates from documents"
)


def measure_ours(path: Path) -> _bench.Measurement:
    """Return the rate of `provenance ingest` on a file, with the peak memory of that process."""
    with tempfile.TemporaryDirectory(dir=_bench.cache_dir()) as directory:
        small = Path(directory) / "warm-up.jsonl"
        with path.open("rb") as file, small.open("wb") as out:
            out.writelines(islice(file, 200))
        warm_up, store = Path(directory) / "warm-up.duckdb", Path(directory) / "bench.duckdb"
        for one in (warm_up, store):
            _provenance(one, "init")
        _ingest(small, warm_up)  # compiles what is not compiled yet
        cpu_start = _bench.cpu_seconds(resource.RUSAGE_CHILDREN)
        seconds = _ingest(path, store)
        cpu_seconds = _bench.cpu_seconds(resource.RUSAGE_CHILDREN) - cpu_start
        peak = _bench.peak_bytes(resource.RUSAGE_CHILDREN)
        counts = json.loads(_provenance(store, "sql", _COUNTS, "--format", "json"))[0]
        sizes = f"{store.stat().st_size / 1e6:,.0f} MB for {path.stat().st_size / 1e6:,.0f} MB of JSON Lines"
        print(f"size of the store: {sizes}", file=sys.stderr)
    return _bench.Measurement(contender=OURS, seconds=seconds, cpu_seconds=cpu_seconds, peak_bytes=peak, **counts)


def _ingest(path: Path, store: Path) -> float:
    start = time.perf_counter()
    _provenance(store, "ingest", str(path), "--source", "bench", "--origin", "unknown")
    return time.perf_counter() - start


def _provenance(store: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("provenance")), "--store", str(store), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def main(argv: Sequence[str] | None = None) -> int:
    """Make the file, measure every contender in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-mb", type=int, default=1000, help="size of the file (default: %(default)s)")
    parser.add_argument("--peer-docs", type=int, default=20_000, help="documents for a peer (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the generated documents (default: %(default)s)")
    parser.add_argument("--contender", choices=[OURS, "documents", *_bench.PEERS], help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    path = _bench.documents_path(size_mb=arguments.size_mb, seed=arguments.seed)
    if arguments.contender:
        _run(arguments.contender, path, arguments)
        return 0

    def measured(contender: str) -> _bench.Measurement:
        return _bench.in_process([__file__, *(argv if argv is not None else sys.argv[1:]), "--contender", contender])

    measured("documents")
    load = _bench.load()
    results = [measured(contender) for contender in (OURS, *_bench.PEERS)]
    print(f"Ingest of {path.stat().st_size / 1e6:,.0f} MB; {_bench.versions(*PACKAGES)}; at the start {load}")
    print(f"The peers took the first {arguments.peer_docs:,} documents of the same file and stored nothing.")
    print(_bench.table(results))
    print(_bench.verdict(results, wanted=WANTED))
    reached = "reached" if results[0].peak_bytes / 1e6 <= WANTED_PEAK_MB else "NOT reached"
    print(f"wanted at most {WANTED_PEAK_MB:,} MB of memory: {reached}")
    return 0


def _run(contender: str, path: Path, arguments: argparse.Namespace) -> None:
    if contender == "documents":
        from _bench_documents import make_file

        make_file(path, n_bytes=arguments.size_mb * 1_000_000, seed=arguments.seed)
        _bench.report(_bench.Measurement(contender=contender, seconds=1, n_docs=0, n_bytes=0, n_words=0))
    elif contender == OURS:
        _bench.report(measure_ours(path))
    else:
        _bench.report(_bench.run_peer(contender, _bench.read_texts(path), n_docs=arguments.peer_docs))


if __name__ == "__main__":
    sys.exit(main())
