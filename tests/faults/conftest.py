"""A long ingest of many small batches in a process of its own, and what it gives undisturbed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from provenance.store.store import Store
from tests.factories import compressed, dump, prose, run

#: Lines of Python before the command: blocks of 15 kB, each a batch of its own.
SMALL_BATCHES = """
import provenance.ingest.pipeline as pipeline
import provenance.ingest.tasks as tasks
tasks.TASK_RECORDS = 1
pipeline.IngestOptions.__init__.__kwdefaults__ |= {"chunk_bytes": 15_000, "max_quarantined": 1.0}
"""
N_RECORDS = 480


class Job(NamedTuple):
    """An ingest, as a command.

    Attributes
    ----------
    file : what is ingested
    new_store : makes an empty store
    expected : every table after an undisturbed run, without times
    """

    file: Path
    new_store: Callable[[], Path]
    expected: dict[str, list[tuple[Any, ...]]]

    def arguments(self, store: Path, *, source: str = "books", jobs: int = 1) -> tuple[object, ...]:
        """Return the command; without worker processes, which take their time to start, unless they matter."""
        origin = "human" if source == "books" else "unknown"
        return ("--store", store, "ingest", self.file, "--jobs", jobs, "--source", source, "--origin", origin)


def lines() -> list[bytes]:
    """Return good records, copies, near-copies, records that say where they come from, and bad lines."""
    chance = Random(1)
    found = []
    for i in range(N_RECORDS):
        record: dict[str, Any] = {"id": f"r{i}", "text": prose(i, n_words=30), "n": i}
        kind = i % 12
        if kind == 3:
            record["text"] = prose(i - 3, n_words=30) + " edited"
        elif kind == 5:
            record["text"] = prose(chance.randrange(i), n_words=30)
        elif kind == 7:
            record |= {"origin": "synthetic", "generation": 1, "model": f"model-{i % 36}"}
        elif kind == 9:
            record["text"] = None
        found.append(b"no JSON %d" % i if kind == 11 else json.dumps(record).encode())
    return found


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Return the job, run once undisturbed."""
    folder = tmp_path_factory.mktemp("faults")
    file = folder / "records.jsonl.gz"  # gzip gives small blocks; zstd packs 128 kB at a time
    file.write_bytes(compressed(b"\n".join(lines()), file))
    made = 0

    def new_store() -> Path:
        nonlocal made
        made += 1
        path = folder / f"{made}.duckdb"
        Store.create(path).close()
        return path

    whole = new_store()
    unfinished = Job(file, new_store, {})
    answer = run(*unfinished.arguments(whole), prelude=SMALL_BATCHES)
    assert answer.code == 0, answer.err
    with Store.open(whole) as store:
        return unfinished._replace(expected=dump(store))
