"""Errors of the search for laundered text."""

from __future__ import annotations

from provenance.errors import ProvenanceError


class NothingToCompare(ProvenanceError, ValueError):
    """A model's texts cannot be compared with what it was trained on."""

    def __init__(self, model: str, reason: str) -> None:
        self.model = model
        self.reason = reason
        super().__init__(f"Memorisation of {model!r} cannot be measured: {reason}.")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.model, self.reason)
