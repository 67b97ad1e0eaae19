"""Runs and refused records as a user meets them: listed, shown, taken back, written out, read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provenance.store.store import Store
from tests.factories import prose, provenance, write_lines


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Return the path of a store with two runs: three documents, and two refused records of five."""
    store = tmp_path / "s.duckdb"
    Store.create(store).close()
    first = [{"id": str(i), "text": prose(i)} for i in range(3)]
    second = [
        {"text": prose(0) + " more"},
        {"body": prose(7)},
        b"\x1b[31m no JSON",
        {"text": prose(8)},
        {"text": prose(9)},
    ]
    for name, records, source in (("a.jsonl", first, "books"), ("b.jsonl", second, "web")):
        file = write_lines(tmp_path / name, records)
        answer = provenance("--store", store, "ingest", file, "--source", source, "--origin", "human", "--jobs", "1")
        assert answer.code == 0, answer.err
    return store


def runs(store: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(provenance("--store", store, "ingests", "--json").out)
    return found


def checked(store: Path) -> None:
    answer = provenance("--store", store, "check")
    assert answer.code == 0, answer.out


def test_runs_are_listed_and_shown(filled: Path) -> None:
    web, books = runs(filled)
    assert (web["source"], web["n_read"], web["n_inserted"], web["n_quarantined"]) == ("web", 5, 3, 2)
    answer = provenance("--store", filled, "ingests")
    (first, *_) = [line for line in answer.out.splitlines() if "web" in line]
    assert first.split()[0] == str(web["ingest_id"])[:8]
    assert "finished" in first
    assert answer.err == "2 of 2 runs\n"
    assert "web" not in provenance("--store", filled, "ingests", "--source", "books").out
    assert provenance("--store", filled, "ingests", "--limit", "1").err == "1 of 2 runs\n"
    shown = provenance("--store", filled, "ingests", "--show", str(books["ingest_id"])[:8])
    whole = json.loads(provenance("--store", filled, "ingests", "--show", books["ingest_id"], "--json").out)
    (file,) = whole["files"]
    assert file["size_bytes"] == (filled.parent / "a.jsonl").stat().st_size
    assert len(file["sha256"]) == 64
    assert whole["in_store"] == {"documents": 3, "quarantined": 0, "amendments": 0}
    assert file["sha256"] in shown.out
    assert "a.jsonl" in shown.out
    with Store.open(filled, writable=True) as store, store.transaction() as connection:
        connection.exec_driver_sql("UPDATE ingest SET state = 'running', finished_at = NULL WHERE source = 'web'")
    answer = provenance("--store", filled, "ingests")
    assert "unfinished" in answer.out
    assert f"Run {str(web['ingest_id'])[:8]} of web is unfinished: run the same command again" in answer.err
    assert provenance("--store", filled, "ingests", "--show", "nothing").code == 1


def test_a_run_is_undone(filled: Path) -> None:
    web = str(runs(filled)[0]["ingest_id"])
    answer = provenance("--store", filled, "ingest-undo", web[:8])
    assert (answer.code, answer.out) == (0, "")
    assert f"The ingest {web[:8]} of web is undone: 3 documents and 3 texts gone, 1 cluster changed" in answer.err
    assert "2 refused records forgotten" in answer.err
    assert "source web, which it had made, is gone" in answer.err
    again = provenance("--store", filled, "ingest-undo", web[:8])
    assert (again.code, again.out) == (1, "")
    assert again.err == f"provenance: The run {web[:8]} of source 'web' is already undone.\n"
    assert [run["state"] for run in runs(filled)] == ["undone", "finished"]
    books = str(runs(filled)[1]["ingest_id"])
    found = json.loads(provenance("--store", filled, "ingest-undo", books, "--json").out)
    assert (found["ingest"], found["n_documents"], found["later"]) == (books, 3, [])
    checked(filled)


def test_sources_and_documents_are_removed(filled: Path) -> None:
    ids = provenance("--store", filled, "sql", "SELECT document_id FROM documents WHERE source = 'books'", "--json").out
    first, second, third = (row["document_id"] for row in json.loads(ids))
    answer = provenance("--store", filled, "remove", first, second)
    assert answer.err.startswith("Removed: 2 documents and 2 texts gone")
    found = json.loads(provenance("--store", filled, "remove", third, "--json").out)
    assert found["n_documents"] == 1
    missing = provenance("--store", filled, "remove", third)
    assert (missing.code, missing.err.count("\n")) == (1, 1)
    assert f"There is no document '{third}'" in missing.err
    answer = provenance("--store", filled, "source", "remove", "web")
    assert "Removed source web: 3 documents and 3 texts gone" in answer.err
    assert provenance("--store", filled, "source", "remove", "web").code == 1
    assert provenance("--store", filled, "ingests").code == 0
    checked(filled)


def test_refused_records(filled: Path) -> None:
    answer = provenance("--store", filled, "quarantine", "list")
    assert (answer.code, answer.err) == (0, "2 of 2 records\n")
    assert "\x1b" not in answer.out
    assert "\\x1b[31m no JSON" in answer.out
    assert "missing field" in answer.out
    found = json.loads(provenance("--store", filled, "quarantine", "list", "--reason", "bad JSON", "--json").out)
    assert [row["place"] for row in found["records"]] == ["line 3"]
    assert found["n_records"] == 1
    out, raw = filled.parent / "out.jsonl", filled.parent / "out.raw"
    answer = provenance("--store", filled, "quarantine", "export", "--out", out, "--raw", raw)
    assert (answer.code, answer.err) == (0, f"2 records written to {out} and {raw}\n")
    assert raw.read_bytes().splitlines()[1] == b"\x1b[31m no JSON"
    assert [json.loads(line)["reason"] for line in out.read_text().splitlines()] == ["missing field", "bad JSON"]
    assert provenance("--store", filled, "quarantine", "export", "--out", out).code == 1
    assert provenance("--store", filled, "quarantine", "export", "--out", out, "--overwrite").code == 0
    assert provenance("--store", filled, "quarantine", "export").code == 2
    answer = provenance("--store", filled, "quarantine", "retry", "--text-field", "body")
    assert "web: 2 records read = 1 inserted + 0 already there + 1 quarantined" in answer.err
    assert "retry, finished" in provenance("--store", filled, "ingests").out
    (again,) = json.loads(provenance("--store", filled, "quarantine", "retry", "--json").out)
    assert (again["n_read"], again["n_quarantined"], again["reasons"]) == (1, 1, {"bad JSON": 1})
    wrong = provenance("--store", filled, "quarantine", "list", "--reason", "bad JSN")
    assert (wrong.code, wrong.out) == (1, "")
    assert "Did you mean 'bad JSON'" in wrong.err
    checked(filled)
