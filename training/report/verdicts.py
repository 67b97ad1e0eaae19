"""How an arm compares with the human control and with training without human text: the numbers behind every claim."""

from __future__ import annotations

from dataclasses import dataclass

from training.report.data import QUOTA_REGIME, REPLACE_REGIME, Arm, Results
from training.report.intervals import Estimate, estimate
from training.report.measures import Measure

#: From this share of the damage avoided on, a quota is said to have held; below the other, not to have.
HELD, NOT_HELD = 0.75, 0.25

VERDICTS = ("held", "held in part", "did not hold")


@dataclass(frozen=True)
class Comparison:
    """An arm in one measure, at the last generation that all arms finished.

    Attributes
    ----------
    damage : how much worse than the control, in the direction in which collapse goes, paired by seed
    without : the arm without human text that draws its text in the same way; None if there is none
    reference : its damage
    """

    arm: Arm
    measure: Measure
    damage: Estimate
    without: Arm | None = None
    reference: Estimate | None = None

    @property
    def avoided(self) -> float | None:
        """Share of the damage that the arm avoids; None where there is no damage to avoid, or the opposite of it."""
        if self.reference is None or self.reference.mean <= 0 or not is_clear(self.reference, self.measure):
            return None
        return 1 - self.damage.mean / self.reference.mean

    @property
    def verdict(self) -> str | None:
        """One of `VERDICTS`, None where there is no damage to hold."""
        if self.avoided is None:
            return None
        return VERDICTS[0] if self.avoided >= HELD else VERDICTS[1] if self.avoided >= NOT_HELD else VERDICTS[2]


def is_clear(difference: Estimate, measure: Measure) -> bool:
    """Return whether a difference is there at all: it is no trifle, and its interval does not hold zero."""
    return abs(difference.mean) >= measure.noticeable and not difference.low <= 0 <= difference.high


def quota_arms(results: Results) -> list[Arm]:
    """Return the arms with a quota of human text, the largest share first."""
    quotas = [arm for arm in results.arms if arm.regime == QUOTA_REGIME]
    return sorted(quotas, key=lambda arm: -(arm.human_share or 0.0))


def compare(results: Results, arm: Arm, measure: Measure) -> Comparison | None:
    """Return an arm's damage in a measure; None without a control, or where the two were not measured alike."""
    control = results.control_of(arm)
    if control is None or (measure.metric.startswith("arm_") and arm.decoding != control.decoding):
        return None
    found = damage(results, arm, measure)
    if found is None:
        return None
    alike = (other for other in results.arms if other.regime == REPLACE_REGIME and other.decoding == arm.decoding)
    without = next(alike, None)
    return Comparison(arm, measure, found, without, None if without is None else damage(results, without, measure))


def damage(results: Results, arm: Arm, measure: Measure) -> Estimate | None:
    """Return how much worse than the control an arm is, positive in the direction in which collapse goes."""
    excess = results.excess(measure.metric, arm.name, results.last_generation, seeds=results.last_seeds)
    return None if excess is None else Estimate(measure.damage * excess.mean, excess.half_width, excess.n)


def last_step(results: Results, arm: Arm, measure: Measure) -> Estimate | None:
    """Return by how much the damage grew in the last generation, paired by seed; None before the second one."""
    at = results.last_generation
    control = results.control_of(arm)
    if at < 2 or control is None:
        return None
    steps = []
    for seed in results.last_seeds:
        values = [
            results.value(measure.metric, name, seed, generation)
            for generation in (at, at - 1)
            for name in (arm.name, control.name)
        ]
        if None not in values:
            now, control_now, before, control_before = (value for value in values if value is not None)
            steps.append(measure.damage * ((now - control_now) - (before - control_before)))
    return estimate(steps)
