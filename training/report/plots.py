"""The figures: one panel per measure with a line per arm, and one panel per arm with what it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from training.report.composition import Composition, Part, all_parts
from training.report.data import Arm, Results
from training.report.measures import MEASURES, Measure
from training.report.palette import SURFACE, ArmStyle, arm_styles, part_colours
from training.report.svg import Ink, figure, inline_svg
from training.report.wording import compact, estimated, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Sizes of panels in inches: so that letters are about as large as those around, on a phone and on a screen.
SIZE, COMPOSITION_SIZE = (4.2, 2.7), (3.5, 2.5)
#: An amount that falls below so much of its largest value is shown from zero on; where it hardly moves that hides all.
FROM_ZERO = 0.7
#: From this many seeds on intervals are drawn; that of two seeds is so wide that it would hide everything else.
ENOUGH_SEEDS = 3


def measure_panels(results: Results, measures: Sequence[Measure] = MEASURES) -> list[tuple[Measure, str]]:
    """Return a panel for every measure that has values: the measure and its SVG."""
    limits = _limits(results, measures)
    styles = arm_styles(results.arms)
    return [
        (measure, _measure_panel(results, measure, styles, limits[measure.panel]))
        for measure in measures
        if _seen(results, measure)
    ]


def composition_panels(compositions: Sequence[Composition]) -> list[tuple[Composition, str]]:
    """Return a panel for every arm: what its training sets were made of, generation by generation."""
    parts = all_parts(compositions)
    return [(each, _composition_panel(each, parts, at)) for at, each in enumerate(compositions)]


def _seen(results: Results, measure: Measure) -> list[float]:
    """Return all values that a panel must have room for."""
    found = []
    for arm in results.arms:
        for generation in results.generations:
            found += results.values(measure.metric, arm.name, generation)
            mean = results.mean(measure.metric, arm.name, generation)
            if mean is not None and mean.n >= ENOUGH_SEEDS:
                found += [mean.low, mean.high]
    return found


def _limits(results: Results, measures: Sequence[Measure]) -> dict[str, tuple[float, float]]:
    """Return the range of every axis; measures of the same kind share theirs, so that panels can be compared."""
    limits = {}
    for name in dict.fromkeys(measure.panel for measure in measures):
        seen = [value for measure in measures if measure.panel == name for value in _seen(results, measure)]
        if seen:
            low, high = min(seen), max(seen)
            if name in ("entropy", "vocabulary") and low < FROM_ZERO * high:  # half as high is half as much
                low = 0.0
            room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
            limits[name] = (low - room if low else 0.0, high + room)
    return limits


def _measure_panel(results: Results, measure: Measure, styles: dict[str, ArmStyle], limits: tuple[float, float]) -> str:
    with figure(*SIZE) as (drawn, ink):
        axes = drawn.add_subplot()
        axes.set_ylim(*limits)
        for arm in results.arms:
            _draw_arm(axes, ink, results, measure, arm, styles[arm.name])
        axes.set_ylabel(measure.unit)
        generation_axis(axes, results.generations)
        if measure.digits == 0:
            axes.yaxis.set_major_formatter(lambda value, _: number(value, 0))
        axes.yaxis.grid(visible=True, linewidth=0.8)
        label = f"{measure.title}, {measure.unit}, by generation. {_spoken(results, measure)}"
        return inline_svg(drawn, ink, name=measure.metric, label=label)


def _draw_arm(axes: Axes, ink: Ink, results: Results, measure: Measure, arm: Arm, style: ArmStyle) -> None:
    means = {g: results.mean(measure.metric, arm.name, g) for g in results.generations}
    known = [(g, mean) for g, mean in means.items() if mean is not None]
    if not known:
        return
    colour = ink(style.colour)
    at = [g for g, _ in known]
    line: dict[str, Any] = {"color": colour, "marker": style.marker, "zorder": 2 if arm.is_control else 3}
    if style.dashed:
        line |= {"linestyle": (0, (4, 2)), "markerfacecolor": ink(SURFACE)}
    if max(mean.n for _, mean in known) >= ENOUGH_SEEDS:
        axes.fill_between(at, [m.low for _, m in known], [m.high for _, m in known], color=colour, alpha=0.18, lw=0)
    elif len(results.seeds) > 1:
        for seed in results.seeds:
            single = [(g, results.value(measure.metric, arm.name, seed, g)) for g in at]
            measured = [(g, value) for g, value in single if value is not None]
            axes.plot([g for g, _ in measured], [value for _, value in measured], color=colour, lw=0.9, alpha=0.5)
    axes.plot(at, [mean.mean for _, mean in known], **line)


def _spoken(results: Results, measure: Measure) -> str:
    last = results.last_generation
    parts = [
        f"{arm.name} {estimated(results.mean(measure.metric, arm.name, last), measure.digits)}" for arm in results.arms
    ]
    return f"At generation {last}: {'; '.join(parts)}."


def generation_axis(axes: Axes, generations: Sequence[int]) -> None:
    """Label an axis with generations, not all of them where they are many."""
    step = 1 + (max(generations) - 1) // 12 if max(generations) else 1
    axes.set_xticks([g for g in generations if g % step == 0])
    axes.set_xlabel("generation")


def _composition_panel(composition: Composition, parts: Sequence[Part], at: int) -> str:
    generations = sorted(composition.amounts)
    colours = part_colours(parts)
    with figure(*COMPOSITION_SIZE) as (drawn, ink):
        axes = drawn.add_subplot()
        below = [0.0] * len(generations)
        for part in parts:
            shares = [100 * composition.share(g, part) for g in generations]
            bars: dict[str, Any] = {
                "color": ink(colours[part]),
                "edgecolor": ink(SURFACE),
                "linewidth": 0.8,
                "width": 0.72,
            }
            axes.bar(generations, shares, bottom=below, **bars)
            below = [a + b for a, b in zip(below, shares, strict=True)]
        for generation in generations:
            total = compact(composition.total(generation))
            unit = composition.units[generation]
            label = total if unit == composition.unit else f"{total}\n{unit}"
            axes.text(generation, 102, label, ha="center", va="bottom", fontsize=8)
        axes.set_ylim(0, 122 if len(set(composition.units.values())) > 1 else 112)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.set_ylabel(f"% of {composition.unit}")
        axes.spines["left"].set_visible(False)
        generation_axis(axes, generations)
        axes.set_xlabel("generation of the model trained on it")
        return inline_svg(drawn, ink, name=f"composition-{at}", label=_spoken_composition(composition, parts))


def _spoken_composition(composition: Composition, parts: Sequence[Part]) -> str:
    said = []
    for generation in sorted(composition.amounts):
        shares = [(part.label, composition.share(generation, part)) for part in parts]
        named = ", ".join(f"{percent(share)} {label}" for label, share in shares if share)
        said.append(f"generation {generation}: {named}")
    return f"Composition of the training sets of arm {composition.arm}: " + "; ".join(said)
