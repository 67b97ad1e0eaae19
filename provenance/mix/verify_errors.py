"""Errors of verifying: nothing to verify, or what is no manifest."""

from __future__ import annotations

from pathlib import Path

from provenance.errors import ProvenanceError


class ManifestOfAnotherStore(ProvenanceError, LookupError):
    """A manifest is to be verified against a store that it was not made in, and that has no set of its name."""

    def __init__(self, name: str, expected: str, found: str) -> None:
        self.name = name
        self.expected = expected
        self.found = found
        super().__init__(
            f"The manifest of {name!r} is of another store ({expected}); this one is {found} and has no training set "
            "of that name. Name the right store with --store, or verify exported files, which needs no store."
        )


class NothingToVerify(ProvenanceError, FileNotFoundError):
    """There is neither a training set nor an exported file or folder of that name."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(
            f"{name}: {reason}. Expected a training set, a manifest, an exported file with FILE.manifest.json beside "
            "it, or an exported folder with a manifest.json in it."
        )


class ManifestUnreadable(ProvenanceError, ValueError):
    """A manifest is missing, no JSON, or no manifest of a training set or of an export."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} is no manifest that can be verified: {reason}. Export the training set again.")
