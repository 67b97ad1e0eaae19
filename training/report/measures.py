"""What the report shows of the many metrics in the store: names, units, and which direction is the damage."""

from __future__ import annotations

from dataclasses import dataclass


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
