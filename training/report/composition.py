"""What every training set was made of, by origin and generation, as drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from provenance.store import views
from provenance.store.store import Store
from training.report.data import Results

#: Budget unit -> column of a draw; documents are counted.
_UNIT_COLUMNS = {"words": "n_words", "tokens": "n_tokens", "bytes": "n_bytes"}


@dataclass(frozen=True, order=True)
class Part:
    """A kind of text in a training set; sorts human first, then by generation, then mixed and unknown."""

    rank: int
    generation: int
    origin: str

    @property
    def label(self) -> str:
        """What legends call it."""
        if self.origin == "human":
            return "human"
        known = f" of generation {self.generation}" if self.generation >= 0 else ""
        return f"{self.origin}{known}"


@dataclass(frozen=True)
class Composition:
    """Shares of one arm's training sets, generation by generation, as means over seeds.

    Attributes
    ----------
    amounts : how much of each part each training set has, in its unit: generation -> part -> amount
    units : what that is counted in: tokens, words, bytes or documents, by generation
    """

    arm: str
    amounts: dict[int, dict[Part, float]]
    units: dict[int, str]

    @property
    def unit(self) -> str:
        """The unit of the last generation; generation 0 may have another, as its text trains the tokenizer."""
        return self.units[max(self.units)]

    def total(self, generation: int) -> float:
        """Return the size of a generation's training set."""
        return sum(self.amounts[generation].values())

    def share(self, generation: int, part: Part) -> float:
        """Return the share of a part in a generation's training set, 0..1."""
        total = self.total(generation)
        return self.amounts[generation].get(part, 0.0) / total if total else 0.0


def read_compositions(store: Store, results: Results) -> list[Composition]:
    """Return the composition of every arm's training sets."""
    names = sorted({run.training_set for run in results.finished.values() if run.training_set})
    units = _units(store, names)
    parts = _parts(store, names, units)
    compositions = []
    for arm in results.arms:
        amounts: dict[int, dict[Part, float]] = {}
        counted: dict[int, str] = {}
        for generation in results.generations:
            runs = [results.run(arm.name, seed, generation) for seed in results.seeds]
            sets = [run.training_set for run in runs if run is not None and run.training_set in parts]
            if sets:
                amounts[generation] = _mean([parts[name] for name in sets if name is not None])
                counted[generation] = units[sets[0] or ""]
        if amounts:
            compositions.append(Composition(arm.name, amounts, counted))
    return compositions


def all_parts(compositions: Sequence[Composition]) -> list[Part]:
    """Return every kind of text that occurs, in the order of the stacks."""
    return sorted({part for each in compositions for amounts in each.amounts.values() for part in amounts})


def _units(store: Store, names: Sequence[str]) -> dict[str, str]:
    """Return what each set counts in; words where its documents have no token counts."""
    sets, draws = views.training_sets, views.training_set_documents
    query = (
        select(sets.c.name, sets.c.budget_unit, func.count(draws.c.n_tokens), func.count())
        .join_from(sets, draws, sets.c.name == draws.c.training_set)
        .where(sets.c.name.in_(names))
        .group_by(sets.c.name, sets.c.budget_unit)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    return {name: "words" if unit == "tokens" and counted < drawn else unit for name, unit, counted, drawn in rows}


def _parts(store: Store, names: Sequence[str], units: dict[str, str]) -> dict[str, dict[Part, float]]:
    draws = views.training_set_documents
    found: dict[str, dict[Part, float]] = {}
    for unit in sorted(set(units.values())):
        column = _UNIT_COLUMNS.get(unit)
        amount: ColumnElement[Any] = func.count() if column is None else func.sum(draws.c[column])
        query = (
            select(draws.c.training_set, draws.c.origin, draws.c.generation, amount)
            .where(draws.c.training_set.in_([name for name in names if units.get(name) == unit]))
            .group_by(draws.c.training_set, draws.c.origin, draws.c.generation)
        )
        with store.read() as connection:
            rows = connection.execute(query).all()
        for name, origin, generation, value in rows:
            found.setdefault(name, {})[_part(origin, generation)] = float(value)
    return found


def _part(origin: str, generation: int | None) -> Part:
    rank = {"human": 0, "synthetic": 1, "mixed": 2}.get(origin, 3)
    return Part(rank, -1 if generation is None else generation, origin)


def _mean(sets: Sequence[dict[Part, float]]) -> dict[Part, float]:
    parts = sorted({part for amounts in sets for part in amounts})
    return {part: sum(amounts.get(part, 0.0) for amounts in sets) / len(sets) for part in parts}
