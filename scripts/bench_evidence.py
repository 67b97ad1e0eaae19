"""How the resolution of claims grows: stores of 1, 3 and 10 million documents with three claims about each of them.

Measured are a full recomputation (once with labels to write, once where they are right already), one relabelling with
what depends on it, the commands `why` and `lineage`, which are new processes each, and how long a person waits at
`curate`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import _bench
import _bench_curate
import _bench_mix_store
from sqlalchemy import text

#: Changed whenever the claims are others.
VERSION = 1
#: Most agree with what the source says; some documents change, and some are in conflict.
_CLAIMS = """
    INSERT INTO evidence BY NAME
    SELECT CAST(md5(document_id::VARCHAR || k) AS UUID) AS evidence_id, 'document' AS subject_kind, document_id,
           CASE WHEN k = 1 AND h % 50 = 0 THEN 'synthetic' WHEN k = 2 AND h % 40 = 1 THEN 'human'
                WHEN k = 2 AND h % 20 = 0 THEN 'unknown' ELSE origin END AS origin,
           CASE WHEN k = 2 AND h % 40 = 1 OR (origin = 'human' AND NOT (k = 1 AND h % 50 = 0)) THEN 0 END AS generation,
           'bench' AS method, CASE k WHEN 0 THEN 1 WHEN 1 THEN 1 + h % 4 ELSE 1 + h // 7 % 5 END AS rank,
           'author ' || (h // 11 % 6) AS author, TIMESTAMP '2026-02-01' + INTERVAL (h % 1000000) SECOND AS stated_at
    FROM (SELECT document_id, origin, k, hash(document_id, k) AS h FROM document, (VALUES (0), (1), (2)) v(k))
"""
_PEOPLES = """
    SELECT document_id::VARCHAR AS id FROM document WHERE origin = 'human' AND source = 'forum'
    ORDER BY document_id LIMIT :n
"""


def with_claims(folder: Path, n_documents: int) -> Path:
    """Return the store of so many documents with their claims, made where it is not there."""
    from provenance.store.store import Store

    path = folder / f"evidence-v{VERSION}-{_bench_mix_store.VERSION}-{n_documents}.duckdb"
    if not path.exists():
        draft = path.with_suffix(".draft")
        shutil.copyfile(_bench_mix_store.stored(folder, n_documents), draft)
        with Store.open(draft, writable=True) as store:
            with store.transaction() as connection:
                connection.execute(text(_CLAIMS))
            store.merge_log()
        draft.rename(path)
    return path


def timed(work: Callable[[], Any]) -> float:
    """Return how many seconds something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(path: Path, repeats: int) -> dict[str, float]:
    """Return the times on a copy of a store, in seconds, and the largest memory of this process in bytes."""
    from provenance.evidence.settle import settle
    from provenance.evidence.statements import Statement, state
    from provenance.store.store import Store

    found: dict[str, float] = {}
    changed: list[int] = []
    with Store.open(path, writable=True) as store:

        def recompute() -> None:
            with store.transaction() as connection:
                changed.append(settle(connection).n_changed)

        found["first_s"] = timed(recompute)
        found["again_s"] = timed(recompute)
        found["n_changed"], found["n_changed_again"] = changed
        store.merge_log()
        ids = store.fetch(_PEOPLES, {"n": 2 * repeats})["id"].to_pylist()

        def relabel(document: str, origin: str) -> Callable[[], Any]:
            claim = Statement(kind="document", subject=document, origin=origin, author="bench", generation=None,
                              method="judged by a person")  # fmt: skip
            return lambda: state(store, [claim])

        found["to_mixed_s"] = median(timed(relabel(one, "mixed")) for one in ids[:repeats])
        found["to_synthetic_s"] = median(timed(relabel(one, "synthetic")) for one in ids[repeats:])
    for name, call in (("why_s", ("why", ids[0])), ("lineage_s", ("lineage", ids[0]))):
        command = [sys.executable, "-c", "import sys; from provenance.cli import main; sys.exit(main())", "--store",
                   str(path), *call]  # fmt: skip
        found[name] = median(timed(partial(_run, command)) for _ in range(repeats))
    found["why_inside_s"], found["lineage_inside_s"] = inside(path, ids[0], repeats)
    found |= _bench_curate.curated(path, repeats)
    found["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


def inside(path: Path, document: str, repeats: int) -> tuple[float, float]:
    """Return the seconds of the two queries alone, in an open store."""
    from provenance.evidence.why import why
    from provenance.lineage.graph import lineage
    from provenance.store.store import Store

    with Store.open(path) as store:
        return (
            median(timed(lambda: why(store, document)) for _ in range(repeats)),
            median(timed(lambda: lineage(store, document)) for _ in range(repeats)),
        )


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def in_a_process(path: Path, repeats: int) -> dict[str, float]:
    """Return what `measure` returns of a copy of a store, from a process of its own."""
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    try:
        command = [sys.executable, __file__, "--measure", str(copy), "--repeats", str(repeats)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return measured
    finally:
        copy.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """Make the stores, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000])
    parser.add_argument(
        "--folder", type=Path, help="where the stores are kept (default: beside other benchmarks' files)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="of which medians are taken (default: 5)")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    os.environ.update(_bench.one_thread())
    if arguments.measure is not None:
        print(json.dumps(measure(arguments.measure, arguments.repeats)))
        return 0
    folder = arguments.folder or _bench.cache_dir()
    print(f"Claims; {_bench.versions('duckdb')}; at the start {_bench.load()}")
    names = {
        "first_s": "all resolved, labels to write", "again_s": "all resolved, nothing to write",
        "to_mixed_s": "one relabelled", "to_synthetic_s": "one relabelled as a model's",
        "why_s": "why, as a command", "why_inside_s": "why, in an open store",
        "lineage_s": "lineage, as a command", "lineage_inside_s": "lineage, in an open store",
        "curate_first_s": "curate: first document", "curate_shown_s": "curate: next one shown",
        "curate_asked_s": "curate: judged, next one asked",
    }  # fmt: skip
    for n in arguments.docs:
        found = in_a_process(with_claims(folder, n), arguments.repeats)
        print(f"{n:,} documents, {3 * n:,} claims; {found['n_changed']:,} labels changed, then "
              f"{found['n_changed_again']:,}; peak memory {found['peak_bytes'] / 1e9:.2f} GB")  # fmt: skip
        for key, name in names.items():
            print(f"  {name:32} {found[key]:7.3f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
