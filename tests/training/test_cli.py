from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from provenance.store.store import Store
from tests.training.loop_factory import fill, write_experiment
from training.cli import main


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "store.duckdb"
    with Store.create(path) as store:
        fill(store)
    return path


def _recurse(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_run_then_runs_then_report(store_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = write_experiment(tmp_path, generations=1)
    store = tmp_path / "store.duckdb"
    shutil.copyfile(store_path, store)
    assert _recurse("run", yaml, "--store", store, "--jobs", 1, "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "experiment": "tiny",
        "models": 5,
        "made_now": 5,
        "out": str(tmp_path / "store.recurse"),
    }
    assert "held-out" in printed.err  # progress is no data
    assert _recurse("runs", "tiny", "--store", store, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found[0]["arm"], found[0]["generation"]) == ("shared", 0)
    assert len(found) == 5 and all(run["heldout_ce"] > 0 for run in found)
    assert _recurse("runs", yaml, "--store", store) == 0
    assert "heldout_ce" in capsys.readouterr().out
    assert _recurse("run", yaml, "--store", store, "--jobs", 1) == 0
    assert "0 of 5 models made now" in capsys.readouterr().err
    pytest.importorskip("matplotlib")
    page = tmp_path / "report.html"
    assert _recurse("report", "tiny", "--store", store, "--out", page) == 0
    assert "<html" in page.read_text(encoding="utf-8")[:2000]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "absent.yaml"), "absent.yaml: it cannot be read"),
        (("runs", "tinny"), "no runs of an experiment 'tinny'"),
        (("run", "demo", "--store", "absent.duckdb"), "no store at absent.duckdb"),
    ],
)
def test_refusals_are_one_line(
    store_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROVENANCE_STORE", str(store_path))
    assert _recurse(*arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("recurse: ") and message in printed.err and printed.err.count("\n") == 1


def test_wrong_usage_is_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert _recurse("run") == 2
    assert _recurse("run", "demo", "--jobs", 0) == 2
    capsys.readouterr()


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "report", "runs", "ancestry"):
        assert _recurse(command, "--help") == 0
        assert "--store" in capsys.readouterr().out


def test_experiments_that_come_with_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert _recurse("experiments", "--json") == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"demo", "ladder-ngram"} <= set(found)
    assert all(row["description"] and row["arms"] and row["generations"] for row in found.values())
    assert _recurse("experiments") == 0
    assert "ladder-ngram" in capsys.readouterr().out
