from __future__ import annotations

from pathlib import Path

import _expected_outcomes as expected
import check_experiments
import duckdb
import pytest

from training.cli import shipped_experiments

LOSSES = {"replace": 1.4, "fixed-10": 1.1, "quota-10": 0.8, "quota-25": 0.4, "quota-50": 0.2, "accumulate": 0.1}


def write_runs(path: Path, losses: dict[str, float], *, tail: float = 2.0) -> None:
    """Write the view of a store in which a ladder lost what is said, in two seeds."""
    rows = [
        ("ladder-ngram", "shared", seed, 0, f"heldout_{m}ce", 5.0) for seed in (1, 2) for m in ("", "tail_", "head_")
    ]
    for seed in (1, 2):
        for arm, loss in losses.items():
            for metric, value in {"ce": loss, "tail_ce": tail * loss, "head_ce": loss}.items():
                rows.append(("ladder-ngram", arm, seed, 8, f"heldout_{metric}", 5.0 + value + seed / 1000))
    with duckdb.connect(str(path)) as database:
        database.execute(
            "CREATE TABLE runs (experiment TEXT, arm TEXT, seed INT, generation INT, metric TEXT, value DOUBLE)"
        )
        database.executemany("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", rows)


@pytest.mark.parametrize(
    ("changes", "tail", "missed"),
    [
        ({}, 2.0, None),
        ({"replace": 0.9}, 2.0, "replace: 1.3 to 1.6"),
        ({"quota-25": 0.9}, 2.0, "replace > fixed-10 > quota-10 > quota-25"),
        ({"quota-50": 0.4}, 2.0, "quota-50: 0 to 0.3"),
        ({}, 0.5, "tail words"),
    ],
)
def test_a_ladder_is_as_expected_or_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, float], tail: float, missed: str | None
) -> None:
    write_runs(tmp_path / "ladder-ngram.duckdb", {**LOSSES, **changes}, tail=tail)
    status = check_experiments.main(["ladder-ngram", "--out", str(tmp_path), "--no-run"])
    lines = capsys.readouterr().out.splitlines()
    failed = [line for line in lines if "DOES NOT HOLD" in line]
    assert status == (0 if missed is None else 1)
    assert bool(failed) == (missed is not None)
    assert missed is None or any(missed in line for line in failed)


def test_every_experiment_that_can_run_here_has_expectations() -> None:
    assert set(shipped_experiments()) - set(expected.EXPECTED) == {"opt125m-wikitext2"}  # needs a GPU and a model hub


def test_wikitext_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--wikitext"):
        check_experiments.main(["opt125m-wikitext2-reduced", "--out", str(tmp_path)])
