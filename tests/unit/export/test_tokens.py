from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pyarrow.compute as pc
import pytest

from provenance.errors import UnknownName
from provenance.export.encoding import Encoded
from provenance.export.files import file_sha256
from provenance.export.tokens import TokenBlocks, export_tokens
from provenance.mix.digest import mapping_digest
from provenance.mix.errors import ExportDamaged, ExportFailed, NothingToExport, QuotaNotMet, TokenizerNotNamed
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer
from provenance.mix.training_set import TrainingSet
from tests.unit.mix.corpus import add_documents, byte_tokenizer, document

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.5}
END = 256


@pytest.fixture
def made(store):
    add_tokenizer(store, "bytes", byte_tokenizer())
    quotas = [HUMAN, {"name": "source", "per": "source", "max": 0.5}]
    return make_training_set(store, MixSpec(name="m", budget={"tokens": 40_000}, tokenizer="bytes", quotas=quotas))


def check_blocks(blocks, training_set, *, marks=(END,)):
    """Every own token of every stretch is its document's, and between them there are only marks."""
    texts = {row["position"]: row["text"] for row in training_set}
    decode = {i: bytes([b]) for i, b in enumerate(byte_order())}
    flat, covered = blocks.blocks.reshape(-1), np.zeros(blocks.blocks.size, dtype=bool)
    for row in blocks.documents().to_pylist():
        low, n, start = row["token_offset"], row["n_tokens"], row["document_offset"]
        assert not covered[low : low + n].any()
        covered[low : low + n] = True
        written = b"".join(decode[t] for t in flat[low : low + n].tolist())
        assert written == texts[row["position"]].encode()[start : start + n]
    assert set(flat[~covered].tolist()) <= set(marks)
    return covered


def byte_order():
    from tokenizers import pre_tokenizers

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(b): b for b in printable}
    others = [b for b in range(256) if b not in printable]
    letters |= {chr(256 + i): b for i, b in enumerate(others)}
    return [letters[letter] for letter in sorted(pre_tokenizers.ByteLevel.alphabet())]


@pytest.mark.parametrize("block_length", [2, 64, 100, 1000])
def test_blocks_hold_what_was_drawn(made, tmp_path, block_length):
    blocks = export_tokens(made, tmp_path / "out", block_length=block_length)
    assert blocks.blocks.dtype == np.uint16
    assert blocks.blocks.shape == (len(blocks), block_length)
    covered = check_blocks(blocks, made)
    manifest = blocks.manifest
    n_tokens = sum(row["n_tokens"] + 1 for row in made)
    assert manifest["n_cut"] == n_tokens - blocks.blocks.size < block_length
    assert manifest["n_tokens"] == int(covered.sum())
    table = blocks.documents()
    human = pc.sum(table.filter(pc.equal(table["origin"], "human"))["n_tokens"]).as_py()
    assert manifest["human"]["human"] == human
    assert Fraction(human, manifest["n_tokens"]) >= Fraction(1, 2)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "blocks.npy", "documents.parquet", "manifest.json", "tokenizer.json",
    ]  # fmt: skip


def test_every_prefix_of_blocks_holds_the_quotas(made, tmp_path):
    length = 64
    blocks = export_tokens(made, tmp_path / "out", block_length=length)
    table = blocks.documents()
    block = table["token_offset"].to_numpy() // length
    assert ((table["token_offset"].to_numpy() + table["n_tokens"].to_numpy() - 1) // length == block).all()
    own = np.bincount(block, weights=table["n_tokens"].to_numpy(), minlength=len(blocks)).cumsum()
    human = np.where(np.array(table["origin"].to_pylist()) == "human", table["n_tokens"].to_numpy(), 0)
    human = np.bincount(block, weights=human, minlength=len(blocks)).cumsum()
    worst = max(0, int(np.ceil((own / 2 - human).max())))
    claim = blocks.manifest["quotas"][0]
    assert (claim["quota"], claim["prefix_slack"]) == ("human", worst)
    assert worst <= 2 * length
    for batch in (1, 3, 8):  # blocks
        own_of, human_of = (np.diff(np.concatenate([[0], sums[batch - 1 :: batch]])) for sums in (own, human))
        assert (own_of / 2 - human_of).max() <= claim["batch_slack"]


def test_a_single_minimum_holds_in_every_prefix_up_to_the_mixed_blocks(store, tmp_path):
    add_tokenizer(store, "bytes", byte_tokenizer())
    spec = MixSpec(name="m", budget={"tokens": 40_000}, tokenizer="bytes", quotas=[HUMAN], where="origin <> 'unknown'")
    blocks = export_tokens(make_training_set(store, spec), tmp_path / "out", block_length=128)
    assert blocks.manifest["quotas"][0]["prefix_slack"] <= 128


def test_marks_of_the_tokenizer_itself_are_kept(store, tmp_path):
    add_tokenizer(store, "template", byte_tokenizer(template=True))
    made = make_training_set(store, MixSpec(name="m", budget={"tokens": 9000}, tokenizer="template", quotas=[HUMAN]))
    blocks = export_tokens(made, tmp_path / "out", block_length=50)
    assert blocks.manifest["marks"] == {"before": [END], "after": []}
    check_blocks(blocks, made)
    assert blocks.blocks[0][0] == END


def test_a_block_can_be_traced(made, tmp_path):
    blocks = export_tokens(made, tmp_path / "out", block_length=64)
    rows = blocks.trace(3)
    assert sum(row["n_tokens"] for row in rows) <= 64
    assert {row["token_offset"] // 64 for row in rows} == {3}


def test_a_quota_that_holds_in_words_but_not_in_tokens_is_refused(empty_store, tmp_path):
    rows = [document(f"h{i}", text=" ".join([f"h{i}"] * 20)) for i in range(20)]
    rows += [
        document(f"s{i}", text=" ".join([f"synthetic{i}"] * 20), origin="synthetic", generation=1) for i in range(20)
    ]
    add_documents(empty_store, rows)
    add_tokenizer(empty_store, "bytes", byte_tokenizer())
    made = make_training_set(empty_store, MixSpec(name="m", budget={"words": "all"}, quotas=[HUMAN]))
    with pytest.raises(QuotaNotMet, match="in tokens") as caught:
        export_tokens(made, tmp_path / "out", tokenizer="bytes", block_length=64)
    assert caught.value.unit == "tokens"
    assert caught.value.counted * 2 < caught.value.total
    assert list(tmp_path.glob("*out*")) == []


def test_wrong_requests(made, store, tmp_path):
    words = make_training_set(store, MixSpec(name="w", budget={"words": 60}))
    with pytest.raises(TokenizerNotNamed):
        export_tokens(words, tmp_path / "out")
    with pytest.raises(UnknownName):
        export_tokens(made, tmp_path / "out", tokenizer="none")
    with pytest.raises(NothingToExport):
        export_tokens(words, tmp_path / "out", tokenizer="bytes", block_length=100_000)
    with pytest.raises(ValueError, match="2 or more"):
        export_tokens(made, tmp_path / "out", block_length=1)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing(made, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Encoded, "copy_to", full)
    with pytest.raises(ExportFailed, match="No space left"):
        export_tokens(made, tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


def test_exporting_again(made, tmp_path):
    one = export_tokens(made, tmp_path / "out").manifest
    assert export_tokens(made, tmp_path / "out", overwrite=True).manifest == one


def rewrite(folder, **changes):
    """Change the manifest and make its own digest fit, as somebody would who knows how."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("digest")
    manifest |= changes
    manifest["digest"] = mapping_digest(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_damage_is_found_before_blocks_are_given(made, tmp_path):
    folder = tmp_path / "out"
    pristine = export_tokens(made, folder, block_length=64)
    originals = {p.name: p.read_bytes() for p in folder.iterdir()}

    def damaged(reason):
        with pytest.raises(ExportDamaged, match=reason):
            TokenBlocks.open(folder)
        for name, data in originals.items():
            (folder / name).write_bytes(data)

    for name in ("blocks.npy", "documents.parquet", "tokenizer.json"):
        data = bytearray(originals[name])
        data[-3] ^= 1
        (folder / name).write_bytes(data)
        damaged("not the file that was written")
        (folder / name).unlink()
        damaged("FileNotFoundError")
    (folder / "manifest.json").write_text("{")
    damaged("JSONDecodeError")
    (folder / "manifest.json").write_text(originals["manifest.json"].decode().replace('"human"', '"humane"', 1))
    damaged("was changed")
    rewrite(folder, n_blocks=3)
    damaged("has shape")
    rewrite(folder, human=pristine.manifest["human"] | {"human": 1})
    damaged("the manifest claims human")
    np.save(folder / "blocks.npy", np.array([{}], dtype=object), allow_pickle=True)
    rewrite(folder, files=pristine.manifest["files"] | {"blocks.npy": file_sha256(folder / "blocks.npy")})
    damaged("ValueError")
    assert len(TokenBlocks.open(folder)) == len(pristine)


def test_no_store_is_needed_to_read(made, store, tmp_path):
    export_tokens(made, tmp_path / "out")
    store.close()
    blocks = TokenBlocks.open(tmp_path / "out")
    assert blocks.human_share >= 0.5
    assert json.loads(blocks.tokenizer_json)["model"]["type"] == "BPE"
    assert isinstance(blocks.blocks, np.memmap)


def test_large_vocabularies_get_wider_numbers(store, tmp_path):
    definition = json.loads(byte_tokenizer())
    definition["model"]["vocab"] |= {f"word{i}": 300 + i for i in range(70_000)}
    add_tokenizer(store, "large", json.dumps(definition))
    made = make_training_set(store, MixSpec(name="m", budget={"tokens": 3000}, tokenizer="large"))
    assert export_tokens(made, tmp_path / "out").blocks.dtype == np.uint32


def test_export_reads_a_store_opened_for_reading(made, store, tmp_path):
    from provenance.store.store import Store

    path = store.path
    store.close()
    with Store.open(path) as reading:
        assert len(export_tokens(TrainingSet.open("m", reading), tmp_path / "out"))
