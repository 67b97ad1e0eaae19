"""What the report shows of the many metrics in the store: names, units, and which direction is the damage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from training.metrics.registry import METRICS


@dataclass(frozen=True)
class Measure:
    """One metric as the report shows it.

    Attributes
    ----------
    metric : its name in the view `runs`
    title : what headings call it
    unit : unit on the axis
    digits : decimals worth showing
    damage : +1 if collapse raises it, -1 if collapse lowers it
    noticeable : smallest difference that one seed can be trusted to show
    panel : measures with the same word share their axis
    """

    metric: str
    title: str
    unit: str
    digits: int
    damage: int
    noticeable: float
    panel: str


HELDOUT = Measure("heldout_ce", "Loss on held-out human text", "nats per token", 2, +1, 0.05, "loss")
TAIL = Measure("heldout_tail_ce", "Loss on the rarest words", "nats per word", 2, +1, 0.10, "tail")
ENTROPY_ARM = Measure("arm_entropy", "Entropy of its text, own decoding", "bits per word", 2, -1, 0.10, "entropy")
ENTROPY_T1 = Measure("t1_entropy", "Entropy of its text at T\u00a0=\u00a01", "bits per word", 2, -1, 0.10, "entropy")
VOCABULARY_ARM = Measure("arm_vocabulary", "Vocabulary, own decoding", "human words in 10,000", 0, -1, 40, "vocabulary")
VOCABULARY_T1 = Measure(
    "t1_vocabulary", "Vocabulary at T\u00a0=\u00a01", "human words in 10,000", 0, -1, 40, "vocabulary"
)

#: In the order in which the page shows them.
MEASURES = (HELDOUT, TAIL, ENTROPY_ARM, ENTROPY_T1, VOCABULARY_ARM, VOCABULARY_T1)


def further_measures(*, plain: bool) -> tuple[Measure, ...]:
    """Return every other metric that a collapse moves, as measures of a panel each.

    Parameters
    ----------
    plain : every arm draws at temperature 1, so that one of the two samples says it all
    """
    return tuple(_further(plain=plain))


def _further(*, plain: bool) -> Iterator[Measure]:
    shown = {measure.metric for measure in MEASURES}
    for metric in METRICS.values():
        if metric.moves is None or metric.family or metric.name in shown or (plain and metric.of == "t1"):
            continue
        panel = metric.name.removeprefix("arm_").removeprefix("t1_")
        title = metric.title.removesuffix(", own decoding") if plain else metric.title
        yield Measure(metric.name, title, metric.unit, metric.digits, metric.damage, metric.noticeable, panel)
