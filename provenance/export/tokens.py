"""Export as packed token blocks that a trainer maps into memory, with a map from every token to its document.

A folder with `blocks.npy` (n_blocks, block_length), `documents.parquet` (the map), `tokenizer.json` and
`manifest.json`. The share of every quota is counted again in tokens, from the written map, and a set that misses one
by a single token is not written. Tokens that mark where a document begins or ends belong to no document and count for
nobody.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from provenance import __version__
from provenance.export.blocks import (
    BLOCKS,
    DOCUMENTS,
    MANIFEST,
    TOKENIZER,
    TokenBlocks,
    count_shares,
    token_constraints,
)
from provenance.export.files import FORMAT, file_sha256, new_folder, settle, write_json
from provenance.export.packing import Packing, Streams, block_slack, pack, segments
from provenance.mix.digest import mapping_digest
from provenance.mix.errors import NothingToExport, TokenizerNotNamed
from provenance.mix.tokens import StoredTokenizer, get_tokenizer
from provenance.mix.training_set import TrainingSet

if TYPE_CHECKING:
    from provenance.mix.draw import I64

__all__ = ["TokenBlocks", "export_tokens"]

#: Names under which tokenizers without a template of their own know the token between two texts.
_BETWEEN = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>")
_LABELS = ("document_id", "source", "origin", "generation")


@dataclass(frozen=True)
class _Marks:
    """Token ids in front of and behind every document."""

    before: tuple[int, ...]
    after: tuple[int, ...]


def export_tokens(
    training_set: TrainingSet,
    out_dir: str | os.PathLike[str],
    *,
    tokenizer: str | None = None,
    block_length: int = 128,
    overwrite: bool = False,
) -> TokenBlocks:
    """Write a training set as packed blocks of tokens and return them, checked.

    Parameters
    ----------
    tokenizer : name of a stored tokenizer; by default the one that the training set was made with
    block_length : tokens in a block, 2 or more

    Raises
    ------
    QuotaNotMet
        If a quota does not hold in tokens of what would be written.
    TokenizerNotNamed, UnknownName
        If no tokenizer is named, or the named one is not stored.
    NothingToExport
        If the tokens do not fill one block.
    OutputExists, ExportFailed
        If the folder exists, or cannot be written; then nothing is left behind.
    """
    if block_length < 2:
        raise ValueError(f"block_length is {block_length}, it must be 2 or more")
    name = tokenizer or training_set.spec.tokenizer
    if name is None:
        raise TokenizerNotNamed(training_set.name)
    stored, target = get_tokenizer(training_set.store, name), Path(out_dir)
    with new_folder(target, overwrite=overwrite) as draft:
        _write(training_set, stored, draft, block_length)
        TokenBlocks.open(draft)
    return TokenBlocks.open(target)


def _write(training_set: TrainingSet, tokenizer: StoredTokenizer, draft: Path, block_length: int) -> None:
    kind = np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32
    raw = draft / "tokens.raw"
    loaded = tokenizer.load()
    marks = _marks(loaded)
    labels, own = _encode(training_set, loaded, raw, kind)
    names = [stratum["stratum"] for stratum in training_set.manifest["strata"]]
    constraints = token_constraints(training_set.manifest)
    place = {name: k for k, name in enumerate(names)}
    stratum = np.array([place[label] for label in labels["stratum"].to_pylist()], dtype=np.int64)
    rows = tuple(np.flatnonzero(stratum == k) for k in range(len(names)))
    streams = Streams(rows, len(marks.before), tuple(own[r] for r in rows), len(marks.after))
    n_tokens = int(streams.totals().sum())
    if n_tokens < block_length:
        raise NothingToExport(training_set.name, n_tokens, block_length)
    packing = pack(streams, constraints, block_length=block_length)
    found = segments(streams, packing)
    _write_blocks(draft / BLOCKS, raw, streams, packing, marks, own, kind, block_length)
    raw.unlink()
    (draft / TOKENIZER).write_text(tokenizer.definition, "utf-8")
    described = found.set_column(4, "stratum", pa.array(names).take(found["stratum"]))
    for name in _LABELS:
        described = described.append_column(name, labels[name].take(found["position"]))
    pq.write_table(described, draft / DOCUMENTS, compression="zstd")
    slack = block_slack(found, constraints, n_blocks=packing.n_blocks, block_length=block_length)
    manifest = {
        "format": FORMAT,
        "kind": "tokens",
        "code_version": __version__,
        "training_set": training_set.manifest,
        "tokenizer": {"name": tokenizer.name, "digest": tokenizer.digest, "vocab_size": tokenizer.vocab_size},
        "marks": {"before": list(marks.before), "after": list(marks.after)},
        "block_length": block_length,
        "n_blocks": packing.n_blocks,
        "dtype": np.dtype(kind).name,
        "n_cut": n_tokens - packing.n_blocks * block_length,
        **count_shares(pq.read_table(draft / DOCUMENTS), constraints, names, slack),
        "files": {name: file_sha256(draft / name) for name in (BLOCKS, DOCUMENTS, TOKENIZER)},
    }
    write_json(draft / MANIFEST, manifest | {"digest": mapping_digest(manifest)})


def _marks(tokenizer: Any) -> _Marks:
    """Return what the tokenizer itself puts around a text, or in front the token that it knows as between texts."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    marked = tokenizer.encode("a", add_special_tokens=True).ids
    for start in range(len(marked) - len(plain) + 1):
        if len(marked) > len(plain) and marked[start : start + len(plain)] == plain:
            return _Marks(tuple(marked[:start]), tuple(marked[start + len(plain) :]))
    known = [tokenizer.token_to_id(name) for name in _BETWEEN]
    between = [number for number in known if number is not None]
    return _Marks(tuple(between[:1]), ())


def _encode(training_set: TrainingSet, tokenizer: Any, raw: Path, kind: Any) -> tuple[pa.Table, I64]:
    """Write every document's tokens one after the other; return their labels and how many each has."""
    labels, own = [], []
    with raw.open("wb") as file:
        for batch in training_set.batches():
            encoded = tokenizer.encode_batch_fast(batch["text"].to_pylist(), add_special_tokens=False)
            for one in encoded:
                file.write(np.array(one.ids, dtype=kind).tobytes())
            own.append(np.array([len(one) for one in encoded], dtype=np.int64))
            labels.append(batch.select([*_LABELS, "stratum"]))
    return pa.concat_tables(labels), np.concatenate(own)


def _write_blocks(
    path: Path, raw: Path, streams: Streams, packing: Packing, marks: _Marks, own: I64, kind: Any, block_length: int
) -> None:
    """Write the blocks: every stratum's stream is put together once and its pieces go to their places."""
    shape = (packing.n_blocks, block_length)
    blocks = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(kind), shape=shape)
    flat = blocks.reshape(-1)
    tokens = np.memmap(raw, dtype=kind, mode="r") if raw.stat().st_size else np.zeros(0, dtype=kind)
    ends = np.cumsum(own)
    before, after = np.array(marks.before, dtype=kind), np.array(marks.after, dtype=kind)
    for k, rows in enumerate(streams.rows):
        if not len(rows):
            continue
        parts = [part for r in rows for part in (before, tokens[ends[r] - own[r] : ends[r]], after)]
        stream = np.concatenate(parts)
        for piece in np.flatnonzero(packing.stratum == k):
            source, length, target = packing.source[piece], packing.length[piece], packing.target[piece]
            flat[target : target + length] = stream[source : source + length]
    blocks.flush()
    with path.open("rb") as file:
        settle(file)
