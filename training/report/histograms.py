"""What later models write as the first model sees it: histograms of perplexity, generation by generation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.metrics.registry import members
from training.metrics.resemblance import BIN_NATS, LAST_BIN
from training.report.data import Results
from training.report.palette import Colour
from training.report.svg import figure, inline_svg
from training.report.wording import compact, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (3.5, 2.4)
#: The axis begins and ends where a bin of some generation holds so much.
SMALLEST = 0.002
#: More lines in one panel cannot be told apart.
MAX_LINES = 5


@dataclass(frozen=True)
class Histogram:
    """One arm's text under generation 0's model.

    Attributes
    ----------
    shares : generation -> number of the bin -> share of tokens, mean over seeds
    """

    arm: str
    shares: Mapping[int, Mapping[int, float]]


def read_histograms(results: Results, *, kind: str = "arm") -> list[Histogram]:
    """Return the histograms of every arm that has some."""
    found = []
    for arm in results.arms:
        shares: dict[int, dict[int, float]] = {}
        for generation in results.generations:
            runs = [results.run(arm.name, seed, generation) for seed in results.seeds]
            bins = [members(run.metrics, f"{kind}_gen0_nll_bin") for run in runs if run is not None]
            bins = [each for each in bins if each]
            if bins:
                numbers = sorted({number for each in bins for number in each})
                shares[generation] = {n: sum(each.get(n, 0.0) for each in bins) / len(bins) for n in numbers}
        if len(shares) > 1:
            found.append(Histogram(arm.name, shares))
    return found


def shown_generations(histograms: Sequence[Histogram]) -> list[int]:
    """Return the generations that panels show: the first, the last, and some between."""
    known = sorted({generation for each in histograms for generation in each.shares})
    if len(known) <= MAX_LINES:
        return known
    places = [round(at * (len(known) - 1) / (MAX_LINES - 1)) for at in range(MAX_LINES)]
    return [known[at] for at in dict.fromkeys(places)]


def histogram_panels(histograms: Sequence[Histogram], colours: Mapping[int, Colour]) -> list[tuple[Histogram, str]]:
    """Return a panel for every arm, on the same axes: perplexity, logarithmic, against the share of tokens.

    Parameters
    ----------
    colours : of the generations that are shown
    """
    shown = [each.shares.get(g, {}) for each in histograms for g in colours]
    seen = [n for shares in shown for n, share in shares.items() if share >= SMALLEST]
    highest = max(
        (share for each in histograms for g in colours for share in each.shares.get(g, {}).values()), default=1
    )
    span = (min(seen, default=0) - 1, max(seen, default=1) + 2)
    return [(each, _panel(each, colours, at, span, 108 * highest)) for at, each in enumerate(histograms)]


def _panel(histogram: Histogram, colours: Mapping[int, Colour], at: int, span: tuple[int, int], top: float) -> str:
    with figure(*SIZE) as (drawn, ink):
        axes = drawn.add_subplot()
        last = max(colours)
        for generation, colour in colours.items():
            shares = histogram.shares.get(generation)
            if shares is None:
                continue
            values = [100 * shares.get(n, 0.0) for n in range(*span)]
            edges = [n * BIN_NATS for n in range(span[0], span[1] + 1)]
            line: dict[str, Any] = {
                "color": ink(colour),
                "linewidth": 2.2 if generation == last else 1.4,
                "baseline": None,
            }
            axes.stairs(values, edges, **line)
        axes.set_xlim(span[0] * BIN_NATS, span[1] * BIN_NATS)
        axes.set_ylim(0, top)
        axes.set_ylabel("% of tokens")
        axes.set_xlabel("perplexity under generation 0’s model")
        _perplexity_axis(axes, span)
        axes.yaxis.grid(visible=True, linewidth=0.8)
        return inline_svg(drawn, ink, name=f"histogram-{at}", label=_spoken(histogram, list(colours)))


def _perplexity_axis(axes: Axes, span: tuple[int, int]) -> None:
    """Label an axis of nats with perplexities: powers of ten, or 1, 2, 5 of them where the span is short."""
    low, high = span[0] * BIN_NATS, span[1] * BIN_NATS
    steps = (1,) if high - low > 5 else (1, 2, 5)
    ticks = [step * 10**power for power in range(7) for step in steps if low <= math.log(step * 10**power) <= high]
    axes.set_xticks([math.log(tick) for tick in ticks], [compact(tick) for tick in ticks])


def _spoken(histogram: Histogram, generations: Sequence[int]) -> str:
    said = []
    for generation in generations:
        shares = histogram.shares.get(generation)
        if shares:
            below, middle = 0.0, 0
            for number_of_bin in sorted(shares):
                below += shares[number_of_bin]
                middle = number_of_bin
                if below >= 0.5:
                    break
            more = " or more" if middle == LAST_BIN else ""
            said.append(f"generation {generation}: {number(math.exp((middle + 0.5) * BIN_NATS), 0)}{more}")
    return f"Perplexity of the text of arm {histogram.arm} under generation 0’s model, median by " + "; ".join(said)
