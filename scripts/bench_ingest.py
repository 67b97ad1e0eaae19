"""How fast a store takes in JSON Lines, by number of processes, and beside loops over datasketch and rensa.

The same generated file for everybody, two kilobytes a document, 3 % exact copies and 10 % near-duplicates among them.
Ours is the command `provenance ingest` on a fresh store, from the start of its process to its end: reading,
validation, ids, exact and near-duplicates, clusters, everything written to disk. With --peers, the peers read, find
words, join shingles, sign, ask their LSH index for a copy and insert, and store nothing; their time leaves out the
start of the process. They see the first documents of the file only (--peer-docs): what counts is the rate.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import _bench
import _bench_commands as bench

PACKAGES = ("datasketch", "rensa")
#: What the project set out to reach: so many MB/s, two processes so many times as fast as one, in so much memory.
WANTED_MB_PER_S = 25
WANTED_BY_TWO_JOBS = 1.4
WANTED_PEAK_MB = 2000
#: As fast as the peer so many times.
WANTED = {"datasketch loop": 12, "datasketch batch": 12, "rensa loop": 1.5}
_COUNTS = (
    "select count(*) as n_docs, sum(n_bytes) as n_bytes, sum(n_words) as n_words, "
    "count(*) filter (where not is_representative) as n_duplicates from documents"
)


def contender(n_jobs: int) -> str:
    """Return the name of a run of ours in the table."""
    return f"ingest --jobs {n_jobs}"


def measure(path: Path, *, n_jobs: int, repeats: int) -> _bench.Measurement:
    """Return what `provenance ingest` of a file takes; the median of several runs."""
    runs = [_ingest(path, n_jobs) for _ in range(repeats)]
    runs.sort(key=lambda one: one.seconds)
    return runs[len(runs) // 2]


def _ingest(path: Path, n_jobs: int) -> _bench.Measurement:
    with tempfile.TemporaryDirectory(dir=_bench.cache_dir()) as directory:
        store = Path(directory) / "bench.duckdb"
        bench.init(store)
        took = bench.ingest(store, [path], jobs=n_jobs, quiet=True)
        counts = json.loads(bench.provenance(store, "sql", _COUNTS, "--format", "json").out)[0]
        size = bench.store_bytes(store)
    print(f"{contender(n_jobs)}: {took.seconds:.1f} s", file=sys.stderr)
    return _bench.Measurement(
        contender=contender(n_jobs),
        seconds=took.seconds,
        cpu_seconds=took.cpu_seconds,
        peak_bytes=took.peak_bytes,
        store_bytes=size,
        **counts,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Make the file, measure every contender and print the table."""
    arguments = _parser().parse_args(argv)
    path = _bench.documents_path(size_mb=arguments.size_mb, seed=arguments.seed)
    if arguments.contender:
        _run(arguments.contender, path, arguments)
        return 0

    def measured(name: str) -> _bench.Measurement:
        return _bench.in_process([__file__, *(argv if argv is not None else sys.argv[1:]), "--contender", name])

    measured("documents")
    load = _bench.load()
    with tempfile.TemporaryDirectory(dir=_bench.cache_dir()) as directory:
        bench.warm_up(Path(directory))
    ours = [measure(path, n_jobs=n, repeats=arguments.repeats) for n in sorted(set(arguments.jobs), reverse=True)]
    peers = [measured(name) for name in _bench.PEERS] if arguments.peers else []
    print(f"Ingest of {path.stat().st_size / 1e6:,.0f} MB; {_bench.versions(*PACKAGES)}; at the start {load}")
    if peers:
        print(f"The peers took the first {arguments.peer_docs:,} documents of the same file and stored nothing.")
    print(_bench.table([*ours, *peers]))
    _judge(path, ours, peers)
    return 0


def _judge(path: Path, ours: list[_bench.Measurement], peers: list[_bench.Measurement]) -> None:
    best = ours[0]
    rate = path.stat().st_size / 1e6 / best.seconds
    said = f"{rate:.1f} MB/s with {best.contender}"
    print(bench.verdict(f"{WANTED_MB_PER_S} MB/s of JSON Lines", reached=rate >= WANTED_MB_PER_S, found=said))
    seconds = {one.contender: one.seconds for one in ours}
    if contender(1) in seconds and contender(2) in seconds:
        ratio = seconds[contender(1)] / seconds[contender(2)]
        wanted = f"two processes {WANTED_BY_TWO_JOBS} times as fast as one"
        print(bench.verdict(wanted, reached=ratio >= WANTED_BY_TWO_JOBS, found=f"{ratio:.2f} times"))
    peak = max(one.peak_bytes for one in ours) / 1e6
    print(
        bench.verdict(f"at most {WANTED_PEAK_MB:,} MB of memory", reached=peak <= WANTED_PEAK_MB, found=f"{peak:,.0f}")
    )
    print(bench.size_verdict(best.store_bytes, bench.allowed_bytes([path], best.n_docs)))
    print(_bench.verdict([best, *peers], wanted=WANTED))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-mb", type=int, default=1000, help="size of the file (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, nargs="+", default=[1, 2], help="numbers of processes to measure (default: 1 2)"
    )
    parser.add_argument("--repeats", type=int, default=1, help="runs each, of which the median counts (default: 1)")
    parser.add_argument("--peers", action="store_true", help="measure the loops over datasketch and rensa, too")
    parser.add_argument("--peer-docs", type=int, default=20_000, help="documents for a peer (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the generated documents (default: %(default)s)")
    parser.add_argument("--contender", choices=["documents", *_bench.PEERS], help=argparse.SUPPRESS)
    return parser


def _run(name: str, path: Path, arguments: argparse.Namespace) -> None:
    if name == "documents":
        from _bench_documents import make_file

        make_file(path, n_bytes=arguments.size_mb * 1_000_000, seed=arguments.seed)
        _bench.report(_bench.Measurement(contender=name, seconds=1, n_docs=0, n_bytes=0, n_words=0))
    else:
        _bench.report(_bench.run_peer(name, _bench.read_texts(path), n_docs=arguments.peer_docs))


if __name__ == "__main__":
    sys.exit(main())
