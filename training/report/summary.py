"""The short table: every arm at the last generation that all arms finished, as rows and as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.report.data import Results
from training.report.headline import arm_label
from training.report.intervals import Estimate
from training.report.measures import (
    ENTROPY_ARM,
    ENTROPY_T1,
    HELDOUT,
    TAIL,
    VOCABULARY_ARM,
    VOCABULARY_T1,
)
from training.report.wording import NONE, SPACE, estimated, typed

_OWN = "own decoding"
_PLAIN = f"T{SPACE}={SPACE}1"


@dataclass(frozen=True)
class SummaryRow:
    """One arm at the generation that arms are compared at.

    Attributes
    ----------
    label : its name with its human share, or `(control)`
    heldout_ce, tail_ce : nats per token, nats per word
    excess_ce : held-out cross-entropy above the control of the same generation and seed; None for the control
    arm_entropy, t1_entropy : bits per word of the text it writes, at its own decoding and at T = 1
    arm_vocabulary, t1_vocabulary : words of the human lexicon in 10,000
    """

    arm: str
    label: str
    is_control: bool
    generation: int
    n_seeds: int
    human_share: float | None
    heldout_ce: Estimate | None
    excess_ce: Estimate | None
    tail_ce: Estimate | None
    arm_entropy: Estimate | None
    t1_entropy: Estimate | None
    arm_vocabulary: Estimate | None
    t1_vocabulary: Estimate | None

    def cells(self) -> tuple[str, ...]:
        """Return the row as it is printed, in the order of `COLUMNS`."""
        excess = "control" if self.is_control else estimated(self.excess_ce, HELDOUT.digits, signed=True)
        return (
            self.label,
            estimated(self.heldout_ce, HELDOUT.digits),
            excess,
            estimated(self.tail_ce, TAIL.digits),
            estimated(self.arm_entropy, ENTROPY_ARM.digits),
            estimated(self.t1_entropy, ENTROPY_T1.digits),
            estimated(self.arm_vocabulary, VOCABULARY_ARM.digits),
            estimated(self.t1_vocabulary, VOCABULARY_T1.digits),
        )


@dataclass(frozen=True)
class Column:
    """Head of a column: the quantity, what sets it apart, and its unit."""

    title: str
    detail: str
    unit: str


def columns(results: Results) -> tuple[Column, ...]:
    """Return the heads of the columns; the arms' own decoding is named where all have the same."""
    decodings = {arm.decoding for arm in results.arms}
    own = (decodings.pop() if len(decodings) == 1 else None) or _OWN
    own = _OWN if own == _PLAIN else own
    return (
        Column("arm", "", ""),
        Column("held-out loss", "", "nats/token"),
        Column("over control", "", "nats/token"),
        Column("tail loss", "", "nats/word"),
        Column("entropy", own, "bits/word"),
        Column("entropy", _PLAIN, "bits/word"),
        Column("vocabulary", own, "per 10,000"),
        Column("vocabulary", _PLAIN, "per 10,000"),
    )


def summarise(results: Results) -> tuple[SummaryRow, ...]:
    """Return a row per arm."""
    generation, seeds = results.last_generation, results.last_seeds

    def mean(metric: str, arm: str) -> Estimate | None:
        return results.mean(metric, arm, generation, seeds=seeds)

    return tuple(
        SummaryRow(
            arm=arm.name,
            label=arm_label(arm),
            is_control=arm.is_control,
            generation=generation,
            n_seeds=len(seeds),
            human_share=arm.human_share,
            heldout_ce=mean(HELDOUT.metric, arm.name),
            excess_ce=None if arm.is_control else results.excess(HELDOUT.metric, arm.name, generation, seeds=seeds),
            tail_ce=mean(TAIL.metric, arm.name),
            arm_entropy=mean(ENTROPY_ARM.metric, arm.name),
            t1_entropy=mean(ENTROPY_T1.metric, arm.name),
            arm_vocabulary=mean(VOCABULARY_ARM.metric, arm.name),
            t1_vocabulary=mean(VOCABULARY_T1.metric, arm.name),
        )
        for arm in results.arms
    )


def _text_heads(own: str) -> list[tuple[str, ...]]:
    """Return short heads, so that one seed's table fits 80 characters."""
    own = "own" if own == _OWN else own
    return [
        ("arm", "held-out", "over", "tail", "entropy", "", "vocab.", ""),
        ("", "loss", "control", "loss", own, _PLAIN, own, _PLAIN),
    ]


def render_text(results: Results, rows: Sequence[SummaryRow] | None = None) -> str:
    """Return the table as plain text with aligned columns, without colours, for any terminal or file."""
    rows = summarise(results) if rows is None else rows
    heads = _text_heads(columns(results)[4].detail)
    lines = [*heads, *(row.cells() for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads[0]))]
    aligned = [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(pairs)
        ).rstrip()
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    ]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    seeds = len(results.last_seeds)
    title = f"{results.experiment}: generation {results.last_generation}, {seeds} seed{'' if seeds == 1 else 's'}"
    if seeds > 1:
        title += ", ± half of the 95 % t-interval"
    notes = [f"not finished: {'; '.join(results.unfinished)}"] if results.unfinished else []
    notes += ["loss: nats per held-out token, tail: per word of its rarest 20 %; entropy: bits per word;"]
    notes += ["vocab.: words of the human lexicon in 10,000 words"]
    notes += [f"{NONE} not measured"] if any(NONE in row.cells() for row in rows) else []
    return typed("\n".join([title, *aligned[:2], rule, *aligned[2:], *notes]) + "\n")
