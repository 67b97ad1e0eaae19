"""Errors of the report, part of the one tree under `ProvenanceError`."""

from __future__ import annotations

from pathlib import Path

from provenance.errors import ProvenanceError


class NothingToReport(ProvenanceError, ValueError):
    """The experiment has runs, but no arm has finished a generation that could be compared with generation 0."""

    def __init__(self, experiment: str, n_begun: int) -> None:
        self.experiment = experiment
        self.n_begun = n_begun
        begun = "one generation was begun" if n_begun == 1 else f"{n_begun} generations were begun"
        super().__init__(
            f"Experiment {experiment!r} has nothing to report yet: {begun}, and none after generation 0 is finished. "
            "Let it go on with: recurse run EXPERIMENT.yaml"
        )


class ReportNotWritten(ProvenanceError, OSError):
    """The page could not be written."""

    def __init__(self, path: Path, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(
            f"The report cannot be written to {path}: {cause}. The store is unchanged; choose another --out."
        )
