"""The commands takedown and repair, and exports that are recorded, as people and scripts use them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.store.store import Store
from tests.factories import count, ingest, prose_records, provenance, rows

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.5}


@pytest.fixture
def path(store: Store) -> Path:
    """Return a store with a training set that uses half of it."""
    records = [{**record, "author": f"Author {i % 10}"} for i, record in enumerate(prose_records(60))]
    ingest(store, records)
    ingest(store, prose_records(40, start=100), source="logs", origin="synthetic", model="gpt")
    make_training_set(store, MixSpec(name="first", budget={"words": 3600}, quotas=[HUMAN]))
    make_training_set(store, MixSpec(name="all", budget={"words": 3600}, where="source = 'books'"))
    store.close()
    return store.path


def test_from_looking_to_repairing(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "first.jsonl"
    assert provenance("--store", path, "export", "first", "--format", "jsonl", "--out", out).code == 0
    select = ("--store", path, "takedown", "--author", "Author 3")
    size = path.stat().st_size
    shown = provenance(*select)
    assert shown.code == 0
    assert "To be erased: 6 of 100 documents" in shown.out
    assert str(out) in shown.out.replace("\n", "")
    assert "Nothing was changed" in shown.err
    as_json = json.loads(provenance(*select, "--json").out)
    assert (as_json["erased"], as_json["n_documents"]) == (False, 6)
    assert [row["is_there"] for row in as_json["exports"]] == [True]
    assert path.stat().st_size == size
    assert provenance(*select, "--yes").code == 1, "no reason"
    done = provenance(*select, "--yes", "--reason", "case 9", "--repair", "--json")
    told = json.loads(done.out)
    assert (told["erased"], told["n_documents"], told["backups"]) == (True, 6, [])
    assert told["rewritten"]["after_bytes"] <= path.stat().st_size
    assert told["repaired"]["first"]["name"] == "first-repaired"
    assert told["repaired"]["first"]["n_kept"] == told["repaired"]["first"]["n_left"]
    assert "3,600" in told["repaired"]["all"]["refused"], "it used every document"
    assert done.code == 1, "a set could not be repaired"
    assert provenance("--store", path, "check").code == 0
    listed = json.loads(provenance("--store", path, "training-sets", "--json").out)
    assert {row["name"]: row["n_taken_down"] > 0 for row in listed} == {
        "first": True, "all": True, "first-repaired": False
    }  # fmt: skip
    assert "taken down" in provenance("--store", path, "stale").out
    verdict = provenance("--store", path, "verify", "first")
    assert (verdict.code, "as drawn: holds" in verdict.out, "taken down" in verdict.out) == (1, True, True)
    refused = provenance("--store", path, "repair", "all")
    assert (refused.code, "3,600" in refused.err) == (1, True)
    assert json.loads(provenance("--store", path, "repair", "all", "--json").out)["reason"] == "budget"
    repaired = provenance("--store", path, "repair", "first", "--as", "anew")
    assert (repaired.code, "first is repaired as anew" in repaired.out) == (0, True)


def test_what_was_done_is_told(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    assert provenance("--store", path, "export", "first", "--format", "manifest", "--out", out).code == 0
    answer = provenance("--store", path, "takedown", "--author", "Author 3", "--yes", "--reason", "r", "--repair")
    for says in ("is done", "was written anew", "1 exports above may still hold the texts", "all was not repaired"):
        assert says in answer.err
    assert "first is repaired as first-repaired" in answer.out


def test_more_than_half_asks_for_the_number(path: Path) -> None:
    everything = ("--store", path, "takedown", "--source", "books", "--source", "logs", "--reason", "r")
    for given in (("--yes",), ("--yes-all", 99), ("--yes-all", 0)):
        answer = provenance(*everything, *given)
        assert (answer.code, "--yes-all 100" in answer.err) == (1, True)
    assert provenance(*everything, "--yes-all", 100).code == 0
    with Store.open(path) as store:
        assert count(store, "document") == count(store, "content") == count(store, "signature") == 0
        assert count(store, "tombstone") == 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "in one way"),
        (("--author", "a", "--source", "b"), "in one way"),
        (("abcd", "--source", "b"), "in one way"),
        (("--author", " "), "empty"),
        (("--finish", "--author", "a"), "takes no documents"),
        (("--author", "a", "--with-copies", "--keep-copies"), "exclude each other"),
        (("--author", "a", "--yes-all", "-1"), "--yes-all"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], says: str) -> None:
    answer = provenance("takedown", *arguments)
    assert (answer.code, says in answer.err) == (2, True)


# ---------------------------------------------------------------- exports are recorded


def exports(path: Path) -> list[dict[str, object]]:
    with Store.open(path) as store:
        return rows(store, "SELECT training_set, format, path, digest FROM export ORDER BY format")


def test_exports_are_recorded(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in ("jsonl", "parquet", "manifest"):
        assert provenance("--store", path, "export", "first", "--format", kind, "--out", f"out.{kind}").code == 0
    digest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())["digest"]
    found = exports(path)
    assert [(row["format"], row["path"]) for row in found] == [
        (kind, str(tmp_path / f"out.{kind}")) for kind in ("jsonl", "manifest", "parquet")
    ]
    assert found[0]["digest"] == digest
    assert provenance("--store", path, "export", "first", "--format", "jsonl", "--out", "out.jsonl").code == 1
    assert len(exports(path)) == 3, "an export that failed is none"


def test_a_store_that_somebody_holds_costs_the_record_and_not_the_export(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import provenance.cli.exporting as module

    out = tmp_path / "out.jsonl"
    write = module.WRITERS["jsonl"]

    def held_after(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        holding.append(Store.open(path))  # somebody reads for long

    holding: list[Store] = []
    monkeypatch.setitem(module.WRITERS, "jsonl", held_after)
    answer = provenance("--store", path, "--wait", 0, "export", "first", "--format", "jsonl", "--out", out)
    assert (answer.code, out.exists()) == (0, True)
    assert f"WARNING: the store does not know of this export, and a takedown will not name {out}" in answer.err
    holding[0].close()
    assert exports(path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every file")
def test_a_store_that_may_only_be_read(path: Path, tmp_path: Path) -> None:
    path.chmod(0o400)
    answer = provenance("--store", path, "export", "first", "--format", "jsonl", "--out", tmp_path / "out.jsonl")
    assert (answer.code, "WARNING" in answer.err) == (0, True)
