"""Objects handed from one process to another through memory that both see, and that is used again and again.

A pipe copies every byte four times and clears new pages for it on both sides; for an ingest that was as much work as
all reading and checking. A slot is an anonymous file of the system's memory. Large buffers (Arrow, numpy) are written
into it once and read where they lie.
"""

from __future__ import annotations

import mmap
import os
import pickle
from multiprocessing.reduction import DupFd
from typing import Any, NamedTuple

#: Largest object that a slot takes, in bytes; pages that are never written take no memory.
SLOT_BYTES = 1 << 30
_ALIGNMENT = 64


class Held(NamedTuple):
    """An object that lies in a slot.

    Attributes
    ----------
    n_bytes : length of its pickle, which stands at the beginning
    buffers : (offset, length) of the large buffers that belong to it
    """

    n_bytes: int
    buffers: tuple[tuple[int, int], ...]


class Slot:
    """Memory for one object at a time."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, SLOT_BYTES)
        self._end = 0

    def put(self, value: Any) -> Held | None:
        """Write an object and return where it is, or None if it is too large; what lay here before is gone."""
        found: list[pickle.PickleBuffer] = []
        self._end = 0
        try:
            pickle.Pickler(self, protocol=5, buffer_callback=found.append).dump(value)
            n_bytes = self._end
            return Held(n_bytes, tuple(self._append(one.raw()) for one in found))
        except _SlotFull:
            return None

    def get(self, held: Held) -> Any:
        """Return the object; its large buffers lie in the slot and are good until the next `put`."""
        whole = memoryview(self._memory)
        buffers = [whole[offset : offset + length] for offset, length in held.buffers]
        return pickle.loads(whole[: held.n_bytes], buffers=buffers)  # noqa: S301 (written by our own process)

    def write(self, data: Any) -> int:
        """Take the next piece of a pickle."""
        view = memoryview(data)
        self._require(view.nbytes)
        self._memory[self._end : self._end + view.nbytes] = view
        self._end += view.nbytes
        return view.nbytes

    def _append(self, buffer: memoryview) -> tuple[int, int]:
        self._end += -self._end % _ALIGNMENT
        offset = self._end
        self.write(buffer)
        return offset, buffer.nbytes

    def _require(self, n_bytes: int) -> None:
        if self._end + n_bytes > SLOT_BYTES:
            raise _SlotFull


class _SlotFull(Exception):
    """The object does not fit."""


def new_slots(n: int) -> list[int]:
    """Return the descriptors of new slots, none where the system has no anonymous files (macOS)."""
    if not hasattr(os, "memfd_create"):
        return []
    descriptors = [os.memfd_create(f"provenance ingest {i}") for i in range(n)]
    for descriptor in descriptors:
        os.ftruncate(descriptor, SLOT_BYTES)
    return descriptors


def for_children(descriptors: list[int]) -> list[Any]:
    """Return descriptors as arguments for processes that are started now."""
    return [DupFd(descriptor) for descriptor in descriptors]
