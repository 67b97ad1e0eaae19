"""What benchmarks of commands share: runs with their memory, sizes of stores, tables, verdicts."""

from __future__ import annotations

import io
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _bench
import orjson
import psutil
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

#: How often the memory of a command and its children is looked at.
SAMPLE_INTERVAL_S = 0.25
#: A store may be so many times as large as its texts as Parquet (zstd, level 3), and so many bytes a document more.
ALLOWED_PARQUET, ALLOWED_DOCUMENT_BYTES = 1.3, 900
#: Edges of the store with the documents at their ends, and pairs of documents of the same text. As one query with UNION
#: ALL, DuckDB 1.5.5 never comes to an end on 10 million documents: all its threads wait for each other.
_EDGES = """
    SELECT a.external_id AS a, b.external_id AS b, n.rule, n.score
    FROM near_duplicate n JOIN document a ON a.content_id = n.content_a JOIN document b ON b.content_id = n.content_b
"""
_SAME_TEXTS = """
    SELECT a.external_id AS a, b.external_id AS b, 'exact' AS rule, 1.0::DOUBLE AS score
    FROM document a JOIN document b ON a.content_id = b.content_id AND a.document_id < b.document_id
"""


@dataclass(frozen=True)
class Run:
    """What a command took.

    Attributes
    ----------
    seconds : wall time from the start of the process to its end
    cpu_seconds : processor time of the process and its children
    peak_bytes : largest memory of the process and its children together, as `memory_bytes` has it
    out : what it printed
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    out: bytes


def run(command: Sequence[str | Path], *, quiet: bool = False) -> Run:
    """Run a command to its end and return what it took; stop the benchmark when it fails.

    Parameters
    ----------
    quiet : show what the command says on standard error only when it fails
    """
    start, cpu_start = time.perf_counter(), _bench.cpu_seconds(resource.RUSAGE_CHILDREN)
    messages = subprocess.PIPE if quiet else None
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=messages) as process,
        _MemoryWatch(process.pid) as memory,
    ):
        out, said = process.communicate()
    seconds = time.perf_counter() - start
    cpu_seconds = _bench.cpu_seconds(resource.RUSAGE_CHILDREN) - cpu_start
    if process.returncode != 0:
        why = f": {said.decode(errors='replace').strip()}" if said else ""
        raise SystemExit(f"{' '.join(map(str, command))} failed with status {process.returncode}{why}")
    return Run(seconds, cpu_seconds, memory.peak_bytes, out)


def provenance(store: Path, *arguments: str | Path, quiet: bool = True) -> Run:
    """Run the command `provenance` on a store."""
    return run([Path(sys.executable).with_name("provenance"), "--store", store, *arguments], quiet=quiet)


def ingest(store: Path, files: Iterable[Path], *, jobs: int | None = None, quiet: bool = False) -> Run:
    """Ingest files."""
    return provenance(store, *ingest_arguments(files, jobs=jobs), quiet=quiet)


def ingest_arguments(files: Iterable[Path], *, jobs: int | None = None) -> list[str]:
    """Return the arguments of an ingest of files whose origin nobody vouches for."""
    chosen = [] if jobs is None else ["--jobs", str(jobs)]
    return ["ingest", *map(str, files), "--source", "bench", "--origin", "unknown", *chosen]


def init(store: Path, *, containment: float | None = None) -> None:
    """Make an empty store."""
    provenance(store, "init", *([] if containment is None else ["--containment", str(containment)]))


def query(store: Path, sql: str) -> pa.Table:
    """Return the rows of a query on a store."""
    return pq.read_table(io.BytesIO(provenance(store, "sql", sql, "--format", "parquet").out))


def edges(store: Path) -> pa.Table:
    """Return the pairs of documents that the store holds for copies: a, b (external ids), rule, score."""
    return pa.concat_tables([query(store, _EDGES), query(store, _SAME_TEXTS)], promote_options="permissive")


def warm_up(directory: Path, *, containment: float | None = None) -> None:
    """Ingest a few copies twice, so that whatever is compiled on first use is compiled."""
    store = directory / "warm-up.duckdb"
    init(store, containment=containment)
    for part in range(2):
        file = directory / f"warm-up-{part}.jsonl"
        words = [f"word{i}" for i in range(80)]
        texts = [" ".join([*words[:60], f"x{part}{i}", *words[60:]]) for i in range(20)]
        write_lines(file, [{"id": f"{part}-{i}", "text": text} for i, text in enumerate([*texts, f"{part} …", "é 中"])])
        ingest(store, [file], quiet=True)


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    """Write JSON Lines."""
    with path.open("wb") as file:
        file.writelines(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in records)
    return path


def store_bytes(store: Path) -> int:
    """Return the size of a store with what stands beside it."""
    return sum(path.stat().st_size for path in store.parent.glob(f"{store.name}*"))


def parquet_bytes(path: Path) -> int:
    """Return the size of the texts of a file as Parquet with zstd of level 3; kept beside the file."""
    known = path.with_suffix(".parquet-bytes")
    if not known.exists():
        options = pj.ReadOptions(block_size=64 << 20)
        parse = pj.ParseOptions(explicit_schema=pa.schema({"text": pa.string()}), unexpected_field_behavior="ignore")
        texts = pj.read_json(path, read_options=options, parse_options=parse)
        sink = path.with_suffix(".parquet")
        pq.write_table(texts, sink, compression="zstd", compression_level=3)
        known.write_text(str(sink.stat().st_size))
        sink.unlink()
    return int(known.read_text())


def allowed_bytes(files: Iterable[Path], n_documents: int) -> int:
    """Return how large the store of these JSON Lines may be."""
    return round(ALLOWED_PARQUET * sum(map(parquet_bytes, files)) + ALLOWED_DOCUMENT_BYTES * n_documents)


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as text, the first column to the left and the others to the right."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def verdict(wanted: str, *, reached: bool, found: str) -> str:
    """Return a line that says whether something that the project set out to reach is reached."""
    return f"wanted {wanted}: {'reached' if reached else 'NOT reached'} ({found})"


def size_verdict(size: int, allowed: int) -> str:
    """Return the verdict on the size of a store."""
    wanted = f"a store of at most {ALLOWED_PARQUET} × Parquet + {ALLOWED_DOCUMENT_BYTES} B a document"
    return verdict(wanted, reached=size <= allowed, found=f"{size / 1e6:,.0f} MB, {size / allowed:.2f} of that")


class _MemoryWatch:
    """Looks at the memory of a process and its children from another thread, one twentieth of the time at most."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch memory", daemon=True)

    def _watch(self) -> None:
        while not self._done.is_set():
            start = time.perf_counter()
            self.peak_bytes = max(self.peak_bytes, memory_bytes(self._pid))
            self._done.wait(max(SAMPLE_INTERVAL_S, 20 * (time.perf_counter() - start)))

    def __enter__(self) -> _MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def memory_bytes(pid: int) -> int:
    """Return the memory of a process and all its children now; 0 when it has ended.

    What they share counts once (Linux's proportional set size); elsewhere than on Linux it counts for each.
    """
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_proportional_bytes, family))


def _proportional_bytes(process: psutil.Process) -> int:
    summary = Path(f"/proc/{process.pid}/smaps_rollup")
    try:
        if not psutil.LINUX:
            n_bytes: int = process.memory_info().rss
            return n_bytes
        found = re.search(r"^Pss: +(\d+) kB", summary.read_text(), re.MULTILINE)
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):  # it ended a moment ago
        return 0
    return int(found[1]) * 1024 if found else 0
