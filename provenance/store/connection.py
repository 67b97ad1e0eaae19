"""Opening the DuckDB file: locked configuration, waiting for whoever holds it, and naming the holder.

DuckDB lets one process hold a file that is being written and refuses even readers meanwhile. So a process that meets
a held file leaves a note beside it (`STORE.waiting/PID`) and tries again; a long writer looks for such notes at the
border of its batches and lets go for a moment.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from provenance.errors import NotAStore, StoreBusy, StoreNotFound
from provenance.store.files import is_alive, real_file

#: How often a held file is tried again, in seconds.
_POLL_S = 0.05
_HOLDER = re.compile(r"held in (?P<program>.*?) \(PID (?P<pid>\d+)\)")

#: Size of the log at which it is merged into the file. A merge packs the last row group (122,880 rows) anew, whose text
#: is compressed with zstd: with DuckDB's default of 16 MB that happens at every batch and costs more than all the rest;
#: 256 MB cost 5 % of an ingest's time more than 512 MB.
_CHECKPOINT = "512MB"

#: Where SQLAlchemy reports what went wrong when a connection came back to the pool.
_POOL_LOG = f"{QueuePool.__module__}.{QueuePool.__name__}"

#: The database reaches nothing but its own file, and no statement can change that.
_LOCKED: dict[str, str | bool] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "allow_community_extensions": False,
    "lock_configuration": True,
}


def memory_limit() -> str:
    """Return DuckDB's memory limit: `$PROVENANCE_MEMORY`, else 700 MB, which keeps an ingest below 2 GB in all."""
    return os.environ.get("PROVENANCE_MEMORY", "700MB")


def open_engine(
    path: Path, *, writable: bool, wait_s: float, create: bool = False, threads: int | None = None
) -> Engine:
    """Open the file and return an engine on it; the file is held until the engine is disposed of.

    Parameters
    ----------
    threads : threads of the database; None for one a core

    Raises
    ------
    StoreNotFound
        If there is no file and `create` is false.
    NotAStore
        If the file is no DuckDB database.
    StoreBusy
        If another process held the file for longer than `wait_s` seconds.
    """
    if not create and not path.exists():
        raise StoreNotFound(path)
    if path.is_dir():
        raise NotAStore(path, "it is a directory")
    config: dict[str, str | bool | int] = {
        **_LOCKED,
        "memory_limit": memory_limit(),
        "checkpoint_threshold": _CHECKPOINT,
    }
    if threads is not None:
        config["threads"] = threads
    if create:
        config["storage_compatibility_version"] = "v1.5.0"  # without it zstd is silently not used
    engine = create_engine(
        URL.create("duckdb", database=str(path)),
        connect_args={"read_only": not writable, "config": config},
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=8,
    )
    event.listen(engine, "handle_error", _abandon_when_fatal)
    logging.getLogger(_POOL_LOG).addFilter(_is_no_interrupt)
    _hold(engine, path, wait_s=wait_s, create=create)
    return engine


def _hold(engine: Engine, path: Path, *, wait_s: float, create: bool) -> None:
    """Open the file, waiting for others."""
    deadline = time.monotonic() + wait_s
    with _note_while_waiting(path) as note:
        while True:
            before = _identity(path)
            if before is None and not create:  # it went while we waited
                raise StoreNotFound(path)
            try:
                engine.connect().close()
                if before in (None, _identity(path)):
                    return
                engine.dispose()  # it was written anew between the look and the lock: what we hold has no name any more
            except DBAPIError as error:
                engine.dispose()
                holder = holder_of(str(error.orig))
                if holder is None:
                    raise NotAStore(path, _why_no_database(path, str(error.orig))) from error
                if time.monotonic() >= deadline:
                    raise StoreBusy(path, holder, wait_s) from error
                note()
                time.sleep(_POLL_S)


def _abandon_when_fatal(context: ExceptionContext) -> None:
    """Let go of a connection whose database gave up (a full disk met while it merged its log): it cannot roll back."""
    if isinstance(context.original_exception, duckdb.FatalException):
        context.is_disconnect = True


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    """Return whether a report is about anything but Control-C, which the pool both reports and passes on."""
    return record.exc_info is None or not isinstance(record.exc_info[1], KeyboardInterrupt)


def someone_waits(path: Path) -> bool:
    """Return whether a living process other than this one waits for the file."""
    try:
        notes = [note for note in _waiting_folder(path).iterdir() if note.name.isdigit()]
    except OSError:  # there is none, or it went this very moment
        return False
    for note in notes:
        if not is_alive(int(note.name)):
            with suppress(OSError):  # left behind by a process that was killed
                note.unlink()
    return any(int(note.name) != os.getpid() and is_alive(int(note.name)) for note in notes)


def wait_until_served(path: Path, *, at_most_s: float = 2.0) -> None:
    """Return when nobody waits for the file any more, or after `at_most_s` seconds."""
    deadline = time.monotonic() + at_most_s
    while someone_waits(path) and time.monotonic() < deadline:
        time.sleep(_POLL_S / 2)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one that takes its name later, or None where it is not there yet."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _waiting_folder(path: Path) -> Path:
    file = real_file(path)  # whatever name anybody has for it
    return file.with_name(file.name + ".waiting")


@contextmanager
def _note_while_waiting(path: Path) -> Iterator[Callable[[], None]]:
    folder = _waiting_folder(path)
    mine = folder / str(os.getpid())

    def note() -> None:
        # The folder may vanish under our hands when another process stops waiting: then the next try leaves the note.
        # Without a note (a folder that cannot be written) one waits all the same, only that nobody knows.
        with suppress(OSError):
            if not mine.exists():
                folder.mkdir(exist_ok=True)
                mine.touch()

    try:
        yield note
    finally:
        if folder.is_dir():
            with suppress(OSError):  # others still wait
                mine.unlink(missing_ok=True)
                folder.rmdir()


def holder_of(message: str) -> str | None:
    """Return who holds the file according to DuckDB's message, or None where the message is about something else."""
    found = _HOLDER.search(message)
    if found:
        return f"process {found['pid']} ({_command_line(int(found['pid'])) or found['program']})"
    if "already attached" in message:
        return f"this process ({os.getpid()}), which writes it anew"
    if "different configuration" in message:
        return f"this process ({os.getpid()}), which has opened it in another mode"
    return "another process" if "Could not set lock" in message else None


def _command_line(pid: int) -> str | None:
    command = ["ps", "-o", "args=", "-p", str(pid)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (a number)
    except OSError:  # no `ps` here
        return None
    line = " ".join(answer.stdout.split())
    return (line if len(line) <= 120 else line[:117] + "...") or None


def _why_no_database(path: Path, message: str) -> str:
    with suppress(OSError), path.open("rb") as file:
        if file.read(15) == b"SQLite format 3":
            return "it is a SQLite database"
    return first_line(message).removeprefix("IO Error: ").rstrip("!.")


def first_line(message: str) -> str:
    """Return the first line of a message of the database."""
    return message.strip().splitlines()[0] if message.strip() else "the database gave no reason"
