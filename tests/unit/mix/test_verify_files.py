"""Exported files are proved without a store; what they cannot tell is said; bad input gets one clear line."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from provenance.cli.app import app
from provenance.export.draws import export_manifest
from provenance.export.jsonl import export_jsonl
from provenance.export.megatron import export_megatron
from provenance.export.parquet import export_parquet
from provenance.export.tokens import export_nanogpt, export_olmo, export_tokens
from provenance.ids import document_digest
from provenance.mix.errors import TrainingSetViolated
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer
from provenance.mix.training_set import TrainingSet
from provenance.mix.verify_errors import ManifestOfAnotherStore, ManifestUnreadable, NothingToVerify
from provenance.mix.verify_files import verify_files
from provenance.store.store import Store
from tests.unit.mix.corpus import add_documents, byte_tokenizer, standard_rows

SPEC = MixSpec(
    name="m",
    budget={"words": 3000},
    where="collected_at IS NULL",
    quotas=[
        {"name": "human", "where": "origin = 'human'", "min": "0.4"},
        {"name": "described", "where": "metadata IS NULL", "min": "0.5"},
        {"name": "fresh", "where": "origin = 'human'", "min": "0.1", "not_used_by": ["other"]},
    ],
    exclude={"training_sets": ["other"]},
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    with Store.create(folder / "store.duckdb") as store:
        rows = standard_rows()
        for row in rows:
            row["document_id"] = document_digest(row["source"], row["external_id"], row["content_id"])
        add_documents(store, rows)
        add_tokenizer(store, "bytes", byte_tokenizer())
        make_training_set(store, MixSpec(name="other", budget={"documents": 5}))
        made = make_training_set(store, SPEC)
        export_parquet(made, folder / "m.parquet")
        for name in ("m.jsonl", "m.jsonl.gz", "m.jsonl.zst"):
            export_jsonl(made, folder / name)
        export_manifest(made, folder / "draws")
        for export, name in ((export_tokens, "tokens"), (export_nanogpt, "nanogpt"), (export_olmo, "olmo")):
            export(made, folder / name, tokenizer="bytes", block_length=64)
        export_megatron(made, folder / "megatron", tokenizer="bytes")
        (folder / "m.json").write_text(json.dumps(made.manifest))
    return folder


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output, result.exception


@pytest.mark.parametrize(
    "name",
    [
        "m.parquet",
        "m.jsonl",
        "m.jsonl.gz",
        "m.jsonl.zst",
        "m.jsonl.manifest.json",
        "draws",
        "tokens",
        "nanogpt",
        "olmo",
        "megatron",
    ],
)
def test_what_was_exported_holds_and_no_store_is_opened(exported, tmp_path, name):
    code, output, _ = run("--store", tmp_path / "none.duckdb", "verify", exported / name)
    assert code == 0
    assert f"from the files of {exported / name} alone; as drawn: holds" in output
    assert not (tmp_path / "none.duckdb").exists()


@pytest.mark.parametrize("name", ["m.parquet", "draws"])
def test_what_files_cannot_tell_is_listed(exported, name):
    unchecked = {one.claim: one.reason for one in verify_files(exported / name).unchecked}
    assert "collected_at" in unchecked["filter"]
    assert "by what the manifest says of the strata" in unchecked["quota 'described': which draws count"]
    assert "other" in unchecked["quota 'fresh': not used by other"]
    assert {"exclude: nothing of other", "labels of today", "store.snapshot", "spec"} <= set(unchecked)
    assert ("sizes and ids of draws" in unchecked) == (name == "draws")
    assert "quota 'human': which draws count" not in unchecked


def test_json(exported):
    code, output, _ = run("verify", exported / "m.parquet", "--json")
    found = json.loads(output)
    assert (code, found["violations"], found["from"]) == (0, [], str(exported / "m.parquet"))
    assert {"claim", "reason"} == set(found["unchecked"][0])


def test_every_violation_is_printed(exported, tmp_path):
    shutil.copy(exported / "m.jsonl.manifest.json", tmp_path / "m.jsonl.manifest.json")
    lines = (exported / "m.jsonl").read_text().splitlines()
    (tmp_path / "m.jsonl").write_text("\n".join(lines[:-1]).replace('"origin":"synthetic"', '"origin":"human"'))
    code, output, _ = run("verify", tmp_path / "m.jsonl")
    assert code == 1
    for claim in ("file m.jsonl", "number of draws", "digest over the ordered draws", "human share of words"):
        assert f"violated: {claim}" in output


@pytest.mark.parametrize("name", ["tokens", "nanogpt", "olmo", "megatron"])
@pytest.mark.parametrize("changed", ["units", "total", "share", "prefix_slack", "batch_slack"])
def test_every_number_of_a_quota_in_tokens_is_counted_again(exported, tmp_path, name, changed):
    folder = shutil.copytree(exported / name, tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    for claim in manifest["quotas"]:
        claim[changed] = "0.39" if changed == "share" else claim[changed] + 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    said = {violation.claim for violation in verify_files(folder).violations}
    word = {"prefix_slack": "worst prefix", "batch_slack": "worst batch"}.get(changed, changed)
    assert {f"quota {of!r} (min) in tokens: {word}" for of in ("human", "described", "fresh")} <= said


@pytest.mark.parametrize(
    "name", ["m.parquet", "m.jsonl.gz", "m.jsonl.zst", "draws/draws.parquet", "tokens/documents.parquet"]
)
@pytest.mark.parametrize("harm", ["missing", "cut off", "something else"])
def test_files_that_are_gone_or_damaged(exported, tmp_path, name, harm):
    folder = shutil.copytree(exported, tmp_path / "copy", ignore=shutil.ignore_patterns("*.duckdb*"))
    file = folder / name
    if harm == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-40] if harm == "cut off" else b"something else")
    verdict = verify_files(file if file.parent == folder else file.parent)
    assert any(v.claim.startswith(("file ", "rows of ")) for v in verdict.violations)


def test_nothing_to_verify(exported, tmp_path):
    (tmp_path / "folder").mkdir()
    shutil.copy(exported / "m.jsonl", tmp_path / "alone.jsonl")
    for path in (tmp_path / "folder", tmp_path / "alone.jsonl", tmp_path / "nowhere.jsonl"):
        with pytest.raises(NothingToVerify, match="there is no"):
            verify_files(path)
    for name in ("folder", "alone.jsonl", "nowhere.jsonl"):
        code, _, error = run("--store", exported / "store.duckdb", "verify", tmp_path / name)
        assert code == 1
        assert isinstance(error, NothingToVerify)


@pytest.mark.parametrize("content", ["no json", "[]", "{}", '{"training_set": {}}', "[" * 100_000])
def test_a_manifest_that_is_none(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ManifestUnreadable, match="is no manifest"):
        verify_files(tmp_path)


def test_a_manifest_from_another_store(exported, tmp_path):
    with Store.create(tmp_path / "other.duckdb") as other:
        add_documents(other, standard_rows())
    code, _, error = run("--store", tmp_path / "other.duckdb", "verify", exported / "m.json")
    assert code == 1
    assert isinstance(error, ManifestOfAnotherStore)
    with Store.open(tmp_path / "other.duckdb", writable=True) as other:
        make_training_set(other, MixSpec(name="m", budget={"words": 3000}))
    code, output, _ = run("--store", tmp_path / "other.duckdb", "verify", exported / "m.json")
    assert code == 1
    assert "violated: store that it was drawn from" in output


def test_a_manifest_kept_elsewhere_is_verified_against_its_store(exported):
    code, output, _ = run("--store", exported / "store.duckdb", "verify", exported / "m.json")
    assert code == 0
    assert "as drawn: holds; by today's labels: holds" in output
    assert "not checked: store.snapshot" in output


def test_a_document_that_was_taken_down(exported, tmp_path):
    path = shutil.copy(exported / "store.duckdb", tmp_path / "store.duckdb")
    with Store.open(path, writable=True) as store:
        with store.transaction() as connection:
            connection.exec_driver_sql(
                "DELETE FROM document WHERE document_id IN "
                "(SELECT document_id FROM training_set_item WHERE training_set = 'm' AND position = 2)"
            )
        with pytest.raises(TrainingSetViolated, match="no longer in the store"):
            TrainingSet.open("m", store)
        assert len(TrainingSet.open("m", store, accept_relabelled=True)) > 0
    code, output, _ = run("--store", path, "verify", "m")
    assert code == 1
    assert "violated: documents that are no longer in the store: expected 0, found 1 (now)" in output
    assert "as drawn: holds" in output
