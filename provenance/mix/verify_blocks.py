"""Claims about the files of an export of tokens: where stretches stand, what stands between them, which tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa

from provenance.errors import MissingExtra
from provenance.mix.errors import Violation
from provenance.mix.spec import MixSpec
from provenance.mix.tokens import StoredTokenizer
from provenance.mix.verdict import Finding, Unchecked, differs, guarded
from provenance.mix.verify_export import Export
from provenance.mix.verify_rows import I64

_FILES = {"tokens": "blocks.npy", "nanogpt": "train.bin", "olmo": "tokens.npy", "megatron": "train.bin"}
#: Tokens that are looked at at a time.
_TOKENS = 1 << 24


def tokenizer_claims(export: Export, described: dict[str, Any]) -> Iterator[Finding]:
    """Check that the tokenizer beside the tokens is the one that is named."""
    definition = (export.folder / "tokenizer.json").read_bytes()
    digest, own, drawn = sha256(definition).hexdigest(), described["tokenizer"], export.claims["tokenizer"]
    yield from differs("digest of the tokenizer", own["digest"], digest)
    yield Unchecked("tokenizer.name of the export", "a name that the store knows; the digest says which it is")
    if drawn is not None and drawn["name"] == own["name"]:
        yield from differs("digest of the tokenizer that the set was made with", drawn["digest"], digest)
    elif drawn is not None:
        yield Unchecked("tokenizer", f"the tokens here are those of {own['name']!r}")
    try:
        loaded = StoredTokenizer("tokenizer.json", digest, definition.decode(), 0).load()
    except MissingExtra as error:
        yield Unchecked("tokenizer.vocab_size of the export", f"it needs {error.library}")
        return
    n_types = loaded.get_vocab_size(with_added_tokens=True)
    yield from differs("types of the tokenizer", own["vocab_size"], n_types)


def block_claims(export: Export, described: dict[str, Any], found: pa.Table, spec: MixSpec) -> Iterator[Finding]:
    """Check that stretches stand in order, none over another, and that only marks stand between them."""
    offset, length = found["token_offset"].to_numpy(), found["n_tokens"].to_numpy()
    ends, tokens = offset + length, _tokens(export, np.dtype(described["dtype"]))
    yield Unchecked("read_with of the export", "advice for people")
    if export.kind != "megatron":
        block, n_blocks, n_cut = described["block_length"], described["n_blocks"], described["n_cut"]
        yield from differs("tokens in the blocks", n_blocks * block, len(tokens))
        across = int((offset // block != (ends - 1) // block)[length > 0].sum())
        yield from differs("stretches that stand in two blocks", 0, across)
        yield Unchecked("n_cut of the export", "what was cut is not in the files; less than a block of every phase")
        if type(n_cut) is not int or not 0 <= n_cut < block * max(1, len(spec.phases)):
            yield Violation(
                "drawn", "tokens that were cut", f"less than a block of {block:,} of every phase", str(n_cut)
            )
        yield from guarded(_phases(described, found, spec))
    wrong = (offset[1:] < ends[:-1]).sum() + (length < 0).sum() + ((offset < 0) | (ends > len(tokens))).sum()
    yield from differs("stretches over others, or beyond the tokens", 0, int(wrong))
    if not wrong:
        marks = sorted({*described["marks"]["before"], *described["marks"]["after"]})
        yield from differs("tokens between documents", marks, _between(tokens, offset, ends))
        yield from differs("marks around a document", {"before": "list", "after": "list"},
                           {name: type(value).__name__ for name, value in described["marks"].items()})  # fmt: skip


def _tokens(export: Export, kind: np.dtype[Any]) -> Any:
    """Return all tokens of the files one after the other, mapped into memory."""
    path = export.folder / _FILES[export.kind]
    if export.kind == "tokens":
        blocks = np.load(path, mmap_mode="r", allow_pickle=False)
        if blocks.dtype != kind:
            raise ValueError(f"{path.name} holds {blocks.dtype}, not {kind}")
        return blocks.reshape(-1)
    return np.memmap(path, dtype=kind.newbyteorder("<"), mode="r")


def _between(tokens: Any, offset: I64, ends: I64) -> list[int]:
    """Return the distinct tokens that stand in no stretch."""
    seen: set[int] = set()
    for low in range(0, len(tokens), _TOKENS):
        part = np.array(tokens[low : low + _TOKENS])
        edges = np.zeros(len(part) + 1, dtype=np.int64)
        np.add.at(edges, np.clip(offset - low, 0, len(part)), 1)
        np.add.at(edges, np.clip(ends - low, 0, len(part)), -1)
        seen |= set(np.unique(part[np.cumsum(edges[:-1]) == 0]).tolist())
    return sorted(seen)


def _phases(described: dict[str, Any], found: pa.Table, spec: MixSpec) -> Iterator[Finding]:
    """Check that the blocks of the phases follow each other, and hold nothing of another phase."""
    phases, first = described["phases"], 0
    yield from differs("phases of the blocks", [phase.name for phase in spec.phases], [p["phase"] for p in phases])
    block = found["token_offset"].to_numpy() // described["block_length"]
    for phase in phases:
        title, n_blocks = f"blocks of phase {phase['phase']!r}", phase["n_blocks"]
        yield from differs(f"{title}: first", first, phase["first_block"])
        inside = found["stratum"].filter(pa.array((block >= first) & (block < first + n_blocks))).unique().to_pylist()
        odd = sorted(label for label in inside if not label.startswith(f"{phase['phase']} / "))
        yield from differs(f"{title}: strata of others", [], odd)
        first += n_blocks
    if phases:
        yield from differs("blocks of all phases", described["n_blocks"], first)
