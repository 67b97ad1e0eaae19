"""Prompts are what stands in the blocks, and their documents those that the map names, token by token."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from provenance.export.tokens import TokenBlocks
from provenance.store.store import Store
from tests.training.loop_factory import experiment, fill
from training.errors import PromptsUnusable, TooFewPrompts
from training.files import Folder
from training.learners.base import Decoding, Prompts, Sample
from training.outputs import draw_samples
from training.prompts import PromptCutter, PromptSource
from training.steps import Preparation
from training.work import loss_weights

BLOCK = 32


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenBlocks]:
    """Return the exported blocks of a small generation 0."""
    folder = tmp_path_factory.mktemp("prompts")
    with Store.create(folder / "s.duckdb") as store:
        preparation = Preparation(fill(store), experiment(block_length=BLOCK), Folder(folder / "out"))
        preparation.begin(1)
        preparation._export(preparation._first(1), 1)
        yield TokenBlocks.open(folder / "out" / "blocks" / "tiny.shared.s1.g0")


def owners(blocks: TokenBlocks) -> list[str | None]:
    """Return the document of every token, one after the other, from the map alone."""
    found: list[str | None] = [None] * blocks.blocks.size
    for row in blocks.documents().to_pylist():
        for at in range(row["token_offset"], row["token_offset"] + row["n_tokens"]):
            found[at] = str(row["document_id"])
    return found


@pytest.mark.parametrize("length", [BLOCK, 10, 1])
def test_prompts_and_their_documents(blocks: TokenBlocks, length: int) -> None:
    cutter = PromptCutter(PromptSource(blocks.path, length, new_tokens=5, seed=7))
    per_block = BLOCK // length
    assert len(cutter) == len(blocks) * per_block
    prompts, numbers = cutter.next(5 * len(cutter), repeat=False)
    assert prompts.new_tokens == 5 and prompts.tokens.dtype == np.int64
    stream, of = blocks.blocks.reshape(-1).astype(int), owners(blocks)
    begins = sorted(block * BLOCK + part * length for block in range(len(blocks)) for part in range(per_block))
    assert sorted(map(tuple, prompts.tokens.tolist())) == sorted(tuple(stream[b : b + length]) for b in begins)
    assert prompts.tokens.tolist() != [list(stream[b : b + length]) for b in begins]  # in an order of their own
    for row in range(0, len(cutter), max(1, len(cutter) // 40)):
        begin = int(cutter._begins[int(numbers[row])])
        assert list(stream[begin : begin + length]) == prompts.tokens[row].tolist()
        inside = list(dict.fromkeys(one for one in of[begin : begin + length] if one is not None))
        assert cutter.documents(int(numbers[row])) == inside


def test_order_is_that_of_the_seed(blocks: TokenBlocks) -> None:
    def first(seed: int) -> Any:
        return PromptCutter(PromptSource(blocks.path, 8, 8, seed)).next(80, repeat=True)[0].tokens.tolist()

    assert first(1) == first(1) != first(2)


def test_prompts_go_round_unless_a_text_would_come_again(blocks: TokenBlocks) -> None:
    cutter = PromptCutter(PromptSource(blocks.path, BLOCK, BLOCK, seed=1))
    n = len(cutter)
    _, first = cutter.next((n - 2) * BLOCK, repeat=True)
    _, second = cutter.next(4 * BLOCK, repeat=True)
    assert [*first, *second] == [*range(n), 0, 1]
    with pytest.raises(TooFewPrompts, match=f"needs {n + 3:,} prompts and there are {n:,}"):
        cutter.next(1, repeat=False)


def test_prompt_longer_than_a_block_is_refused(blocks: TokenBlocks) -> None:
    with pytest.raises(PromptsUnusable, match="33 tokens, and a block has 32"):
        PromptCutter(PromptSource(blocks.path, BLOCK + 1, 1, seed=1))


def test_every_text_gets_the_documents_of_its_prompt(blocks: TokenBlocks) -> None:
    """A learner that writes unusable text at first: further rounds go on with the next prompts."""
    given: list[list[list[int]]] = []

    class Fake:
        def sample(self, n: int, *, prompts: Prompts, **_: object) -> list[Sample]:
            given.append(prompts.tokens.tolist())
            words = " " if len(given) == 1 else "the of and"
            return [Sample(words, 3, prompt) for prompt in range(len(prompts.tokens)) for _ in range(2)]

    source = PromptSource(blocks.path, 16, new_tokens=6, seed=3)
    task = SimpleNamespace(
        name="m", seed=1, prompts=source, unit="tokens", exported=blocks.path, output=blocks.path / "x"
    )
    found = draw_samples(task, Fake(), "arm", Decoding(), 12, progress=lambda *_: None)  # type: ignore[arg-type]
    cutter = PromptCutter(source)
    asked = [cutter.next(6 * len(one), repeat=True) for one in given]
    assert [one[0].tokens.tolist() for one in asked] == given
    expected = [cutter.documents(int(number)) for _, numbers in asked for number in numbers for _ in range(2)]
    assert found["parents"] == expected and len(found["texts"]) == len(expected)
    assert found["n_unusable"] == 2 * len(given[0])


def test_human_tokens_weigh_what_they_should(blocks: TokenBlocks) -> None:
    """Against the map read token by token; the marks between documents are nobody's."""
    weights = loss_weights(blocks, human=3.5)
    of = owners(blocks)
    assert weights.shape == blocks.blocks.shape and weights.dtype == np.float32
    assert weights.reshape(-1).tolist() == [1.0 if one is None else 3.5 for one in of]
    assert None in of and len(set(of)) > 5
