"""Streams with real worker processes: one order, and a state that counts what was given."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from provenance.export.blocks import TokenBlocks
from provenance.export.documents import ExportedDocuments
from provenance.export.errors import PositionInvalid, PositionUnknown, SinglesNotSupported
from provenance.export.parquet import export_parquet
from provenance.export.sources import BlockSource, DocumentSource, DrawSource
from provenance.export.tokens import EXPORTS, export_tokens
from provenance.mix.errors import ExportDamaged, WorkersNotSupported
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer
from tests.unit.mix.corpus import byte_tokenizer

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),  # on a machine with one core
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture
def made(store):
    add_tokenizer(store, "bytes", byte_tokenizer())
    human = {"name": "human", "where": "origin = 'human'", "min": 0.5}
    return make_training_set(store, MixSpec(name="m", budget={"tokens": 20_000}, tokenizer="bytes", quotas=[human]))


@pytest.fixture
def blocks(made, tmp_path):
    return export_tokens(made, tmp_path / "blocks", block_length=100)


@pytest.fixture
def documents(made, tmp_path):
    export_parquet(made, tmp_path / "m.parquet")
    return ExportedDocuments.open(tmp_path / "m.parquet")


def numbers(batch):
    """Return which samples a batch of blocks or of documents holds."""
    return batch["block"].tolist() if isinstance(batch, dict) else [row["position"] for row in batch]


@pytest.fixture(params=["blocks", "documents"])
def source(request):
    return request.getfixturevalue(request.param)


def test_a_batch_of_blocks(blocks):
    batch = next(iter(blocks.torch(batch_size=4)))
    assert batch["input_ids"].dtype == torch.int64
    assert (batch["input_ids"].numpy() == blocks.blocks[:4]).all()
    assert batch["labels"] is batch["input_ids"]
    assert batch["block"].tolist() == [0, 1, 2, 3]
    one = next(iter(blocks.torch()))
    assert one["input_ids"].shape == (100,)
    assert int(one["block"]) == 0


@pytest.mark.parametrize("kind", ["nanogpt", "olmo"])
def test_bare_numbers_are_read_the_same(made, blocks, tmp_path, kind):
    bare = EXPORTS[kind](made, tmp_path / kind, block_length=100)
    for one, other in zip(bare.torch(batch_size=7), blocks.torch(batch_size=7), strict=True):
        assert (one["input_ids"] == other["input_ids"]).all()


@pytest.mark.parametrize("num_workers", [0, 1, 2])
@pytest.mark.parametrize("world_size", [1, 3])
def test_the_order_is_the_same_for_any_workers_and_ranks(source, num_workers, world_size):
    streams = [source.torch(rank=rank, world_size=world_size, batch_size=6) for rank in range(world_size)]
    loaders = [stream.loader(num_workers=num_workers) for stream in streams]
    assert len(loaders[0]) == -(-len(source) // 6)
    found = [[n for batch in batches for n in numbers(batch)] for batches in zip(*loaders, strict=True)]
    assert found == [list(range(low, min(low + 6, len(source)))) for low in range(0, len(source), 6)]
    assert [stream.state_dict() for stream in streams] == [{"position": len(source)}] * world_size


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_state_counts_what_was_given_not_what_was_read_ahead(source, num_workers):
    stream = source.torch(batch_size=5)
    seen = []
    for batch in stream.loader(num_workers=num_workers):
        seen += numbers(batch)
        assert stream.state_dict() == {"position": len(seen)}
        if len(seen) == 15:
            break
    other = source.torch(rank=1, world_size=2, batch_size=8)
    first = source.torch(rank=0, world_size=2, batch_size=8)
    for one in (first, other):
        one.load_state_dict(stream.state_dict())
    for halves in zip(first, other, strict=True):
        seen += [n for half in halves for n in numbers(half)]
    assert seen == list(range(len(source)))


def test_epochs_follow_each_other(blocks):
    n = len(blocks)
    stream = blocks.torch(batch_size=n - 1, drop_last=True)
    assert (len(stream), stream.epoch) == (1, 0)
    for epoch in range(3):
        assert [len(numbers(batch)) for batch in stream] == [n - 1]
        assert stream.state_dict() == {"position": (epoch + 1) * n}
        assert stream.epoch == epoch + 1
    whole = blocks.torch(batch_size=n - 1)
    assert [len(numbers(batch)) for batch in whole] == [n - 1, 1]
    whole.load_state_dict({"position": 5 * n + 3})
    assert [numbers(batch) for batch in whole] == [list(range(3, n))]


def test_a_rank_without_a_sample_still_takes_the_step(blocks):
    n = len(blocks)
    streams = [blocks.torch(rank=rank, world_size=3, batch_size=n - 1) for rank in range(3)]
    last = [list(stream)[-1] for stream in streams]
    assert [numbers(batch) for batch in last] == [[n - 1], [], []]
    assert last[2]["input_ids"].shape == (0, 100)


def test_a_plain_loader_keeps_the_order_and_leaves_no_wrong_state(blocks):
    stream = blocks.torch(batch_size=6)
    found = [numbers(batch) for batch in DataLoader(stream, batch_size=None, num_workers=2)]
    assert [n for batch in found for n in batch] == list(range(len(blocks)))
    with pytest.raises(PositionUnknown, match="the workers of another DataLoader"):
        stream.state_dict()
    stream.load_state_dict({"position": 6})
    assert stream.state_dict() == {"position": 6}
    here = blocks.torch()
    batches = [batch["block"].tolist() for batch in DataLoader(here, batch_size=6)]
    assert batches == found
    assert here.state_dict() == {"position": len(blocks)}


@pytest.mark.parametrize("state", [{}, {"position": -1}, {"position": 1.5}, {"position": True}, {"position": "3"}])
def test_what_is_no_state_is_refused(blocks, state):
    with pytest.raises(PositionInvalid, match="no position"):
        blocks.torch().load_state_dict(state)


def test_ranks_need_a_batch(blocks, made):
    with pytest.raises(ValueError, match="need a batch_size"):
        blocks.torch(rank=0, world_size=2)
    with pytest.raises(ValueError, match="all ranks together"):
        made.torch(rank=0, world_size=2, batch_size=1)


def in_worker(monkeypatch, stream):
    """Read as a worker would: after an error in a real one, torch waits five seconds for its end."""
    with monkeypatch.context() as patch:
        patch.setattr("provenance.export.stream.get_worker_info", lambda: SimpleNamespace(id=0, num_workers=1))
        return list(stream)


def test_single_samples_are_refused_in_workers(blocks, monkeypatch):
    with pytest.raises(SinglesNotSupported, match="lose their order") as caught:
        in_worker(monkeypatch, blocks.torch())
    assert caught.value.name == "m"


def test_draws_are_read_in_this_process_only(made, monkeypatch):
    stream = made.torch(batch_size=7)
    assert [n for batch in stream for n in numbers(batch)] == list(range(len(made)))
    with pytest.raises(WorkersNotSupported, match="num_workers=0"):
        stream.loader(num_workers=1)
    with pytest.raises(WorkersNotSupported, match="num_workers=0"):
        in_worker(monkeypatch, stream)
    assert [row["position"] for row in DataLoader(made.torch(), batch_size=None)] == list(range(len(made)))
    elsewhere = pickle.loads(pickle.dumps(DrawSource(made)))  # noqa: S301
    assert len(elsewhere) == len(made)
    for use in (elsewhere.require_workers, lambda: elsewhere.read(0, 1), lambda: elsewhere.sample(0)):
        with pytest.raises(WorkersNotSupported):
            use()


def test_sources_go_to_other_processes_without_their_data(blocks, documents):
    for source in (BlockSource(blocks), DocumentSource(documents)):
        first = numbers(source.read(0, 3))
        data = pickle.dumps(source)
        assert len(data) < 50_000 + len(pickle.dumps(blocks.manifest))
        copy = pickle.loads(data)  # noqa: S301
        assert (numbers(copy.read(0, 3)), len(copy)) == (first, len(source))


def test_rows_are_found_wherever_reading_begins(made, documents):
    for source in (DrawSource(made), DocumentSource(documents)):
        for low, high in [(5, 9), (9, 12), (38, 39), (3, 41), (0, 1), (len(source) - 1, len(source)), (7, 7)]:
            assert numbers(source.read(low, high)) == list(range(low, high))
        with pytest.raises(IndexError, match="m has"):
            source.read(len(source) - 1, len(source) + 1)


def test_blocks_are_traced_to_documents(blocks, made):
    texts = {row["position"]: row["text"].encode() for row in made}
    batch = next(iter(blocks.torch(batch_size=3)))
    rows = blocks.trace(batch["block"])
    assert rows == [row for block in range(3) for row in blocks.trace(block)]
    table = blocks.documents().to_pylist()
    assert [row for row in table if row["token_offset"] < 300] == [
        {key: value for key, value in row.items() if key != "block"} for row in rows
    ]
    marks = 0
    for offset in range(100):
        found = blocks.trace(2, offset)
        marks += not found
        for row in found:
            place = row["document_offset"] + 200 + offset - row["token_offset"]
            assert blocks.blocks[2, offset] == byte_numbers()[texts[row["position"]][place]]
    assert marks == (blocks.blocks[2] == 256).sum() > 0
    with pytest.raises(IndexError, match="there are"):
        blocks.trace(len(blocks))
    assert blocks.trace([]) == []


def byte_numbers():
    """Return the token of every byte."""
    from tests.unit.export.test_tokens import byte_order

    return {byte: number for number, byte in enumerate(byte_order())}


def test_a_changed_file_is_not_opened(documents, tmp_path):
    import pyarrow.parquet as pq

    path = documents.path
    assert [row["text"] for row in documents] != []
    manifest = path.with_name(path.name + ".manifest.json")
    pristine, claims = path.read_bytes(), manifest.read_text()
    with pytest.raises(ExportDamaged, match="FileNotFoundError"):
        ExportedDocuments.open(tmp_path / "none.parquet")
    path.write_bytes(pristine[:-1] + b"?")
    with pytest.raises(ExportDamaged, match="not the file that was written"):
        ExportedDocuments.open(path)
    manifest.write_text(claims.replace('"human"', '"humane"', 1))
    with pytest.raises(ExportDamaged, match="was changed"):
        ExportedDocuments.open(path)
    path.write_bytes(pristine)
    table = pq.read_table(path)
    for changed, reason in [
        (table.take(np.roll(np.arange(len(table)), 1)), "out of order"),
        (table.set_column(1, "document_id", table["document_id"].take(np.arange(len(table))[::-1])), "not those of"),
    ]:
        pq.write_table(changed, path)
        resign(path, manifest, claims)
        with pytest.raises(ExportDamaged, match=reason):
            ExportedDocuments.open(path)
    path.write_bytes(pristine)
    manifest.write_text(claims)
    assert len(ExportedDocuments.open(path)) == len(documents)


def resign(path, manifest, claims):
    """Make the manifest fit the file, as somebody would who knows how."""
    import json

    from provenance.export.files import file_sha256
    from provenance.mix.digest import mapping_digest

    described = json.loads(claims)
    described.pop("digest")
    described["files"] = {path.name: file_sha256(path)}
    manifest.write_text(json.dumps(described | {"digest": mapping_digest(described)}))


def test_opened_blocks_are_those_that_are_read(blocks):
    assert isinstance(TokenBlocks.open(blocks.path).blocks, np.memmap)
