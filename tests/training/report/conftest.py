"""A store filled with a whole experiment through the store's own functions, without training anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pyarrow as pa
import pytest

from provenance.ids import uuid_array
from provenance.ingest.pipeline import ingest_records
from provenance.records import Claim
from provenance.store.store import Store

BEGINNING = datetime.fromisoformat("2026-03-01T12:00:00")

#: metric -> arm -> value by generation, 0 first (measured once with a tiny transformer at T = 0.8).
VALUES: dict[str, dict[str, list[float]]] = {
    "heldout_ce": {
        "replace": [5.09, 5.22, 5.54, 6.03, 6.60],
        "quota": [5.09, 5.12, 5.13, 5.12, 5.12],
        "human": [5.09, 5.08, 5.04, 5.01, 4.99],
    },
    "heldout_tail_ce": {
        "replace": [7.40, 7.81, 8.60, 9.62, 10.68],
        "quota": [7.40, 7.46, 7.50, 7.51, 7.52],
        "human": [7.40, 7.36, 7.30, 7.24, 7.19],
    },
    "arm_entropy": {
        "replace": [8.36, 7.02, 5.90, 5.01, 4.36],
        "quota": [8.36, 7.30, 6.20, 5.32, 4.80],
        "human": [8.36, 8.35, 8.35, 8.34, 8.34],
    },
    "t1_entropy": {
        "replace": [9.16, 8.30, 7.20, 6.11, 5.23],
        "quota": [9.16, 8.90, 8.44, 8.01, 7.66],
        "human": [9.16, 9.15, 9.16, 9.15, 9.15],
    },
    "arm_vocabulary": {
        "replace": [1310, 800, 410, 190, 98],
        "quota": [1310, 870, 490, 261, 184],
        "human": [1310, 1312, 1320, 1318, 1321],
    },
    "t1_vocabulary": {
        "replace": [1950, 1500, 902, 511, 300],
        "quota": [1950, 1800, 1504, 1310, 1201],
        "human": [1950, 1960, 1955, 1964, 1971],
    },
}


@dataclass
class FakeExperiment:
    """What the loop would have written; change a field and fill a store with it."""

    name: str = "demo"
    arms: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"name": "replace", "regime": "replace", "share": None, "human": "fresh"},
            {"name": "quota", "regime": "quota", "share": "1/2", "human": "fresh"},
            {"name": "human", "regime": "human", "share": None, "human": "fresh"},
        ]
    )
    seeds: Sequence[int] = (1,)
    generations: int = 4
    values: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=lambda: VALUES)
    #: (metric, arm, seed, generation, value) -> value; None leaves the metric out
    change: Callable[[str, str, int, int, float], float | None] = lambda metric, arm, seed, generation, value: value
    #: (arm, seed, generation) -> whether the run is finished; None leaves the run out
    finished: Callable[[str, int, int], bool | None] = lambda arm, seed, generation: True
    #: (arm, seed, generation) -> texts that the model wrote
    texts: Callable[[str, int, int], list[str]] = lambda arm, seed, generation: []
    unit: str = "tokens"
    config: dict[str, Any] = field(default_factory=dict)

    def fill(self, store: Store) -> FakeExperiment:
        """Write the experiment into a store, all at once."""
        tables: dict[str, list[pa.Table]] = {}
        for arm, seed, generation in self._places():
            if self.finished(arm, seed, generation) is not None:
                for table, rows in self._run(arm, seed, generation).items():
                    tables.setdefault(table, []).append(rows)
        with store.transaction() as connection:
            for table, rows in tables.items():
                store.append(connection, table, pa.concat_tables(rows, promote_options="permissive"))
        for place in self._places():
            if self.finished(*place):
                self._write_texts(store, *place)
        return self

    def _places(self) -> Iterator[tuple[str, int, int]]:
        for seed in self.seeds:
            yield "shared", seed, 0
            for arm in self.arms:
                for generation in range(1, self.generations + 1):
                    yield arm["name"], seed, generation

    def settings(self) -> dict[str, Any]:
        """Return the experiment as it stands in every run."""
        return {
            "name": self.name,
            "description": "Small enough for a laptop.",
            "learner": {"name": "transformer", "n_layers": 2, "width": 128, "model": None},
            "decoding": {"temperature": 0.8, "top_k": None, "top_p": None},
            "later": {"tokens": 40_000, "epochs": 2, "learning_rate": 0.001, "init": "previous"},
            "arms": self.arms,
            "generations": self.generations,
            "seeds": list(self.seeds),
            **self.config,
        }

    def _run(self, arm: str, seed: int, generation: int) -> dict[str, pa.Table]:
        name = f"{self.name}.{arm}.s{seed}.g{generation}"
        run_id = uuid5(NAMESPACE_OID, name)
        finished = self.finished(arm, seed, generation)
        started = BEGINNING + timedelta(minutes=10 * generation + seed)
        row = {
            "run_id": uuid_array([run_id.bytes]),
            "experiment": [self.name],
            "arm": [arm],
            "seed": [seed],
            "generation": [generation],
            "state": ["finished" if finished else "running"],
            "training_set": [name],
            "model": pa.array([name if finished else None], pa.string()),
            "config": [json.dumps(self.settings())],
            "started_at": [started],
            "finished_at": pa.array([started + timedelta(minutes=5) if finished else None], pa.timestamp("us")),
            "seconds": [json.dumps({"fit": 5.4})],
        }
        tables = {
            "training_run": pa.table(row),
            "metric": self._metrics(run_id.bytes, arm, seed, generation),
            **self._training_set(name, arm, generation),
        }
        if finished:
            tables["model"] = _model(name, run_id.hex, generation)
        return tables

    def _write_texts(self, store: Store, arm: str, seed: int, generation: int) -> None:
        model = f"{self.name}.{arm}.s{seed}.g{generation}"
        records = [{"text": text, "id": str(at)} for at, text in enumerate(self.texts(arm, seed, generation))]
        if records:
            claim = Claim.make("synthetic", generation=generation + 1, model=model)
            ingest_records(store, records, name=model, source=model, claim=claim)

    def _metrics(self, run_id: bytes, arm: str, seed: int, generation: int) -> pa.Table:
        names, values = [], []
        for metric, by_arm in self.values.items():
            known = by_arm.get(arm) or next(iter(by_arm.values()))
            value = self.change(metric, arm, seed, generation, known[generation])
            if value is not None:
                names.append(metric)
                values.append(float(value))
        return pa.table(
            {"run_id": uuid_array([run_id] * len(names)), "metric": pa.array(names, pa.string()), "value": values}
        )

    def _training_set(self, name: str, arm: str, generation: int) -> dict[str, pa.Table]:
        regimes = {each["name"]: each for each in self.arms}
        human = 1.0 if generation == 0 else _human_share(regimes[arm])
        n_documents = 100 if generation else 800
        n_human = round(n_documents * human)
        seed = name.split(".s")[-1].split(".g")[0]
        writer = f"{self.name}.{arm if generation > 1 else 'shared'}.s{seed}.g{generation - 1}"
        ids = [uuid5(NAMESPACE_OID, f"{name}-{at}").bytes for at in range(n_documents)]
        is_human = [at < n_human for at in range(n_documents)]
        items = {
            "training_set": [name] * n_documents,
            "position": list(range(n_documents)),
            "document_id": uuid_array(ids),
            "repeat": [0] * n_documents,
            "n_words": [250] * n_documents,
            "n_bytes": [1500] * n_documents,
            "n_tokens": pa.array([400 if generation else None] * n_documents, pa.int64()),
            "origin": ["human" if h else "synthetic" for h in is_human],
            "generation": pa.array([0 if h else generation for h in is_human], pa.int64()),
            "evidence_rank": [1] * n_documents,
            "model": pa.array([None if h else writer for h in is_human], pa.string()),
            "source": ["messages" if h else "own output" for h in is_human],
            "licence_class": ["public"] * n_documents,
            "cluster_id": uuid_array(ids),
            "stratum": ["human" if h else "synthetic" for h in is_human],
        }
        totals = {
            "name": [name],
            "digest": [f"5e7{uuid5(NAMESPACE_OID, name).hex}"],
            "created_at": [BEGINNING],
            "spec": ["{}"],
            "manifest": ["{}"],
            "budget_unit": [self.unit if generation else "words"],  # generation 0's text trains the tokenizer
            "n_documents": [n_documents],
            "n_words": [250 * n_documents],
            "n_bytes": [1500 * n_documents],
            "n_tokens": pa.array([400 * n_documents if generation else None], pa.int64()),
            "human_share": [human],
        }
        return {"training_set": pa.table(totals), "training_set_item": pa.table(items)}


def _model(name: str, digest: str, generation: int) -> pa.Table:
    return pa.table(
        {
            "name": [name],
            "digest": [f"d1{digest}"],
            "learner": ["transformer"],
            "training_set": [name],
            "generation": [generation],
            "parameters": [json.dumps({"n_parameters": 676_000})],
            "code_version": ["0.1.0"],
            "created_at": [BEGINNING],
        }
    )


def _human_share(arm: Mapping[str, Any]) -> float:
    return {"replace": 0.0, "human": 1.0}.get(arm["regime"]) or float(Fraction(arm.get("share") or 0))


@pytest.fixture
def fake() -> type[FakeExperiment]:
    return FakeExperiment


@pytest.fixture(scope="module")
def fake_experiment() -> type[FakeExperiment]:
    return FakeExperiment
