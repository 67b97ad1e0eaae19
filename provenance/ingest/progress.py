"""Progress of an ingest on standard error: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import IO, Protocol, Self

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
    """A bar with counts and rate, drawn by rich; a context manager."""

    def __init__(self, stream: IO[str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(bar_width=24), TextColumn("{task.description}", markup=False))
        self._bar = Bar(*columns, console=Console(file=stream), transient=True)
        self._task = self._bar.add_task("reading", total=None)
        self._start = time.monotonic()

    def update(self, counts: Counts, fraction: float | None) -> None:
        """Redraw the bar."""
        text = describe(counts, time.monotonic() - self._start, fraction)
        total = None if fraction is None else 1.0
        self._bar.update(self._task, description=text, total=total, completed=fraction or 0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def describe(counts: Counts, seconds: float, fraction: float | None) -> str:
    """Return the counts as one line of words."""
    megabytes = counts.n_bytes / 1e6
    share = f"{fraction:4.0%}  " if fraction is not None else ""
    refused = f", {counts.n_quarantined:,} quarantined" if counts.n_quarantined else ""
    rate = f"{megabytes / seconds:.1f} MB/s" if seconds > 0 else ""
    return f"{share}{counts.n_read:,} records, {counts.n_inserted:,} new{refused}, {megabytes:,.1f} MB, {rate}"
