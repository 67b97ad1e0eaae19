"""Errors of evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path

from provenance.errors import ProvenanceError, did_you_mean


class UnknownMethod(ProvenanceError, ValueError):
    """A ground on which no claim can be made."""

    def __init__(self, method: str, known: Iterable[str]) -> None:
        self.method = method
        self.known = tuple(known)
        names = ", ".join(map(repr, self.known))
        super().__init__(f"{method!r} is no method.{did_you_mean(method, self.known)} Expected one of: {names}.")


class UnknownGrade(ProvenanceError, ValueError):
    """A word that is no grade of evidence."""

    def __init__(self, grade: str, known: Iterable[str]) -> None:
        self.grade = grade
        self.known = tuple(known)
        super().__init__(
            f"{grade!r} is no grade.{did_you_mean(grade, self.known)} Expected one of: {', '.join(self.known)}."
        )


class GradeOfAnotherMethod(ProvenanceError, ValueError):
    """A grade that a method does not give."""

    def __init__(self, method: str, grade: str, stated: str) -> None:
        self.method = method
        self.grade = grade
        self.stated = stated
        super().__init__(f"The method {method!r} gives grade {grade!r}, not {stated!r}. Leave the grade out, or name "
                         "the method that it rests on.")  # fmt: skip


class ContradictoryEvidence(ProvenanceError, ValueError):
    """Claims or parts of a claim that cannot stand together."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class FromTheFuture(ProvenanceError, ValueError):
    """Something that is said to have happened later than now."""

    def __init__(self, what: str, when: datetime | date, now: datetime) -> None:
        self.what = what
        self.when = when
        self.now = now
        super().__init__(
            f"{what} is in the future: {when}. Expected a time up to now, {now.isoformat(' ', 'seconds')} UTC."
        )


class InvalidStatement(ProvenanceError, ValueError):
    """A claim that cannot be read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class InvalidLine(ProvenanceError, ValueError):
    """A line of a file of claims that cannot be stated, the first of `n_wrong`; nothing of the file was."""

    def __init__(self, file: str, line: int, reason: str, n_wrong: int = 1) -> None:
        self.file = file
        self.line = line
        self.reason = reason
        self.n_wrong = n_wrong
        more = "" if n_wrong == 1 else f" {n_wrong:,} lines are wrong, this is the first."
        super().__init__(f"{file}, line {line}: {reason}{more} Nothing of the file was stated.")


class AlreadyRetracted(ProvenanceError, ValueError):
    """A claim that was taken back before."""

    def __init__(self, claim: str) -> None:
        self.claim = claim
        super().__init__(f"The claim {claim} was taken back already. Nothing was changed.")


class NotRetractable(ProvenanceError, ValueError):
    """A retraction, which cannot itself be taken back."""

    def __init__(self, claim: str) -> None:
        self.claim = claim
        super().__init__(f"{claim} is a retraction, which cannot be taken back. State the claim again instead.")


class NothingToRetract(ProvenanceError, ValueError):
    """No claim that still counts is as described."""

    def __init__(self, choice: Mapping[str, object]) -> None:
        self.choice = dict(choice)
        said = ", ".join(f"{name} {value}" for name, value in self.choice.items())
        super().__init__(f"No claim that still counts has {said}. Nothing was changed.")


class SupportUnreadable(ProvenanceError, OSError):
    """A file that is to support a claim cannot be read, or is too large to be kept."""

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}.")

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}."

    def __reduce__(self) -> tuple[type[SupportUnreadable], tuple[Path | str, str]]:
        return type(self), (self.path, self.reason)


class SignatureRefused(ProvenanceError, ValueError):
    """A signature that does not fit the statement and the key, or a key that cannot be read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason} Nothing was stored.")


class StatementExpired(ProvenanceError, ValueError):
    """A statement that holds no more."""

    def __init__(self, expired_on: date) -> None:
        self.expired_on = expired_on
        super().__init__(f"The statement expired on {expired_on}. Expected one that holds today. Nothing was stored.")
