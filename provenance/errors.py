"""Errors of the database: one tree, one clear sentence each.

Every error takes facts, keeps them as attributes and builds its message from them. The command line turns any
`ProvenanceError` into one line on standard error and exit status 1; everything else is a bug and shows a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


class ProvenanceError(Exception):
    """Root of all errors that this project raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are rebuilt from `args`, which hold the message here, not the facts: rebuild from the attributes.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[ProvenanceError], args: tuple[Any, ...], facts: dict[str, Any]) -> ProvenanceError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` most resembles, or None when none comes close."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence that names the nearest known word, with a space before it, or nothing."""
    close = nearest(word, known)
    return f" Did you mean {close!r}?" if close else ""


class StoreNotFound(ProvenanceError, FileNotFoundError):
    """There is no store at the given path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"There is no store at {path}. Make one with: provenance --store {path} init")


class StoreExists(ProvenanceError, FileExistsError):
    """A store was to be made where a file is already."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"{path} exists already, nothing was changed. Choose another --store or remove the file first."
        )


class NotAStore(ProvenanceError, ValueError):
    """The file is no DuckDB database, or a database without our tables."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} is not a provenance store: {reason}. Name the right file with --store.")


class StoreRevisionMismatch(ProvenanceError, RuntimeError):
    """The store's schema revision differs from the one that this version of the program works with."""

    def __init__(self, path: Path, found: str, expected: str, *, newer: bool) -> None:
        self.path = path
        self.found = found
        self.expected = expected
        self.newer = newer
        remedy = (
            "It was written by a newer version: upgrade corpus-provenance to open it."
            if newer
            else f"Upgrade the store with: provenance --store {path} migrate"
        )
        super().__init__(f"{path} has schema revision {found}, this program works with {expected}. {remedy}")


class StoreBusy(ProvenanceError, TimeoutError):
    """Another process holds the store's file."""

    def __init__(self, path: Path, holder: str, waited_s: float) -> None:
        self.path = path
        self.holder = holder
        self.waited_s = waited_s
        super().__init__(
            f"{path} is held by {holder}; gave up after {waited_s:.0f} s. "
            "Try again when it has ended, or wait longer with --wait SECONDS."
        )


class StoreNotMade(ProvenanceError, OSError):
    """A new store's file could not be written."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(f"No store could be made at {path}: {cause}. Choose another place with --store.")


class StoreDamaged(ProvenanceError, OSError):
    """The database cannot read its own file: blocks are damaged or missing, or the device fails."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(f"Reading {path} failed: {cause}. Look at the disk, or put a backup in its place.")


class StoreReadOnly(ProvenanceError, PermissionError):
    """Something was to be written through a store that was opened for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} was opened for reading. Open it with Store.open(path, writable=True) to write.")


class StoreWriteFailed(ProvenanceError, OSError):
    """The database could not write (full disk, file size limit, lost device); the transaction was rolled back."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(
            f"Writing {path} failed and was rolled back: {cause}. "
            "Everything committed before is safe; mend the cause and run the same command again."
        )


class BackupFailed(ProvenanceError, OSError):
    """A store could not be copied; nothing was left behind."""

    def __init__(self, target: Path, cause: str) -> None:
        self.target = target
        self.cause = cause
        super().__init__(f"No backup was made at {target}: {cause}. Choose another name, or mend the cause.")


class CompactFailed(ProvenanceError, OSError):
    """A store could not be written anew; it is as it was."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(f"{path} could not be written anew and is as it was: {cause}.")


class QueryRefused(ProvenanceError, ValueError):
    """The SQL is not one reading query."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"Refused: {reason}. Expected one query: SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN."
        )


class QueryFailed(ProvenanceError, ValueError):
    """The query is well formed in kind but the database reports an error."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(f"The query failed: {cause}")


class InvalidLicence(ProvenanceError, ValueError):
    """A licence that was to be valid is no SPDX expression."""

    def __init__(self, licence: str, reason: str) -> None:
        self.licence = licence
        self.reason = reason
        super().__init__(
            f"{reason} Expected an SPDX expression such as CC-BY-4.0 or 'MIT OR Apache-2.0'; "
            "LicenseRef-NAME is for a licence of your own."
        )


class UnknownSource(ProvenanceError, LookupError):
    """The named source is not in the store and nothing says how to make it."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(
            f"There is no source {name!r}.{did_you_mean(name, self.known)} "
            f"Give --origin to make it on the fly, or run: provenance source add {name} --origin ORIGIN"
        )


class SourceExists(ProvenanceError, ValueError):
    """A source of that name exists with other properties."""

    def __init__(self, name: str, field: str, stored: object, given: object) -> None:
        self.name = name
        self.field = field
        self.stored = stored
        self.given = given
        super().__init__(
            f"Source {name!r} exists with {field} {stored!r}, not {given!r}. "
            "A source keeps what it was declared with: choose another name."
        )


class UnknownOrigin(ProvenanceError, ValueError):
    """A word that is none of the four origins."""

    def __init__(self, word: str) -> None:
        self.word = word
        known = ("human", "synthetic", "mixed", "unknown")
        super().__init__(f"{word!r} is no origin.{did_you_mean(word, known)} Expected one of: {', '.join(known)}.")


class ContradictoryClaim(ProvenanceError, ValueError):
    """Origin, generation and model do not fit each other."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason}. Human text has generation 0 and no model, a model's output 1 or more, "
            "text of unknown origin no generation."
        )


class FieldMissing(ProvenanceError, LookupError):
    """A file lacks the column that holds the text."""

    def __init__(self, file: str, field: str, fields: Iterable[str]) -> None:
        self.file = file
        self.field = field
        self.fields = tuple(fields)
        super().__init__(
            f"{file} has no field {field!r}. It has: {', '.join(self.fields)}. "
            "Name the right one with --text-field (or the option of what it holds), or in the file of --mapping."
        )


class MappingError(ProvenanceError, ValueError):
    """What names the fields of records is no such thing, or names one field for two purposes."""

    def __init__(self, reason: str, file: Path | None = None) -> None:
        self.reason = reason
        self.file = file
        super().__init__(f"{file or 'Mapping'}: {reason}")


class UnreadableFile(ProvenanceError, OSError):
    """An input file is missing, of an unknown format, damaged, or vanished while it was read."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        self.reason = reason
        super().__init__(
            f"{file}: {reason}. What was read before is stored; mend the file and run the same command again."
        )


class MissingExtra(ProvenanceError, ImportError):
    """An optional package is needed and not installed."""

    def __init__(self, library: str, extra: str) -> None:
        self.library = library
        self.extra = extra
        super().__init__(f"This needs {library}: pip install 'corpus-provenance[{extra}]'")


class TooManyQuarantined(ProvenanceError, ValueError):
    """So many records would be quarantined that the ingest stopped."""

    def __init__(self, n_quarantined: int, n_read: int, limit: float, reasons: Mapping[str, int]) -> None:
        self.n_quarantined = n_quarantined
        self.n_read = n_read
        self.limit = limit
        self.reasons = dict(reasons)
        why = ", ".join(f"{reason} {n:,}" for reason, n in sorted(self.reasons.items(), key=lambda item: -item[1]))
        super().__init__(
            f"Stopped: {n_quarantined:,} of the first {n_read:,} records would be quarantined ({why}), more than "
            f"{limit:.3%}. Nothing of the last batch was stored. Look at the first records with --dry-run; name the "
            "fields with --text-field and the like, or allow more with --max-quarantined."
        )


class NothingToRead(ProvenanceError, FileNotFoundError):
    """A folder or pattern that stands for no file."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name} stands for no file. Expected a file, a folder with files, or a pattern that matches.")


class UnknownFormat(ProvenanceError, ValueError):
    """No reader takes this file."""

    def __init__(self, file: str, formats: Iterable[str]) -> None:
        self.file = file
        self.formats = tuple(formats)
        super().__init__(
            f"{file}: no reader knows this kind of file. Readable are: {', '.join(self.formats)}. "
            "Name the format with --format where the name of the file does not tell."
        )


class UnknownName(ProvenanceError, LookupError):
    """A named thing (training set, model, tokenizer, cluster, ...) is not in the store."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = (), *, hint: str = "") -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        super().__init__(f"There is no {kind} {name!r}.{did_you_mean(name, self.known)}{' ' + hint if hint else ''}")


class AmbiguousId(UnknownName):
    """The beginning of an id that several have."""

    def __init__(self, kind: str, name: str, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        some = ", ".join(self.ids[:3]) + (", ..." if len(self.ids) > 3 else "")
        super().__init__(f"single {kind}", name, hint=f"Several begin so: {some}. Give more digits.")


class WasTakenDown(UnknownName):
    """A document that was erased by a takedown."""

    def __init__(self, kind: str, name: str, taken_down_at: datetime) -> None:
        self.taken_down_at = taken_down_at
        super().__init__(kind, name, hint=f"It was taken down on {taken_down_at:%Y-%m-%d}: see the view taken_down.")


class NameTaken(ProvenanceError, ValueError):
    """A named thing exists already with another content."""

    def __init__(self, kind: str, name: str, difference: str) -> None:
        self.kind = kind
        self.name = name
        self.difference = difference
        super().__init__(f"The {kind} {name!r} exists already and {difference}. It is immutable: choose another name.")


class InvalidParameters(ProvenanceError, ValueError):
    """Deduplication parameters that cannot work together."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Deduplication parameters: {reason}.")
