"""The metrics of an experiment in files that other programs read: CSV, Parquet, TensorBoard."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from provenance.store.store import Store
from training.errors import OutputNotWritten, UnknownExperiment, UnknownFormat
from training.experiment import SHARED_ARM
from training.metrics.registry import metric_of
from training.tensorboard import write_events

Format = Literal["csv", "parquet", "tensorboard"]
FORMATS: tuple[Format, ...] = get_args(Format)

_METRICS = """
SELECT r.experiment, r.arm, r.seed, r.generation, m.metric, m.value, r.finished_at
FROM training_run r JOIN metric m USING (run_id)
WHERE r.experiment = :experiment AND r.state = 'finished' ORDER BY r.seed, r.generation, r.arm, m.metric
"""
_EXPERIMENTS = "SELECT DISTINCT experiment FROM training_run ORDER BY experiment"


def format_of(name: str) -> Format:
    """Return a format by its name.

    Raises
    ------
    UnknownFormat : there is none of that name
    """
    for known in FORMATS:
        if name == known:
            return known
    raise UnknownFormat(name, FORMATS)


def export_metrics(store: Store, experiment: str, out: Path, *, format: Format) -> int:
    """Write every metric of the finished runs of an experiment and return how many values there were.

    Parameters
    ----------
    out : a file; for TensorBoard a folder, which gets a folder for every arm and seed

    Raises
    ------
    UnknownExperiment : the store has no runs of it
    OutputNotWritten : the file cannot be written

    Notes
    -----
    CSV and Parquet have one row a value: experiment, arm, seed, generation, metric, value, unit, moves (when a collapse
    moves it). Generation 0 stands there once, for the arm `shared`; TensorBoard has it as the first step of every arm,
    and no bins or groups of documents.
    """
    table = read_metrics(store, experiment)
    writers: dict[Format, Callable[[pa.Table, Path], None]] = {
        "csv": _write_csv,
        "parquet": _write_parquet,
        "tensorboard": _write_tensorboard,
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        writers[format](table, out)
    except OSError as error:
        raise OutputNotWritten(out, error.strerror or str(error)) from error
    return int(table.num_rows)


def read_metrics(store: Store, experiment: str) -> pa.Table:
    """Return every metric of the finished runs of an experiment, one row a value.

    Raises
    ------
    UnknownExperiment : the store has no runs of it
    """
    table = store.fetch(_METRICS, {"experiment": experiment})
    known = store.fetch(_EXPERIMENTS).column("experiment").to_pylist()
    if experiment not in known:
        raise UnknownExperiment(experiment, known)
    metrics = [metric_of(name) for name in table.column("metric").to_pylist()]
    table = table.append_column("unit", pa.array([m.unit if m else None for m in metrics], pa.string()))
    return table.append_column("moves", pa.array([m.moves if m else None for m in metrics], pa.string()))


def _write_csv(table: pa.Table, out: Path) -> None:
    draft = _draft(out)
    pa.csv.write_csv(table.drop_columns("finished_at"), draft)
    draft.replace(out)


def _write_parquet(table: pa.Table, out: Path) -> None:
    draft = _draft(out)
    pa.parquet.write_table(table.drop_columns("finished_at"), draft)
    draft.replace(out)


def _draft(out: Path) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}.new")


def _write_tensorboard(table: pa.Table, out: Path) -> None:
    """Write one folder for every arm and seed; the step is the generation."""
    rows = [row for row in table.to_pylist() if not ((known := metric_of(row["metric"])) and known.family)]
    arms = sorted({row["arm"] for row in rows} - {SHARED_ARM}) or [SHARED_ARM]
    for seed in sorted({row["seed"] for row in rows}):
        for arm in arms:
            mine = [row for row in rows if row["seed"] == seed and row["arm"] in (arm, SHARED_ARM)]
            scalars = [
                (row["generation"], f"{_group(row['metric'])}/{row['metric']}", row["value"], row["finished_at"])
                for row in mine
            ]
            write_events(out / f"{_folder_name(arm)}.s{seed}", scalars)


def _group(metric: str) -> str:
    known = metric_of(metric)
    return known.moves or known.of if known else "other"


def _folder_name(arm: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", arm)
