"""Prompts: stretches of exported training text that a model continues, each with the documents that stand in it.

`prompt_source: human` cuts them out of generation 0's human text, `previous` out of the text that the model itself was
trained on: what the model before it wrote, and what human text the arm added. All arms of a generation continue the
human prompts in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from provenance.export.tokens import TokenBlocks
from training.errors import PromptsUnusable, TooFewPrompts
from training.learners.base import Prompts


@dataclass(frozen=True)
class PromptSource:
    """Where prompts are cut out of, as plain data.

    Attributes
    ----------
    blocks : folder with exported token blocks
    length : tokens of a prompt
    new_tokens : tokens drawn after each
    seed : of the order in which they are continued
    """

    blocks: Path
    length: int
    new_tokens: int
    seed: int


class PromptCutter:
    """Gives the prompts of a source, batch after batch, in an order that the seed decides.

    Raises
    ------
    PromptsUnusable : a prompt is longer than a block
    ExportDamaged : the blocks are not as they were written
    """

    def __init__(self, source: PromptSource) -> None:
        self.source = source
        exported = TokenBlocks.open(source.blocks)
        n_blocks, block_length = exported.blocks.shape
        per_block = block_length // source.length
        if not per_block:
            raise PromptsUnusable(f"they have {source.length} tokens, and a block has {block_length}")
        tokens = exported.blocks[:, : per_block * source.length].reshape(-1, source.length)
        order = np.random.default_rng(source.seed).permutation(n_blocks * per_block)
        self._tokens = tokens[order].astype(np.int64)
        self._begins = (order // per_block) * block_length + (order % per_block) * source.length
        self._exported = exported
        self._used = 0

    def __len__(self) -> int:
        return len(self._tokens)

    def next(self, n_tokens: int, *, repeat: bool) -> tuple[Prompts, npt.NDArray[np.int64]]:
        """Return prompts for at least `n_tokens` drawn tokens, and the number of each.

        Parameters
        ----------
        repeat : whether a prompt may be continued a second time once all were

        Raises
        ------
        TooFewPrompts : there are too few prompts, and none may be continued again
        """
        n = -(-n_tokens // self.source.new_tokens)
        if not repeat and self._used + n > len(self):
            raise TooFewPrompts(self._used + n, len(self))
        numbers = np.arange(self._used, self._used + n) % len(self)
        self._used += n
        return Prompts(self._tokens[numbers], self.source.new_tokens), numbers

    def documents(self, number: int) -> list[str]:
        """Return the ids of the documents that stand in a prompt, in their order."""
        length, begin = int(self._exported.blocks.shape[1]), int(self._begins[number])
        end = begin + self.source.length
        found = [
            str(row["document_id"])
            for row in self._exported.trace(begin // length)
            if row["token_offset"] < end and row["token_offset"] + row["n_tokens"] > begin
        ]
        return list(dict.fromkeys(found))
