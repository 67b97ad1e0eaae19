"""What the numbers say, in sentences that only the numbers decide: what a quota held, in part, and not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.report.data import Arm, Results
from training.report.intervals import Estimate
from training.report.measures import ENTROPY_ARM, HELDOUT, MEASURES, VOCABULARY_ARM, Measure
from training.report.verdicts import (
    HELD,
    NOT_HELD,
    VERDICTS,
    Comparison,
    compare,
    is_clear,
    last_step,
    quota_arms,
)
from training.report.wording import estimated, listed, percent

_LOSS = {
    "held": "kept the loss on new human text down",
    "held in part": "kept the loss on new human text down only in part",
    "did not hold": "hardly kept the loss on new human text down",
}
_DIVERSITY = {
    "held": "kept the diversity of what the model writes",
    "held in part": "kept only part of the diversity of what the model writes",
    "did not hold": "hardly kept the diversity of what the model writes",
}
#: Headings of the groups of findings.
NOTHING_LOST, MEASURED = "nothing lost", "measured"


@dataclass(frozen=True)
class Finding:
    """One measure in one arm: what it is about, and what was found."""

    subject: str
    said: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.subject}: {self.said}"


@dataclass(frozen=True)
class Headline:
    """What the page says first.

    Attributes
    ----------
    title : the result in one sentence
    arm : the arm that the findings are about, the one with the largest quota
    findings : `VERDICTS`, or `nothing lost` or `measured` -> findings
    avoided : where there are several quotas: arm -> share of the damage avoided, by measure
    cautions : what one must know before one repeats it
    """

    title: str
    arm: str | None
    findings: dict[str, tuple[Finding, ...]]
    avoided: dict[str, tuple[float | None, ...]]
    cautions: tuple[str, ...]


def arm_label(arm: Arm) -> str:
    """Return an arm's name with what it was fed: `quota (50 % human)`."""
    if arm.is_control:
        return f"{arm.name} (control)"
    return arm.name if arm.human_share is None else f"{arm.name} ({percent(arm.human_share)} human)"


def headline(results: Results) -> Headline:
    """Return what the numbers of an experiment say at the last generation that all arms finished."""
    quotas = quota_arms(results)
    comparisons = {
        arm.name: [found for measure in MEASURES if (found := compare(results, arm, measure))]
        for arm in results.arms
        if not arm.is_control
    }
    told = quotas[:1] or [arm for arm in results.arms if not arm.is_control]
    findings: dict[str, tuple[Finding, ...]] = {}
    for group in (*VERDICTS, NOTHING_LOST, MEASURED):
        belong = [each for arm in told for each in comparisons[arm.name] if _group(each, judged=bool(quotas)) == group]
        if belong:
            findings[group] = tuple(_finding(results, each) for each in belong)
    avoided = {}
    if len(quotas) > 1:
        for arm in quotas:
            by_measure = {each.measure: each.avoided for each in comparisons[arm.name]}
            avoided[arm.name] = tuple(by_measure.get(measure) for measure in MEASURES)
    return Headline(
        title=_title(results, told, comparisons),
        arm=quotas[0].name if quotas else None,
        findings=findings,
        avoided=avoided,
        cautions=tuple(_cautions(results, judged=any(group in VERDICTS for group in findings))),
    )


def _group(each: Comparison, *, judged: bool) -> str:
    if not judged or each.reference is None:
        return MEASURED
    return each.verdict or NOTHING_LOST


def _title(results: Results, told: Sequence[Arm], comparisons: dict[str, list[Comparison]]) -> str:
    at = results.last_generation
    after = f"After {at} generation{'' if at == 1 else 's'}"
    if at == 0:
        return "Not every arm has finished its first generation yet, so they cannot be compared."
    if results.control is None:
        return f"{after}: there is no human control, so nobody can say what the generated text changed."
    if not any(arm.name in comparisons and comparisons[arm.name] for arm in told):
        return f"{after}: no arm was measured alike with the human control."
    if quota_arms(results):
        return f"{after}, {_quota_title(told[0], comparisons[told[0].name])}."
    worse = [
        each.arm.name
        for arm in told
        for each in comparisons[arm.name]
        if each.measure is HELDOUT and each.damage.mean > 0 and is_clear(each.damage, HELDOUT)
    ]
    if worse:
        return f"{after}, {listed(worse)} lost ground against the human control."
    return f"{after}, no arm has a clearly higher loss than the human control."


def _quota_title(arm: Arm, comparisons: Sequence[Comparison]) -> str:
    """Return the result of one quota: the loss, and the diversity of what is sampled under the arm's decoding."""
    share = arm.human_share if arm.quota is None else arm.quota
    what = f"a quota of {percent(share)} human text" if share is not None else "the quota"
    by_measure = {each.measure: each for each in comparisons}
    verdicts = {measure: each.verdict for measure, each in by_measure.items() if each.verdict}
    loss = verdicts.get(HELDOUT)
    # The worse of the two, so that the title never promises more than both keep.
    known = [verdicts[measure] for measure in (ENTROPY_ARM, VOCABULARY_ARM) if measure in verdicts]
    diversity = max(known, key=VERDICTS.index, default=None)
    parts = [_LOSS[loss]] if loss else []
    parts += [_DIVERSITY[diversity] + (f" at {arm.decoding}" if arm.decoding else "")] if diversity else []
    if parts:
        return f"{what} " + (" and " if loss == diversity else ", but ").join(parts)
    if any(each.reference is not None for each in comparisons):
        return f"{what} had no clear damage to hold: training without human text did none either"
    heldout = by_measure.get(HELDOUT)
    if heldout is None:
        return f"{what} was measured, but not its loss"
    return f"{what} leaves the loss on new human text {_apart(heldout.damage, HELDOUT)} the human control"


def _finding(results: Results, each: Comparison) -> Finding:
    """Return what one arm did in one measure, with every number that the verdict rests on."""
    measure = each.measure
    if measure.damage > 0:
        said = f"{_apart(each.damage, measure)} the human control with {arm_label(each.arm)}"
        if each.reference is not None and each.without != each.arm:
            said += f", {_apart(each.reference, measure)} it without human text"
    else:
        control = results.control_of(each.arm)
        said = f"{_level(results, measure, each.arm.name)} {measure.unit} with {arm_label(each.arm)}"
        said += f", {_level(results, measure, control.name if control else '')} in the human control"
        if each.without is not None and each.without != each.arm:
            said += f", {_level(results, measure, each.without.name)} without human text"
    own = f" ({each.arm.decoding})" if measure.metric.startswith("arm_") and each.arm.decoding else ""
    return Finding(f"{measure.title}{own}", f"{said}.{_judgement(each)}{_moving(results, each)}")


def _judgement(each: Comparison) -> str:
    if each.reference is None or each.without == each.arm:
        return ""
    if each.avoided is None:
        return " There is no clear damage even without human text."
    if each.avoided <= 0:
        return " None of the damage is avoided."
    return f" {percent(min(each.avoided, 1.0))} of the damage is avoided."


def _moving(results: Results, each: Comparison) -> str:
    """Return how far the loss moved in the last generation: a quota that only slows the fall has not stopped it."""
    step = last_step(results, each.arm, each.measure) if each.measure is HELDOUT else None
    if step is None:
        return ""
    if not is_clear(step, each.measure):
        moved = estimated(step, each.measure.digits, signed=True)
        return f" In the last generation the distance from the control did not clearly change ({moved})."
    way = "grew" if step.mean > 0 else "shrank"
    size = Estimate(abs(step.mean), step.half_width, step.n)
    return f" In the last generation the distance from the control {way} by {estimated(size, each.measure.digits)}."


def _level(results: Results, measure: Measure, arm: str) -> str:
    mean = results.mean(measure.metric, arm, results.last_generation, seeds=results.last_seeds)
    return estimated(mean, measure.digits)


def _apart(damage: Estimate, measure: Measure) -> str:
    """Return how far from the control: `0.13 nats per token above`."""
    size = Estimate(abs(damage.mean), damage.half_width, damage.n)
    where = "above" if damage.mean >= 0 else "below"
    return f"{estimated(size, measure.digits)} {measure.unit} {where}"


def _cautions(results: Results, *, judged: bool) -> list[str]:
    seeds = len(results.last_seeds)
    said = []
    if results.unfinished:
        said.append(f"The experiment is not finished: {'; '.join(results.unfinished)}.")
    if seeds == 1:
        said.append(
            "One seed: there is no interval, and another seed would give somewhat other numbers. "
            f"Differences below {HELDOUT.noticeable:g} nats mean nothing here."
        )
    elif seeds:
        said.append(
            f"± is half the 95 % t-interval over {seeds} seeds; differences from the control are paired by seed."
        )
    if results.control is not None:
        said.append(
            "The control is trained on human text only, as much in every generation, and its loss moves too; "
            "so an arm is compared with the control of the same generation and seed, not with generation 0."
        )
    controls = {arm.name: results.control_of(arm) for arm in results.arms}
    other = [a.name for a in results.arms if (own := controls[a.name]) is not None and a.decoding != own.decoding]
    if other:
        said.append(f"{listed(other)} and the control draw their text differently, so that text is not compared.")
    if judged:
        said.append(
            "Damage is the distance from the human control. "
            f"“Held” means that at least {percent(HELD)} of the damage done without human text is avoided, "
            f"“did not hold” that less than {percent(NOT_HELD)} is."
        )
    return said
