"""Two arms or two experiments beside each other: settings that differ, and every metric, generation by generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from provenance.store.store import Store
from training.errors import UnknownArm
from training.metrics.registry import METRICS, Metric
from training.profile.statistics import Excess, excess, holm
from training.report.data import Results, read_results
from training.report.intervals import Estimate
from training.report.settings import flat_settings
from training.report.wording import as_estimate, estimated, probability, typed


@dataclass(frozen=True)
class Side:
    """One side of a comparison: an experiment, and perhaps one arm of it."""

    results: Results
    arm: str | None

    @property
    def name(self) -> str:
        """The experiment, and the arm behind a slash."""
        return self.results.experiment + (f"/{self.arm}" if self.arm else "")


@dataclass(frozen=True)
class Difference:
    """One metric of one generation in both.

    Attributes
    ----------
    first, second : means over all seeds of each
    difference : second minus first over the seeds that both have, paired; None where they share none
    corrected : probability of so large a difference by chance, corrected over the metrics of this generation; None
        below three shared seeds
    """

    arms: tuple[str, str]
    generation: int
    metric: Metric
    first: Estimate
    second: Estimate
    difference: Excess | None
    corrected: float | None


@dataclass(frozen=True)
class Setting:
    """A setting in which two experiments, or two arms, differ; None where one does not have it."""

    name: str
    first: str | None
    second: str | None


@dataclass(frozen=True)
class Comparison:
    """What two arms or experiments have in common and what not.

    Attributes
    ----------
    only : arms that just one of two experiments has, first and second
    """

    first: str
    second: str
    settings: tuple[Setting, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    differences: tuple[Difference, ...]


def compare(store: Store, first: str, second: str) -> Comparison:
    """Compare two experiments, or two arms (`EXPERIMENT/ARM`), whose metrics are in a store.

    Two experiments are compared in every arm that both have. Seeds of the same number are paired: within an experiment
    they share generation 0; of two experiments with other settings they share only the chance.

    Raises
    ------
    UnknownExperiment, UnknownArm : one of the two is not in the store
    NothingToReport : one has finished no generation after 0
    """
    sides = tuple(_side(store, name) for name in (first, second))
    one, other = sides
    if one.arm is None and other.arm is None:
        mine, theirs = ([arm.name for arm in side.results.arms] for side in sides)
        pairs = [(name, name) for name in mine if name in theirs]
        only = tuple(name for name in mine if name not in theirs), tuple(name for name in theirs if name not in mine)
    else:
        pairs = [(one.arm or other.arm or "", other.arm or one.arm or "")]
        for side, arm in zip(sides, pairs[0], strict=True):
            _check_arm(side.results, arm)
        only = (), ()
    differences = [d for pair in pairs for d in _differences(one.results, other.results, pair)]
    return Comparison(one.name, other.name, tuple(_settings(*sides)), only, tuple(differences))


def _side(store: Store, name: str) -> Side:
    experiment, _, arm = name.partition("/")
    results = read_results(store, experiment)
    if arm:
        _check_arm(results, arm)
    return Side(results, arm or None)


def _check_arm(results: Results, arm: str) -> None:
    known = [each.name for each in results.arms]
    if arm not in known:
        raise UnknownArm(results.experiment, arm, known)


def _differences(one: Results, other: Results, arms: tuple[str, str]) -> Iterator[Difference]:
    """Yield every metric of every generation that both have, in the order of the registry."""
    generations = [g for g in one.generations if g in other.generations]
    for generation in generations:
        shared = generation == 0 and one.experiment == other.experiment
        found = [] if shared else [d for m in METRICS.values() if (d := _difference(one, other, arms, generation, m))]
        known = {d.metric.name: d.difference.p for d in found if d.difference and d.difference.p is not None}
        corrected = holm(known)
        for each in found:
            p = corrected.get(each.metric.name)
            yield Difference(each.arms, generation, each.metric, each.first, each.second, each.difference, p)


def _difference(
    one: Results, other: Results, arms: tuple[str, str], generation: int, metric: Metric
) -> Difference | None:
    if metric.family or metric.moves is None:
        return None
    first, second = one.mean(metric.name, arms[0], generation), other.mean(metric.name, arms[1], generation)
    if first is None or second is None:
        return None
    paired = []
    for seed in one.seeds:
        values = (
            one.value(metric.name, arms[0], seed, generation),
            other.value(metric.name, arms[1], seed, generation),
        )
        if values[0] is not None and values[1] is not None:
            paired.append(values[1] - values[0])
    return Difference(arms, generation, metric, first, second, excess(paired), None)


def _settings(one: Side, other: Side) -> Iterator[Setting]:
    """Yield the settings that differ: of the experiments, or of two arms of one experiment."""
    mine, theirs = (dict(flat_settings(_said(side))) for side in (one, other))
    for name in dict.fromkeys((*mine, *theirs)):
        if mine.get(name) != theirs.get(name):
            yield Setting(name, mine.get(name), theirs.get(name))


def _said(side: Side) -> Mapping[str, Any]:
    """Return the settings to compare: of an experiment without its name; with an arm, only that arm's among them."""
    config = {key: said for key, said in side.results.config.items() if key not in ("name", "description")}
    if side.arm is None:
        return config
    own: Any = next((arm for arm in config.get("arms", ()) if arm.get("name") == side.arm), {})
    rest = {key: said for key, said in config.items() if key != "arms"}
    return {**rest, "arm": {key: said for key, said in own.items() if key != "name"}}


def last_rows(found: Comparison) -> list[Difference]:
    """Return the differences at the last generation of every pair of arms."""
    last: dict[tuple[str, str], int] = {}
    for each in found.differences:
        last[each.arms] = max(each.generation, last.get(each.arms, 0))
    return [each for each in found.differences if each.generation == last[each.arms]]


def table(found: Comparison, rows: Sequence[Difference]) -> tuple[list[str], list[list[str]]]:
    """Return differences as heads and rows of a table; the arm stands there where there are several."""
    several = len({row.arms for row in rows}) > 1
    generations = len({row.generation for row in rows}) > 1
    heads = ["metric", "unit", found.first, found.second, "difference", "p (Holm)"]
    heads = [*(["arm"] if several else []), *(["generation"] if generations else []), *heads]
    lines = []
    for row in rows:
        digits = row.metric.digits
        difference = row.difference
        lines.append(
            [
                *([row.arms[0]] if several else []),
                *([str(row.generation)] if generations else []),
                row.metric.name,
                row.metric.unit,
                typed(estimated(row.first, digits)),
                typed(estimated(row.second, digits)),
                "–" if difference is None else typed(estimated(as_estimate(difference), digits, signed=True)),
                "–" if row.corrected is None else probability(row.corrected),
            ]
        )
    return heads, lines


def as_mapping(found: Comparison) -> dict[str, Any]:
    """Return a comparison as plain data."""
    return {
        "first": found.first,
        "second": found.second,
        "settings": [asdict(setting) for setting in found.settings],
        "only_first": list(found.only[0]),
        "only_second": list(found.only[1]),
        "differences": [
            {
                "arms": list(row.arms),
                "generation": row.generation,
                "metric": row.metric.name,
                "unit": row.metric.unit,
                "first": row.first.mean,
                "second": row.second.mean,
                "difference": None if row.difference is None else row.difference.mean,
                "half_width": None if row.difference is None else row.difference.half_width,
                "n_seeds": 0 if row.difference is None else row.difference.n,
                "p_holm": row.corrected,
            }
            for row in found.differences
        ],
    }
