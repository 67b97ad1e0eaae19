"""What each experiment that ships is expected to show, as statements about the metrics that it left in its store."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

#: Arms of a ladder, the greatest loss first.
LADDER = ("replace", "fixed-10", "quota-10", "quota-25", "quota-50")
#: Greatest wall time on two cores, in minutes, of those that were given one.
LIMITS_MIN: Mapping[str, float] = {"ladder-ngram": 6, "ladder-ngram-sharp": 6, "ladder-tiny": 40, "demo": 5}


#: Share of numbers within .5 of 0, where neither component of what people wrote reaches, by who wrote them.
_BETWEEN = """
    SELECT coalesce(r.arm, 'people') AS arm, d.generation, avg((abs(d.text::DOUBLE) < 0.5)::INTEGER)
    FROM documents d LEFT JOIN training_run r ON r.model = d.model
    WHERE d.source = 'two-components' OR d.source = d.model
    GROUP BY ALL
"""


_KEPT = "SELECT human_share FROM training_sets WHERE name LIKE '%.keep-10.%' AND name NOT LIKE '%human-only%'"


@dataclass(frozen=True)
class Outcome:
    """One expectation.

    Attributes
    ----------
    expected : in words, with its numbers
    seen : what was measured
    holds : whether it was so
    """

    expected: str
    seen: str
    holds: bool


class Measured:
    """Metrics of one experiment, read from its store."""

    def __init__(self, store: Path, experiment: str) -> None:
        self.store = store
        rows = self.query("SELECT arm, seed, generation, metric, value FROM runs WHERE experiment = ?", experiment)
        self.values = {(arm, seed, generation, metric): value for arm, seed, generation, metric, value in rows}
        self.seeds = sorted({seed for _, seed, _, _ in self.values})
        self.arms = {arm for arm, *_ in self.values}
        self.last = max((generation for _, _, generation, _ in self.values), default=0)

    def query(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query of the store."""
        with duckdb.connect(str(self.store), read_only=True) as connection:
            return connection.execute(query, values).fetchall()

    def value(self, arm: str, metric: str = "heldout_ce", *, seed: int, generation: int | None = None) -> float:
        """Return a metric of one model; of generation 0, which all arms of a seed share, with `generation=0`."""
        generation = self.last if generation is None else generation
        return next(
            self.values[key] for key in ((arm, seed, generation, metric), ("shared", seed, generation, metric))
            if key in self.values
        )  # fmt: skip

    def excess(self, arm: str, metric: str = "heldout_ce", *, seed: int) -> float:
        """Return how much a metric of the last generation lies above generation 0's."""
        return self.value(arm, metric, seed=seed) - self.value(arm, metric, seed=seed, generation=0)

    def of_seeds(self, measure: Callable[[int], float]) -> list[float]:
        """Return a measure of every seed."""
        return [measure(seed) for seed in self.seeds]


def _numbers(values: Iterable[float]) -> str:
    found = list(values)
    return f"{min(found):.3f}" if len(found) == 1 else f"{min(found):.3f} to {max(found):.3f}"


def _bounded(expected: str, values: list[float], *, low: float = -math.inf, high: float = math.inf) -> Outcome:
    """Return whether the mean over seeds lies between bounds."""
    return Outcome(expected, _numbers(values), low < statistics.fmean(values) < high)


def _order(measured: Measured, arms: Iterable[str], metric: str = "heldout_ce", *, falling: bool = True) -> Outcome:
    """Return whether a metric of the last generation falls (or rises) along arms in every seed."""
    arms, sign = list(arms), 1 if falling else -1
    rows = [[measured.value(arm, metric, seed=seed) for arm in arms] for seed in measured.seeds]
    holds = all(sign * (a - b) > 0 for row in rows for a, b in itertools.pairwise(row))
    means = ", ".join(f"{statistics.fmean(column):.2f}" for column in zip(*rows, strict=True))
    between = " > " if falling else " < "
    return Outcome(f"{metric}: {between.join(arms)} in every seed", means, holds)


def _tail_above_head(measured: Measured, arms: Iterable[str]) -> Outcome:
    """Return whether the rarest words lose more than the others in every seed."""
    differences = [
        measured.excess(arm, "heldout_tail_ce", seed=seed) - measured.excess(arm, "heldout_head_ce", seed=seed)
        for arm in arms
        for seed in measured.seeds
    ]
    return Outcome(
        f"tail words lose more than others: {', '.join(arms)}", _numbers(differences), min(differences) > 0
    )  # fmt: skip


def _excesses(measured: Measured, bounds: Mapping[str, tuple[float, float]]) -> list[Outcome]:
    return [
        _bounded(
            f"{arm}: {low:g} to {high:g} nats above generation 0",
            measured.of_seeds(lambda seed, arm=arm: measured.excess(arm, seed=seed)),  # type: ignore[misc]
            low=low,
            high=high,
        )
        for arm, (low, high) in bounds.items()
    ]


def _above_control(measured: Measured, arm: str, *, low: float, metric: str = "heldout_ce") -> Outcome:
    values = measured.of_seeds(
        lambda seed: measured.value(arm, metric, seed=seed) - measured.value("human", metric, seed=seed)
    )
    return _bounded(f"{metric}: {arm} more than {low:g} above the human control", values, low=low)


def ladder_ngram(measured: Measured) -> list[Outcome]:
    """Expect drift that falls with the share of fresh human text."""
    bounds = {"replace": (1.3, 1.6), "quota-25": (0.0, 0.65), "quota-50": (0.0, 0.30), "accumulate": (0.0, 0.3)}
    return [*_excesses(measured, bounds), _order(measured, LADDER), _tail_above_head(measured, LADDER[:4])]


def ladder_ngram_sharp(measured: Measured) -> list[Outcome]:
    """Expect that a quota bounds the loss, and keeps little of the diversity of samples."""
    return [
        *_excesses(measured, {"replace": (4.0, 8.0), "quota-50": (0.0, 0.6)}),
        _order(measured, ("replace", "quota-10", "quota-25", "quota-50")),
        _order(measured, ("replace", "fixed-10", "quota-25")),
        _order(measured, ("human", "quota-50", "quota-25", "quota-10"), "arm_entropy"),
        _tail_above_head(measured, ("quota-10", "quota-25", "quota-50")),
    ]


def ladder_tiny(measured: Measured) -> list[Outcome]:
    """Expect that the loss falls along the shares, and that quota arms write less varied text than the control."""
    return [
        _order(measured, ("replace", "quota-10", "quota-25", "quota-50", "human")),
        _above_control(measured, "replace", low=1.0),
        _order(measured, ("human", "quota-50", "replace"), "arm_entropy"),
        _tail_above_head(measured, ("replace", "quota-10")),
    ]


def dose_response(measured: Measured) -> list[Outcome]:
    """Expect that the loss falls from all synthetic to all human."""
    return [
        _order(measured, ("human-000", "human-010", "human-050", "human-100")),
        _order(measured, ("human-000", "human-010", "human-050", "human-100"), "heldout_tail_ce"),
    ]


def dose_response_sharp(measured: Measured) -> list[Outcome]:
    """Expect the same, and that no share but the whole keeps the diversity of samples."""
    lost = [
        measured.value("human-100", "arm_entropy", seed=seed) - measured.value("human-050", "arm_entropy", seed=seed)
        for seed in measured.seeds
    ]
    return [
        *dose_response(measured),
        _bounded("arm_entropy: human-050 more than 2 bits below human-100", lost, low=2.0),
    ]


def demo(measured: Measured) -> list[Outcome]:
    """Expect collapse without a quota, and none with it."""
    return [_order(measured, ("replace", "quota", "human")), _above_control(measured, "replace", low=1.0)]


def detect(measured: Measured) -> list[Outcome]:
    """Expect that unknown documents taken for human cost more than those left out."""
    return [_order(measured, ("as-human", "excluded", "human"))]


def reduced_opt(measured: Measured) -> list[Outcome]:
    """Expect the study's finding in small: a tenth of the original text prevents most of the loss."""
    shares = [share for (share,) in measured.query(_KEPT)]
    return [
        _bounded("human share of keep-10: .1 to .25", [max(shares)], low=0.0999, high=0.25),
        _order(measured, ("replace", "keep-10", "human")),
        _bounded(
            "keep-10 loses less than half of what replace loses",
            measured.of_seeds(
                lambda seed: measured.excess("keep-10", seed=seed) / measured.excess("replace", seed=seed)
            ),
            high=0.5,
        ),
    ]


def theory(measured: Measured) -> list[Outcome]:
    """Expect diversity in the order of the predictions (their numbers: scripts/theory.py)."""
    arms = ("human", "fresh-50", "fresh-10", "replace")
    metric = "t1_entropy"
    means = [statistics.fmean(measured.of_seeds(lambda s, a=arm: measured.value(a, metric, seed=s))) for arm in arms]  # type: ignore[misc]
    holds = all(a > b for a, b in itertools.pairwise(means))
    return [Outcome(f"{metric}, mean: {' > '.join(arms)}", ", ".join(f"{mean:.2f}" for mean in means), holds)]


def three_errors(measured: Measured) -> list[Outcome]:
    """Expect that what one Gaussian cannot express is lost at generation 0, and that later ones add little to it."""
    between = {(arm, generation): share for arm, generation, share in measured.query(_BETWEEN)}
    people, first = between["people", 0], between["shared", 1]
    last = between["fresh-10", measured.last]
    return [
        _bounded("numbers between the two components, by people: below .01", [people], high=0.01),
        _bounded("by generation 0's model: .15 to .25", [first], low=0.15, high=0.25),
        _bounded(
            f"by that of generation {measured.last - 1} under fresh-10: within .05 of it",
            [last - first],
            low=-0.05,
            high=0.05,
        ),
    ]


EXPECTED: Mapping[str, Callable[[Measured], list[Outcome]]] = {
    "demo": demo,
    "detect": detect,
    "dose-response": dose_response,
    "dose-response-sharp": dose_response_sharp,
    "ladder-ngram": ladder_ngram,
    "ladder-ngram-sharp": ladder_ngram_sharp,
    "ladder-tiny": ladder_tiny,
    "opt125m-wikitext2-reduced": reduced_opt,
    "theory": theory,
    "three-errors": three_errors,
}
