"""What the command line prints of odd values, where it prints it, and how it ends when something is odd outside."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer

from provenance.cli.app import app
from provenance.store.store import Store
from tests.factories import command, count, environment, ingest, prose_records, provenance, run, write_lines

ODD = """
    SELECT 1::BIGINT AS whole, 170141183460469231731687303715884105727::HUGEINT AS huge, 1.5::DECIMAL(4, 2) AS exact,
           'nan'::DOUBLE AS nan, 'infinity'::DOUBLE AS inf, 0.1::DOUBLE AS real, NULL AS nothing, true AS yes,
           'é"; ,\n😀' AS words, 'bytes \\xFF\\x00'::BLOB AS bytes, DATE '1790-01-08' AS day, TIME '10:00:00' AS hour,
           TIMESTAMP '1790-01-08 10:00:00' AS moment, INTERVAL 1 DAY AS span, [1, NULL] AS list, {'a': 'b'} AS struct,
           MAP {'k': 1.5::DOUBLE} AS map, ['nan'::DOUBLE] AS nans, uuid() AS id, 'a'::ENUM ('a') AS kind,
           '{"x": 1}'::JSON AS json, 'x' AS twice, 'y' AS twice
"""


def strict(text: str) -> Any:
    """Return JSON, parsed as strictly as the standard says."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("output") / "s.duckdb"
    with Store.create(path) as store:
        ingest(store, [*prose_records(3), {"text": "\x1b[31mred\x07 [bold]text[/bold] :smile:", "id": "odd"}])
    return path


@pytest.fixture
def filled(template: Path, tmp_path: Path) -> Path:
    """Return the path of a store with four documents."""
    return Path(shutil.copyfile(template, tmp_path / "filled.duckdb"))


def test_odd_values_as_json(filled: Path) -> None:
    answer = provenance("--store", filled, "sql", ODD, "--json")
    assert answer.code == 0, answer.err
    (row,) = strict(answer.out)
    assert row["whole"] == 1
    assert row["huge"] == 2**127 - 1
    assert (row["exact"], row["real"]) == (1.5, 0.1)
    assert (row["nan"], row["inf"], row["nothing"], row["nans"]) == (None, None, None, [None])
    assert row["words"] == 'é"; ,\n😀'
    assert row["bytes"] == "bytes \\xff\x00"
    assert (row["day"], row["list"], row["struct"]) == ("1790-01-08", [1, None], {"a": "b"})
    assert (row["twice"], row["twice_2"]) == ("x", "y"), "no column gets lost"


def test_odd_values_as_csv(filled: Path) -> None:
    answer = provenance("--store", filled, "sql", ODD, "--format", "csv")
    assert answer.code == 0, answer.err
    header, row = csv.reader(io.StringIO(answer.out))
    assert header[-2:] == ["twice", "twice"]
    found = dict(zip(header, row, strict=True))
    assert (found["words"], found["nothing"], found["list"]) == ('é"; ,\n😀', "", "[1, null]")
    assert found["bytes"] == "bytes \\xff\x00"


def test_odd_values_as_table_and_parquet(filled: Path, tmp_path: Path) -> None:
    answer = provenance("--store", filled, "sql", ODD)
    assert answer.code == 0, answer.err
    query = ODD.replace("INTERVAL 1 DAY AS span, ", "")
    to_stdout = provenance("--store", filled, "sql", query, "--format", "parquet")
    assert to_stdout.code == 0, to_stdout.err
    table = pq.read_table(pa.BufferReader(to_stdout.raw))
    assert table.num_rows == 1
    assert (table["twice"].to_pylist(), table["twice_2"].to_pylist()) == (["x"], ["y"])
    assert table["words"].to_pylist() == ['é"; ,\n😀']
    odd = ["id", "nan", "nans"]  # new every time, or unequal to themselves
    to_file = tmp_path / "out.parquet"
    assert provenance("--store", filled, "sql", query, "--format", "parquet", "--out", to_file).out == ""
    assert pq.read_table(to_file).drop_columns(odd).equals(table.drop_columns(odd))


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("SELECT INTERVAL 1 DAY", "parquet"),
        ("SELECT 'infinity'::TIMESTAMP", "table"),
        ("SELECT DATE '200000-01-01'", "csv"),
        ("SELECT [TIMESTAMP '-infinity']", "json"),
    ],
)
def test_what_a_format_cannot_hold(filled: Path, query: str, kind: str) -> None:
    answer = provenance("--store", filled, "sql", query, "--format", kind)
    assert (answer.code, answer.err.count("\n")) == (1, 1), answer.err
    assert "VARCHAR" in answer.err


@pytest.mark.parametrize("kind", ["table", "csv", "json", "parquet"])
def test_no_rows(filled: Path, kind: str) -> None:
    answer = provenance("--store", filled, "sql", "SELECT source, n_words FROM documents WHERE false", "--format", kind)
    assert answer.code == 0
    if kind == "json":
        assert strict(answer.out) == []
    elif kind == "csv":
        assert answer.out == "source,n_words\n"


def test_text_is_no_markup(filled: Path) -> None:
    query = "SELECT text FROM documents WHERE external_id = 'odd'"
    assert "[bold]text[/bold] :smile:" in provenance("--store", filled, "sql", query).out
    assert strict(provenance("--store", filled, "sql", query, "--json").out)[0]["text"].startswith("\x1b[31mred")


@pytest.mark.parametrize("arguments", [("stats",), ("clusters",), ("schema",), ("check",), ("training-sets",)])
@pytest.mark.parametrize("empty", [False, True])
def test_reads(filled: Path, tmp_path: Path, arguments: tuple[str, ...], empty: bool) -> None:
    store = filled
    if empty:
        store = tmp_path / "empty.duckdb"
        Store.create(store).close()
    plain = provenance("--store", store, *arguments)
    as_json = provenance("--store", store, *arguments, "--json")
    assert (plain.code, as_json.code) == (0, 0)
    assert strict(as_json.out) is not None
    assert "Traceback" not in plain.err + as_json.err


def commands() -> list[tuple[str, ...]]:
    """Return every command, those of groups too."""
    found = []
    for name, one in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(one, "commands", None)
        found += [(name, *deeper) for deeper in ([], *([key] for key in inner))] if inner else [(name,)]
    return found


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    answer = provenance(*path, "--help")
    assert (answer.code, answer.err) == (0, "")
    usage, meaning = answer.out.split("\n\n")[:2]
    assert usage.startswith(f"Usage: provenance {' '.join(path)} ")
    assert meaning.strip().endswith(".")


def test_every_option_has_help() -> None:
    for path in commands():
        one: Any = typer.main.get_command(app)
        for name in path:
            one = one.commands[name]
        for parameter in one.params:
            assert getattr(parameter, "help", "x") or parameter.name == "name", f"{path} {parameter.name}"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("--nonsense", "stats"),
        ("stats", "extra"),
        ("sql",),
        ("sql", "SELECT 1", "--format", "xml"),
        ("ingest", "--source", "s"),
        ("ingest", "x.jsonl"),
        ("ingest", "x.jsonl", "--source", "s", "--generation", "one"),
        ("ingest", "x.jsonl", "--source", "s", "--generation", "1"),
        ("ingest", "x.jsonl", "--source", "s", "--model", "m"),
        ("ingest", "x.jsonl", "--source", "s", "--max-record-bytes", "0"),
        ("source", "add"),
        ("source", "add", "s"),
        ("source",),
        ("--wait", "-1", "stats"),
        ("--wait", "soon", "stats"),
        ("init", "--bands", "many"),
        ("clusters", "--limit", "0"),
        ("mix",),
    ],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    answer = provenance("--store", "nowhere", *arguments) if arguments else provenance()
    assert answer.code == 2, answer
    assert "Usage:" in answer.err + answer.out
    assert "Traceback" not in answer.err


def test_the_store_from_the_environment(filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROVENANCE_STORE", str(filled))
    assert provenance("stats").code == 0
    monkeypatch.delenv("PROVENANCE_STORE")
    answer = provenance("stats")
    assert answer.code == 1
    assert answer.err == (
        "provenance: There is no store at provenance.duckdb. Make one with: provenance --store provenance.duckdb init\n"
    )


def test_source_add(filled: Path) -> None:
    add = ("--store", filled, "source", "add", "outputs", "--origin", "synthetic", "--generation", "2", "--model", "m")
    first, second = provenance(*add), provenance(*add)
    assert (first.code, first.err) == (0, "source outputs: added\n")
    assert (second.code, second.err) == (0, "source outputs: already there\n")
    other = provenance(*add, "--licence", "MIT")
    assert other.code == 1
    assert "exists with licence None, not 'MIT'" in other.err
    huge = provenance("--store", filled, "source", "add", "x", "--origin", "synthetic", "--generation", 2**32)
    assert (huge.code, huge.err.count("\n")) == (1, 1)


def test_ingest_as_json(filled: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [*prose_records(2, start=50), b"bad", b"[]", b"worse"])
    answer = provenance("--store", filled, "ingest", path, "--source", "books", "--json")
    assert answer.code == 0
    found = strict(answer.out)
    assert found["n_read"] == 5
    assert found["n_inserted"] == 2
    assert found["reasons"] == {"bad JSON": 2, "no JSON object": 1}
    assert found["source"] == "books"
    plain = provenance("--store", filled, "ingest", path, "--source", "books")
    assert plain.out == ""
    assert "5 records read = 0 inserted + 2 already there + 3 quarantined" in plain.err
    assert "bad JSON: 2" in plain.err


def test_ingest_of_several_files_stops_at_the_bad_one(filled: Path, tmp_path: Path) -> None:
    good = write_lines(tmp_path / "a.jsonl", prose_records(2, start=50))
    cut = tmp_path / "b.jsonl.gz"
    whole = write_lines(cut, prose_records(200, start=60)).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    answer = provenance("--store", filled, "ingest", good, cut, "--source", "books")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"provenance: {cut}: the gzip stream is damaged or cut off after line ")
    assert answer.err.count("\n") == 1
    cut.write_bytes(whole)
    again = provenance("--store", filled, "ingest", good, cut, "--source", "books")
    assert "202 records read = 202 inserted" in again.err
    with Store.open(filled) as store:
        assert count(store, "document") == 4 + 202


def test_init_with_parameters(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    answer = provenance("--store", path, "init", "--bands", 4, "--rows", 2, "--shingle", 1, "--threshold", 0.5)
    assert answer.code == 0
    with Store.open(path) as store:
        assert (store.dedup.n_bands, store.dedup.rows_per_band, store.dedup.threshold) == (4, 2, 0.5)
    again = provenance("--store", path, "init")
    assert again.code == 1
    assert "exists already, nothing was changed" in again.err


def test_a_reader_that_stops_reading(filled: Path) -> None:
    """`provenance sql … | head -1` ends without a traceback."""
    query = "SELECT repeat('x', 1000) FROM range(20000)"
    process = subprocess.Popen(
        command("--store", filled, "sql", query, "--format", "csv"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert b"Traceback" not in err, err.decode()


def test_arguments_that_are_no_utf8(filled: Path) -> None:
    answer = run("--store", filled, "sql", b"SELECT '\xff'".decode("utf-8", "surrogateescape"))
    assert answer.code == 1
    assert answer.err.count("\n") == 1, answer.err


def test_a_bug_shows_a_traceback(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(store: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("provenance.store.stats.read_stats", broken)
    with pytest.raises(KeyError, match="a bug"):
        provenance("--store", filled, "stats")
