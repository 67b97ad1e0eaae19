"""How far people are behind what a model was trained on: through how many models every part of it has gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from provenance.store import views
from provenance.store.store import Store
from training.report.data import Results
from training.report.palette import SURFACE, Colour
from training.report.plots import COMPOSITION_SIZE, generation_axis
from training.report.svg import figure, inline_svg
from training.report.wording import percent

#: Stands for what nobody knows the way of.
UNKNOWN = -1


@dataclass(frozen=True)
class Distances:
    """What stands behind the training sets of one arm.

    Attributes
    ----------
    shares : generation -> number of models between people and the text (0: human text as it is; `UNKNOWN`) -> share,
        mean over seeds
    """

    arm: str
    shares: Mapping[int, Mapping[int, float]]


def read_distances(store: Store, results: Results) -> list[Distances]:
    """Return the distances of every arm.

    Notes
    -----
    A text by a model is one step further from people than what that model was trained on, part by part: text of a model
    with a training set of half human text is half one and half two or more steps away.
    """
    models = {run.model: run.training_set for run in results.finished.values() if run.model and run.training_set}
    behind = _Behind(models, _by_model(store, sorted(set(models.values()))))
    distances = []
    for arm in results.arms:
        shares: dict[int, dict[int, float]] = {}
        for generation in results.generations:
            runs = [results.run(arm.name, seed, generation) for seed in results.seeds]
            sets = [behind(run.training_set) for run in runs if run is not None and run.training_set]
            sets = [each for each in sets if each]
            if sets:
                places = sorted({at for each in sets for at in each})
                shares[generation] = {at: sum(each.get(at, 0.0) for each in sets) / len(sets) for at in places}
        if shares:
            distances.append(Distances(arm.name, shares))
    return distances


class _Behind:
    """Gives the distances behind a training set.

    Parameters
    ----------
    models : model -> its training set
    parts : training set -> origin and model -> share
    """

    def __init__(self, models: Mapping[str, str], parts: Mapping[str, Mapping[tuple[str, str | None], float]]) -> None:
        self._models = models
        self._parts = parts
        self._known: dict[str, dict[int, float]] = {}

    def __call__(self, training_set: str, above: frozenset[str] = frozenset()) -> dict[int, float]:
        if training_set not in self._known:
            found: dict[int, float] = {}
            for (origin, model), share in self._parts.get(training_set, {}).items():
                for at, part in self._steps(origin, model, above | {training_set}).items():
                    found[at] = found.get(at, 0.0) + share * part
            self._known[training_set] = found
        return self._known[training_set]

    def _steps(self, origin: str, model: str | None, above: frozenset[str]) -> dict[int, float]:
        """Return the distances of text of an origin, written by a model if by any."""
        if origin == "human":
            return {0: 1.0}
        source = self._models.get(model or "")
        if source is None or source in above:
            return {UNKNOWN: 1.0}
        return {at if at == UNKNOWN else at + 1: part for at, part in self(source, above).items()}


def all_distances(distances: Sequence[Distances]) -> list[int]:
    """Return every distance that occurs, the nearest first, the unknown last."""
    found = {at for each in distances for shares in each.shares.values() for at in shares}
    return sorted(found, key=lambda at: (at == UNKNOWN, at))


def distance_label(at: int) -> str:
    """Return what legends call a distance."""
    if at == UNKNOWN:
        return "nobody knows"
    return {0: "human", 1: "through 1 model"}.get(at, f"through {at} models")


def distance_panels(distances: Sequence[Distances], colours: Mapping[int, Colour]) -> list[tuple[Distances, str]]:
    """Return a panel for every arm, a bar a generation."""
    return [(each, _panel(each, colours, at)) for at, each in enumerate(distances)]


def _panel(each: Distances, colours: Mapping[int, Colour], number: int) -> str:
    generations = sorted(each.shares)
    with figure(*COMPOSITION_SIZE) as (drawn, ink):
        axes = drawn.add_subplot()
        below = [0.0] * len(generations)
        for at, colour in colours.items():
            shares = [100 * each.shares[g].get(at, 0.0) for g in generations]
            look: dict[str, Any] = {"color": ink(colour), "edgecolor": ink(SURFACE), "linewidth": 0.8, "width": 0.72}
            axes.bar(generations, shares, bottom=below, **look)
            below = [a + b for a, b in zip(below, shares, strict=True)]
        axes.set_ylim(0, 102)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.set_ylabel("% of the training set")
        axes.spines["left"].set_visible(False)
        generation_axis(axes, generations)
        axes.set_xlabel("generation of the model trained on it")
        return inline_svg(drawn, ink, name=f"distance-{number}", label=_spoken(each))


def _spoken(each: Distances) -> str:
    said = []
    for generation, shares in each.shares.items():
        parts = ", ".join(f"{percent(share)} {distance_label(at)}" for at, share in shares.items() if share)
        said.append(f"generation {generation}: {parts}")
    return f"How far from people the training sets of arm {each.arm} are: " + "; ".join(said)


def _by_model(store: Store, names: Sequence[str]) -> dict[str, dict[tuple[str, str | None], float]]:
    """Return the shares of each training set by origin and model: of tokens where they are counted, else of words."""
    draws = views.training_set_documents
    amount: ColumnElement[Any] = func.sum(func.coalesce(draws.c.n_tokens, draws.c.n_words))
    query = (
        select(draws.c.training_set, draws.c.origin, draws.c.model, amount)
        .where(draws.c.training_set.in_(names))
        .group_by(draws.c.training_set, draws.c.origin, draws.c.model)
    )
    with store.read() as connection:
        rows = connection.execute(query).all()
    found: dict[str, dict[tuple[str, str | None], float]] = {}
    for training_set, origin, model, value in rows:
        found.setdefault(training_set, {})[origin, model] = float(value)
    return {
        name: {place: value / total for place, value in parts.items()}
        for name, parts in found.items()
        if (total := sum(parts.values()))
    }
