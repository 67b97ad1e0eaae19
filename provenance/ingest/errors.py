"""Errors of taking documents and runs back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from provenance.errors import ProvenanceError


class DocumentsInUse(ProvenanceError, ValueError):
    """Documents that were to go are drawn in training sets."""

    def __init__(self, n_documents: int, training_sets: Mapping[str, int]) -> None:
        self.n_documents = n_documents
        self.training_sets = dict(training_sets)
        sets = ", ".join(f"{name} ({n:,})" for name, n in self.training_sets.items())
        super().__init__(
            f"Refused, nothing was changed: {n_documents:,} of these documents stand in training sets: {sets}. "
            "A training set keeps every document that it drew."
        )


class DocumentsAreParents(ProvenanceError, ValueError):
    """Documents that were to go are those from which documents that stay were made."""

    def __init__(self, n_documents: int, children: Mapping[str, int]) -> None:
        self.n_documents = n_documents
        self.children = dict(children)
        sources = ", ".join(f"{name} ({n:,})" for name, n in self.children.items())
        super().__init__(
            f"Refused, nothing was changed: from {n_documents:,} of these documents others were made, "
            f"in the sources: {sources}. Take those back first."
        )


class AmbiguousRun(ProvenanceError, LookupError):
    """The beginning of an id that several ingest runs have."""

    def __init__(self, prefix: str, runs: Iterable[str]) -> None:
        self.prefix = prefix
        self.runs = tuple(runs)
        super().__init__(f"{prefix!r} is the beginning of several runs: {', '.join(self.runs)}. Give more of the id.")


class AlreadyUndone(ProvenanceError, ValueError):
    """An ingest run that was to be undone has been undone."""

    def __init__(self, run: str, source: str) -> None:
        self.run = run
        self.source = source
        super().__init__(f"The run {run} of source {source!r} is already undone.")


class RunTakenBack(ProvenanceError, RuntimeError):
    """An ingest run was undone while it was going on."""

    def __init__(self, run: str, source: str) -> None:
        self.run = run
        self.source = source
        super().__init__(
            f"The run {run} of source {source!r} was undone while it was going on; it ends here. "
            "What it brought is gone: run the same command again to begin anew."
        )


class TakenDownMeanwhile(ProvenanceError, RuntimeError):
    """Documents that an ingest run was about to enter were taken down while it was going on."""

    def __init__(self, run: str, source: str) -> None:
        self.run = run
        self.source = source
        super().__init__(
            f"The run {run} of source {source!r} ends here: documents that it was about to enter were taken down "
            "meanwhile. Run the same command again: it goes on, and refuses them."
        )
