"""Builders of input files, stores with documents in them, and runs of the command line."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from provenance.cli import main
from provenance.ingest.inputs import Input
from provenance.ingest.pipeline import IngestOptions, IngestReport, ingest_files, ingest_records
from provenance.ingest.readers.base import Chunk, Reader, ReadOptions
from provenance.records import Claim
from provenance.store.check import check_store
from provenance.store.schema import metadata
from provenance.store.store import Store

REPOSITORY = Path(__file__).resolve().parents[1]

# ---------------------------------------------------------------- files


def json_lines(records: Iterable[Mapping[str, Any] | bytes]) -> bytes:
    """Return records as JSON Lines; bytes are lines as they are."""
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in records)


def compressed(data: bytes, path: Path) -> bytes:
    """Return data compressed as the name of the file says."""
    if path.suffix == ".gz":
        return gzip.compress(data, mtime=0)
    return zstandard.compress(data) if path.suffix == ".zst" else data


def write_lines(path: Path, records: Iterable[Mapping[str, Any] | bytes]) -> Path:
    """Write JSON Lines, compressed as the name says."""
    path.write_bytes(compressed(json_lines(records), path))
    return path


def write_parquet(path: Path, columns: Mapping[str, Any], **options: Any) -> Path:
    """Write columns as Parquet."""
    pq.write_table(pa.table(dict(columns)), path, **options)
    return path


def broken_text(*values: bytes) -> pa.Array:
    """Return a text column that holds these bytes, UTF-8 or not."""
    return pa.array(values, pa.binary()).view(pa.string())


def prose(seed: int, *, n_words: int = 60) -> str:
    """Return words that no other seed gives."""
    chance = Random(seed)
    return " ".join(f"w{chance.randrange(100_000)}" for _ in range(n_words))


def prose_records(n: int, *, start: int = 0, n_words: int = 60) -> list[dict[str, Any]]:
    """Return records with distinct texts."""
    return [{"id": f"r{i}", "text": prose(i, n_words=n_words)} for i in range(start, start + n)]


# ---------------------------------------------------------------- ingest


def claim_of(origin: str | None, **more: Any) -> Claim | None:
    """Return a claim, or None for None."""
    return None if origin is None else Claim.make(origin, **more)


def ingest(
    store: Store,
    records: Iterable[Any],
    *,
    source: str = "books",
    origin: str | None = "human",
    name: str = "memory",
    licence: str | None = None,
    **claim: Any,
) -> IngestReport:
    """Ingest records from memory."""
    made = claim_of(origin, **claim)
    return ingest_records(store, records, name=name, source=source, claim=made, licence=licence)


def ingest_paths(
    store: Store,
    *paths: Path | str,
    source: str = "books",
    origin: str | None = "human",
    licence: str | None = None,
    options: IngestOptions | None = None,
    jobs: int = 1,
    **claim: Any,
) -> IngestReport:
    """Ingest files."""
    made = claim_of(origin, **claim)
    return ingest_files(store, paths, source=source, claim=made, licence=licence, options=options, jobs=jobs)


def read_chunks(reader: Reader, file: Path | str, options: ReadOptions | None = None) -> Iterator[Chunk]:
    """Yield what a reader makes of a file."""
    chosen = options or ReadOptions()
    for block in reader.blocks(Input(str(file)), chosen):
        yield reader.parse(block, chosen)


# ---------------------------------------------------------------- what a store holds


def rows(store: Store, query: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of a trusted query."""
    found: list[dict[str, Any]] = store.fetch(query, parameters or None).to_pylist()
    return found


def count(store: Store, table: str) -> int:
    """Return how many rows a table or view has."""
    return int(rows(store, f"SELECT count(*) AS n FROM {table}")[0]["n"])


def texts(store: Store) -> list[str]:
    """Return the texts of all documents, sorted."""
    return sorted(row["text"] for row in rows(store, "SELECT text FROM documents"))


#: Columns that tell when something happened, or which store it is: they differ between equal runs.
_TIMES = frozenset(("created_at", "started_at", "finished_at", "stated_at", "found_at", "exported_at", "seconds"))


def dump(store: Store, *, without: Sequence[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Return every table as sorted rows, without times, the settings, and the tables and columns in `without`."""
    left_out = _TIMES | set(without)
    found = {}
    for table in metadata.sorted_tables:
        if table.name == "setting" or table.name in left_out:
            continue
        columns = [column.name for column in table.columns if column.name not in left_out]
        picked = ", ".join(f'"{name}"' for name in columns)
        whole = store.fetch(f"SELECT {picked} FROM {table.name}").to_pylist()
        found[table.name] = sorted((tuple(row[name] for name in columns) for row in whole), key=repr)
    return found


def violations(store: Store) -> list[str]:
    """Return the checks of `provenance check` that are violated."""
    return [f"{found.check}: {found.examples}" for found in check_store(store) if found.n_violations]


# ---------------------------------------------------------------- the command line


@dataclass(frozen=True)
class Answer:
    """What a run of the command line gave."""

    code: int
    out: str
    err: str
    raw: bytes = b""


def provenance(*arguments: object) -> Answer:
    """Run the command line in this process."""
    out, err = _Captured(), _Captured()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(one) for one in arguments])
        except SystemExit as exit_:
            code = exit_.code
    raw = out.taken()
    return Answer(code or 0, raw.decode("utf-8", "replace"), err.taken().decode("utf-8"), raw)


class _Captured(io.TextIOWrapper):
    """A text stream that can take bytes too, as standard output can."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="", write_through=True)

    def taken(self) -> bytes:
        self.flush()
        whole: Any = self.buffer
        data: bytes = whole.getvalue()
        return data


def command(*arguments: object, prelude: str = "") -> list[str]:
    """Return the command that runs `provenance` in a process of its own, after some lines of Python."""
    program = f"{prelude}\nfrom provenance.cli import main\nmain()"
    return [sys.executable, "-W", "error", "-c", program, *(str(one) for one in arguments)]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of such a process."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("PROVENANCE_")}
    return {**known, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8", **more}


def run(*arguments: object, prelude: str = "", timeout_s: float = 120, **options: Any) -> Answer:
    """Run the command line in a process of its own and wait for it."""
    done = subprocess.run(
        command(*arguments, prelude=prelude), capture_output=True, env=environment(), timeout=timeout_s, **options
    )
    return Answer(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8"), done.stdout)


@contextlib.contextmanager
def started(*arguments: object, prelude: str = "", **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command line in a process of its own; it is killed at the end of the block if it still runs."""
    process = subprocess.Popen(
        command(*arguments, prelude=prelude),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        **options,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


_HOLD = """
import sys
from provenance.store.store import Store
with Store.open(sys.argv[1], writable=True):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held(store: Path) -> Iterator[int]:
    """Hold a store's file in another process inside the block; yield the number of that process."""
    command = [sys.executable, "-c", _HOLD, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process.pid
        finally:
            process.stdin.close()
