"""Progress of an ingest on standard error: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import IO, Any, Protocol, Self

from provenance.ingest.write import Counts


class Progress(Protocol):
    """Is told after every batch how far the ingest is."""

    def update(self, counts: Counts, fraction: float | None) -> None:
        """Show the counts so far, and the share of the input that is done, 0..1, where it is known."""
        ...


class NoProgress:
    """Shows nothing."""

    def update(self, counts: Counts, fraction: float | None) -> None:
        """Do nothing."""


class LineProgress:
    """Prints a line at most every `every_s` seconds."""

    def __init__(self, stream: IO[str], *, every_s: float = 5.0) -> None:
        self._stream = stream
        self._every_s = every_s
        self._start = self._last = time.monotonic()

    def update(self, counts: Counts, fraction: float | None) -> None:
        """Print the counts if the last line is old enough."""
        now = time.monotonic()
        if now - self._last < self._every_s:
            return
        self._last = now
        print(describe(counts, now - self._start, fraction), file=self._stream, flush=True)


class LiveProgress:
    """One line that changes, drawn by rich; a context manager."""

    def __init__(self, stream: IO[str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live: Any = Live(console=Console(file=stream), refresh_per_second=4, transient=True)
        self._start = time.monotonic()

    def update(self, counts: Counts, fraction: float | None) -> None:
        """Redraw the line."""
        self._live.update(describe(counts, time.monotonic() - self._start, fraction))

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)


def describe(counts: Counts, seconds: float, fraction: float | None) -> str:
    """Return the counts as one line of words."""
    megabytes = counts.n_bytes / 1e6
    share = f"{fraction:4.0%}  " if fraction is not None else ""
    refused = f", {counts.n_quarantined:,} quarantined" if counts.n_quarantined else ""
    rate = f"{megabytes / seconds:.1f} MB/s" if seconds > 0 else ""
    return f"{share}{counts.n_read:,} records, {counts.n_inserted:,} new{refused}, {megabytes:,.1f} MB, {rate}"


def stderr_is_terminal() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr.isatty()
