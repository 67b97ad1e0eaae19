"""A small corpus and small experiments for tests of the whole loop."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from provenance.demo.corpus import read_corpus
from provenance.store.store import Store
from tests.factories import REPOSITORY, ingest, rows
from training.experiment import Experiment

N_DOCUMENTS = 120
HELDOUT = "1797-Adams-1"

SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "corpus": "source = 'books'",
    "heldout": f"metadata->>'address' = '{HELDOUT}'",
    "learner": {"name": "ngram", "sample_length": 128},
    "tokenizer": {"vocab_size": 20_000},
    "block_length": 32,
    "first": {"words": 6_000},
    "later": {"tokens": 4_000},
    "evaluation": {"tokens": 1_500},
    "arms": [
        {"name": "replace", "regime": "replace"},
        {"name": "quota", "regime": "quota", "share": 0.5},
        {"name": "fixed", "regime": "quota", "share": 0.25, "human": "fixed"},
        {"name": "human", "regime": "human"},
    ],
    "controls": False,
    "generations": 2,
}

TINY_TRANSFORMER: dict[str, Any] = {
    "learner": {"name": "transformer", "n_layers": 1, "width": 16, "n_heads": 2, "feedforward_width": 32},
    "tokenizer": {"vocab_size": 400},
    "first": {"words": 3_000, "learning_rate": 1e-2},
    "later": {"tokens": 1_500, "learning_rate": 1e-3, "init": "previous"},
    "evaluation": {"tokens": 500},
    "decoding": {"temperature": 0.8},
    "arms": [{"name": "quota", "regime": "quota", "share": 0.5}, {"name": "human", "regime": "human"}],
    "generations": 1,
}


def experiment(**changes: Any) -> Experiment:
    """Return the small experiment, changed."""
    return Experiment.from_mapping({**SETTINGS, **changes})


def write_experiment(folder: Path, **changes: Any) -> Path:
    """Write the small experiment, changed, as YAML."""
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump({**SETTINGS, **changes}), encoding="utf-8")
    return path


def fill(store: Store) -> Store:
    """Ingest the first documents of the embedded corpus."""
    records = [record for record, _ in zip(read_corpus(), range(N_DOCUMENTS), strict=False)]
    assert any(record["metadata"]["address"] == HELDOUT for record in records)
    ingest(store, records, source="books")
    return store


def metrics(store: Store, name: str = "tiny") -> Mapping[tuple[str, int, int], dict[str, float]]:
    """Return the metrics of every finished run but its times."""
    found: dict[tuple[str, int, int], dict[str, float]] = {}
    for row in rows(store, "SELECT * FROM runs WHERE experiment = :name", name=name):
        if not row["metric"].endswith("_seconds"):
            found.setdefault((row["arm"], row["seed"], row["generation"]), {})[row["metric"]] = row["value"]
    return found


def digests(store: Store) -> dict[str, str]:
    """Return the digests of all training sets and models."""
    return {
        f"{row['kind']} {row['name']}": row["digest"]
        for row in rows(
            store,
            "SELECT 'set' AS kind, name, digest FROM training_set UNION ALL SELECT 'model', name, digest FROM model",
        )
    }


def recurse_command(*arguments: object) -> list[str]:
    """Return the command that runs `recurse` in a process of its own."""
    return [sys.executable, "-c", "from training.cli import main\nmain()", *(str(one) for one in arguments)]


def environment() -> dict[str, str]:
    """Return the environment of such a process."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
