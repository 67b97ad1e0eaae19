"""Training on exports in real processes: ranks that change, a run that is killed, and what the README shows."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.export.blocks import TokenBlocks
from provenance.export.tokens import export_tokens
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import add_tokenizer
from provenance.store.store import Store
from tests.factories import REPOSITORY, provenance
from tests.unit.mix.corpus import add_documents, byte_tokenizer, standard_rows

pytest.importorskip("torch")

HEADING = "Training on it elsewhere"

#: Processes of their own, which share the time that importing torch takes.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["torch", "torch.distributed", "provenance.export.tokens", "provenance.export.stream"])


def rank_process(folder: Path, meeting: Path, state: Path, rank: int, world_size: int, steps: int) -> None:
    """Read so many steps as one rank of several; the first writes the global batches, and the state at the end."""
    import torch.distributed as dist

    os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world_size)
    stream = TokenBlocks.open(folder).torch(rank=rank, world_size=world_size, batch_size=6)
    saved = json.loads(state.read_text())
    stream.load_state_dict(saved["state"])
    for _, batch in zip(range(steps), stream, strict=False):
        found: list[Any] = [None] * world_size
        dist.all_gather_object(found, (batch["block"].tolist(), stream.state_dict()))
        assert len({told["position"] for _, told in found}) == 1
        saved["batches"].append([block for part, _ in found for block in part])
    dist.barrier()
    if rank == 0:
        state.write_text(json.dumps(saved | {"state": stream.state_dict()}))
    dist.destroy_process_group()


def killed_process(folder: Path, checkpoint: Path, pause_s: float) -> None:
    """Go on from a checkpoint, if there is one, and write one after every batch."""
    saved = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"state": {"position": 0}, "blocks": []}
    stream = TokenBlocks.open(folder).torch(batch_size=4)
    stream.load_state_dict(saved["state"])
    for batch in stream.loader(num_workers=2):
        saved["blocks"] += batch["block"].tolist()
        saved["state"] = stream.state_dict()
        draft = checkpoint.with_suffix(".new")
        draft.write_text(json.dumps(saved))
        os.replace(draft, checkpoint)
        time.sleep(pause_s)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store, in it two training sets, and blocks of one of them."""
    folder = tmp_path_factory.mktemp("loading")
    human = {"name": "human", "where": "origin = 'human'", "min": 0.5}
    Store.create(folder / "s.duckdb").close()
    with Store.open(folder / "s.duckdb", writable=True) as store:
        add_documents(store, standard_rows())
        add_tokenizer(store, "bytes", byte_tokenizer())
        for name, tokens in (("pretrain", 60_000), ("heldout", 20_000)):
            made = make_training_set(
                store, MixSpec(name=name, budget={"tokens": tokens}, tokenizer="bytes", quotas=[human])
            )
            if name == "pretrain":
                export_tokens(made, folder / "short", block_length=500)
    return folder


def start(target: Callable[..., None], *arguments: object) -> BaseProcess:
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    process.join(timeout=120)
    assert process.exitcode == 0


def train(folder: Path, state: Path, world_size: int, steps: int) -> None:
    """Let so many ranks read so many steps."""
    meeting = state.with_name(f"meeting-{world_size}")
    ranks = [
        start(rank_process, folder / "short", meeting, state, rank, world_size, steps) for rank in range(world_size)
    ]
    for rank in ranks:
        finish(rank)


def test_two_ranks_stop_and_three_go_on(folder: Path, tmp_path: Path) -> None:
    n = len(TokenBlocks.open(folder / "short"))
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"state": {"position": 0}, "batches": []}))
    train(folder, state, 2, 7)
    saved = json.loads(state.read_text())
    assert (saved["state"], len(saved["batches"])) == ({"position": 42}, 7)
    train(folder, state, 3, 1000)
    saved = json.loads(state.read_text())
    assert n > 60
    assert saved["batches"] == [list(range(low, min(low + 6, n))) for low in range(0, n, 6)]
    assert saved["state"] == {"position": n}


def test_a_killed_run_goes_on_where_its_checkpoint_says(folder: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.json"
    n = len(TokenBlocks.open(folder / "short"))
    run = start(killed_process, folder / "short", checkpoint, 0.2)
    give_up = time.monotonic() + 60
    while not (checkpoint.exists() and len(json.loads(checkpoint.read_text())["blocks"]) >= 12):
        assert run.is_alive()
        assert time.monotonic() < give_up
        time.sleep(0.02)
    run.kill()
    run.join()
    saved = json.loads(checkpoint.read_text())
    assert 12 <= saved["state"]["position"] == len(saved["blocks"]) < n
    finish(start(killed_process, folder / "short", checkpoint, 0))
    saved = json.loads(checkpoint.read_text())
    assert saved["blocks"] == list(range(n))
    assert saved["state"] == {"position": n}


# ---------------------------------------------------------------- the README


def snippets() -> tuple[list[str], list[str]]:
    """Return the commands and the Python of the README's section."""
    text = (REPOSITORY / "README.md").read_text("utf-8")
    found = re.search(rf"^(#+) {HEADING}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {HEADING!r}"
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", found[2], re.MULTILINE | re.DOTALL)
    commands = [line.split("  #")[0] for kind, block in blocks if not kind for line in block.splitlines()]
    return commands, [block for kind, block in blocks if kind == "python"]


@pytest.fixture(scope="module")
def exported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the README's commands were run, with a tiny model beside what they wrote."""
    from transformers import OPTConfig, OPTForCausalLM

    there, here = tmp_path_factory.mktemp("readme"), Path.cwd()
    os.chdir(there)
    try:
        for command in snippets()[0]:
            program, *arguments = shlex.split(command)
            if program == "cp":
                shutil.copy(*arguments)
                continue
            assert program == "provenance"
            answer = provenance("--store", folder / "s.duckdb", *arguments)
            assert answer.code == 0, answer.err
    finally:
        os.chdir(here)
    config = OPTConfig(
        vocab_size=257, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, word_embed_proj_dim=16,
        max_position_embeddings=512, bos_token_id=256, eos_token_id=256, pad_token_id=None,
    )  # fmt: skip
    OPTForCausalLM(config).save_pretrained(there / "model")
    return there


def run_snippet(word: str) -> dict[str, object]:
    """Run the README's snippet that has this word in it and return its names."""
    [code] = [code for code in snippets()[1] if word in code]
    names: dict[str, object] = {}
    exec(compile(code, f"README.md ({word})", "exec"), names)  # noqa: S102
    return names


# What these libraries say about each other is no concern here.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
class TestReadme:
    """The snippets do what is written beside them."""

    def test_plain_loop(self, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(exported)
        blocks = TokenBlocks.open("blocks")
        n = len(blocks)
        names = run_snippet("AdamW")
        assert json.loads(Path("state.json").read_text()) == {"position": n}
        batch, documents = names["batch"], names["documents"]
        assert {row["block"] for row in documents} == set(batch["block"].tolist())
        Path("state.json").write_text(json.dumps({"position": n - 3}))
        assert run_snippet("AdamW")["batch"]["block"].tolist() == [n - 3, n - 2, n - 1]

    def test_trainer(self, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from provenance.export.sources import BlockSource

        monkeypatch.chdir(exported)
        read, sample = [], BlockSource.sample
        monkeypatch.setattr(BlockSource, "sample", lambda self, number: read.append(number) or sample(self, number))
        trainer = run_snippet("Trainer")["trainer"]
        n = len(TokenBlocks.open("blocks"))
        assert read == list(range(n))  # in order: nothing was shuffled
        assert trainer.state.global_step == -(-n // 8)

    def test_nanogpt(self, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(exported)
        names = run_snippet("get_batch")
        tokens = np.memmap("data/pretrain/train.bin", dtype=np.uint16, mode="r").reshape(-1, 512)
        n, steps = len(tokens), 0
        while steps * 12 + 12 <= 2 * n:  # into the second epoch
            low = steps * 12 % (n - n % 12)
            assert (names["x"].numpy() == tokens[low : low + 12, :-1]).all()
            assert (names["y"].numpy() == tokens[low : low + 12, 1:]).all()
            names["x"], names["y"] = names["get_batch"]("train")
            steps += 1
        held_out = np.memmap("data/pretrain/val.bin", dtype=np.uint16, mode="r")
        assert len(held_out) == TokenBlocks.open("data/heldout").blocks.size

    def test_the_other_layouts_are_where_it_says(self, exported: Path) -> None:
        assert (exported / "megatron" / "train.idx").exists()
        assert (exported / "olmo" / "tokens.npy").exists()
        assert (exported / "manifest" / "draws.parquet").exists()
        assert (exported / "pretrain.parquet").exists()
