"""The manifest and the draws alone: whoever has only these two files can recompute what the manifest says of them."""

from __future__ import annotations

import json
import struct
import uuid
from collections import Counter
from hashlib import sha256

import pyarrow.parquet as pq
import pytest

from provenance.export import draws
from provenance.export.draws import export_manifest
from provenance.mix.errors import ExportFailed, OutputExists
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.5}
CURRICULUM = [
    {"name": "early", "share": 0.6, "quotas": [{"name": "models", "where": "generation >= 1", "min": 0.5}]},
    {"name": "late", "share": 0.4, "quotas": [{"name": "people", "where": "origin = 'human'", "min": 0.9}]},
]


@pytest.fixture
def made(store):
    spec = {"quotas": [HUMAN], "repeats": {"max": 2}, "order": {"curriculum": CURRICULUM}}
    return make_training_set(store, MixSpec(name="m", budget={"words": 8000}, **spec))


def read(folder):
    return json.loads((folder / "manifest.json").read_text("utf-8")), pq.read_table(folder / "draws.parquet")


def test_what_the_manifest_says_can_be_recomputed_from_the_draws(made, tmp_path):
    report = export_manifest(made, tmp_path / "out")
    made.store.close()
    manifest, table = read(tmp_path / "out")
    rows = table.to_pylist()
    digest = sha256()
    for row in rows:
        digest.update(uuid.UUID(str(row["document_id"])).bytes + struct.pack("<I", row["repeat"]))
    assert digest.hexdigest() == manifest["digest"]
    assert [row["position"] for row in rows] == list(range(report.n_documents))
    human = sum(row["n_words"] for row in rows if row["origin"] == "human")
    words = sum(row["n_words"] for row in rows)
    assert manifest["totals"]["words"] == words
    assert manifest["human"]["words"] == {"human": human, "total": words, "share": human / words}
    quota = next(quota for quota in manifest["quotas"] if quota["quota"] == "human")
    assert (quota["units"], quota["total"]) == (human, words)
    strata = Counter(row["stratum"] for row in rows)
    assert strata == {s["stratum"]: s["documents"] for s in manifest["strata"] if s["documents"]}
    late = manifest["phases"][1]
    assert all(row["stratum"].startswith("late / ") == (row["position"] >= late["position"]) for row in rows)
    assert max(row["repeat"] for row in rows) == 1


def test_the_manifest_is_that_of_the_store(made, tmp_path):
    export_manifest(made, tmp_path / "out")
    [stored] = made.store.fetch("SELECT manifest FROM training_set WHERE name = 'm'")["manifest"].to_pylist()
    assert read(tmp_path / "out")[0] == json.loads(stored)


def test_draws_are_as_stored_compressed_and_without_texts(made, tmp_path):
    make_training_set(made.store, MixSpec(name="another", budget={"words": 500}))
    export_manifest(made, tmp_path / "out")
    _, table = read(tmp_path / "out")
    stored = made.store.fetch("SELECT * FROM training_set_item WHERE training_set = 'm' ORDER BY position")
    for name in set(stored.column_names) - {"training_set"}:
        assert table[name].to_pylist() == stored[name].to_pylist()
    assert "text" not in table.column_names
    described = pq.ParquetFile(tmp_path / "out" / "draws.parquet").metadata.row_group(0)
    assert {described.column(i).compression for i in range(described.num_columns)} == {"ZSTD"}


def test_a_failure_leaves_what_was_there(made, tmp_path, monkeypatch):
    folder = tmp_path / "exports"
    export_manifest(made, folder / "out")
    before = {p.name: p.read_bytes() for p in (folder / "out").iterdir()}
    with pytest.raises(OutputExists):
        export_manifest(made, folder / "out")

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(draws, "write_json", full)
    for name, overwrite in (("out", True), ("other", False)):
        with pytest.raises(ExportFailed, match="No space left"):
            export_manifest(made, folder / name, overwrite=overwrite)
    assert [p.name for p in folder.iterdir()] == ["out"]
    assert {p.name: p.read_bytes() for p in (folder / "out").iterdir()} == before
