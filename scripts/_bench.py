"""What the two benchmarks share: what a user would write instead, and measuring each in its own process."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

#: Changed whenever `_bench_documents` gives other documents, so that no file of an earlier version is used.
DOCUMENTS_VERSION = 1
N_PERM = 112
N_BANDS = 14
ROWS_PER_BAND = 8
SHINGLE_TOKENS = 5
THRESHOLD = 0.7

# For the documents used here this finds the tokens of `provenance.dedup.tokens`; the benchmarks compare the
# counts.
_WORD = re.compile(r"[^\W_½¼]+")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One contender's result on `n_docs` documents.

    Attributes
    ----------
    seconds : wall time of the work alone, unless the benchmark says otherwise
    n_bytes : UTF-8 bytes of the texts
    n_words : tokens seen, to show that everybody worked on the same
    n_duplicates : documents recognised as a copy of another; None where none were looked for
    cpu_seconds : processor time of the same work over all threads; well below `seconds` on a busy machine
    peak_bytes : largest memory of the process and its children
    store_bytes : size of what was stored; 0 for one that stores nothing
    """

    contender: str
    seconds: float
    n_docs: int
    n_bytes: int
    n_words: int
    n_duplicates: int | None = None
    cpu_seconds: float | None = None
    peak_bytes: int = 0
    store_bytes: int = 0

    @property
    def mb_per_s(self) -> float:
        """Text in MB (10^6 bytes) per second."""
        return self.n_bytes / 1e6 / self.seconds

    @property
    def docs_per_s(self) -> float:
        """Documents per second."""
        return self.n_docs / self.seconds


def words(text: str) -> list[str]:
    """Return the words of a text as a user would find them."""
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def shingles(found: Sequence[str]) -> list[str]:
    """Return the shingles of a list of words as a user would write them."""
    return [" ".join(found[i : i + SHINGLE_TOKENS]) for i in range(max(1, len(found) - SHINGLE_TOKENS + 1))]


class DatasketchLoop:
    """datasketch as its documentation shows it: one `update` for every shingle."""

    name = "datasketch loop"
    package = "datasketch"

    def __init__(self) -> None:
        from datasketch import MinHash, MinHashLSH

        self._minhash = MinHash
        self._lsh = MinHashLSH(num_perm=N_PERM, params=(N_BANDS, ROWS_PER_BAND))

    def sign(self, shingle_list: list[str]) -> Any:
        """Return the signature of one document."""
        signature = self._minhash(num_perm=N_PERM)
        for shingle in shingle_list:
            signature.update(shingle.encode())
        return signature

    def seen(self, key: int, signature: Any) -> bool:
        """Say whether a similar document was inserted before, and insert this one."""
        found = bool(self._lsh.query(signature))
        self._lsh.insert(key, signature)
        return found


class DatasketchFastest(DatasketchLoop):
    """datasketch at its fastest: one set of permutations for all, shingles in batches."""

    name = "datasketch batch"

    def __init__(self) -> None:
        super().__init__()
        self._empty = self._minhash(num_perm=N_PERM)

    def sign(self, shingle_list: list[str]) -> Any:
        """Return the signature of one document."""
        signature = self._empty.copy()
        signature.update_batch([shingle.encode() for shingle in shingle_list])
        return signature


class RensaLoop:
    """rensa's RMinHash and RMinHashLSH."""

    name = "rensa loop"
    package = "rensa"

    def __init__(self) -> None:
        from rensa import RMinHash, RMinHashLSH

        self._minhash = RMinHash
        self._lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=N_PERM, num_bands=N_BANDS)

    def sign(self, shingle_list: list[str]) -> Any:
        """Return the signature of one document."""
        signature = self._minhash(N_PERM, 1)
        signature.update(shingle_list)
        return signature

    def seen(self, key: int, signature: Any) -> bool:
        """Say whether a similar document was inserted before, and insert this one."""
        found = bool(self._lsh.query(signature))
        self._lsh.insert(key, signature)
        return found


PEERS: dict[str, type[DatasketchLoop] | type[RensaLoop]] = {
    peer.name: peer for peer in (DatasketchLoop, DatasketchFastest, RensaLoop)
}


def one_thread() -> dict[str, str]:
    """Return an environment in which no library computes on more than one thread."""
    libraries = ("OMP", "NUMBA", "RAYON", "OPENBLAS", "MKL")
    return {**os.environ, **{f"{library}_NUM_THREADS": "1" for library in libraries}}


def in_process(command: Sequence[str | Path], *, env: dict[str, str] | None = None) -> Measurement:
    """Run a command that prints a `Measurement` (see `report`) as its last line, and return it."""
    done = subprocess.run([sys.executable, *command], env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed with status {done.returncode}")
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def report(measurement: Measurement) -> None:
    """Print a measurement for `in_process`, with this process's own peak where none is stated."""
    facts = asdict(measurement)
    facts["peak_bytes"] = facts["peak_bytes"] or peak_bytes(resource.RUSAGE_SELF)
    print(json.dumps(facts))


def peak_bytes(who: int) -> int:
    """Return the largest resident memory so far, of this process or of its largest finished child."""
    peak = resource.getrusage(who).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def median_seconds(work: Callable[[], Any], *, at_least_s: float = 2.0) -> float:
    """Return the median wall time of the work, repeated until `at_least_s` is spent, at most 25 times."""
    times: list[float] = []
    while not times or (sum(times) < at_least_s and len(times) < 25):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def table(measurements: Sequence[Measurement]) -> str:
    """Return the measurements as a table; the first is ours, and the last column is its rate by the row's."""
    ours = measurements[0]
    heads = f"{'documents':>11}{'seconds':>10}{'CPU s':>9}{'MB/s':>9}{'docs/s':>11}{'peak MB':>9}{'copies':>9}"
    lines = [f"{'':20}{heads}  ours is"]
    for one in measurements:
        copies = "" if one.n_duplicates is None else f"{one.n_duplicates / one.n_docs:.1%}"
        cpu = "" if one.cpu_seconds is None else f"{one.cpu_seconds:.2f}"
        ratio = "" if one is ours else f"{ours.docs_per_s / one.docs_per_s:.1f} times as fast"
        lines.append(
            f"{one.contender:20}{one.n_docs:11,}{one.seconds:10.2f}{cpu:>9}{one.mb_per_s:9.1f}{one.docs_per_s:11,.0f}"
            f"{one.peak_bytes / 1e6:9,.0f}{copies:>9}  {ratio}"
        )
    return "\n".join(lines)


def load() -> str:
    """Return how busy the machine has been in the last minute; numbers from a busy one compare nothing."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def cpu_seconds(who: int) -> float:
    """Return the processor time so far, of this process or of its finished children."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def versions(*packages: str) -> str:
    """Return names and installed versions of packages, for the head of an output."""
    return ", ".join(f"{package} {version(package)}" for package in packages)


def read_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a JSON Lines file."""
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)["text"]


def run_peer(name: str, texts: Iterable[str], *, n_docs: int) -> Measurement:
    """Look for copies among the first `n_docs` texts as a user of that library would; nothing is stored."""
    peer = PEERS[name]()
    n_bytes = n_words = n_duplicates = n_read = 0
    start, cpu_start = time.perf_counter(), time.process_time()
    for key, text in zip(range(n_docs), texts, strict=False):
        found = words(text)
        n_words += len(found)
        n_bytes += len(text.encode())
        n_duplicates += peer.seen(key, peer.sign(shingles(found)))
        n_read += 1
    return Measurement(
        contender=name,
        seconds=time.perf_counter() - start,
        cpu_seconds=time.process_time() - cpu_start,
        n_docs=n_read,
        n_bytes=n_bytes,
        n_words=n_words,
        n_duplicates=n_duplicates,
    )


def cache_dir() -> Path:
    """Return the directory for generated documents, made when it is not there."""
    path = Path(tempfile.gettempdir()) / "corpus-provenance-bench"
    path.mkdir(exist_ok=True)
    return path


def documents_path(*, size_mb: int, seed: int) -> Path:
    """Return where the generated documents of that size and seed are kept."""
    return cache_dir() / f"documents-v{DOCUMENTS_VERSION}-{size_mb}mb-seed{seed}.jsonl"


def verdict(measurements: Sequence[Measurement], *, wanted: Mapping[str, float]) -> str:
    """Return a line for every peer that was to be beaten by a factor, and whether all saw the same words."""
    ours, *peers = measurements
    lines = [
        f"wanted {wanted[peer.contender]:g} times {peer.contender}: "
        f"{'reached' if ours.docs_per_s / peer.docs_per_s >= wanted[peer.contender] else 'NOT reached'}"
        for peer in peers
        if peer.contender in wanted
    ]
    differ = [peer.contender for peer in peers if peer.n_docs == ours.n_docs and peer.n_words != ours.n_words]
    lines.append(f"words seen: {ours.n_words:,}" + (f"; NOT the same: {', '.join(differ)}" if differ else ""))
    return "\n".join(lines)
