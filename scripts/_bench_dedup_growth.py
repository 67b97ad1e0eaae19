"""How the cost of deduplication grows: a batch into stores of several sizes, a bucket with more and more copies."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _bench_commands as bench
import numpy as np
from _bench_dedup_planted import make_shard

_SIZES = "SELECT count(*) AS n FROM document"
_FOUND = """
    SELECT count(DISTINCT cluster_id) AS n_clusters, count(*) AS n_members,
           (SELECT count(*) FROM near_duplicate) AS n_edges
    FROM cluster
"""

_TIMED = Path(__file__).with_name("_bench_dedup_timed.py")

#: One number and one name make the difference between two copies.
TEMPLATE = (
    "Dear {name}, thank you for your order. We have handed parcel {number} to our carrier this morning, and it should "
    "be with you within three working days. If nobody is at home the driver will leave it with a neighbour or at the "
    "nearest shop, and you will find a card in your letter box that says where. Please keep the card, since the parcel "
    "is given out to nobody without it. You can send everything back to us within thirty days, unworn and in its own "
    "box; we pay the postage for orders above forty pounds. With kind regards, the people of the house of Elm and Oak."
)


@dataclass(frozen=True)
class Increment:
    """A further batch into a store.

    Attributes
    ----------
    n_before : documents in the store before
    seconds : of the process, from its start to its end
    transaction_seconds : of all that in transactions
    """

    n_before: int
    n_documents: int
    seconds: float
    transaction_seconds: float
    peak_bytes: int


def increment(store: Path, *, n_documents: int, seed: int, jobs: int | None = None) -> Increment:
    """Ingest the next documents into a store that `planted` made; they stay in it."""
    n_before = int(bench.query(store, _SIZES)["n"][0].as_py())
    with tempfile.TemporaryDirectory(dir=store.parent) as directory:
        home = Path(directory)
        bench.warm_up(home)
        file = make_shard(home, n_before, n_before + n_documents, seed=seed)
        noted = home / "transactions.json"
        command = [sys.executable, _TIMED, noted, "--store", store, *bench.ingest_arguments([file], jobs=jobs)]
        took = bench.run(command, quiet=True)
        in_transactions = sum(json.loads(noted.read_bytes()))
    return Increment(n_before, n_documents, took.seconds, in_transactions, took.peak_bytes)


def seconds_at(increments: Sequence[Increment], n_documents: int) -> float:
    """Return what a straight line through the measurements gives for a store of that size."""
    sizes, seconds = [one.n_before for one in increments], [one.seconds for one in increments]
    if len(set(sizes)) == 1:
        return float(np.mean(seconds))
    slope, base = np.polyfit(sizes, seconds, 1)
    return float(base + slope * n_documents)


@dataclass(frozen=True)
class Bucket:
    """A store with templated copies only."""

    n_documents: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    n_edges: int
    n_clusters: int
    n_members: int

    @property
    def is_one_cluster(self) -> bool:
        """Whether all copies are known to be copies of one another."""
        return self.n_clusters == 1 and self.n_members == self.n_documents


def bucket(directory: Path, n_documents: int, *, jobs: int | None = None) -> Bucket:
    """Ingest so many copies of one template into a fresh store."""
    file = bench.write_lines(directory / f"templated-{n_documents}.jsonl", templated(n_documents))
    store = directory / f"templated-{n_documents}.duckdb"
    bench.init(store)
    took = bench.ingest(store, [file], jobs=jobs, quiet=True)
    (found,) = bench.query(store, _FOUND).to_pylist()
    store.unlink()
    file.unlink()
    return Bucket(n_documents, took.seconds, took.cpu_seconds, took.peak_bytes, **found)


def templated(n_documents: int) -> Iterator[dict[str, Any]]:
    """Yield copies of the template, no two alike."""
    names = ("Ada", "Bruno", "Chloe", "Dmitri", "Esra", "Femi", "Grace", "Hiro")
    for number in range(n_documents):
        text = TEMPLATE.format(name=names[number % len(names)], number=10_000_000 + 37 * number)
        yield {"id": str(number), "text": text}


def growth(one: float, two: float, four: float) -> float | None:
    """Return by how much more a value grows from twice to four times the size than from once to twice.

    Near 2 for linear growth, whatever the fixed part, and near 4 for quadratic; None where the fixed part hides it.
    """
    return (four - two) / (two - one) if two - one > 0.05 * two else None
