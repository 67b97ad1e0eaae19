"""Writes the report: one HTML file that holds everything it shows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from provenance.store.store import Store
from training.report.data import read_results
from training.report.errors import ReportNotWritten
from training.report.headline import Headline, headline
from training.report.page import render
from training.report.summary import SummaryRow, render_text, summarise


@dataclass(frozen=True)
class Report:
    """What was written, and what it says in short.

    Attributes
    ----------
    path : the HTML file
    headline : the result in sentences
    rows : the summary table
    summary : the same as plain text
    """

    path: Path
    experiment: str
    headline: Headline
    rows: tuple[SummaryRow, ...]
    summary: str


def write_report(store: Store, experiment: str, out: Path) -> Report:
    """Write the report of an experiment, from the store alone; the same store gives the same file byte for byte.

    Parameters
    ----------
    out : the file to write, or a folder, which gets a file named after the experiment

    Raises
    ------
    UnknownExperiment
        If the store has no runs of it.
    NothingToReport
        If no generation after 0 is finished.
    ReportNotWritten
        If the file cannot be written.
    """
    results = read_results(store, experiment)
    rows = summarise(results)
    said = headline(results)
    page = render(store, results, rows, said)
    path = out / f"{experiment}.html" if out.is_dir() else out
    _write(path, page)
    return Report(path, experiment, said, rows, render_text(results, rows))


def _write(path: Path, page: str) -> None:
    """Write the page under another name first, so that a kill or a full disk leaves no half page."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True) if draft.parent.is_dir() else None
        raise ReportNotWritten(path, error.strerror or str(error)) from error
