"""Errors of importing described datasets."""

from __future__ import annotations

from collections.abc import Iterable

from provenance.errors import ProvenanceError


class NotADescription(ProvenanceError, ValueError):
    """A file is neither a Croissant file nor a dataset card, or describes nothing that can be read."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        self.reason = reason
        super().__init__(f"{file}: {reason}")


class ChoiceNeeded(ProvenanceError, LookupError):
    """A description leaves several possibilities, or the one that was named is not among them."""

    def __init__(self, file: str, problem: str, option: str, choices: Iterable[str]) -> None:
        self.file = file
        self.problem = problem
        self.option = option
        self.choices = tuple(choices)
        shown = ", ".join(self.choices[:20]) + (", …" if len(self.choices) > 20 else "")
        super().__init__(f"{file}: {problem}. Name one with {option}: {shown or 'there is none'}.")


class NotReadable(ProvenanceError, ValueError):
    """The records of a description lie where, or in a way that, this program does not read."""

    def __init__(self, file: str, part: str, problem: str) -> None:
        self.file = file
        self.part = part
        self.problem = problem
        super().__init__(f"{file}: {part} {problem}.")


class DigestMismatch(ProvenanceError, ValueError):
    """A file is not the one that its description was written for."""

    def __init__(self, file: str, kind: str, expected: str, found: str) -> None:
        self.file = file
        self.kind = kind
        self.expected = expected
        self.found = found
        super().__init__(
            f"{file} is not the file that was described: {kind} {found}, expected {expected}. Nothing was read; get "
            "the file again, or a description of this one."
        )
