"""What a loop shows while it runs: a table of arms and generations on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from training.records import Run

if TYPE_CHECKING:
    from rich.table import Table

#: Phases whose units are tokens (or documents), and which are worth a rate.
_LONG = ("fit", "sample")
#: Cell of a model that is not begun, and columns that a cell takes.
_WAITING = "·"
_CELL_WIDTH = 26


class Board:
    """Told what the loop does. This one shows nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def begin(self, runs: Sequence[Run], is_finished: Callable[[Run], bool]) -> None:
        """Take all runs of the experiment, some of them finished before."""

    def update(self, model: str, phase: str, done: int, total: int) -> None:
        """Take how far a model is in a phase; tokens where the phase has them. May be called from another thread."""

    def finish(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Take the metrics of a finished run."""

    def note(self, text: str) -> None:
        """Take something that the user should know. May be called from another thread."""

    def end(self) -> None:
        """Take that the loop is over and everything was made."""

    def close(self) -> None:
        """Stop showing, whatever happened."""


class NoBoard(Board):
    """Shows nothing."""


def summary(metrics: Mapping[str, float]) -> str:
    """Return the metrics that tell most, in a few words."""
    shown = (
        ("heldout_ce", "held-out {:.3f} nats"),
        ("heldout_tail_ce", "tail {:.2f}"),
        ("arm_entropy", "entropy {:.2f} bits"),
        ("arm_vocabulary", "vocabulary {:,.0f}"),
    )
    return ", ".join(form.format(metrics[name]) for name, form in shown if name in metrics) or "finished"


class Clock:
    """How long the rest of the runs will take: those after generation 0 as long as such runs took so far."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._started = self._since = now()
        self._left: dict[str, Run] = {}
        self._n_later = 0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the loop began."""
        return self._now() - self._started

    @property
    def n_left(self) -> int:
        """Runs that are not finished."""
        return len(self._left)

    def begin(self, left: Sequence[Run]) -> None:
        """Take the runs that are to be made."""
        self._left = {run.model: run for run in left}

    def finish(self, run: Run) -> None:
        """Take that a run is finished."""
        self._left.pop(run.model, None)
        if run.generation:
            self._n_later += 1
        elif not self._n_later:
            self._since = self._now()

    def left_s(self) -> float | None:
        """Return the seconds left, or None while nobody can know."""
        if not self._n_later or any(run.generation == 0 for run in self._left.values()):
            return None
        return (self._now() - self._since) / self._n_later * len(self._left)


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class LineBoard(Board):
    """A line when a model begins a phase worth waiting for, and one when it is finished."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._phase: dict[str, str] = {}
        self._clock = Clock()

    def begin(self, runs: Sequence[Run], is_finished: Callable[[Run], bool]) -> None:
        """Say how much there is to do."""
        self._clock.begin([run for run in runs if not is_finished(run)])
        there = len(runs) - self._clock.n_left
        self.note(f"{self._clock.n_left} models to make" + (f", {there} are there already" if there else ""))

    def update(self, model: str, phase: str, done: int, total: int) -> None:
        """Name the phase that a model begins."""
        if self._phase.get(model) != phase:
            self._phase[model] = phase
            if phase in _LONG:
                self.note(f"{model}: {phase}, {total:,} tokens" if phase == "fit" else f"{model}: {phase}")

    def finish(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Print the metrics that tell most."""
        self._clock.finish(run)
        left_s = self._clock.left_s()
        about = f", about {duration(left_s)}" if left_s else ""
        self.note(f"{run.model}: {summary(metrics)} ({self._clock.n_left} left{about})")

    def note(self, text: str) -> None:
        """Print a line."""
        print(f"[{self._clock.elapsed_s:6.1f} s] {text}", file=self._stream, flush=True)

    def end(self) -> None:
        """Say how long it took."""
        self.note("done")


class LiveBoard(Board):
    """A table that changes: seed and arm by generation, with phase, rate and time left."""

    def __init__(self, stream: IO[str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._cells: dict[str, str] = {}
        self._runs: Sequence[Run] = ()
        self._phases: dict[str, tuple[str, float, int]] = {}  # phase, when it began, how much was done then
        self._clock = Clock()
        self._lock = threading.Lock()
        self._console = Console(file=stream)
        self._live: Any = Live(console=self._console, refresh_per_second=4, get_renderable=self._table)

    def begin(self, runs: Sequence[Run], is_finished: Callable[[Run], bool]) -> None:
        """Show all runs."""
        with self._lock:
            self._runs = runs
            self._cells = {run.model: "there" if is_finished(run) else _WAITING for run in runs}
            self._clock.begin([run for run in runs if not is_finished(run)])
        self._live.start()

    def update(self, model: str, phase: str, done: int, total: int) -> None:
        """Show how far a model is."""
        now = time.monotonic()
        with self._lock:
            before, began, done_then = self._phases.get(model, ("", 0.0, 0))
            if before != phase or done < done_then:
                began, done_then = now, done
                self._phases[model] = (phase, began, done_then)
            text = f"{phase} {100 * done // max(1, total)} %"
            elapsed, new = now - began, done - done_then
            if phase in _LONG and elapsed > 1 and new:
                text += f" {new / elapsed / 1000:.1f}k/s, {duration((total - done) * elapsed / new)}"
            self._cells[model] = text

    def finish(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Show the held-out loss of a finished model."""
        loss = metrics.get("heldout_ce")
        with self._lock:
            self._cells[run.model] = "done" if loss is None else f"{loss:.3f} nats"
            self._clock.finish(run)

    def note(self, text: str) -> None:
        """Print a line above the table."""
        from rich.text import Text

        self._console.print(Text(text))

    def close(self) -> None:
        """Leave the last table standing."""
        if self._live.is_started:
            self._live.refresh()
            self._live.stop()

    def end(self) -> None:
        """Leave the last table standing."""
        self.close()

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        with self._lock:
            left_s, n_left = self._clock.left_s(), self._clock.n_left
            rest = f", about {duration(left_s)} left" if left_s else ""
            title = f"{len(self._runs) - n_left} of {len(self._runs)} models, {duration(self._clock.elapsed_s)}{rest}"
            table = Table(title=title, title_justify="left", caption="held-out loss when done; tokens a second")
            generations = self._shown(sorted({run.generation for run in self._runs}))
            for heading in ("seed", "arm", *(f"generation {generation}" for generation in generations)):
                table.add_column(heading)
            for seed, arm in dict.fromkeys((run.seed, run.arm) for run in self._runs):
                cells = {
                    run.generation: self._cells[run.model] for run in self._runs if (run.seed, run.arm) == (seed, arm)
                }
                table.add_row(str(seed), arm, *(Text(cells.get(generation, "")) for generation in generations))
        return table

    def _shown(self, generations: list[int]) -> list[int]:
        """Return the generations that fit beside each other: from the one before the present one on."""
        n_fit = max(2, (self._console.width - 24) // _CELL_WIDTH)
        reached = [run.generation for run in self._runs if self._cells[run.model] != _WAITING]
        first = max(0, min(max(reached, default=0) - 1, len(generations) - n_fit))
        return generations[first : first + n_fit]


def board_for(stream: IO[str] | None = None) -> Board:
    """Return the board that fits where it is shown: standard error unless told otherwise."""
    stream = stream or sys.stderr
    return LiveBoard(stream) if stream.isatty() else LineBoard(stream)
