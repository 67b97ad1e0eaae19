"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def draft_of(target: Path, *, purpose: str) -> Iterator[Path]:
    """Yield the path of a draft beside `target`, which is removed at the end if it is still there.

    Drafts that processes left behind which were killed are removed before.
    """
    remove_drafts(target, purpose=purpose)
    draft = target.with_name(f".{target.name}.{os.getpid()}.{purpose}")
    try:
        yield draft
    finally:
        for leftover in (draft, draft.with_name(draft.name + ".wal")):
            leftover.unlink(missing_ok=True)


def remove_drafts(target: Path, *, purpose: str = "") -> None:
    """Remove drafts that processes left behind which were killed: those made for a purpose, or all."""
    for leftover in target.parent.glob(f".{_escaped(target.name)}.*.{purpose}*"):
        owner = leftover.name.removeprefix(f".{target.name}.").split(".")[0]
        if owner.isdigit() and not is_alive(int(owner)):
            with suppress(OSError):
                leftover.unlink()


def publish(draft: Path, target: Path) -> None:
    """Give a draft its name, in place of what has it; after a crash the one or the other is there, and whole."""
    sync(draft)
    draft.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Make sure that a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_alive(pid: int) -> bool:
    """Return whether a process with this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
