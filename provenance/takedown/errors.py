"""Errors of taking documents down, and of repairing training sets after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from provenance.errors import ProvenanceError


class CopiesRemain(ProvenanceError, ValueError):
    """The text of documents that are to be erased stands in documents that nobody asked to erase."""

    def __init__(self, n_documents: int, sources: Mapping[str, int]) -> None:
        self.n_documents = n_documents
        self.sources = dict(sources)
        named = ", ".join(f"{name} ({n:,})" for name, n in self.sources.items())
        super().__init__(
            f"Nothing was erased: {n_documents:,} more documents have the very same text, by source: {named}. "
            "Erase those too, and the near-copies, with --with-copies; or keep them, and so the text, with "
            "--keep-copies."
        )


class NothingToErase(ProvenanceError, LookupError):
    """A source that has neither documents nor refused records left."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = tuple(sources)
        super().__init__(f"Nothing is left to erase of {', '.join(self.sources)}: no document and no refused record.")


class ConfirmCount(ProvenanceError, ValueError):
    """So much is to be erased that its exact number is asked for, or the number given is another one."""

    def __init__(self, n_documents: int, n_store: int, given: int | None, *, takes_all: bool = False) -> None:
        self.n_documents = n_documents
        self.n_store = n_store
        self.given = given
        self.takes_all = takes_all
        every = ", every one that has an address" if takes_all else ""
        told = "" if given is None else f", not {given:,}"
        super().__init__(
            f"Nothing was erased: this erases {n_documents:,} of the {n_store:,} documents of the store{every}{told}. "
            f"If that is meant: --yes-all {n_documents}"
        )


class ReasonMissing(ProvenanceError, ValueError):
    """A takedown without a reason."""

    def __init__(self) -> None:
        super().__init__("Nothing was erased: say why with --reason TEXT; it stays in the store.")


class ReasonTells(ProvenanceError, ValueError):
    """The reason, which stays in the store, holds the very words that are to leave it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(
            f"Nothing was erased: the reason holds the {kind} that is to be erased, and the reason stays in the store. "
            "Refer to it in other words, such as the number of the request."
        )


class NotRewritten(ProvenanceError, OSError):
    """Documents were erased, but the file could not be written anew: it may still hold their bytes."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(
            f"The documents are erased, but {path} could not be written anew and may still hold their bytes: {cause} "
            "Finish it with: provenance takedown --finish"
        )


class NothingToRepair(ProvenanceError, ValueError):
    """A training set whose documents are all there is to be repaired."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"No document of the training set {name!r} was taken down: there is nothing to repair.")
