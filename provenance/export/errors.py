"""Errors of reading exports for training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from provenance.errors import ProvenanceError


class PositionUnknown(ProvenanceError, RuntimeError):
    """A stream was read by worker processes that do not say how far they came."""

    def __init__(self) -> None:
        super().__init__(
            "This stream was read by the workers of another DataLoader, so nobody knows how much of it was used. Read "
            "it with stream.loader(num_workers=...), which counts what it gives."
        )


class PositionInvalid(ProvenanceError, ValueError):
    """What a stream was to go on from is no state of a stream."""

    def __init__(self, position: Any) -> None:
        self.position = position
        super().__init__(
            f"{position!r} is no position: expected what state_dict() returned, a number of samples under 'position'."
        )


class SinglesNotSupported(ProvenanceError, RuntimeError):
    """Workers of a caller's own DataLoader would put single samples into another order."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"Single samples of {name} lose their order in a DataLoader with workers, which makes batches in each of "
            "them. Use num_workers=0, or name a batch_size here and give the DataLoader batch_size=None."
        )


class NotValid(ProvenanceError, ValueError):
    """The tool of a format cannot read a description, or finds something wrong with it."""

    def __init__(self, file: str, tool: str, problems: Iterable[str]) -> None:
        self.file = file
        self.tool = tool
        self.problems = tuple(problems)
        shown = " ".join(" ".join(self.problems).split())[:500]
        super().__init__(f"{file} is not valid, {tool} says: {shown}")
