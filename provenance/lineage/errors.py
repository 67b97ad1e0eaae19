"""Errors of lineage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provenance.errors import ProvenanceError

#: Steps that are told at both ends of a circle; the attribute has all.
_SHOWN = 9


class LineageCycle(ProvenanceError, ValueError):
    """Something would stand among its own ancestors."""

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__(steps)
        self.steps = tuple(steps)

    def __str__(self) -> str:
        steps = list(self.steps)
        if len(steps) > 2 * _SHOWN:
            steps[_SHOWN:-_SHOWN] = [f"({len(steps) - 2 * _SHOWN:,} more)"]
        return (
            f"A circle in the lineage: {' -> '.join(steps)}. What closes it was not stored. Nothing can come from "
            "itself: take back the claim or correct the parent that closes the circle."
        )


class AmbiguousSubject(ProvenanceError, ValueError):
    """Several things of different kinds have the same name."""

    def __init__(self, name: str, kinds: Sequence[str]) -> None:
        super().__init__(name, kinds)
        self.name = name
        self.kinds = tuple(kinds)

    def __str__(self) -> str:
        return f"{self.name!r} is the name of a {' and a '.join(self.kinds)}. Say which: --kind {self.kinds[0]}"


class PictureNotDrawn(ProvenanceError, OSError):
    """A picture of a lineage could not be made."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}."
