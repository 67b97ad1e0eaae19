"""Running the heavy steps of several arms side by side, in processes of their own.

Each worker computes with its own number of threads, so that results do not depend on how many workers there are.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.queues import SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, Self

from provenance.processes import end_with_parent
from training.errors import WorkerLost
from training.evaluate import evaluate
from training.learners import learner_type, runtime
from training.work import GenerationTask, PhaseProgress, fit_and_sample

#: Told the name of the model, the phase, and how many of how many units of it are done.
TaskProgress = Callable[[str, str, int, int], None]
Message = tuple[str, str, int, int]
Outcome = dict[str, Any] | BaseException

#: What is done for every model, one after the other.
STEPS: tuple[Callable[[GenerationTask, PhaseProgress], dict[str, Any]], ...] = (fit_and_sample, evaluate)

#: A worker reports progress at most so often.
REPORT_EVERY_S = 0.2

_messages: SimpleQueue[Message | None] | None = None


class _Begun(NamedTuple):
    """A task, and its future where another process works on it."""

    task: GenerationTask
    future: Future[dict[str, Any]] | None


class Workers(AbstractContextManager["Workers"]):
    """Runs generation tasks; processes are started when they are first needed and kept.

    Parameters
    ----------
    jobs : tasks at a time; 1 runs them in this process
    threads : threads of each
    """

    def __init__(self, *, jobs: int, threads: int, progress: TaskProgress) -> None:
        self.jobs = jobs
        self.threads = threads
        self.progress = progress
        self._pool: ProcessPoolExecutor | None = None
        self._queue: SimpleQueue[Message | None] | None = None
        self._reader: threading.Thread | None = None
        self._begun: list[_Begun] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            if kind is not None:
                for process in list((self._pool._processes or {}).values()):
                    process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self._queue is not None and self._reader is not None:
            self._queue.put(None)
            self._reader.join()

    def __enter__(self) -> Self:
        return self

    def warm(self, learner: str) -> None:
        """Let the processes start and load what a learner needs, while the first training set is made."""
        if self.jobs > 1 and self._pool is None:
            for _ in range(self.jobs):
                self._started().submit(_load_libraries, learner)

    def start(self, task: GenerationTask) -> None:
        """Begin a task, or keep it until `finish` where there is but one process."""
        future: Future[dict[str, Any]] | None = None
        if self.jobs > 1:
            try:
                future = self._started().submit(_run_in_worker, task)
            except BrokenExecutor as error:  # a process was killed: the pool takes nothing any more
                future = Future()
                future.set_exception(error)
        self._begun.append(_Begun(task, future))

    def finish(self, waiting: Callable[[], AbstractContextManager[None]] = nullcontext) -> Iterator[Outcome]:
        """Yield for every task begun, in their order, the results of its steps by name, or what ended it.

        What is done with the first results is done while later tasks still run.

        Parameters
        ----------
        waiting : entered while there is nothing to do but to wait for the next outcome
        """
        begun, self._begun = self._begun, []
        for task, future in begun:
            if future is None:
                with waiting():
                    outcome = self._run_here(task)
            elif future.done():
                outcome = _outcome(task, future)
            else:
                with waiting():
                    outcome = _outcome(task, future)
            yield outcome

    def _run_here(self, task: GenerationTask) -> Outcome:
        runtime.set_threads(self.threads)
        try:
            return _run(task, _named(task.name, self.progress))
        except Exception as error:  # handed over, as from a worker
            return error

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._queue = context.SimpleQueue()
            self._reader = threading.Thread(target=self._read, args=(self._queue,), name="progress", daemon=True)
            self._reader.start()
            self._pool = ProcessPoolExecutor(
                self.jobs, mp_context=context, initializer=_begin_worker, initargs=(self._queue, self.threads)
            )
        return self._pool

    def _read(self, queue: SimpleQueue[Message | None]) -> None:
        while (message := queue.get()) is not None:
            self.progress(*message)


def _begin_worker(queue: SimpleQueue[Message | None], threads: int) -> None:
    """Set up a worker process."""
    global _messages
    _messages = queue
    os.environ["OMP_NUM_THREADS"] = str(threads)
    runtime.set_threads(threads)
    end_with_parent()


def _load_libraries(learner: str) -> None:
    """Import what a learner needs."""
    learner_type(learner)
    if learner == "transformer":
        runtime.prepare()
        for module in ("fitting", "sampling", "scoring"):
            importlib.import_module(f"training.learners.{module}")


def _named(name: str, progress: TaskProgress) -> PhaseProgress:
    return lambda phase, done, total: progress(name, phase, done, total)


def _run(task: GenerationTask, progress: PhaseProgress) -> dict[str, Any]:
    return {step.__name__: step(task, progress) for step in STEPS}


def _outcome(task: GenerationTask, future: Future[dict[str, Any]]) -> Outcome:
    """Wait for a task in another process and return what came of it."""
    error = future.exception()
    if error is None:
        return future.result()
    return WorkerLost(task.name) if isinstance(error, BrokenExecutor) else error


def _run_in_worker(task: GenerationTask) -> dict[str, Any]:
    last = 0.0

    def report(phase: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if _messages is not None and (done >= total or now - last >= REPORT_EVERY_S):
            last = now
            _messages.put((task.name, phase, done, total))

    return _run(task, report)
