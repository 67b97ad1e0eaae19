"""What a loop leaves in the store: one row a run, its metrics, the model, and the model's output as documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
from sqlalchemy import func, insert, select, update

from provenance.ids import as_uuid, composite_digest
from provenance.ingest.pipeline import ingest_records
from provenance.lineage.models import Model, register_model
from provenance.records import Claim
from provenance.store import schema
from provenance.store.store import Store, utc_now
from training.errors import ExperimentChanged
from training.experiment import Experiment
from training.learners.base import Decoding
from training.mixes import evaluation_source, followed_source

_run = schema.training_run.c

#: What may be changed in an experiment that has runs already.
EXTENSIBLE = ("description", "generations", "seeds", "arms", "keep")


@dataclass(frozen=True)
class Run:
    """One model of an experiment: its arm, seed and generation."""

    experiment: str
    arm: str
    seed: int
    generation: int
    model: str

    @property
    def run_id(self) -> UUID:
        """Id of the run's row: the same for the same experiment, arm, seed and generation."""
        return as_uuid(
            composite_digest("training run", self.experiment, self.arm, str(self.seed), str(self.generation))
        )


def check_unchanged(store: Store, experiment: Experiment) -> None:
    """Compare an experiment with the runs of that name in the store.

    Raises
    ------
    ExperimentChanged : a setting differs that finished runs depend on
    """
    rows = store.fetch(select(_run.config).where(_run.experiment == experiment.name).distinct()).to_pylist()
    given = experiment.as_mapping()
    for row in rows:
        stored = Experiment.from_mapping(_json(row["config"])).as_mapping()
        for field, value in stored.items():
            if field not in EXTENSIBLE and value != given[field]:
                raise ExperimentChanged(experiment.name, field, value, given[field])
        arms = {arm["name"]: arm for arm in given["arms"]}
        for arm in stored["arms"]:
            if arm["name"] in arms and arms[arm["name"]] != arm:
                raise ExperimentChanged(experiment.name, f"arm {arm['name']}", arm, arms[arm["name"]])


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def finished_runs(store: Store, experiment: str) -> set[UUID]:
    """Return the ids of the finished runs of an experiment."""
    query = select(_run.run_id).where(_run.experiment == experiment, _run.state == "finished")
    with store.read() as connection:
        return {UUID(str(run_id)) for run_id in connection.execute(query).scalars()}


def begin_run(store: Store, run: Run, *, training_set: str, config: Mapping[str, Any]) -> None:
    """Enter a run as running; one that was interrupted stays as it was entered."""
    with store.transaction() as connection:
        if connection.execute(select(func.count()).where(_run.run_id == run.run_id)).scalar_one():
            return
        row = {
            "run_id": run.run_id,
            "experiment": run.experiment,
            "arm": run.arm,
            "seed": run.seed,
            "generation": run.generation,
            "state": "running",
            "training_set": training_set,
            "model": None,
            "config": dict(config),
            "started_at": utc_now(),
        }
        connection.execute(insert(schema.training_run), [row])


def finish_run(store: Store, run: Run, *, metrics: Mapping[str, float], seconds: Mapping[str, float]) -> None:
    """Enter a run's metrics and mark it finished, in one transaction."""
    rows = pa.table(
        {
            "run_id": pa.array([str(run.run_id)] * len(metrics), pa.string()),
            "metric": pa.array(list(metrics), pa.string()),
            "value": pa.array(list(metrics.values()), pa.float64()),
        }
    )
    with store.transaction() as connection:
        store.append(connection, "metric", rows)
        connection.execute(
            update(schema.training_run)
            .where(_run.run_id == run.run_id)
            .values(state="finished", model=run.model, finished_at=utc_now(), seconds=dict(seconds))
        )


def enter_model(store: Store, run: Run, *, account: Mapping[str, Any], learner: str, path: str) -> int:
    """Register a fitted model and return its generation: that of the newest text it was trained on.

    Raises
    ------
    NameTaken : the store has another model of that name
    """
    parameters = {key: account[key] for key in ("fit_tokens", "loss", "made_from", "n_parameters", "n_steps")}
    parameters = json.loads(json.dumps(parameters, sort_keys=True))  # the same text whether fresh or from its file
    model = Model(
        name=run.model,
        digest=account["digest"],
        learner=learner,
        training_set=run.model,
        parameters=parameters,
        path=path,
    )
    if not register_model(store, model):
        _restore_path(store, model)
    with store.read() as connection:
        known = connection.execute(select(schema.model.c.generation).where(schema.model.c.name == model.name))
        return int(known.scalar_one())


def _restore_path(store: Store, model: Model) -> None:
    """Note where the files of a model are that was made anew after they had been removed."""
    m = schema.model.c
    with store.transaction() as connection:
        connection.execute(update(schema.model).where(m.name == model.name, m.path.is_(None)).values(path=model.path))


def forget_path(store: Store, model: str) -> None:
    """Note that the files of a model are not kept."""
    with store.transaction() as connection:
        connection.execute(update(schema.model).where(schema.model.c.name == model).values(path=None))


def ingest_output(
    store: Store, run: Run, outputs: Mapping[str, Mapping[str, Any]], *, generation: int, decoding: Mapping[str, Any]
) -> dict[str, int]:
    """Take a model's output into the store as documents of the generation after the model's.

    Text under the arm's decoding has the model's name as its source; the evaluation sample a source of its own, which
    no training set draws from.

    Parameters
    ----------
    outputs : kind (`arm`, `t1`, `followed`) -> texts, and where there were prompts either parents (ids of the documents
        in the prompt of each) or the prompts themselves

    Returns
    -------
    Number of texts by kind that the store refused: empty, only special tokens, or unreadable. They are in quarantine.
    """
    claim = Claim.make("synthetic", generation=generation + 1, model=run.model)
    decodings = {"arm": dict(decoding), "t1": Decoding().model_dump(), "followed": dict(decoding)}
    sources = {"arm": run.model, "t1": evaluation_source(run.model), "followed": followed_source(run.model)}
    refused = {}
    for kind, output in outputs.items():
        source = sources[kind]
        entered = store.fetch(_ENTERED, {"source": source})["n_quarantined"].to_pylist()
        if entered:  # by an attempt that was interrupted later
            refused[kind] = int(entered[0])
            continue
        records = _documents(run, output, kind=kind, decoding=decodings[kind])
        refused[kind] = ingest_records(store, records, name=source, source=source, claim=claim).counts.n_quarantined
    return refused


_ENTERED = "SELECT n_quarantined FROM ingest WHERE source = :source AND state = 'finished' ORDER BY started_at"


def _documents(
    run: Run, output: Mapping[str, Any], *, kind: str, decoding: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    texts: Sequence[str] = output["texts"]
    parents: Sequence[Sequence[str]] = output.get("parents") or [()] * len(texts)
    metadata = {
        "experiment": run.experiment,
        "arm": run.arm,
        "seed": run.seed,
        "generation_of_model": run.generation,
        "training_set": run.model,
        "sample": kind,
        "decoding": dict(decoding),
    }
    prompts: Sequence[str | None] = output.get("prompts") or [None] * len(texts)
    for number, (text, behind, prompt) in enumerate(zip(texts, parents, prompts, strict=True), start=1):
        own = metadata if prompt is None else {**metadata, "prompt": prompt}
        record: dict[str, Any] = {"id": f"{number:06d}", "text": text, "metadata": own}
        if behind:
            record["parent"] = [{"document_id": one, "relation": "prompt"} for one in behind]
        yield record
