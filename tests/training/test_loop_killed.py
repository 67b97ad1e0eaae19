"""A loop that is killed and started again equals one that was not disturbed, metric by metric."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from provenance.store.store import Store
from tests.factories import rows, violations
from tests.training.loop_factory import (
    digests,
    environment,
    experiment,
    fill,
    metrics,
    recurse_command,
    write_experiment,
)
from training.loop import run_experiment

ARMS = [{"name": "replace", "regime": "replace"}, {"name": "quota", "regime": "quota", "share": 0.5}]

#: When to kill, by the number of jobs: before the first model is fitted, while one samples, between generations, amid
#: the arms of one, near the end.
KILLED_AT = {
    1: ("models to make", "tiny.shared.s1.g0: held-out", "tiny.quota.s1.g1: sample", "tiny.replace.s1.g2: held-out"),
    2: ("tiny.shared.s1.g0: sample", "tiny.replace.s1.g1: held-out", "tiny.quota.s1.g2: fit"),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store that holds the small corpus."""
    path = tmp_path_factory.mktemp("filled") / "filled.duckdb"
    with Store.create(path) as store:
        fill(store)
    return path


@pytest.fixture(scope="module")
def undisturbed(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, object, object]:
    """Return metrics, digests and texts of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copyfile(filled, folder / "store.duckdb")
    with Store.open(folder / "store.duckdb", writable=True) as store:
        run_experiment(store, experiment(arms=ARMS), out=folder / "out", jobs=1)
        return _state(store)


def _state(store: Store) -> tuple[object, object, object]:
    documents = rows(store, "SELECT document_id::VARCHAR AS id, origin, generation, model FROM documents ORDER BY id")
    return metrics(store), digests(store), documents


def _killed_at(line: str, command: list[str]) -> bool:
    """Run a command and kill it when it prints a line that contains `line`; return whether it came to that."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        for printed in process.stderr:
            if line in printed:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("jobs", sorted(KILLED_AT))
def test_killed_loop_goes_on_where_it_was(
    filled: Path, undisturbed: tuple[object, object, object], tmp_path: Path, jobs: int
) -> None:
    store = tmp_path / "store.duckdb"
    shutil.copyfile(filled, store)
    command = recurse_command("run", write_experiment(tmp_path, arms=ARMS), "--store", store, "--jobs", jobs)
    for line in KILLED_AT[jobs]:
        assert _killed_at(line, command), line
    subprocess.run(command, check=True, env=environment(), stderr=subprocess.DEVNULL)
    with Store.open(store) as opened:
        assert _state(opened) == undisturbed
        assert violations(opened) == []
        assert {row["state"] for row in rows(opened, "SELECT state FROM training_run")} == {"finished"}
        assert {row["state"] for row in rows(opened, "SELECT state FROM ingest")} == {"finished"}
