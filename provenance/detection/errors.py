"""Errors of detectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from provenance.errors import ProvenanceError, did_you_mean


class TooFewKnown(ProvenanceError, ValueError):
    """The store does not hold enough documents of known origin to train a detector on."""

    def __init__(self, n_human: int, n_synthetic: int, n_needed: int, min_rank: int) -> None:
        self.n_human = n_human
        self.n_synthetic = n_synthetic
        self.n_needed = n_needed
        self.min_rank = min_rank
        wanting = [name for name, n in (("human", n_human), ("synthetic", n_synthetic)) if n < n_needed]
        super().__init__(
            f"Too few texts of known origin (evidence of rank {min_rank} or more, one of every cluster): {n_human:,} "
            f"human and {n_synthetic:,} synthetic; expected {n_needed:,} of each. Ingest more {' and '.join(wanting)} "
            "text" + (", or take weaker evidence with a lower --min-rank." if min_rank > 1 else ".")
        )


class UnknownDetector(ProvenanceError, LookupError):
    """No detector of that name, or no such version of it, is in the store."""

    def __init__(self, name: str, version: str | None, known: Iterable[tuple[str, str]]) -> None:
        self.name = name
        self.version = version
        self.known = tuple(known)
        versions = [v for n, v in self.known if n == name]
        if versions:
            message = f"Detector {name!r} has no version {version!r}, but: {', '.join(versions)}."
        else:
            message = f"There is no detector {name!r}.{did_you_mean(name, {n for n, _ in self.known})}"
            message += f" Train one with: provenance detector train {name}"
        super().__init__(message)


class InvalidDetectorName(ProvenanceError, ValueError):
    """What was to name a detector cannot."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name!r} cannot name a detector: expected 1 to 100 letters, digits, dots, hyphens and underscores, the "
            "first a letter or digit."
        )


class NotADetector(ProvenanceError, TypeError):
    """What a plug-in names cannot be loaded, or is no detector."""

    def __init__(self, plugin: str, reason: str, known: Iterable[str] = ()) -> None:
        self.plugin = plugin
        self.reason = reason
        self.known = tuple(known)
        super().__init__(
            f"Plug-in {plugin!r}: {reason}.{did_you_mean(plugin, self.known)} Expected module:attribute, or the name "
            "of an entry point of the group provenance.detectors, that gives an object with name, version, threshold, "
            "calibration and score(texts)."
        )


class DetectorChanged(ProvenanceError, ValueError):
    """A detector was used before under the same name and version, but was another."""

    def __init__(self, name: str, version: str, what: str, stored: object, given: object) -> None:
        self.name = name
        self.version = version
        self.what = what
        self.stored = stored
        self.given = given
        super().__init__(
            f"Detector {name}@{version} is in the store with {what} {stored!r}, not {given!r}. "
            "A version never changes: give the new one another version."
        )


class DetectorDamaged(ProvenanceError, ValueError):
    """The stored weights of a detector cannot be read, or are not those that were trained."""

    def __init__(self, name: str, version: str, reason: str) -> None:
        self.name = name
        self.version = version
        self.reason = reason
        super().__init__(f"Detector {name}@{version} is damaged ({reason}). Train it anew under another name.")


class DetectorHasNoReport(ProvenanceError, ValueError):
    """A plug-in was not trained here, so that there is nothing to draw."""

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        super().__init__(
            f"Detector {name}@{version} is a plug-in: it was not trained here, and no curve of it is known. "
            "Leave --plot out."
        )


class DetectorFailed(ProvenanceError, RuntimeError):
    """A detector failed on some texts; they are left without a claim, all others were dealt with."""

    def __init__(self, report: Mapping[str, Any], *, stopped: bool) -> None:
        self.report = dict(report)
        self.stopped = stopped
        self.failures: dict[str, str] = dict(report["failures"])
        document, reason = next(iter(self.failures.items()))
        more = f" and {len(self.failures) - 1:,} more" if len(self.failures) > 1 else ""
        left = (
            "It was stopped there (--max-failures); what was scored before is stored"
            if stopped
            else "They have no claim; all others were dealt with"
        )
        super().__init__(
            f"Detector {report['detector']} failed on {len(self.failures):,} texts, {report['n_scored']:,} were "
            f"scored: document {document} ({reason}){more}. {left}. Mend it and run the same command again."
        )
