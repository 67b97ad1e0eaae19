"""The chain without a store draws the very documents that the chain through store, mix and driver draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.store.store import Store
from tests.factories import ingest, rows
from training.experiment import Experiment
from training.learners.registry import load_learner
from training.loop import run_experiment
from training.theory.chains import Documents, chain

ARMS = [
    {"name": "replace", "regime": "replace"},
    {"name": "fresh", "regime": "quota", "share": 0.3},
    {"name": "fixed", "regime": "quota", "share": 0.3, "human": "fixed"},
    {"name": "all", "regime": "accumulate"},
]


def experiment(learner: dict[str, Any]) -> Experiment:
    """Return an experiment with every way of drawing for one learner, and the first two for the others."""
    arms = ARMS if learner["name"] == "categorical" else ARMS[:2]
    return Experiment.from_mapping(
        {
            "name": "theory",
            "corpus": "source = 'people'",
            "learner": learner,
            "tokenizer": "none",
            "first": {"documents": 20},
            "later": {"documents": 20},
            "evaluation": {"tokens": 20},
            "duplicates": "all",
            "arms": arms,
            "controls": False,
            "generations": 2,
            "seeds": [7],
        }
    )


def people(kind: str) -> list[str]:
    rng = np.random.default_rng(5)
    if kind == "categorical":
        return [f"w{n}" for n in rng.zipf(1.5, 100) % 50]
    if kind == "gaussian":
        return [repr(float(x)) for x in rng.standard_normal(100)]
    return [" ".join(map(repr, map(float, row))) for row in rng.standard_normal((100, 3))]


@pytest.mark.parametrize(
    "learner",
    [{"name": "categorical"}, {"name": "gaussian"}, {"name": "regression", "n_features": 2, "noise": 1.0}],
    ids=lambda learner: str(learner["name"]),
)
def test_both_paths_draw_the_same_documents_and_fit_the_same_models(learner: dict[str, Any], tmp_path: Path) -> None:
    settings, texts = experiment(learner), people(learner["name"])
    pool = Documents.of("people", texts)
    with Store.create(tmp_path / "store.duckdb") as store:
        ingest(store, [{"id": f"{n:06d}", "text": text} for n, text in enumerate(texts, start=1)], source="people")
        run_experiment(store, settings, out=tmp_path / "out", jobs=1)
        sets = {
            row["name"]: set(row["ids"])
            for row in rows(
                store,
                "SELECT training_set AS name, list(document_id::VARCHAR) AS ids FROM training_set_item GROUP BY ALL",
            )
        }
        folders = {row["name"]: row["path"] for row in rows(store, "SELECT name, path FROM model")}
    for seed in settings.seeds:
        for arm in settings.arms:
            for made in chain(settings, arm, pool, seed=seed):
                name = f"theory.{arm.name if made.number else 'shared'}.s{seed}.g{made.number}"
                ids = {one.hex() for one in made.ids}
                assert ids == {one.replace("-", "") for one in sets[name]}, name
                assert made.learner.digest == load_learner(Path(folders[name])).digest, name
