"""The runs of experiments with the metrics that tell most, from the store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from provenance.store import schema
from provenance.store.store import Store
from training.errors import UnknownExperiment
from training.experiment import SHARED_ARM
from training.metrics.registry import metric_of

#: Metrics of the overview, in its order.
MAIN_METRICS = (
    "heldout_ce",
    "heldout_tail_ce",
    "arm_entropy",
    "t1_entropy",
    "arm_vocabulary",
    "t1_vocabulary",
)


def run_rows(store: Store, experiment: str | None = None) -> list[dict[str, Any]]:
    """Return one mapping a run: experiment, seed, arm, generation, state, model, and every metric by its name.

    Bins and per-document values are left out: `recurse metrics` writes them.

    Raises
    ------
    UnknownExperiment : the store has no runs of that experiment
    """
    run, metric = schema.training_run.c, schema.metric.c
    columns = [run.run_id, run.experiment, run.seed, run.arm, run.generation, run.state, run.model]
    query = select(*columns)
    if experiment is not None:
        query = query.where(run.experiment == experiment)
    rows = {str(row.pop("run_id")): row for row in store.fetch(query).to_pylist()}
    if not rows and experiment is not None:
        raise UnknownExperiment(experiment, sorted(store.fetch(select(run.experiment).distinct())[0].to_pylist()))
    values = select(metric.run_id, metric.metric, metric.value)
    if experiment is not None:
        values = values.join(schema.training_run, run.run_id == metric.run_id).where(run.experiment == experiment)
    for value in store.fetch(values).to_pylist():
        known = metric_of(value["metric"])
        if known is None or not known.family:
            rows[str(value["run_id"])][value["metric"]] = value["value"]
    return sorted(rows.values(), key=_place)


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return where a run stands in a list: generation 0, which all arms share, first."""
    return row["experiment"], row["seed"], row["arm"] != SHARED_ARM, row["arm"], row["generation"]
