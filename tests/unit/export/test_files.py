"""JSON Lines and Parquet: what is read back is what was drawn, and nothing half is left behind."""

from __future__ import annotations

import gzip
import json
import os
import stat

import pyarrow.parquet as pq
import pytest
import zstandard

from provenance.export.files import file_sha256, manifest_path, new_folder
from provenance.export.jsonl import export_jsonl
from provenance.export.parquet import export_parquet
from provenance.mix.errors import ExportFailed, OutputExists
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.training_set import TrainingSet


@pytest.fixture
def made(store):
    human = {"name": "human", "where": "origin = 'human'", "min": 0.5}
    return make_training_set(store, MixSpec(name="m", budget={"words": 3000}, quotas=[human]))


def read_lines(path):
    if path.suffix == ".gz":
        data = gzip.decompress(path.read_bytes())
    elif path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    else:
        data = path.read_bytes()
    return [json.loads(line) for line in data.decode().splitlines()]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst", "deep/er/out.jsonl"])
def test_json_lines(made, tmp_path, name):
    path = tmp_path / "exports" / name
    report = export_jsonl(made, path)
    rows = read_lines(path)
    assert [row["text"] for row in rows] == [row["text"] for row in made]
    assert [row["origin"] for row in rows] == [row["origin"] for row in made]
    assert report.n_documents == len(rows)
    manifest = json.loads(manifest_path(path).read_text())
    assert manifest["training_set"] == made.manifest
    assert manifest["files"] == {path.name: file_sha256(path)}
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, path.name + ".manifest.json"])
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.parquet"])
def test_exports_are_the_same_every_time(made, tmp_path, name):
    export = export_parquet if name.endswith("parquet") else export_jsonl
    digests = {export(made, tmp_path / folder / name).sha256 for folder in ("a", "b")}
    assert len(digests) == 1


def test_parquet(made, tmp_path):
    path = tmp_path / "out.parquet"
    export_parquet(made, path)
    table = pq.read_table(path)
    assert table["text"].to_pylist() == [row["text"] for row in made]
    assert table["position"].to_pylist() == list(range(len(made)))
    assert table.schema.metadata[b"provenance.training_set_digest"].decode() == made.digest


def test_nothing_is_overwritten_unasked(made, tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("mine")
    with pytest.raises(OutputExists):
        export_jsonl(made, path)
    assert path.read_text() == "mine"
    export_jsonl(made, path, overwrite=True)
    assert len(read_lines(path)) == len(made)
    with pytest.raises(OutputExists):
        export_jsonl(made, tmp_path, overwrite=True)


@pytest.mark.parametrize("export", [export_jsonl, export_parquet])
def test_a_full_disk_leaves_nothing(made, tmp_path, monkeypatch, export):
    batches = TrainingSet.batches

    def full(self, **options):
        yield from batches(self, size=10)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TrainingSet, "batches", full)
    with pytest.raises(ExportFailed, match="No space left") as caught:
        export(made, tmp_path / "out" / "file")
    assert isinstance(caught.value, OSError)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_is_there_completely_or_not_at_all(tmp_path):
    target = tmp_path / "folder"
    with pytest.raises(ExportFailed), new_folder(target, overwrite=False) as draft:
        (draft / "a").write_text("1")
        raise OSError("broken")
    assert list(tmp_path.iterdir()) == []
    with new_folder(target, overwrite=False) as draft:
        (draft / "a").write_text("1")
    with pytest.raises(OutputExists), new_folder(target, overwrite=False):
        pass
    with new_folder(target, overwrite=True) as draft:
        (draft / "b").write_text("2")
    assert [p.name for p in target.iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(made, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ExportFailed):
        export_jsonl(made, tmp_path / "out.jsonl")
