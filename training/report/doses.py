"""Dose and response as figures and a table: what is lost at which share of generated text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.profile.dose import Curve, dose_curves, needed_shares, response
from training.report.data import Results
from training.report.measures import MEASURES, Measure
from training.report.palette import Colour, curve_colours
from training.report.plots import FROM_ZERO, SIZE
from training.report.svg import Ink, figure, inline_svg
from training.report.wording import NONE, estimated, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class NeededRow:
    """One measure of one curve: the smallest human share for each distance, as text: `0.10: 50 %`."""

    curve: str
    measure: Measure
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Doses:
    """What the section shows.

    Attributes
    ----------
    keys : name and colour of every curve
    panels : measure and figure
    """

    keys: tuple[tuple[str, Colour], ...]
    panels: tuple[tuple[Measure, str], ...]
    needed: tuple[NeededRow, ...]


def doses(results: Results) -> Doses | None:
    """Return the curves of an experiment; None where its arms do not differ by their share alone."""
    curves = dose_curves(results)
    if not curves:
        return None
    names = [_name(curve, curves) for curve in curves]
    keys = tuple(zip(names, curve_colours(len(curves)), strict=True))
    panels = tuple((m, _panel(results, m, curves, keys)) for m in MEASURES if _measured(results, m, curves))
    needed = [
        NeededRow(name, each.measure, tuple(_cell(each.measure, *cell) for cell in each.shares.items()))
        for name, curve in zip(names, curves, strict=True)
        for each in needed_shares(results, curve)
    ]
    return Doses(keys, panels, tuple(needed))


def _name(curve: Curve, curves: Sequence[Curve]) -> str:
    """Return what sets a curve apart from the others."""
    parts = []
    if len({each.human for each in curves}) > 1:
        parts.append(f"{curve.human} human text")
    if len({each.decoding for each in curves}) > 1:
        parts.append(curve.decoding or "decoding not known")
    return ", ".join(parts) or f"{curve.human} human text"


def _measured(results: Results, measure: Measure, curves: Sequence[Curve]) -> bool:
    return any(response(results, measure, dose) is not None for curve in curves for dose in curve.doses)


def _cell(measure: Measure, distance: float, share: float | None) -> str:
    return f"{number(distance, measure.digits)}: {percent(share) if share is not None else NONE}"


def _panel(results: Results, measure: Measure, curves: Sequence[Curve], keys: Sequence[tuple[str, Colour]]) -> str:
    with figure(*SIZE) as (drawn, ink):
        axes = drawn.add_subplot()
        said = []
        for curve, (name, colour), marker in zip(curves, keys, _markers(len(curves)), strict=True):
            said.append(f"{name}: {_draw(axes, ink, results, measure, curve, colour, marker)}")
        axes.set_xlim(-4, 104)
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.set_xlabel("% generated text in the training sets")
        axes.set_ylabel(measure.unit)
        low, high = axes.get_ylim()
        if measure.damage < 0 and low < FROM_ZERO * high:
            axes.set_ylim(bottom=0)
        if measure.digits == 0:
            axes.yaxis.set_major_formatter(lambda value, _: number(value, 0))
        axes.yaxis.grid(visible=True, linewidth=0.8)
        label = f"{measure.title}, {measure.unit}, by the share of generated text. " + "; ".join(said)
        return inline_svg(drawn, ink, name=f"dose-{measure.metric}", label=label)


def _markers(n: int) -> list[str]:
    return [("o", "s", "D", "^", "v", "P", "<")[at % 7] for at in range(n)]


def _draw(axes: Axes, ink: Ink, results: Results, measure: Measure, curve: Curve, colour: Colour, marker: str) -> str:
    """Draw one curve and return what it says."""
    found = [(dose, response(results, measure, dose)) for dose in curve.doses]
    known = [(100 * (1 - dose.share), value) for dose, value in found if value is not None]
    known.sort(key=lambda point: point[0])
    at, means = [share for share, _ in known], [value.mean for _, value in known]
    look: dict[str, Any] = {"color": ink(colour), "marker": marker, "capsize": 3, "elinewidth": 1.2}
    axes.errorbar(at, means, yerr=[value.half_width or 0.0 for _, value in known], **look)
    return ", ".join(f"{estimated(value, measure.digits)} at {number(share, 0)} %" for share, value in known)
