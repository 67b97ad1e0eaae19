"""A bigram learner in numpy: fitted by counting, from scratch every generation. It forgets as fast as samples do."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt

from training.errors import BeamsUnusable
from training.learners.base import (
    Decoding,
    FitData,
    FitResult,
    Learner,
    Progress,
    Prompts,
    Sample,
    TokenNll,
    no_progress,
)
from training.learners.bigram import BigramSampler, BigramTable
from training.learners.configs import Init, LearnerConfig, NgramConfig
from training.learners.prompting import check_prompts
from training.learners.tokenizers import UNKNOWN_WORD, encode, end_of_text, train_word_level

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ints = npt.NDArray[np.int64]

#: Probabilities that are looked at side by side.
ROWS_AT_ONCE = 1 << 24


class NgramLearner(Learner):
    """The interpolated bigram model of `BigramTable`, over the words of generation 0.

    The unknown word is no word: it is left out of counts, samples and scores, so that a collapsed model cannot hide in
    it.
    """

    name: ClassVar[str] = "ngram"

    def __init__(self, config: NgramConfig, tokenizer_json: str) -> None:
        from tokenizers import Tokenizer

        self.config = config
        self.tokenizer_json = tokenizer_json
        self.tokenizer: Tokenizer = Tokenizer.from_str(tokenizer_json)
        self.end = end_of_text(self.tokenizer)
        self.unknown: int | None = self.tokenizer.token_to_id(UNKNOWN_WORD)
        size = self.tokenizer.get_vocab_size()
        nothing = np.zeros(0, np.int64)
        self.table = BigramTable(config, np.zeros(size, np.int64), nothing, nothing, excluded=self.unknown)

    @classmethod
    def train_tokenizer(cls, texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
        """Train a word-level tokenizer."""
        return train_word_level(texts, vocab_size=vocab_size)

    @classmethod
    def create(
        cls, config: LearnerConfig, *, tokenizer_json: str, block_length: int, init: Init = "scratch", seed: int
    ) -> Self:
        """Make a model without counts; it needs neither block length nor seed."""
        return cls(cast(NgramConfig, config), tokenizer_json)

    def fit(
        self,
        data: FitData,
        *,
        epochs: int,
        learning_rate: float,
        batch_size: int,
        seed: int,
        checkpoints: Path | None = None,
        progress: Progress = no_progress,
    ) -> FitResult:
        """Count words and bigrams within blocks. Counting knows no epochs, learning rate, batches or seed."""
        started = time.perf_counter()
        blocks = data.token_blocks(self.table.size)
        self.table = BigramTable.count(self.config, blocks, size=self.table.size, excluded=self.unknown)
        progress(int(blocks.size), int(blocks.size))
        return FitResult(
            n_steps=1,
            n_tokens=int(blocks.size),
            loss=self._loss(),
            seconds=time.perf_counter() - started,
        )

    def _loss(self) -> float:
        """Return the mean nats of the bigrams that were counted."""
        before, after = np.divmod(self.table.keys, self.table.size)
        weights = self.table.bigram / max(1, self.table.bigram.sum())
        return float(weights @ -np.log(self.table.probability(before, after)))

    def sample(
        self,
        n: int,
        *,
        decoding: Decoding,
        seed: int,
        prompts: Prompts | None = None,
        progress: Progress = no_progress,
    ) -> list[Sample]:
        """Draw chains side by side, from where a text begins or after prompts; cut them where the model ends a text.

        Notes
        -----
        Of a prompt this model sees the last word that it knows.

        Raises
        ------
        PromptsUnusable : prompts that are no tokens of this model, or nothing to be drawn after them
        BeamsUnusable : this learner has no beam search
        """
        if decoding.beams > 1:
            raise BeamsUnusable("the ngram learner has none")
        starts, length = self._starts(n, prompts)
        rng = np.random.default_rng(seed)
        sampler = BigramSampler(self.table, decoding)
        # Where whole distributions are needed, not for too many chains at once.
        at_once = max(1, ROWS_AT_ONCE // self.table.size) if sampler.reads_rows else len(starts)
        drawn = np.empty((len(starts), length), np.int64)
        for first in range(0, len(starts), at_once):
            chains = slice(first, first + at_once)
            for step, words in enumerate(self._columns(sampler, starts[chains], length, rng)):
                drawn[chains, step] = words
                progress(first * length + (step + 1) * len(words), drawn.size)
        return [
            Sample(
                self.tokenizer.decode(part.tolist()), len(part), None if prompts is None else i % len(prompts.tokens)
            )
            for i, chain in enumerate(drawn)
            for part in np.split(chain[chain != self.end], _ends(chain == self.end))
            if len(part)
        ]

    def _starts(self, n: int, prompts: Prompts | None) -> tuple[Ints, int]:
        """Return what each chain begins with, (n_chains, width), and how many words are drawn after it."""
        if prompts is None:
            length = self.config.sample_length
            return np.full((-(-n // length), 1), self.end, np.int64), length
        check_prompts(prompts, self.table.size)
        n_chains = -(-n // prompts.new_tokens)
        return np.asarray(prompts.tokens, np.int64)[np.arange(n_chains) % len(prompts.tokens)], prompts.new_tokens

    def _columns(self, sampler: BigramSampler, starts: Ints, length: int, rng: np.random.Generator) -> Iterator[Ints]:
        """Yield the next word of every chain, `length` times."""
        before = np.full(len(starts), self.end, np.int64)
        penalised = sampler.decoding.repetition_penalty != 1
        seen = np.zeros((len(starts), self.table.size), bool) if penalised else None
        for column in range(starts.shape[1] + length):
            if column < starts.shape[1]:
                words = starts[:, column]
                before = np.where(words == self.unknown, before, words) if self.unknown is not None else words
            else:
                before = sampler.draw(before, rng, seen)
                yield before
            if seen is not None:
                seen[np.arange(len(before)), before] = True
                # After its end another text begins, in which nothing stands yet.
                seen[before == self.end] = False

    def nll(self, texts: Sequence[str], *, progress: Progress = no_progress) -> list[TokenNll]:
        """Score every known word after the known word before it; a text begins after the end-of-text token."""
        found = []
        for done, (ids, spans) in enumerate(encode(self.tokenizer, texts), start=1):
            known = ids != self.unknown
            ids, spans = ids[known], spans[known]
            before = np.concatenate([[self.end], ids])[:-1]
            found.append(TokenNll(-np.log(self.table.probability(before, ids)), spans))
            progress(done, len(texts))
        return found

    @property
    def digest(self) -> str:
        """SHA-256 over weights of the mixture, tokenizer and counts."""
        digest = hashlib.sha256(self.config.model_dump_json().encode())
        digest.update(self.tokenizer_json.encode())
        for counts in (self.table.unigram, self.table.keys, self.table.bigram):
            digest.update(np.ascontiguousarray(counts, dtype="<i8").tobytes())
        return digest.hexdigest()

    @property
    def n_parameters(self) -> int:
        """Counts that are not zero."""
        return int(np.count_nonzero(self.table.unigram)) + len(self.table.bigram)

    def write(self, directory: Path) -> dict[str, Any]:
        """Write counts and tokenizer."""
        (directory / "tokenizer.json").write_text(self.tokenizer_json, encoding="utf-8")
        table = self.table
        np.savez(directory / "counts.npz", unigram=table.unigram, keys=table.keys, bigram=table.bigram)
        return {"config": self.config.model_dump()}

    @classmethod
    def read(cls, directory: Path, card: dict[str, Any]) -> Self:
        """Load counts and tokenizer; arrays only, never pickles."""
        learner = cls(
            NgramConfig.model_validate(card["config"]), (directory / "tokenizer.json").read_text(encoding="utf-8")
        )
        with np.load(directory / "counts.npz", allow_pickle=False) as counts:
            learner.table = BigramTable(
                learner.config, counts["unigram"], counts["keys"], counts["bigram"], excluded=learner.unknown
            )
        return learner


def _ends(is_end: npt.NDArray[np.bool_]) -> Ints:
    """Return where to split a chain from which the end tokens were taken out."""
    ends = np.flatnonzero(is_end)
    return ends - np.arange(len(ends))
