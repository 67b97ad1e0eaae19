"""Memory that a process keeps for itself once it has it.

An ingest asks for blocks of many megabytes and gives them back, batch after batch. By default the C library returns
each to the operating system, which clears every page anew: measured, a third of all processor time.
"""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa

# Parameters of glibc's mallopt, and the largest block that it can be told to keep.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST_BLOCK = 32 << 20


def keep_freed_memory() -> None:
    """Make this process reuse large blocks instead of returning them; does nothing where there is no glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl has none
        return
    for parameter, value in ((_MMAP_THRESHOLD, _LARGEST_BLOCK), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20)):
        mallopt(parameter, value)
    pa.set_memory_pool(pa.system_memory_pool())
