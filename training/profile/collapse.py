"""The collapse profile of every arm: which signs left the human control, when, and how far they are from it now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training.metrics.registry import Metric, When, profile_metrics
from training.profile.statistics import ALPHA, Departure, Excess, WithinSeed, departure, excess, holm
from training.report.arms import own_decoding
from training.report.data import Arm, Results

#: A decoding that changes nothing, as reports write it.
PLAIN = own_decoding({"decoding": {"temperature": 1}}, {})
#: Gives the error of a difference within one seed: metric, arm, control, seed, generation.
Errors = Callable[[str, str, str, int, int], WithinSeed | None]


@dataclass(frozen=True)
class Sign:
    """One metric of one arm, generation by generation.

    Attributes
    ----------
    excess : generation -> how far above the control; None where it was not measured
    corrected : generation -> probability of so large a difference by chance, corrected for being one of several metrics
    left : when it left the control; None if it has not
    """

    metric: Metric
    excess: dict[int, Excess | None]
    corrected: dict[int, float]
    left: Departure | None

    @property
    def last(self) -> Excess | None:
        """The difference in the last generation."""
        return self.excess[max(self.excess)] if self.excess else None


@dataclass(frozen=True)
class Profile:
    """What one arm lost and when.

    Attributes
    ----------
    control : the human control that it is compared with
    signs : in the order of the registry: early, middle, late; only those that were measured
    unlike : the control draws its text differently, so that text under the arms' own decoding is not compared; where
        that decoding is temperature 1, both samples are of one distribution, and one of them is looked at
    """

    arm: str
    control: str
    signs: tuple[Sign, ...]
    unlike: bool

    def first(self, sign: When) -> Sign | None:
        """Return the sign of a group that left the control first; None if none has."""
        left = [one for one in self.signs if one.metric.sign == sign and one.left and one.left.confirmed]
        return min(left, key=lambda one: one.left.generation if one.left else 0, default=None)


def collapse_profiles(results: Results, *, errors: Errors | None = None, alpha: float = ALPHA) -> tuple[Profile, ...]:
    """Return the profile of every arm that has a human control.

    Parameters
    ----------
    errors : errors within a seed, used where there are fewer than three; without them such differences have no
        interval, and nothing is said to have left

    Notes
    -----
    At every generation after 0 the probabilities of an arm's metrics are corrected together (Holm); a sign has left the
    control where it is outside the interval in two successive generations on the same side.
    """
    profiles = []
    for arm in results.arms:
        control = results.control_of(arm)
        if control is not None and control != arm:
            profiles.append(_profile(results, arm, control, errors, alpha))
    return tuple(profiles)


def _profile(results: Results, arm: Arm, control: Arm, errors: Errors | None, alpha: float) -> Profile:
    unlike = arm.decoding != control.decoding
    later = [generation for generation in results.generations if generation > 0]
    found: dict[Metric, dict[int, Excess | None]] = {}
    for metric in profile_metrics():
        if metric.of == "arm" and (unlike or arm.decoding == PLAIN):
            continue
        by_generation = {
            generation: _excess(results, metric.name, arm.name, control.name, generation, errors)
            for generation in later
        }
        if any(by_generation.values()):
            found[metric] = by_generation
    corrected: dict[Metric, dict[int, float]] = {metric: {} for metric in found}
    for generation in later:
        known = {m.name: one.p for m in found if (one := found[m][generation]) is not None and one.p is not None}
        for name, p in holm(known).items():
            corrected[next(m for m in found if m.name == name)][generation] = p
    signs = [
        Sign(metric, values, corrected[metric], _left(values, corrected[metric], alpha))
        for metric, values in found.items()
    ]
    return Profile(arm.name, control.name, tuple(signs), unlike)


def _left(values: dict[int, Excess | None], corrected: dict[int, float], alpha: float) -> Departure | None:
    joined = {
        generation: None if one is None or generation not in corrected else (one, corrected[generation])
        for generation, one in values.items()
    }
    return departure(joined, alpha=alpha)


def _excess(
    results: Results, metric: str, arm: str, control: str, generation: int, errors: Errors | None
) -> Excess | None:
    """Return the difference over the seeds that have both, paired by seed."""
    differences, seeds = [], []
    for seed in results.seeds:
        value = results.value(metric, arm, seed, generation)
        reference = results.value(metric, control, seed, generation)
        if value is not None and reference is not None:
            differences.append(value - reference)
            seeds.append(seed)
    few = excess(differences)
    if errors is None or few is None or (few.error is not None and few.by == "seeds"):
        return few
    return excess(differences, [errors(metric, arm, control, seed, generation) for seed in seeds])
