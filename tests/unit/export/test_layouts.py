"""Every layout is read back as its framework documents it, by readers that share no code with the writers."""

from __future__ import annotations

import json
import struct
from fractions import Fraction

import numpy as np
import pyarrow.parquet as pq
import pytest

from provenance.errors import UnknownName
from provenance.export.blocks import TokenBlocks
from provenance.export.draws import export_manifest
from provenance.export.encoding import Encoded
from provenance.export.files import file_sha256
from provenance.export.megatron import export_megatron
from provenance.export.tokens import EXPORTS, export_nanogpt, export_olmo, export_tokens
from provenance.mix.digest import draws_digest, items_digest, mapping_digest
from provenance.mix.errors import (
    ExportDamaged,
    ExportFailed,
    NothingToExport,
    OutputExists,
    QuotaNotMet,
    TokenizerNotNamed,
)
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer, get_tokenizer
from tests.unit.mix.corpus import add_documents, byte_tokenizer, document

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.5}
CURRICULUM = [
    {"name": "early", "share": 0.7, "quotas": [{"name": "mostly models", "where": "generation >= 1", "min": 0.6}]},
    {"name": "late", "share": 0.3, "quotas": [{"name": "people last", "where": "origin = 'human'", "min": 0.9}]},
]
END = 256


@pytest.fixture
def tokens_store(store):
    add_tokenizer(store, "bytes", byte_tokenizer())
    return store


def make(store, **fields):
    fields = {"name": "m", "budget": {"tokens": 40_000}, "tokenizer": "bytes", "quotas": [HUMAN]} | fields
    return make_training_set(store, MixSpec(**fields))


@pytest.fixture
def made(tokens_store):
    return make(tokens_store, repeats={"max": 3, "per": {"origin": {"unknown": 1}}}, budget={"tokens": 300_000})


@pytest.fixture
def course(tokens_store):
    whole = {"name": "human", "where": "origin = 'human'", "min": 0.4}
    return make(tokens_store, quotas=[whole], order={"curriculum": CURRICULUM})


def as_written(training_set):
    """Return for every draw the tokens that stand for it: the mark, then one token per byte."""
    tokenizer = get_tokenizer(training_set.store, "bytes").load()
    return [[END, *tokenizer.encode(row["text"], add_special_tokens=False).ids] for row in training_set]


def megatron_reader(folder):
    """Read an indexed dataset as Megatron-LM's IndexedDataset does: the index, then a view of the tokens."""
    data = (folder / "train.idx").read_bytes()
    assert data[:9] == b"MMIDIDX\x00\x00"
    version, code, n_sequences, n_documents = struct.unpack_from("<QBQQ", data, 9)
    assert version == 1
    dtype = {4: np.int32, 8: np.uint16}[code]
    lengths = np.frombuffer(data, np.int32, n_sequences, 34)
    pointers = np.frombuffer(data, np.int64, n_sequences, 34 + 4 * n_sequences)
    documents = np.frombuffer(data, np.int64, n_documents, 34 + 12 * n_sequences)
    assert len(data) == 34 + 12 * n_sequences + 8 * n_documents
    buffer = memoryview(np.memmap(folder / "train.bin", mode="r"))
    sequences = [
        np.frombuffer(buffer, dtype, length, pointer) for pointer, length in zip(pointers, lengths, strict=True)
    ]
    return sequences, documents


def test_megatron(made, tmp_path):
    report = export_megatron(made, tmp_path / "out")
    sequences, documents = megatron_reader(tmp_path / "out")
    expected = as_written(made)
    assert len(expected) > len({row["document_id"] for row in made})  # some are drawn again
    assert [sequence.tolist() for sequence in sequences] == expected
    assert documents.tolist() == list(range(len(made) + 1))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["files"]["train.bin"] == report.sha256 == file_sha256(tmp_path / "out" / "train.bin")
    assert manifest["n_tokens"] == sum(map(len, expected)) - len(expected) == made.manifest["totals"]["tokens"]
    [quota] = manifest["quotas"]
    assert {k: quota[k] for k in ("units", "total")} == {k: made.manifest["quotas"][0][k] for k in ("units", "total")}
    rows = pq.read_table(tmp_path / "out" / "documents.parquet").to_pylist()
    flat = np.concatenate(sequences)
    for row, draw, ids in zip(rows, made, expected, strict=True):
        assert row["document_id"] == draw["document_id"]
        assert flat[row["token_offset"] : row["token_offset"] + row["n_tokens"]].tolist() == ids[1:]


@pytest.mark.parametrize(("kind", "name"), [("nanogpt", "train.bin"), ("olmo", "tokens.npy")])
def test_bare_numbers(made, tmp_path, kind, name):
    """NanoGPT and OLMo map the file as numbers of 2 bytes; the blocks are those of the layout `tokens`."""
    blocks = EXPORTS[kind](made, tmp_path / kind, block_length=100)
    read = np.memmap(tmp_path / kind / name, dtype=np.uint16, mode="r")
    ours = export_tokens(made, tmp_path / "tokens", block_length=100)
    assert (read == ours.blocks.reshape(-1)).all()
    assert blocks.blocks.shape == ours.blocks.shape
    assert blocks.documents().equals(ours.documents())
    assert sorted(p.name for p in (tmp_path / kind).iterdir()) == sorted(
        [name, "documents.parquet", "manifest.json", "tokenizer.json"]
    )
    assert blocks.manifest["read_with"] == f"numpy.memmap({name!r}, dtype=numpy.uint16, mode='r')"
    with (tmp_path / kind / name).open("r+b") as file:
        file.write(b"??")
    with pytest.raises(ExportDamaged):
        TokenBlocks.open(tmp_path / kind)


@pytest.mark.parametrize("kind", [*EXPORTS, "megatron"])
def test_large_vocabularies_take_four_bytes(store, tmp_path, kind):
    definition = json.loads(byte_tokenizer())
    definition["model"]["vocab"] |= {f"word{i}": 300 + i for i in range(70_000)}
    add_tokenizer(store, "large", json.dumps(definition))
    made = make(store, budget={"tokens": 5000}, tokenizer="large")
    if kind == "megatron":
        export_megatron(made, tmp_path / "out")
        sequences, _ = megatron_reader(tmp_path / "out")
        assert sequences[0].dtype == np.int32
        assert sum(map(len, sequences)) == made.manifest["totals"]["tokens"] + len(made)
        return
    blocks = EXPORTS[kind](made, tmp_path / "out", block_length=50)
    assert (blocks.blocks.dtype, blocks.manifest["dtype"]) == (np.uint32, "uint32")
    assert ("nanoGPT's own code says uint16" in blocks.manifest["read_with"]) == (kind == "nanogpt")
    texts = {row["position"]: row["text"] for row in made}
    tokenizer = get_tokenizer(store, "large").load()
    for row in blocks.trace(0):
        written = blocks.blocks.reshape(-1)[row["token_offset"] : row["token_offset"] + row["n_tokens"]]
        assert row["document_offset"] == 0
        ids = tokenizer.encode(texts[row["position"]], add_special_tokens=False).ids
        assert written.tolist() == ids[: row["n_tokens"]]


def test_phases_stay_one_after_the_other_in_blocks(course, tmp_path):
    length = 64
    blocks = export_tokens(course, tmp_path / "out", block_length=length)
    early, late = blocks.manifest["phases"]
    assert [early["phase"], late["phase"]] == ["early", "late"]
    assert (early["first_block"], late["first_block"]) == (0, early["n_blocks"])
    assert early["n_blocks"] + late["n_blocks"] == len(blocks)
    assert blocks.manifest["n_cut"] < 2 * length
    starts = course.manifest["phases"][1]["position"]
    for row in blocks.documents().to_pylist():
        is_late = row["token_offset"] >= late["first_block"] * length
        assert row["stratum"].startswith("late / " if is_late else "early / ")
        assert (row["position"] >= starts) == is_late
    people = next(q for q in blocks.manifest["quotas"] if q["quota"] == "people last")
    rows = [r for r in blocks.documents().to_pylist() if r["token_offset"] >= late["first_block"] * length]
    human = sum(r["n_tokens"] for r in rows if r["origin"] == "human")
    total = sum(r["n_tokens"] for r in rows)
    assert (people["phase"], people["units"], people["total"]) == ("late", human, total)
    assert Fraction(human, total) >= Fraction(9, 10)


def test_quotas_of_phases_are_counted_in_megatrons_sequences(course, tmp_path):
    export_megatron(course, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    drawn = {(q["phase"], q["quota"]): (q["units"], q["total"]) for q in course.manifest["quotas"]}
    assert {(q["phase"], q["quota"]): (q["units"], q["total"]) for q in manifest["quotas"]} == drawn


def test_a_phase_without_a_block_is_refused(course, tmp_path):
    with pytest.raises(NothingToExport, match="phase late"):
        export_tokens(course, tmp_path / "out", block_length=20_000)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("export", [export_nanogpt, export_olmo, export_megatron])
def test_a_quota_that_misses_in_tokens_is_refused(empty_store, tmp_path, export):
    rows = [document(f"h{i}", text=" ".join([f"h{i}"] * 20)) for i in range(20)]
    rows += [
        document(f"s{i}", text=" ".join([f"synthetic{i}"] * 20), origin="synthetic", generation=1) for i in range(20)
    ]
    add_documents(empty_store, rows)
    add_tokenizer(empty_store, "bytes", byte_tokenizer())
    made = make_training_set(empty_store, MixSpec(name="m", budget={"words": "all"}, quotas=[HUMAN]))
    with pytest.raises(QuotaNotMet, match="in tokens"):
        export(made, tmp_path / "out", tokenizer="bytes")
    with pytest.raises(TokenizerNotNamed):
        export(made, tmp_path / "out")
    with pytest.raises(UnknownName):
        export(made, tmp_path / "out", tokenizer="none")
    assert list(tmp_path.glob("*out*")) == []


@pytest.mark.parametrize("export", [export_nanogpt, export_olmo, export_megatron, export_manifest])
def test_folders_are_there_completely_or_not_at_all(made, tmp_path, monkeypatch, export):
    folder = tmp_path / "exports"
    (folder / "taken").mkdir(parents=True)
    with pytest.raises(OutputExists):
        export(made, folder / "taken")
    export(made, folder / "out")
    first = {p.name: p.read_bytes() for p in (folder / "out").iterdir()}
    export(made, folder / "out", overwrite=True)
    assert {p.name: p.read_bytes() for p in (folder / "out").iterdir()} == first

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Encoded, "copy_to", full)
    if export is export_manifest:
        monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ExportFailed, match="No space left"):
        export(made, folder / "other")
    assert sorted(p.name for p in folder.iterdir()) == ["out", "taken"]


def test_the_manifest_alone(course, tmp_path):
    export_manifest(course, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest == course.manifest
    draws = pq.read_table(tmp_path / "out" / "draws.parquet")
    assert set(draws.column_names) == set(course.store.fetch("SELECT * FROM training_set_item LIMIT 0").column_names)
    assert draws["position"].to_pylist() == list(range(len(course)))
    assert (draws_digest(draws), items_digest(draws)) == (course.digest, course.manifest["items_digest"])


def test_manifests_say_what_they_are(made, tmp_path):
    for kind, export in {**EXPORTS, "megatron": export_megatron}.items():
        export(made, tmp_path / kind)
        manifest = json.loads((tmp_path / kind / "manifest.json").read_text())
        claimed = manifest.pop("digest")
        assert mapping_digest(manifest) == claimed
        assert manifest["kind"] == kind
        assert manifest["training_set"] == made.manifest
        assert manifest["tokenizer"]["digest"] == get_tokenizer(made.store, "bytes").digest
        assert manifest["files"] == {name: file_sha256(tmp_path / kind / name) for name in manifest["files"]}
        assert {*manifest["files"], "manifest.json"} == {p.name for p in (tmp_path / kind).iterdir()}
