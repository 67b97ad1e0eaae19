"""`provenance annotate` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provenance.store.store import Store
from tests.factories import Answer, provenance
from tests.unit.mix.corpus import add_documents, document


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return the path of a store with four documents."""
    path = tmp_path / "s.duckdb"
    with Store.create(path) as made:
        add_documents(made, [document(f"d{i}", origin="human") for i in range(4)])
    return path


def lines(path: Path, *records: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def annotate(store: Path, *arguments: object) -> Answer:
    return provenance("--store", store, "annotate", "--key", "external_id", *arguments)


def test_scores_can_be_asked_for_and_mixed(store: Path, tmp_path: Path) -> None:
    scores = lines(tmp_path / "s.jsonl", *({"id": f"d{i}", "quality": i / 4, "why": "x"} for i in range(6)))
    answer = annotate(store, scores, "--fields", "quality", "--tool", "clf", "--note", "0 to 1", "--ignore-missing")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "quality: number, 4 new, 0 changed, 0 the same; 2 keys without a document\n"
    query = "SELECT external_id FROM documents JOIN attributes USING (document_id) WHERE quality > 0.4 ORDER BY 1"
    found = provenance("--store", store, "sql", query, "--format", "csv")
    assert found.out.split() == ["external_id", "d2", "d3"]
    assert "number by clf: 0 to 1" in provenance("--store", store, "schema").out
    spec = tmp_path / "m.yaml"
    spec.write_text("name: m\nbudget: all\nwhere: quality > 0.4\n")
    assert "2 documents" in provenance("--store", store, "mix", spec).out
    assert provenance("--store", store, "verify", "m").code == 0
    spec.write_text("name: n\nbudget: all\nwhere: qualiti > 0.4\n")
    refused = provenance("--store", store, "mix", spec)
    assert refused.code == 1
    assert "did you mean 'quality'?" in refused.err


def test_json_and_options(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "s.data"
    file.write_text("doc;Label\nd1;007\n")
    answer = annotate(
        store,
        file,
        "--format",
        "csv",
        "--key-field",
        "doc",
        "--rename",
        "Label=label",
        "--kind",
        "label=text",
        "--json",
    )
    assert json.loads(answer.out) == {
        "attributes": [{"name": "label", "kind": "text", "n_new": 1, "n_changed": 0, "n_same": 0}],
        "n_records": 1,
        "n_missing": 0,
        "n_several": 0,
    }
    assert answer.err == ""


def test_refusals_are_one_line(store: Path, tmp_path: Path) -> None:
    unknown = annotate(store, lines(tmp_path / "s.jsonl", {"id": "nobody", "q": 1}))
    assert (unknown.code, unknown.err.count("\n")) == (1, 1)
    assert "--ignore-missing" in unknown.err
    assert annotate(store, tmp_path / "s.jsonl", "--kind", "q").code == 2
    assert annotate(store, tmp_path / "s.jsonl", "--kind", "q=text", "--kind", "q=number").code == 2
    nothing = annotate(store, lines(tmp_path / "e.jsonl"))
    assert (nothing.code, nothing.err) == (0, "nothing to annotate in 0 records\n")
