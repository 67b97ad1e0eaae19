"""Dose and response: how much is lost at which share of human text, and the smallest share that keeps a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.profile.statistics import Excess, excess
from training.report.data import CONTROL_REGIME, QUOTA_REGIME, REPLACE_REGIME, Arm, Results
from training.report.intervals import Estimate
from training.report.measures import MEASURES, Measure

#: A curve needs so many shares between none and all: through a single one any line can be drawn.
MIN_QUOTAS = 2
#: The distances that tables ask for, in multiples of the smallest difference that can be seen at all.
DISTANCES = (2, 5, 10)


@dataclass(frozen=True)
class Dose:
    """One arm as a point of a curve: its share of human text by the experiment, 0..1."""

    share: float
    arm: Arm


@dataclass(frozen=True)
class Curve:
    """Arms that differ by their share of human text alone, from none to all.

    Attributes
    ----------
    decoding : how all of them draw their text
    human : `fresh` or `fixed`, the human text of the quotas between
    """

    decoding: str | None
    human: str
    doses: tuple[Dose, ...]


@dataclass(frozen=True)
class Needed:
    """The smallest share that keeps a measure within distances of the control.

    Attributes
    ----------
    shares : distance -> the smallest share tried from which on all arms stay within it, by the far end of their
        interval where there is one; None where only training on human text alone does
    """

    measure: Measure
    shares: dict[float, float | None]


def dose_curves(results: Results) -> tuple[Curve, ...]:
    """Return the curves of an experiment; none where its arms do not differ by share."""
    curves = []
    for decoding in dict.fromkeys(arm.decoding for arm in results.arms):
        alike = [arm for arm in results.arms if arm.decoding == decoding and arm.plain]
        ends = [Dose(0.0, arm) for arm in alike if arm.regime == REPLACE_REGIME][:1]
        last = next((arm for arm in alike if arm.regime == CONTROL_REGIME), None)
        for human in dict.fromkeys(arm.human for arm in alike if arm.regime == QUOTA_REGIME):
            between = {
                arm.quota: Dose(arm.quota, arm)
                for arm in alike
                if arm.regime == QUOTA_REGIME and arm.human == human and arm.quota is not None
            }
            doses = [*ends, *(between[share] for share in sorted(between))] + ([Dose(1.0, last)] if last else [])
            if len(between) >= MIN_QUOTAS:
                curves.append(Curve(decoding, human, tuple(doses)))
    return tuple(curves)


def response(results: Results, measure: Measure, dose: Dose) -> Estimate | None:
    """Return a measure of an arm at the generation that arms are compared at."""
    return results.mean(measure.metric, dose.arm.name, results.last_generation, seeds=results.last_seeds)


def needed_shares(results: Results, curve: Curve, measures: Sequence[Measure] = MEASURES) -> tuple[Needed, ...]:
    """Return the smallest shares for every measure that the arms of a curve have in common with their control."""
    found = []
    for measure in measures:
        damages = {dose.share: _damage(results, measure, dose.arm) for dose in curve.doses if dose.share < 1}
        known = {share: damage for share, damage in damages.items() if damage is not None}
        if known and len(known) == len(damages):
            shares = {times * measure.noticeable: _smallest(known, times * measure.noticeable) for times in DISTANCES}
            found.append(Needed(measure, shares))
    return tuple(found)


def _smallest(damages: dict[float, Excess], distance: float) -> float | None:
    kept = None
    for share in sorted(damages, reverse=True):
        damage = damages[share]
        if damage.mean + (damage.half_width or 0.0) > distance:
            break
        kept = share
    return kept


def _damage(results: Results, measure: Measure, arm: Arm) -> Excess | None:
    """Return how much worse than its control an arm is, positive in the direction in which collapse goes."""
    control = results.control_of(arm)
    if control is None or (measure.metric.startswith("arm_") and control.decoding != arm.decoding):
        return None
    differences = []
    for seed in results.last_seeds:
        values = [results.value(measure.metric, one.name, seed, results.last_generation) for one in (arm, control)]
        if values[0] is not None and values[1] is not None:
            differences.append(measure.damage * (values[0] - values[1]))
    return excess(differences)
