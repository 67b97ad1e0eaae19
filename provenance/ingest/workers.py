"""Batches prepared by several processes at once, and given back in the order of their tasks."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from provenance.ingest.prepare import Batch, Preparer, Task
from provenance.ingest.slots import Held, Slot, for_children, new_slots
from provenance.memory import keep_freed_memory
from provenance.processes import end_with_parent

_LARGE_STORE_BYTES = 2 << 30

_preparer: Preparer | None = None
_slots: list[tuple[Slot, Slot]] = []


def database_threads(store: Path, *, jobs: int) -> int:
    """Return how many threads the database of an ingest by so many processes should have.

    Into a small store, writing is most of the work, and threads beside the processes that read and sign cost more than
    they give (5 to 15 % on two cores). Into a large one, every batch is looked up in all that is there, which threads
    share well (half the time at 10 million documents).
    """
    is_large = store.exists() and store.stat().st_size >= _LARGE_STORE_BYTES
    return jobs if is_large else max(1, jobs - 1)


def prepared(tasks: Iterator[Task], preparer: Preparer, *, jobs: int) -> Iterator[Batch]:
    """Yield the batch of every task, in order; a batch is good until the next one is asked for.

    Processes are started when there is a second task, so that little input pays nothing for them.

    Parameters
    ----------
    jobs : processes in all; this one writes what the others prepare, and with 1 prepares too
    """
    first = next(tasks, None)
    second = next(tasks, None) if jobs > 1 and first is not None else None
    if first is None:
        return
    if second is None:
        yield preparer.prepare(first)
        for task in tasks:
            yield preparer.prepare(task)
        return
    with _Workers(preparer, n_workers=jobs - 1) as workers:
        yield from workers.prepare(chain((first, second), tasks))


class _Workers:
    """Processes that prepare, and the slots through which tasks go to them and batches come back."""

    def __init__(self, preparer: Preparer, *, n_workers: int) -> None:
        self._ahead = n_workers + 1
        # One more than tasks are ahead: its batch is being written.
        self._descriptors = new_slots(2 * (self._ahead + 1))
        self._slots = [Slot(one) for one in self._descriptors]
        self._free = deque(zip(self._slots[::2], self._slots[1::2], range(self._ahead + 1), strict=False))
        handed: Any = _Descriptors(self._descriptors)  # comes out as descriptors of the process that takes it
        self._pool = ProcessPoolExecutor(
            n_workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_worker,
            initargs=(preparer, handed),
        )

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, kind: object, _error: object, _trace: object) -> None:
        if kind is not None:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for descriptor in self._descriptors:
            os.close(descriptor)

    def prepare(self, tasks: Iterator[Task]) -> Iterator[Batch]:
        """Yield the batch of every task, in order."""
        waiting: deque[tuple[Any, Future[Held | Batch]]] = deque()
        for task in tasks:
            waiting.append(self._submit(task))
            if len(waiting) > self._ahead:
                yield from self._taken(*waiting.popleft())
        while waiting:
            yield from self._taken(*waiting.popleft())

    def _submit(self, task: Task) -> tuple[Any, Future[Held | Batch]]:
        if not self._free:
            return None, self._pool.submit(_prepare, task, None)
        there, back, number = self._free.popleft()
        held = there.put(task)
        return (there, back, number), self._pool.submit(_prepare, task if held is None else held, number)

    def _taken(self, slots: Any, future: Future[Held | Batch]) -> Iterator[Batch]:
        found = future.result()
        yield found if isinstance(found, Batch) else slots[1].get(found)
        if slots is not None:
            self._free.append(slots)


class _Descriptors:
    """File descriptors that are handed to each process when it is started."""

    def __init__(self, descriptors: list[int]) -> None:
        self.descriptors = descriptors

    def __reduce__(self) -> Any:
        return _detached, (for_children(self.descriptors),)


def _detached(handed: list[Any]) -> list[int]:
    return [one.detach() for one in handed]


def _begin_worker(preparer: Preparer, descriptors: list[int]) -> None:
    global _preparer, _slots
    _preparer = preparer
    slots = [Slot(one) for one in descriptors]
    _slots = list(zip(slots[::2], slots[1::2], strict=True))
    os.environ["OMP_NUM_THREADS"] = "1"
    gc.disable()  # over millions of live records it costs time and finds nothing
    keep_freed_memory()
    end_with_parent()


def _prepare(given: Task | Held, number: int | None) -> Held | Batch:
    assert _preparer is not None  # set when the process began
    if number is None:
        assert isinstance(given, Task)
        return _preparer.prepare(given)
    there, back = _slots[number]
    batch = _preparer.prepare(there.get(given) if isinstance(given, Held) else given)
    return back.put(batch) or batch
