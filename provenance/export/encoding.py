"""The tokens of a training set in a file, draw after draw, with the marks that the tokenizer puts around a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from provenance.mix.draw import I64

if TYPE_CHECKING:
    from provenance.mix.tokens import StoredTokenizer
    from provenance.mix.training_set import TrainingSet

Tokens = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

#: What the map of an export says of every draw.
LABELS = ("document_id", "source", "origin", "generation")
#: Names under which tokenizers without a template of their own know the token between two texts.
_BETWEEN = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>")
#: Bytes of text that are encoded at a time.
_ENCODED_BYTES = 4 << 20
#: Tokens that are copied at a time.
_COPIED = 1 << 22


@dataclass(frozen=True)
class Marks:
    """Token ids in front of and behind every document."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.before) + len(self.after)


@dataclass(frozen=True)
class Encoded:
    """The tokens of all draws. A text that is drawn again is there once.

    Attributes
    ----------
    path, kind : file of the tokens, and their type
    marks : what stands around every document in the file
    labels : by position: `LABELS` and stratum
    own : (n,) tokens of every draw, marks not counted
    begins : (n,) where every draw begins in the file, in tokens, its marks included
    """

    path: Path
    kind: np.dtype[Any]
    marks: Marks
    labels: pa.Table
    own: I64
    begins: I64

    @property
    def lengths(self) -> I64:
        """(n,) tokens of every draw, marks included."""
        lengths: I64 = self.own + len(self.marks)
        return lengths

    def strata(self, names: Sequence[str]) -> I64:
        """Return the number of every draw's stratum."""
        of: I64 = pc.index_in(self.labels["stratum"], pa.array(list(names), pa.string())).to_numpy().astype(np.int64)
        return of

    def tokens(self) -> npt.NDArray[Any]:
        """Return the tokens of the file, mapped into memory."""
        if not self.path.stat().st_size:
            return np.zeros(0, dtype=self.kind)
        return np.memmap(self.path, dtype=self.kind, mode="r")

    def copy_to(self, file: IO[bytes], begin: I64, length: I64) -> None:
        """Write stretches of the tokens, one after the other.

        Parameters
        ----------
        begin, length : where the stretches begin in the file of tokens, and how long they are
        """
        tokens, ends = self.tokens(), np.cumsum(length)
        low = 0
        while low < len(begin):  # about `_COPIED` tokens at a time
            before = int(ends[low] - length[low])
            high = max(low + 1, int(np.searchsorted(ends, before + _COPIED)))
            part = slice(low, high)
            shift = begin[part] - (ends[part] - length[part])
            source = np.repeat(shift, length[part]) + np.arange(before, ends[high - 1])
            file.write(tokens[source].data)
            low = high


def token_type(tokenizer: Any) -> np.dtype[Any]:
    """Return the type that token ids are written in: 2 bytes where they suffice, else 4; little-endian."""
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)  # ids may have gaps
    return np.dtype("<u2" if largest < 2**16 else "<u4")


def encode(training_set: TrainingSet, tokenizer: StoredTokenizer, path: Path) -> Encoded:
    """Write the tokens of every text once, in any order, and return where those of every draw are."""
    loaded = tokenizer.load()
    kind = token_type(loaded)
    marks = marks_of(loaded)
    firsts, own = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    with path.open("wb") as file:
        for positions, texts in training_set.distinct_texts():
            firsts.append(positions)
            for part in _parts(texts):
                encoded = loaded.encode_batch_fast(part.to_pylist(), add_special_tokens=False)
                own.append(np.array([len(one) for one in encoded], dtype=np.int64))
                ids = chain.from_iterable(chain(marks.before, one.ids, marks.after) for one in encoded)
                n_ids = int(own[-1].sum()) + len(marks) * len(encoded)
                file.write(np.fromiter(ids, dtype=kind, count=n_ids).data)
    labels, once = training_set.labels(*LABELS, "stratum", "content_id"), np.concatenate(own)
    written = labels["content_id"].take(pa.array(np.concatenate(firsts)))
    of = pc.index_in(labels["content_id"], written).to_numpy().astype(np.int64)
    lengths = once + len(marks)
    begins = np.cumsum(lengths) - lengths
    return Encoded(path, kind, marks, labels.drop_columns("content_id"), once[of], begins[of])


def _parts(texts: pa.Array) -> Iterator[pa.Array]:
    """Yield the texts a few MB at a time: a tokenizer needs a hundred times as much memory as a text."""
    part = np.cumsum(pc.binary_length(texts).to_numpy()) // _ENCODED_BYTES
    borders = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(texts)]
    for low, high in pairwise(borders):
        yield texts.slice(low, high - low)


def marks_of(tokenizer: Any) -> Marks:
    """Return what the tokenizer itself puts around a text, or in front the token that it knows as between texts."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    marked = tokenizer.encode("a", add_special_tokens=True).ids
    for start in range(len(marked) - len(plain) + 1):
        if len(marked) > len(plain) and marked[start : start + len(plain)] == plain:
            return Marks(tuple(marked[:start]), tuple(marked[start + len(plain) :]))
    known = [tokenizer.token_to_id(name) for name in _BETWEEN]
    between = [number for number in known if number is not None]
    return Marks(tuple(between[:1]), ())
