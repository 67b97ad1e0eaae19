"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
import shutil
import stat
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
        remove_spilled(draft)


def remove_drafts(target: Path, *, purpose: str = "") -> None:
    """Remove drafts that processes left behind which were killed: those made for a purpose, or all."""
    for leftover in target.parent.glob(f".{_escaped(target.name)}.*.{purpose}*"):
        owner = leftover.name.removeprefix(f".{target.name}.").split(".")[0]
        if owner.isdigit() and not is_alive(int(owner)):
            with suppress(OSError):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def spill_folder(database: Path) -> Path:
    """Return the folder into which a database puts what its memory cannot hold."""
    return database.with_name(database.name + ".tmp")


def remove_spilled(database: Path) -> None:
    """Remove what a process that was killed left in the folder of `spill_folder`, and that where it is empty then."""
    folder = spill_folder(database)
    for spilled in folder.glob("duckdb_temp*"):
        spilled.unlink(missing_ok=True)
    with suppress(OSError):  # there is none, or something of somebody else in it
        folder.rmdir()


def real_file(path: Path) -> Path:
    """Return the file behind symbolic links, in whose folder everything that belongs to it lies."""
    return path.resolve() if path.is_symlink() else path


@contextmanager
def only_for_me() -> Iterator[None]:
    """Let files that are made inside the block be readable by nobody but their owner."""
    mask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)


def copy_rights(original: Path, draft: Path) -> None:
    """Give a draft owner, group and mode of a file, as far as this process may."""
    wanted, own = original.stat(), draft.stat()
    if (wanted.st_uid, wanted.st_gid) != (own.st_uid, own.st_gid):
        with suppress(PermissionError):
            os.chown(draft, wanted.st_uid, wanted.st_gid)
    draft.chmod(stat.S_IMODE(wanted.st_mode))


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
