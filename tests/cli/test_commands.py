"""The command line as a user meets it: exit statuses, streams, formats, help."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer

from provenance.cli import main
from provenance.cli.app import app

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "duckdb", "sqlalchemy", "ray", "datasets", "tokenizers", "numba", "pandas")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process; return exit status, standard output and standard error."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


@pytest.fixture
def filled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the path of a store with three documents and one quarantined record."""
    lines = [{"id": i, "text": f"text number {i} of the people", "date": "1901-02-03"} for i in range(3)]
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\nno json\n")
    store = tmp_path / "s.duckdb"
    assert run(capsys, "--store", store, "init")[0] == 0
    assert run(capsys, "--store", store, "ingest", file, "--source", "a", "--origin", "human")[0] == 0
    return store


@pytest.mark.parametrize(
    "command",
    [
        ("stats",),
        ("schema",),
        ("check",),
        ("clusters",),
        ("training-sets",),
        ("sql", "SELECT source, metadata, authored_at, sum(n_words) AS n FROM documents GROUP BY ALL"),
    ],
)
def test_every_read_prints_json(filled: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]) -> None:
    status, out, _ = run(capsys, "--store", filled, *command, "--json")
    assert status == 0
    json.loads(out)


def test_sql_gives_the_same_rows_in_every_format(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT external_id, n_words, text FROM documents ORDER BY external_id"
    expected = [[str(i), "6", f"text number {i} of the people"] for i in range(3)]
    _, out, _ = run(capsys, "--store", filled, "sql", query, "--format", "csv")
    assert list(csv.reader(io.StringIO(out)))[1:] == expected
    _, out, _ = run(capsys, "--store", filled, "sql", query, "--format", "json")
    assert [[str(value) for value in row.values()] for row in json.loads(out)] == expected
    target = filled.with_suffix(".parquet")
    assert run(capsys, "--store", filled, "sql", query, "--format", "parquet", "--out", target)[0] == 0
    assert [[str(value) for value in row.values()] for row in pq.read_table(target).to_pylist()] == expected
    _, out, _ = run(capsys, "--store", filled, "sql", query)
    assert all(text in out for row in expected for text in row)


def test_sums_are_numbers_in_json(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--store", filled, "sql", "SELECT sum(n_words) AS n FROM documents", "--format", "json")
    assert json.loads(out) == [{"n": 18}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("stats",), "There is no store"),
        (("sql", "DELETE FROM document"), "no reading query"),
        (("sql", "SELECT nope FROM documents"), "nope"),
        (("ingest", "missing.jsonl", "--source", "a"), "missing.jsonl"),
        (("ingest", "in.jsonl", "--source", "new"), "--origin"),
        (("ingest", "in.jsonl", "--source", "new", "--origin", "humn"), "Did you mean 'human'"),
        (("ingest", "in.jsonl", "--source", "new", "--origin", "human", "--generation", "2"), "generation 2"),
        (("source", "add", "b", "--origin", "unknown", "--generation", "1"), "unknown"),
        (("verify", "nothing"), "There is no training set"),
        (("mix", "missing.yaml"), "missing.yaml"),
        (("init", "--threshold", "3"), "threshold"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_1(
    filled: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(filled.parent)
    store = "gone.duckdb" if arguments[0] in ("stats", "init") else filled
    status, out, err = run(capsys, "--store", store, *arguments)
    assert (status, out) == (1, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [("nonsense",), ("sql",), ("ingest",), ("export", "x", "--format", "nope")])
def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err


def test_data_goes_to_standard_output_and_messages_to_standard_error(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "--store", filled, "ingest", filled.parent / "in.jsonl", "--source", "a")
    assert (status, out) == (0, "")
    assert "4 records read = 0 inserted + 3 already there + 1 quarantined" in err
    status, out, err = run(capsys, "--store", filled, "check")
    assert (status, out) == (0, "")
    assert "0 violated" in err


def test_the_json_schema_of_a_mix_is_printed_without_a_store(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--store", "nowhere", "mix", "--schema")
    assert status == 0
    assert "quotas" in json.loads(out)["properties"]


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {"init", "migrate", "check", "ingest", "sql", "mix", "verify", "export"} <= set(commands)
    for name, command in commands.items():
        assert command.help, name
        assert re.search(rf"\bprovenance (--store \S+ )?{name}\b", readme), f"{name} is not in the README"


@pytest.mark.parametrize("code", ["import provenance", "from provenance.cli import main; main(['--help'])"])
def test_help_and_import_load_nothing_heavy(code: str) -> None:
    probe = f"""
import sys
try:
    {code}
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.strip().splitlines()[-1] == "[]"
