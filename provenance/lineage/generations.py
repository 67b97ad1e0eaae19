"""Generation and ancestry of models and of what they write, computed along training sets.

Of a training set, weighing its draws by tokens (by words where its budget counts no tokens), today's labels give:

- the generation of a model trained on it: the largest generation in it, 0 if it is empty;
- its mean ancestry: the expected number of model steps between a token that it was trained on and people;
- its human ancestry: the share of its tokens that people wrote, directly or behind models of ours.

What a model of ours writes has one generation and one step more than the model, and the model's human ancestry. Text of
a model that is not ours has the generation that is claimed of it, and as many steps. All three are lower bounds where
something of unknown origin, or of a model that is not ours, stands behind: the unknown counts as generation 0 with no
steps and nothing human, a model's text of unknown generation as generation 1. `generation_is_bound` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
from sqlalchemy import Connection

from provenance.evidence.resolve import ANCESTRY, GENERATION
from provenance.lineage.errors import LineageCycle
from provenance.store.store import registered

#: Dependent models are looked for in so many steps before all models are taken: many steps cost more than all models.
_STEPS = 8


class Ancestry(NamedTuple):
    """What stands behind a model; see the module's text.

    Attributes
    ----------
    generation : 0 or more
    is_bound : whether the three are only lower bounds
    mean : expected number of model steps, 0 or more
    human : share of human tokens, 0 to 1
    """

    generation: int
    is_bound: bool
    mean: float
    human: float


@dataclass
class Composition:
    """What a training set holds beside text of our models, and how much of each of these.

    Attributes
    ----------
    generation, is_bound : of that text
    n_units : weight of all draws
    n_steps : model steps behind that text, summed over its units
    n_human : human units
    models : model of ours -> units of its text
    """

    generation: int = 0
    is_bound: bool = False
    n_units: int = 0
    n_steps: int = 0
    n_human: int = 0
    models: dict[str, int] = field(default_factory=dict)

    def ancestry(self, behind: Mapping[str, Ancestry]) -> Ancestry:
        """Return that of a model trained on the set, from those of the models whose text it holds."""
        known = [(behind[name], units) for name, units in sorted(self.models.items())]
        n = self.n_units or 1
        return Ancestry(
            max([self.generation, *(one.generation + 1 for one, _ in known)]),
            self.is_bound or any(one.is_bound for one, _ in known),
            self.n_steps / n + sum((one.mean + 1) * (units / n) for one, units in known),
            self.n_human / n + sum(one.human * (units / n) for one, units in known),
        )


# Documents that were taken down count by the labels under which they were drawn.
_COMPOSITION = """
    WITH drawn AS (
        SELECT i.training_set, coalesce(i.n_tokens, i.n_words) AS units,
               CASE WHEN d.document_id IS NULL THEN i.origin ELSE d.origin END AS origin,
               CASE WHEN d.document_id IS NULL THEN i.generation ELSE d.generation END AS generation,
               CASE WHEN d.document_id IS NULL THEN i.model ELSE d.model END AS model
        FROM training_set_item i SEMI JOIN looked_at USING (training_set)
        LEFT JOIN document d ON d.document_id = i.document_id
    ),
    weighed AS (
        SELECT training_set, units, origin, origin IN ('synthetic', 'mixed') AS is_generated,
               CASE WHEN is_generated THEN m.name END AS ours,
               CASE WHEN is_generated THEN greatest(coalesce(generation, 1), 1) ELSE 0 END AS steps
        FROM drawn LEFT JOIN (SELECT name FROM model WHERE training_set IS NOT NULL) m ON m.name = drawn.model
    )
    SELECT training_set, ours, max(steps)::BIGINT AS generation, bool_or(origin <> 'human') AS is_bound,
           sum(units)::BIGINT AS n_units, sum(units * steps)::BIGINT AS n_steps,
           coalesce(sum(units) FILTER (origin = 'human'), 0)::BIGINT AS n_human
    FROM weighed GROUP BY ALL
"""
_FIRST = """
    SELECT DISTINCT m.name FROM training_set_item i SEMI JOIN relabelled USING (document_id)
    JOIN model m ON m.training_set = i.training_set
"""
_NEXT = """
    SELECT DISTINCT m.name FROM training_set_item i
    SEMI JOIN (SELECT document_id FROM document SEMI JOIN writers ON document.model = writers.name
               WHERE origin IN ('synthetic', 'mixed')) d ON d.document_id = i.document_id
    JOIN model m ON m.training_set = i.training_set
"""
_OURS = "SELECT name, training_set FROM model WHERE training_set IS NOT NULL ORDER BY name"
_STORED = """
    SELECT name, generation, generation_is_bound, mean_ancestry, human_ancestry FROM model
    WHERE training_set IS NOT NULL
"""
_UPDATE_MODELS = """
    UPDATE model SET generation = n.generation, generation_is_bound = n.is_bound, mean_ancestry = n.mean,
        human_ancestry = n.human
    FROM renewed n WHERE model.name = n.name
"""
_DEPENDENT = f"""
    CREATE OR REPLACE TEMP TABLE dependent AS
    SELECT d.document_id, d.cluster_id, d.origin, d.model, d.evidence_rank, d.conflict,
           {GENERATION.format(claimed="d.generation").strip()} AS generation,
           {ANCESTRY.format(claimed="d.generation").strip()}
    FROM document d JOIN model m ON m.name = d.model SEMI JOIN renewed n ON n.name = m.name
    WHERE d.origin IN ('synthetic', 'mixed')
"""
_UPDATE_DEPENDENT = """
    UPDATE document SET generation = n.generation, generation_is_bound = n.generation_is_bound,
        mean_ancestry = n.mean_ancestry, human_ancestry = n.human_ancestry
    FROM dependent n WHERE document.document_id = n.document_id
"""
_EXAMPLES = """
    SELECT w.model, min(i.document_id)::VARCHAR
    FROM walk w JOIN training_set_item i USING (training_set)
    JOIN document d ON d.document_id = i.document_id AND d.model = w.writer
    GROUP BY ALL
"""


def settle_generations(connection: Connection, *, everything: bool = False) -> None:
    """Follow what changed in the documents of the temporary table `relabelled` along models.

    The documents that change with it are added to that table.

    Parameters
    ----------
    everything : compute all models anew, not only those that depend on these documents

    Raises
    ------
    LineageCycle
        If a model is trained on what it, or a model after it, wrote.
    """
    with registered(connection) as raw:
        ours = dict(raw.execute(_OURS).fetchall())
        concerned = set(ours) if everything else _dependents(connection, ours)
        if not concerned:
            return
        _write(connection, _changed(connection, ancestries(connection, concerned)))


def settle_model(connection: Connection, name: str) -> None:
    """Compute generation and ancestry of one model of ours that nothing depends on yet.

    Raises
    ------
    LineageCycle
        If it was trained on what it wrote.
    """
    with registered(connection) as raw:
        raw.execute("CREATE OR REPLACE TEMP TABLE relabelled AS SELECT * FROM document LIMIT 0")
        _write(connection, _changed(connection, ancestries(connection, {name})))
        raw.execute("DROP TABLE temp.relabelled")


def ancestries(connection: Connection, names: Iterable[str] | None = None) -> dict[str, Ancestry]:
    """Return what stands behind models of ours; behind the others among them what their rows say.

    Parameters
    ----------
    names : models to compute; None for all of ours

    Raises
    ------
    LineageCycle
        If there is a circle among them.
    """
    with registered(connection) as raw:
        ours = dict(raw.execute(_OURS).fetchall())
        wanted = set(ours) if names is None else set(names)
        compositions = _compositions(connection, {ours[name] for name in wanted})
        found = {name: one for name, one in stored_ancestries(connection).items() if name not in wanted}
        of_model = {name: compositions.get(ours[name], Composition()) for name in wanted}
        for name in _in_order(connection, ours, of_model):
            found[name] = of_model[name].ancestry(found)
    return {name: found[name] for name in sorted(wanted)}


def stored_ancestries(connection: Connection) -> dict[str, Ancestry]:
    """Return what the rows of our models say stands behind them."""
    with registered(connection) as raw:
        return {name: Ancestry(*row) for name, *row in raw.execute(_STORED).fetchall()}


def _dependents(connection: Connection, ours: Mapping[str, str]) -> set[str]:
    with registered(connection) as raw:
        found = {row[0] for row in raw.execute(_FIRST).fetchall()}
    writers = found
    for _ in range(_STEPS):
        if not writers:
            return found
        with registered(connection, writers=pa.table({"name": pa.array(sorted(writers), pa.string())})) as raw:
            writers = {row[0] for row in raw.execute(_NEXT).fetchall()} - found
        found |= writers
    return set(ours)


def _compositions(connection: Connection, names: Iterable[str]) -> dict[str, Composition]:
    table = pa.table({"training_set": pa.array(sorted(names), pa.string())})
    with registered(connection, looked_at=table) as raw:
        rows = raw.execute(_COMPOSITION).fetchall()
    found: dict[str, Composition] = {}
    for name, ours, generation, is_bound, n_units, n_steps, n_human in rows:
        one = found.setdefault(name, Composition())
        one.n_units += n_units
        if ours is not None:
            one.models[ours] = n_units
        else:
            one.generation, one.is_bound, one.n_steps, one.n_human = generation, is_bound, n_steps, n_human
    return found


def _in_order(connection: Connection, ours: Mapping[str, str], of_model: Mapping[str, Composition]) -> Iterator[str]:
    """Yield models so that each comes after those whose text it was trained on."""
    waits_for = {name: {one for one in of.models if one in of_model} for name, of in of_model.items()}
    awaited_by: dict[str, list[str]] = {}
    for name in sorted(waits_for):
        for one in waits_for[name]:
            awaited_by.setdefault(one, []).append(name)
    ready = sorted(name for name, behind in waits_for.items() if not behind)
    while ready:
        name = ready.pop()
        yield name
        for later in awaited_by.get(name, ()):
            waits_for[later].discard(name)
            if not waits_for[later]:
                ready.append(later)
        del waits_for[name]
    if waits_for:
        raise LineageCycle(list(_circle(connection, ours, waits_for)))


def _circle(connection: Connection, ours: Mapping[str, str], waits_for: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield the steps of a circle: a model, its training set, a document in it, the model that wrote it, ..."""
    writer_for: dict[str, str] = {}
    name = min(waits_for)
    while name not in writer_for:
        writer_for[name] = min(waits_for[name])
        name = writer_for[name]
    models = [name]  # the walk came back to it
    while writer_for[models[-1]] != name:
        models.append(writer_for[models[-1]])
    walk = {
        "model": models,
        "training_set": [ours[one] for one in models],
        "writer": [writer_for[one] for one in models],
    }
    with registered(connection, walk=pa.table(walk)) as raw:
        documents = dict(raw.execute(_EXAMPLES).fetchall())
    for one in models:
        yield from (f"model {one}", f"training set {ours[one]}", f"document {documents[one]}")
    yield f"model {name}"


def _changed(connection: Connection, found: Mapping[str, Ancestry]) -> dict[str, Ancestry]:
    stored = stored_ancestries(connection)
    return {name: one for name, one in found.items() if stored[name] != one}


def _write(connection: Connection, renewed: Mapping[str, Ancestry]) -> None:
    if not renewed:
        return
    generation, is_bound, mean, human = zip(*renewed.values(), strict=True)
    rows = pa.table(
        {
            "name": list(renewed),
            "generation": pa.array(generation, pa.uint32()),
            "is_bound": list(is_bound),
            "mean": pa.array(mean, pa.float64()),
            "human": pa.array(human, pa.float64()),
        }
    )
    with registered(connection, renewed=rows) as raw:
        raw.execute(_UPDATE_MODELS)
        raw.execute(_DEPENDENT)
        raw.execute(_UPDATE_DEPENDENT)
        raw.execute("INSERT INTO relabelled BY NAME FROM dependent ANTI JOIN relabelled USING (document_id)")
        raw.execute("DROP TABLE temp.dependent")
