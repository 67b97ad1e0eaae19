"""The collapse profile as a table: an arm a row, a sign a column, and in every cell when it left the control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.metrics.registry import Metric
from training.profile.collapse import Profile, Sign
from training.report.data import Results
from training.report.headline import arm_label
from training.report.wording import NONE, number

#: Headings of the groups, in their order.
GROUPS = {"early": "early signs", "middle": "loss", "late": "late signs"}
_SHORT = {
    "heldout_tail_ce": "tail loss",
    "tail_mass": "tail mass",
    "heldout_ce": "held-out loss",
    "gen0_nll_mean": "resemblance",
    "entropy": "entropy",
    "vocabulary": "vocabulary",
}


@dataclass(frozen=True)
class Cell:
    """One sign of one arm.

    Attributes
    ----------
    when : `generation 2 ↑`; a dash where it has not left
    by, half_width : the distance from the control in the last generation, and half of its interval
    state : `left`, `perhaps` (outside in the last generation only) or `held`
    """

    when: str
    by: str
    state: str
    half_width: str = ""


@dataclass(frozen=True)
class ProfileTable:
    """What the section shows.

    Attributes
    ----------
    groups : heading and number of columns of each group
    metrics : one a column
    rows : arm, its label, one cell a column
    notes : what one must know to read it
    """

    groups: tuple[tuple[str, int], ...]
    metrics: tuple[Metric, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    notes: tuple[str, ...]

    def heading(self, metric: Metric) -> tuple[str, str, str]:
        """Return a column's heading: what, of which text, and its unit."""
        kind, _, name = metric.name.partition("_")
        short = _SHORT.get(metric.name) or _SHORT.get(name) or metric.title
        return short, {"arm": "own decoding", "t1": "T\u00a0=\u00a01"}.get(kind, ""), metric.unit


def profile_table(results: Results, profiles: Sequence[Profile]) -> ProfileTable | None:
    """Return the table; None where no arm has a control to leave."""
    metrics = [sign.metric for profile in profiles for sign in profile.signs]
    order = {"early": 0, "middle": 1, "late": 2}
    metrics = sorted(dict.fromkeys(metrics), key=lambda metric: order[metric.sign or "late"])
    if not metrics:
        return None
    arms = {arm.name: arm for arm in results.arms}
    rows = []
    for profile in profiles:
        signs = {sign.metric: sign for sign in profile.signs}
        cells = tuple(_cell(signs.get(metric)) for metric in metrics)
        rows.append((profile.arm, arm_label(arms[profile.arm]), cells))
    groups = [(heading, sum(metric.sign == sign for metric in metrics)) for sign, heading in GROUPS.items()]
    return ProfileTable(
        tuple((heading, n) for heading, n in groups if n), tuple(metrics), tuple(rows), tuple(_notes(results, profiles))
    )


def _cell(sign: Sign | None) -> Cell:
    if sign is None or sign.last is None:
        return Cell(NONE, "", "held")
    by = number(sign.last.mean, sign.metric.digits, signed=True)
    half = "" if sign.last.half_width is None else f"±\u00a0{number(sign.last.half_width, sign.metric.digits)}"
    if sign.left is None:
        return Cell(NONE, by, "held", half)
    arrow = "↑" if sign.left.direction > 0 else "↓"
    if not sign.left.confirmed:
        return Cell(f"{sign.left.generation}\u00a0{arrow}\u00a0?", by, "perhaps", half)
    return Cell(f"{sign.left.generation}\u00a0{arrow}", by, "left", half)


def _notes(results: Results, profiles: Sequence[Profile]) -> list[str]:
    said = [
        "The number is the generation at which a metric left the human control, above it (↑) or below it (↓): outside "
        "the 95 % interval in two successive generations, corrected over the metrics of an arm (Holm). Below it the "
        "distance from the control in the last generation, in the metric’s unit.",
    ]
    if any(sign.left and not sign.left.confirmed for each in profiles for sign in each.signs):
        said.append("“?”: outside in the last generation only, so it may be back in the next.")
    by = {sign.last.by for each in profiles for sign in each.signs if sign.last and sign.last.error is not None}
    if "documents" in by:
        said.append(
            f"With {len(results.seeds)} seed{'' if len(results.seeds) == 1 else 's'} the intervals come from drawing "
            "documents again (bootstrap). They say nothing of how much models of other seeds would differ, so they are "
            "too narrow: three seeds or more are needed to be sure."
        )
    elif by:
        said.append(
            f"Intervals are over {len(results.seeds)} seeds, paired. So few seeds show large differences only: a dash "
            "is not a proof that nothing was lost."
        )
    else:
        said.append("Too little is known of how sure the differences are, so nothing is said to have left.")
    said.append(
        "Tail, vocabulary and resemblance are measured by generation 0’s words and model. An arm that learned from "
        "generation 0’s text can be above a control that learned from other human text without being richer."
    )
    if any(each.unlike for each in profiles):
        names = ", ".join(each.arm for each in profiles if each.unlike)
        said.append(f"No control draws its text as {names}: text at their own decoding is not compared.")
    return said
