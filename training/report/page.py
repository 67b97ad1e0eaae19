"""Everything that the page shows, put together for its template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from provenance.store.store import Store
from training.experiment import SHARED_ARM
from training.profile.collapse import PLAIN, collapse_profiles
from training.profile.resampling import Resampler
from training.report.composition import all_parts, read_compositions
from training.report.data import Results
from training.report.distances import all_distances, distance_label, distance_panels, read_distances
from training.report.doses import doses
from training.report.followed import read_followed
from training.report.headline import Headline, arm_label
from training.report.histograms import histogram_panels, read_histograms, shown_generations
from training.report.measures import MEASURES, further_measures
from training.report.palette import (
    FAINT,
    GRID,
    HUMAN,
    INK,
    SURFACE,
    UNKNOWN,
    Colour,
    arm_styles,
    distance_colours,
    generation_colours,
    part_colours,
)
from training.report.plots import ENOUGH_SEEDS, composition_panels, measure_panels
from training.report.profiles import profile_table
from training.report.samples import SampleText, read_samples
from training.report.settings import read_repeatability
from training.report.summary import SummaryRow, columns
from training.report.wording import estimated, percent

if TYPE_CHECKING:
    from jinja2 import Environment

#: Up to so many generations all samples are open; otherwise only those of the first and the last.
OPEN_SAMPLES = 5


@dataclass(frozen=True)
class SampleGroup:
    """The samples of one generation, side by side: arm and text."""

    generation: int
    is_open: bool
    cards: tuple[tuple[str, SampleText | None], ...]


def render(store: Store, results: Results, rows: Sequence[SummaryRow], said: Headline) -> str:
    """Return the page as HTML."""
    styles = arm_styles(results.arms)
    page: dict[str, Any] = {
        "results": results,
        "headline": said,
        "rows": rows,
        "columns": columns(results),
        "measures": MEASURES,
        "enough_seeds": ENOUGH_SEEDS,
        "styles": styles,
        "labels": {arm.name: arm_label(arm) for arm in results.arms} | {SHARED_ARM: "shared by all arms"},
        "profile": profile_table(results, collapse_profiles(results, errors=Resampler(store, results))),
        "doses": doses(results),
        "samples": _sample_groups(store, results),
        "followed": read_followed(store, results),
        "repeat": read_repeatability(store, results),
        "style": _resource("style.css"),
        **_measured(results),
        **_histograms(results),
        **_made_of(store, results),
    }
    colours = [style.colour for style in styles.values()]
    colours += [
        each for key in ("part_colours", "distance_colours", "histogram_colours") for each in page[key].values()
    ]
    colours += [colour for _, colour in page["doses"].keys] if page["doses"] else []
    page |= {
        "light": _variables(colours, dark=False),
        "dark": _variables(colours, dark=True),
        "style": _resource("style.css"),
    }
    return _environment().get_template("template.html").render(page)


def _measured(results: Results) -> dict[str, Any]:
    plain = all(arm.decoding == PLAIN for arm in results.arms)
    further = further_measures(plain=plain)
    return {"panels": measure_panels(results), "further_panels": measure_panels(results, further)}


def _histograms(results: Results) -> dict[str, Any]:
    histograms = read_histograms(results)
    colours = generation_colours(shown_generations(histograms))
    return {"histograms": histogram_panels(histograms, colours), "histogram_colours": colours}


def _made_of(store: Store, results: Results) -> dict[str, Any]:
    compositions, distances = read_compositions(store, results), read_distances(store, results)
    parts, places = all_parts(compositions), all_distances(distances)
    ancestry = distance_colours(places)
    return {
        "compositions": composition_panels(compositions),
        "parts": parts,
        "part_colours": part_colours(parts),
        "distances": distance_panels(distances, ancestry) if max(places, default=0) > 1 else [],
        "distance_colours": ancestry,
        "distance_label": distance_label,
    }


def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_resource),
    )
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
