"""What a loop shows while it runs: a table of arms and generations on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

from training.records import Run

if TYPE_CHECKING:
    from rich.table import Table


class Board(Protocol):
    """Told what the loop does."""

    def begin(self, runs: Sequence[Run], is_finished: Callable[[Run], bool]) -> None:
        """Take all runs of the experiment, some of them finished before."""

    def update(self, model: str, phase: str, done: int, total: int) -> None:
        """Take how far a model is in a phase; tokens where the phase has them. May be called from another thread."""

    def finish(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Take the metrics of a finished run."""

    def end(self) -> None:
        """Take that the loop is over."""


class NoBoard:
    """Shows nothing."""

    def begin(self, runs: Sequence[Run], is_finished: Callable[[Run], bool]) -> None:
        """Do nothing."""

    def update(self, model: str, phase: str, done: int, total: int) -> None:
        """Do nothing."""

    def finish(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


def summary(metrics: Mapping[str, float]) -> str:
    """Return the metrics that tell most, in a few words."""
    shown = (
        ("heldout_ce", "held-out {:.3f} nats"),
        ("heldout_tail_ce", "tail {:.2f}"),
        ("arm_entropy", "entropy {:.2f} bits"),
        ("arm_vocabulary", "vocabulary {:,.0f}"),
    )
    return ", ".join(form.format(metrics[name]) for name, form in shown if name in metrics)


class LineBoard:
    """A line when a model begins a phase worth waiting for, and one when it is finished."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._phase: dict[str, str] = {}
        self._started = time.monotonic()
        self._left = 0

    def begin(self, runs: Sequence[Run], is_finished: Callable[[Run], bool]) -> None:
        """Say how much there is to do."""
        self._left = sum(not is_finished(run) for run in runs)
        there = len(runs) - self._left
        self._print(f"{self._left} models to make" + (f", {there} are there already" if there else ""))

    def update(self, model: str, phase: str, done: int, total: int) -> None:
        """Name the phase that a model begins."""
        if self._phase.get(model) != phase:
            self._phase[model] = phase
            if phase in ("fit", "sample"):
                self._print(f"{model}: {phase}, {total:,} tokens" if phase == "fit" else f"{model}: {phase}")

    def finish(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Print the metrics that tell most."""
        self._left -= 1
        self._print(f"{run.model}: {summary(metrics)} ({self._left} left)")

    def end(self) -> None:
        """Say how long it took."""
        self._print("done")

    def _print(self, text: str) -> None:
        print(f"[{time.monotonic() - self._started:6.1f} s] {text}", file=self._stream, flush=True)


class LiveBoard:
    """A table that changes: seed and arm by generation, with phase, rate and time left."""

    def __init__(self, stream: IO[str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._cells: dict[str, str] = {}
        self._runs: Sequence[Run] = ()
        self._rates: dict[str, tuple[str, float]] = {}
        self._live: Any = Live(console=Console(file=stream), refresh_per_second=4)

    def begin(self, runs: Sequence[Run], is_finished: Callable[[Run], bool]) -> None:
        """Show all runs."""
        self._runs = runs
        self._cells = {run.model: "done" if is_finished(run) else "·" for run in runs}
        self._live.start()
        self._draw()

    def update(self, model: str, phase: str, done: int, total: int) -> None:
        """Show how far a model is."""
        now = time.monotonic()
        before, started = self._rates.get(model, ("", 0.0))
        if before != phase:
            started = now
            self._rates[model] = (phase, started)
        elapsed = now - started
        text = f"{phase} {100 * done // max(1, total)} %"
        if phase in ("fit", "sample") and elapsed > 1 and done:
            rate = done / elapsed
            text += f" {rate / 1000:.1f}k tok/s, {(total - done) / rate:.0f} s"
        self._cells[model] = text
        self._draw()

    def finish(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Show the held-out loss of a finished model."""
        loss = metrics.get("heldout_ce")
        self._cells[run.model] = "done" if loss is None else f"{loss:.3f} nats"
        self._draw()

    def end(self) -> None:
        """Leave the last table standing."""
        self._live.stop()

    def _draw(self) -> None:
        self._live.update(self._table())

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(title="held-out loss when done", title_justify="left")
        generations = sorted({run.generation for run in self._runs})
        for heading in ("seed", "arm", *(f"generation {generation}" for generation in generations)):
            table.add_column(heading)
        for seed, arm in dict.fromkeys((run.seed, run.arm) for run in self._runs):
            cells = {run.generation: self._cells[run.model] for run in self._runs if (run.seed, run.arm) == (seed, arm)}
            table.add_row(str(seed), arm, *(cells.get(generation, "") for generation in generations))
        return table


def board_for(stream: IO[str] | None = None) -> Board:
    """Return the board that fits where it is shown: standard error unless told otherwise."""
    stream = stream or sys.stderr
    return LiveBoard(stream) if stream.isatty() else LineBoard(stream)
