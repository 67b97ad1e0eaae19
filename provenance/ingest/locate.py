"""What an argument stands for: the names of files, from folders, patterns and addresses."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provenance.errors import MissingExtra, NothingToRead, ProvenanceError, UnreadableFile

STANDARD_INPUT = "-"
#: Prefix of the name of a Hugging Face dataset: `datasets:NAME?config=…&split=…`, or a folder that `save_to_disk` made.
DATASET = "datasets:"


class Reported:
    """Turns any failure of a file system into `UnreadableFile`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, ProvenanceError) or not isinstance(error, Exception):
            return
        raise UnreadableFile(self.name, failure(error)) from error


def failure(error: Exception) -> str:
    """Return in a few words why reading failed."""
    if isinstance(error, FileNotFoundError):  # some file systems say the path only
        return "No such file or directory"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (said.strip().splitlines() or [type(error).__name__])[0][:200]


def names_of(argument: str) -> list[str]:
    """Return the names of what an argument stands for, within a pattern or folder by name.

    Raises
    ------
    UnreadableFile
        If a folder cannot be listed.
    NothingToRead
        If a folder is empty or a pattern matches nothing.
    """
    if argument == STANDARD_INPUT or argument.startswith(DATASET):
        return [argument]
    if is_remote(argument):
        found = _remote_files(argument)
    elif os.path.isdir(argument):
        if _is_saved_dataset(Path(argument)):
            return [DATASET + argument]
        found = list(_files_below(argument))
    elif glob.has_magic(argument) and not os.path.lexists(argument):
        found = list(_matching(argument))
    else:
        return [argument]
    if not found:
        raise NothingToRead(argument)
    return sorted(found)


def _is_saved_dataset(folder: Path) -> bool:
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file()
    )


def _files_below(folder: str) -> Iterator[str]:
    for _, _, files in _walk(folder):
        yield from files


def _walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (folder, folders in it, files in it) for a folder and all below it, hidden ones left out.

    Unlike `os.walk`, it follows links, but reads a folder that several links lead to once, and raises where a folder
    cannot be listed.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        with Reported(here):
            found = os.stat(here or os.curdir)
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            folders, files = _listed(here)
        yield here, folders, files
        waiting.extend(reversed(folders))


def _listed(folder: str, pattern: str = "*") -> tuple[list[str], list[str]]:
    """Return the folders and the files in a folder that match, sorted; hidden ones where the pattern names the dot."""
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder or os.curdir) as entries:
        for entry in entries:
            is_hidden = entry.name.startswith(".") and not pattern.startswith(".")
            if not is_hidden and fnmatch.fnmatchcase(entry.name, pattern):
                (folders if _is_folder(entry) else files).append(os.path.join(folder, entry.name))
    return sorted(folders), sorted(files)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: whoever reads it as a file says so
        return False


def _matching(pattern: str) -> dict[str, None]:
    """Return the files that match a pattern, and those below the folders that do."""
    begin = os.sep if pattern.startswith(os.sep) else ""
    steps = [step for step in pattern.split(os.sep) if step] + [""] * pattern.endswith(os.sep)
    found: dict[str, None] = {}
    for match in _matches(begin, steps):
        is_folder = not match or os.path.isdir(match)  # not: where we are
        found.update(dict.fromkeys(_files_below(match) if is_folder else [match]))
    return found


def _matches(folder: str, steps: list[str]) -> Iterator[str]:
    """Yield what matches the steps of a pattern, from `folder` on.

    Unlike `glob`, it raises where a folder cannot be listed, `**` does not run in circles along links, and a step that
    is there under the very name, such as a folder `news[1]`, is no pattern.
    """
    if not any(steps):
        yield folder
        return
    step, rest = steps[0], steps[1:]
    literal = os.path.join(folder, step)
    if not glob.has_magic(step) or os.path.lexists(literal):
        if os.path.lexists(literal) and (not rest or os.path.isdir(literal)):
            yield from _matches(literal, rest)
    elif step == "**":
        for here, _, _ in _walk(folder) if rest else [(folder, [], [])]:
            yield from _matches(here, rest)
    else:
        with Reported(folder):
            folders, files = _listed(folder, step)
        for here in folders if rest else folders + files:
            yield from _matches(here, rest)


def identity(name: str, real_folders: dict[str, str]) -> str:
    """Return what all names of one local file have in common: its path without links.

    Parameters
    ----------
    real_folders : folders that were looked at before; filled
    """
    if name == STANDARD_INPUT or name.startswith(DATASET) or is_remote(name):
        return name
    if os.path.islink(name):
        return os.path.realpath(name)
    folder, file = os.path.split(name)
    if folder not in real_folders:
        real_folders[folder] = os.path.realpath(folder)
    return os.path.join(real_folders[folder], file)


def is_remote(name: str) -> bool:
    """Return whether a name is an address such as `s3://…`."""
    return "://" in name


def _remote_files(name: str) -> list[str]:
    if name.startswith(("http://", "https://")):  # no folders there, and `?` begins a query
        return [name]
    with Reported(name):
        system, path = file_system(name)
        if glob.has_magic(path) and not system.exists(path):
            found = system.glob(path)
        elif system.isdir(path):
            below = len(path.rstrip("/"))
            found = [one for one in system.find(path) if "/." not in one[below:]]  # hidden ones
        else:
            return [name]
        chained = name.partition("::")[1:]  # `zip://*.jsonl::books.zip`
        return sorted("".join((system.unstrip_protocol(one), *chained)) for one in found)


def file_system(name: str) -> tuple[Any, str]:
    """Return the file system that an address names and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra("fsspec", "remote") from error
    system, path = url_to_fs(name)
    return system, str(path)
