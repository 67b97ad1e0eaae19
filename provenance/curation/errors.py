"""Errors of curation. Whatever is raised, nothing was written."""

from __future__ import annotations

from datetime import datetime

from provenance.errors import ProvenanceError


class NotATerminal(ProvenanceError, OSError):
    """Judging one by one needs somebody who looks and presses keys."""

    def __init__(self) -> None:
        super().__init__(
            "Judging one by one needs a terminal. Write the queue to a file with: provenance curate --export FILE "
            "(and take the judgements in with: provenance curate --import FILE)"
        )


class InvalidJudge(ProvenanceError, ValueError):
    """What was to name a judge is empty, too long or has more than one line."""

    def __init__(self, judge: str) -> None:
        self.judge = judge
        super().__init__(f"{judge[:40]!r} names no judge: expected one line of 1 to 200 characters. Give --judge NAME.")


class DocumentGone(ProvenanceError, LookupError):
    """A document was removed from the store while somebody looked at it."""

    def __init__(self, document: str) -> None:
        self.document = document
        super().__init__(f"Document {document} is no longer in the store.")


class JudgedMeanwhile(ProvenanceError, ValueError):
    """Somebody else judged a document first."""

    def __init__(self, document: str, judge: str, origin: str, when: datetime) -> None:
        self.document = document
        self.judge = judge
        self.origin = origin
        self.when = when
        said = "cannot tell" if origin == "unknown" else origin
        super().__init__(f"Document {document} was judged {said} by {judge} on {when:%Y-%m-%d %H:%M} UTC.")


class NothingToUndo(ProvenanceError, LookupError):
    """The last judgement was taken back already."""

    def __init__(self, document: str) -> None:
        self.document = document
        super().__init__(f"The judgement of document {document} was taken back already.")


class JudgementRefused(ProvenanceError, ValueError):
    """A line of a file with judgements cannot be taken; nothing of the file was."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        self.file = file
        self.line = line
        self.reason = reason
        super().__init__(f"{file}, line {line}: {reason} Nothing was written.")


class JudgementsUnreadable(ProvenanceError, OSError):
    """A file with judgements cannot be read, written, or told the format of."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        self.reason = reason
        super().__init__(f"{file}: {reason} Nothing was written.")
