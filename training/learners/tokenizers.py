"""Tokenizers that the loop trains itself. Each puts the end-of-text token in front of every text it encodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.errors import TokenizerUnusable
from training.learners.base import END_OF_TEXT

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: What a word-level tokenizer makes of a word it does not know; learners leave it out.
UNKNOWN_WORD = "<|unknown|>"


def _begin_with_end_of_text(tokenizer: Tokenizer) -> Tokenizer:
    """Add the template that marks where a text begins, so that packed texts are told apart."""
    from tokenizers import processors

    number = tokenizer.token_to_id(END_OF_TEXT)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, number)]
    )
    return tokenizer


def with_beginning(definition: str, begin: int) -> str:
    """Return a tokenizer's definition in which every text begins with the token `begin`.

    Notes
    -----
    One that puts special tokens around a text is left as it is: its model was trained on texts marked so.
    """
    from tokenizers import Tokenizer, processors

    tokenizer = Tokenizer.from_str(definition)
    token = tokenizer.id_to_token(begin)
    if tokenizer.encode("").ids or token is None:
        return definition
    mark = processors.TemplateProcessing(single=f"{token}:0 $A:0", special_tokens=[(token, begin)])
    before = tokenizer.post_processor
    tokenizer.post_processor = mark if before is None else processors.Sequence([before, mark])
    return tokenizer.to_str()


def train_byte_bpe(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE tokenizer: it encodes every text and decodes it to the same text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _begin_with_end_of_text(tokenizer)


def train_word_level(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Train a tokenizer whose tokens are words and runs of punctuation.

    Notes
    -----
    The words are counted here: the library breaks ties between equally frequent words differently in every run.
    """
    from collections import Counter

    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    counts: Counter[str] = Counter()
    pattern = re.compile(r"\w+|[^\w\s]+")
    for text in texts:
        counts.update(pattern.findall(text))
    kept = sorted(counts, key=lambda word: (-counts[word], word))[: vocab_size - 2]
    words = [END_OF_TEXT, UNKNOWN_WORD, *kept]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN_WORD))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|[^\w\s]+"), behavior="removed", invert=True)
    tokenizer.add_special_tokens([END_OF_TEXT, UNKNOWN_WORD])
    return _begin_with_end_of_text(tokenizer)


def end_of_text(tokenizer: Tokenizer) -> int:
    """Return the number of the token that begins every text.

    Raises
    ------
    TokenizerUnusable : the tokenizer has no such token
    """
    number = tokenizer.token_to_id(END_OF_TEXT)
    if number is None:
        raise TokenizerUnusable(END_OF_TEXT)
    return number


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Return token numbers (n,) and character spans (n, 2) of every text, without the token in front."""
    encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return [(np.array(e.ids, dtype=np.int64), np.array(e.offsets, dtype=np.int64).reshape(-1, 2)) for e in encodings]


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Return the number of tokens of every text as a training set counts them: without the one in front."""
    return [len(e.ids) for e in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
