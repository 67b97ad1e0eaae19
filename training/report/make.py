"""Writes the report: one HTML file that holds everything it shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.store.store import Store
from training.experiment import SHARED_ARM
from training.report.composition import all_parts, read_compositions
from training.report.data import Results, read_results
from training.report.errors import ReportNotWritten
from training.report.headline import Headline, arm_label, headline
from training.report.measures import MEASURES
from training.report.palette import (
    FAINT,
    GRID,
    HUMAN,
    INK,
    SURFACE,
    UNKNOWN,
    Colour,
    arm_styles,
    part_colours,
)
from training.report.plots import ENOUGH_SEEDS, composition_panels, measure_panels
from training.report.samples import SampleText, read_samples
from training.report.settings import read_repeatability
from training.report.summary import SummaryRow, columns, render_text, summarise
from training.report.wording import estimated, percent

if TYPE_CHECKING:
    from jinja2 import Environment

#: Up to so many generations all samples are open; otherwise only those of the first and the last.
OPEN_SAMPLES = 5


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


@dataclass(frozen=True)
class SampleGroup:
    """The samples of one generation, side by side: arm and text."""

    generation: int
    is_open: bool
    cards: tuple[tuple[str, SampleText | None], ...]


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
    page = _render(store, results, rows, said)
    path = out / f"{experiment}.html" if out.is_dir() else out
    _write(path, page)
    return Report(path, experiment, said, rows, render_text(results, rows))


def _render(store: Store, results: Results, rows: Sequence[SummaryRow], said: Headline) -> str:
    compositions = read_compositions(store, results)
    parts = all_parts(compositions)
    styles = arm_styles(results.arms)
    colours = part_colours(parts)
    page = {
        "results": results,
        "headline": said,
        "rows": rows,
        "columns": columns(results),
        "measures": MEASURES,
        "panels": measure_panels(results),
        "enough_seeds": ENOUGH_SEEDS,
        "styles": styles,
        "labels": {arm.name: arm_label(arm) for arm in results.arms} | {SHARED_ARM: "shared by all arms"},
        "compositions": composition_panels(compositions),
        "parts": parts,
        "part_colours": colours,
        "samples": _sample_groups(store, results),
        "repeat": read_repeatability(store, results),
        "light": _variables([*(style.colour for style in styles.values()), *colours.values()], dark=False),
        "dark": _variables([*(style.colour for style in styles.values()), *colours.values()], dark=True),
        "style": _resource("style.css"),
    }
    return _environment().from_string(_resource("template.html")).render(page)


def _environment() -> Environment:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["estimated"] = estimated
    environment.filters["percent"] = percent
    return environment


def _resource(name: str) -> str:
    return files("training.report").joinpath(name).read_text(encoding="utf-8")


def _variables(more: Sequence[Colour], *, dark: bool) -> str:
    """Return the declarations of all colours for a light or a dark page."""
    known = {colour.variable: colour for colour in (INK, FAINT, GRID, SURFACE, HUMAN, UNKNOWN, *more)}
    return "".join(f"--{name}:{each.dark if dark else each.light};" for name, each in known.items())


def _sample_groups(store: Store, results: Results) -> list[SampleGroup]:
    """Return the samples by generation: one text of the shared model, then one of every arm."""
    texts = read_samples(store, results)
    seed = results.seeds[0]
    groups = []
    for generation in results.generations:
        arms = [SHARED_ARM] if (SHARED_ARM, seed, generation) in results.finished else [a.name for a in results.arms]
        runs = [(arm, results.finished.get((arm, seed, generation))) for arm in arms]
        cards = tuple((arm, texts.get(run.model or "")) for arm, run in runs if run is not None)
        if any(text is not None for _, text in cards):
            ends = generation in (results.generations[0], results.last_generation)
            groups.append(SampleGroup(generation, ends or len(results.generations) <= OPEN_SAMPLES, cards))
    return groups


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
