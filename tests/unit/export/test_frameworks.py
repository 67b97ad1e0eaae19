"""Every token that a framework would read is the tokenizer's own, read from the files alone; and the command line."""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from provenance.cli import main
from provenance.export import megatron, tokens
from provenance.export.encoding import token_type
from provenance.export.megatron import export_megatron
from provenance.export.tokens import EXPORTS, export_nanogpt
from provenance.mix.errors import ExportFailed
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer
from tests.unit.mix.corpus import add_documents, byte_tokenizer, document

HUMAN = {"name": "human", "where": "origin = 'human'", "min": 0.5}
#: File of the tokens by format, for those that are headerless numbers.
FLAT = {"nanogpt": "train.bin", "olmo": "tokens.npy"}
MARK = "<|endoftext|>"


def merging_tokenizer(texts, *, behind=False, mark=True):
    """A tokenizer whose tokens are longer than bytes, so that no length can be guessed from a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[MARK] if mark else [], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    if behind:
        number = tokenizer.token_to_id(MARK)
        tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {MARK}", special_tokens=[(MARK, number)])
    return tokenizer.to_str()


@pytest.fixture
def texts(store):
    """Texts in several scripts beside those of the store; return all."""
    rows = [document(f"ü{i}", text=f"{i} Straße – 人民 и народ 🗳 " * (3 + i % 5), source="world") for i in range(40)]
    add_documents(store, rows)
    return store.fetch("SELECT text FROM content ORDER BY text")["text"].to_pylist()


def make(store, definition, **fields):
    """Return a training set made with that tokenizer, and for every draw the ids of its text."""
    add_tokenizer(store, "own", definition)
    spec = {"name": "m", "budget": {"tokens": 12_000}, "tokenizer": "own", "quotas": [HUMAN], "repeats": {"max": 2}}
    made = make_training_set(store, MixSpec(**spec | fields))
    tokenizer = Tokenizer.from_str(definition)
    return made, [tokenizer.encode(row["text"], add_special_tokens=False).ids for row in made]


def megatron_sequences(folder):
    """Return type and sequences of an indexed dataset, and where its documents begin, by the layout's description."""
    index, data = (folder / "train.idx").read_bytes(), (folder / "train.bin").read_bytes()
    magic, version, code, n, n_documents = struct.unpack_from("<9sQBQQ", index)
    assert (magic, version) == (b"MMIDIDX\0\0", 1)
    letter, size = {8: ("H", 2), 4: ("i", 4)}[code]
    place = struct.calcsize("<9sQBQQ")
    lengths, pointers, documents = (
        struct.unpack_from(f"<{count}{kind}", index, place + before)
        for count, kind, before in ((n, "i", 0), (n, "q", 4 * n), (n_documents, "q", 12 * n))
    )
    assert len(index) == place + 12 * n + 8 * n_documents
    assert len(data) == size * sum(lengths)
    found = [list(struct.unpack_from(f"<{m}{letter}", data, p)) for m, p in zip(lengths, pointers, strict=True)]
    return f"{letter}{size}", found, list(documents)


@pytest.mark.parametrize(("kind", "block_length"), [("nanogpt", 37), ("olmo", 37), ("nanogpt", 512), ("olmo", 2)])
def test_every_token_is_the_tokenizers_own(store, texts, tmp_path, kind, block_length):
    definition = merging_tokenizer(texts)
    made, expected = make(store, definition)
    EXPORTS[kind](made, tmp_path / "out", block_length=block_length)
    read = np.memmap(tmp_path / "out" / FLAT[kind], dtype="<u2", mode="r")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert read.size == manifest["n_blocks"] * block_length
    assert read.size + manifest["n_cut"] == sum(len(ids) + 1 for ids in expected)
    assert manifest["n_cut"] < block_length
    pieces, marks = defaultdict(list), np.ones(read.size, dtype=bool)
    for row in pq.read_table(tmp_path / "out" / "documents.parquet").to_pylist():
        low, high = row["token_offset"], row["token_offset"] + row["n_tokens"]
        assert marks[low:high].all()  # no token belongs to two documents
        marks[low:high] = False
        pieces[row["position"]].append((row["document_offset"], read[low:high].tolist()))
    for position, ids in enumerate(expected):
        own = []
        for offset, part in sorted(pieces[position]):
            assert offset == len(own)  # what is cut is an end
            own += part
        assert own == ids[: len(own)]
    assert set(read[marks].tolist()) == {Tokenizer.from_str(definition).token_to_id(MARK)}


@pytest.mark.parametrize(("behind", "mark"), [(False, True), (True, True), (False, False)])
def test_megatron_keeps_every_draw_whole(store, texts, tmp_path, behind, mark):
    definition = merging_tokenizer(texts, behind=behind, mark=mark)
    made, expected = make(store, definition)
    export_megatron(made, tmp_path / "out")
    kind, found, documents = megatron_sequences(tmp_path / "out")
    end = [Tokenizer.from_str(definition).token_to_id(MARK)] if mark else []
    assert kind == "H2"
    assert found == [ids + end if behind else end + ids for ids in expected]
    assert documents == list(range(len(expected) + 1))


def test_shares_of_megatron_count_no_marks(store, texts, tmp_path):
    made, expected = make(store, merging_tokenizer(texts), order="shuffled")
    export_megatron(made, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    human = sum(len(ids) for ids, row in zip(expected, made, strict=True) if row["origin"] == "human")
    total = sum(map(len, expected))
    assert (manifest["human"]["human"], manifest["human"]["total"]) == (human, total)
    [quota] = manifest["quotas"]
    assert (quota["units"], quota["total"]) == (human, total)
    missing, all_before, human_before = Fraction(0), 0, 0
    for ids, row in zip(expected, made, strict=True):
        all_before += len(ids)
        human_before += len(ids) * (row["origin"] == "human")
        missing = max(missing, Fraction(all_before, 2) - human_before)
    assert quota["prefix_slack"] == -(-missing // 1) > 0


@pytest.mark.parametrize(("vocabulary", "dtype", "code"), [(2**16, "<u2", "H2"), (2**16 + 1, "<u4", "i4")])
def test_two_bytes_up_to_the_last_id_that_fits(store, tmp_path, vocabulary, dtype, code):
    definition = json.loads(byte_tokenizer())
    definition["model"]["vocab"] |= {MARK: 256} | {f"word{i}": i for i in range(257, vocabulary)}
    highest = vocabulary - 1  # the id of a letter that is in every text
    words = definition["model"]["vocab"]
    words["e"], words[f"word{highest}"] = highest, words["e"]
    made, expected = make(store, json.dumps(definition))
    assert max(map(max, expected)) == highest
    export_megatron(made, tmp_path / "megatron")
    kind, found, _ = megatron_sequences(tmp_path / "megatron")
    assert kind == code
    assert found == [[256, *ids] for ids in expected]
    export_nanogpt(made, tmp_path / "nanogpt", block_length=50)
    flat = np.fromfile(tmp_path / "nanogpt" / "train.bin", dtype=dtype)
    assert flat.max() == highest
    for folder, name in (("nanogpt", np.dtype(dtype).name), ("megatron", {"H2": "uint16", "i4": "int32"}[code])):
        assert json.loads((tmp_path / folder / "manifest.json").read_text())["dtype"] == name


@pytest.mark.parametrize(("module", "name"), [(tokens, "write_map"), (tokens, "write_manifest"),
                                              (megatron, "_write_index"), (megatron, "write_manifest")])  # fmt: skip
def test_a_failure_half_way_leaves_nothing(store, texts, tmp_path, monkeypatch, module, name):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    made, _ = make(store, merging_tokenizer(texts))
    monkeypatch.setattr(module, name, full)
    folder = tmp_path / "exports"
    with pytest.raises(ExportFailed, match="No space left"):
        (export_megatron if module is megatron else export_nanogpt)(made, folder / "out")
    assert list(folder.iterdir()) == []


def run(capsys, *arguments):
    """Run the command line in this process; return exit status, standard output and standard error."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


FILES = {
    "nanogpt": {"train.bin", "documents.parquet", "manifest.json", "tokenizer.json"},
    "olmo": {"tokens.npy", "documents.parquet", "manifest.json", "tokenizer.json"},
    "megatron": {"train.bin", "train.idx", "documents.parquet", "manifest.json", "tokenizer.json"},
    "manifest": {"draws.parquet", "manifest.json"},
}


def test_the_command_writes_every_format_and_keeps_what_exists(store, texts, tmp_path, capsys):
    made, expected = make(store, merging_tokenizer(texts))
    path, n_documents = store.path, len(made)
    store.close()
    for kind, files in FILES.items():
        folder = tmp_path / "exports" / kind
        command = ("--store", path, "export", "m", "--format", kind, "--out", folder, "--block-length", 50)
        status, out, err = run(capsys, *command)
        assert (status, out) == (0, "")
        assert f"wrote m ({n_documents:,} documents)" in err
        assert {p.name for p in folder.iterdir()} == files
        before = {p.name: p.read_bytes() for p in folder.iterdir()}
        status, _, err = run(capsys, *command)
        assert status == 1
        assert str(folder) in err
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    size = (tmp_path / "exports" / "nanogpt" / "train.bin").stat().st_size
    assert size % (2 * 50) == 0
    assert size // 2 <= sum(len(ids) + 1 for ids in expected) < size // 2 + 50
    assert {p.name for p in (tmp_path / "exports").iterdir()} == set(FILES)


@pytest.mark.parametrize("kind", ["nanogpt", "olmo", "megatron"])
def test_the_command_refuses_below_quota_in_tokens(empty_store, tmp_path, capsys, kind):
    rows = [document(f"h{i}", text=" ".join([f"h{i}"] * 20)) for i in range(20)]
    rows += [
        document(f"s{i}", text=" ".join([f"machine{i}"] * 20), origin="synthetic", generation=1) for i in range(20)
    ]
    add_documents(empty_store, rows)
    add_tokenizer(empty_store, "bytes", byte_tokenizer())
    make_training_set(empty_store, MixSpec(name="m", budget={"words": "all"}, quotas=[HUMAN]))
    path, folder = empty_store.path, tmp_path / "exports"
    folder.mkdir()
    empty_store.close()
    command = ("--store", path, "export", "m", "--format", kind, "--out", folder / "out")
    status, _, err = run(capsys, *command, "--tokenizer", "bytes")
    assert status == 1
    assert "human" in err
    assert "tokens" in err
    assert run(capsys, *command)[0] == 1  # no tokenizer is named
    assert run(capsys, *command, "--tokenizer", "none")[0] == 1
    assert list(folder.iterdir()) == []


def test_a_small_vocabulary_with_a_large_id_is_written_in_four_bytes() -> None:
    vocabulary = {"a": 0, "b": 70_000}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))  # noqa: S106
    assert token_type(tokenizer) == np.dtype("<u4")
    assert token_type(Tokenizer(models.WordLevel({"a": 0, "b": 65_535}, unk_token="a"))) == np.dtype("<u2")  # noqa: S106
