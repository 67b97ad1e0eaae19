"""Export as packed blocks of tokens that a trainer maps into memory, with a map from every token to its document.

A folder with the blocks, `documents.parquet` (the map), `tokenizer.json` and `manifest.json`. Three layouts of the
same blocks in the same order: `tokens`, a NumPy file of shape (n_blocks, block_length); `nanogpt` and `olmo`, the bare
numbers one after the other, as these programs map them. The share of every quota is counted again in tokens, from the
written map, and a set that misses one by a single token is not written. Tokens that mark where a document begins or
ends belong to no document and count for nobody.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from provenance.export.blocks import LAYOUTS, TokenBlocks, map_blocks
from provenance.export.encoding import Encoded, encode
from provenance.export.files import new_folder, settle
from provenance.export.packing import Packing, TokenLine, pack, segments, stretches
from provenance.export.shares import count_shares, phase_masks, slack_of, token_constraints
from provenance.export.tokenized import DOCUMENTS, tokenizer_of, write_manifest, write_map
from provenance.mix.errors import NothingToExport
from provenance.mix.tokens import StoredTokenizer

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet

__all__ = ["TokenBlocks", "export_nanogpt", "export_olmo", "export_tokens"]


def export_tokens(
    training_set: TrainingSet,
    out_dir: str | os.PathLike[str],
    *,
    tokenizer: str | None = None,
    block_length: int = 128,
    overwrite: bool = False,
) -> TokenBlocks:
    """Write a training set as packed blocks of tokens (`blocks.npy`) and return them, checked.

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
        If the tokens, or those of a phase, do not fill one block.
    OutputExists, ExportFailed
        If the folder exists, or cannot be written; then nothing is left behind.
    """
    return _export(training_set, Path(out_dir), "tokens", tokenizer, block_length, overwrite=overwrite)


def export_nanogpt(
    training_set: TrainingSet,
    out_dir: str | os.PathLike[str],
    *,
    tokenizer: str | None = None,
    block_length: int = 128,
    overwrite: bool = False,
) -> TokenBlocks:
    """Write the blocks as nanoGPT's `train.bin`: numbers of 2 bytes without a header (4 where the vocabulary needs it).

    Parameters and errors as for `export_tokens`.
    """
    return _export(training_set, Path(out_dir), "nanogpt", tokenizer, block_length, overwrite=overwrite)


def export_olmo(
    training_set: TrainingSet,
    out_dir: str | os.PathLike[str],
    *,
    tokenizer: str | None = None,
    block_length: int = 128,
    overwrite: bool = False,
) -> TokenBlocks:
    """Write the blocks as OLMo reads them: `tokens.npy`, which in spite of its name is bare numbers without a header.

    Parameters and errors as for `export_tokens`.
    """
    return _export(training_set, Path(out_dir), "olmo", tokenizer, block_length, overwrite=overwrite)


#: Layout -> what writes it.
EXPORTS = {"tokens": export_tokens, "nanogpt": export_nanogpt, "olmo": export_olmo}


def _export(
    training_set: TrainingSet, target: Path, kind: str, tokenizer: str | None, block_length: int, *, overwrite: bool
) -> TokenBlocks:
    if block_length < 2:
        raise ValueError(f"block_length is {block_length}, it must be 2 or more")
    stored = tokenizer_of(training_set, tokenizer)
    with new_folder(target, overwrite=overwrite) as draft:
        _write(training_set, stored, draft, kind, block_length)
        checked = TokenBlocks.open(draft)
    return replace(checked, path=target, blocks=map_blocks(target, checked.manifest))


def _write(training_set: TrainingSet, tokenizer: StoredTokenizer, draft: Path, kind: str, block_length: int) -> None:
    raw, claims = draft / "tokens.raw", training_set.manifest
    encoded = encode(training_set, tokenizer, raw)
    names = [stratum["stratum"] for stratum in claims["strata"]]
    constraints, phases = token_constraints(claims), phase_masks(claims)
    stratum = encoded.strata(names)
    before, after = len(encoded.marks.before), len(encoded.marks.after)
    line = TokenLine.of(encoded.own, stratum, len(names), before=before, after=after)
    packing = pack(line, constraints, block_length=block_length, phases=list(phases.values()))
    _require_blocks(training_set.name, line, packing, list(phases), list(phases.values()), block_length)
    found = stretches(line, packing)
    n_blocks = sum(packing.n_blocks)
    with (draft / LAYOUTS[kind]).open("wb") as file:
        if kind == "tokens":
            _write_header(file, encoded.kind, (n_blocks, block_length))
        encoded.copy_to(file, encoded.begins[line.rows[found.draw]] + found.offset, found.length)
        settle(file)
    raw.unlink()
    placed = segments(line, found)
    counted = write_map(draft / DOCUMENTS, placed, encoded, names)
    of, n_tokens = placed["stratum"].to_numpy(), placed["n_tokens"].to_numpy()
    block = placed["token_offset"].to_numpy() // block_length  # a stretch is in one block only
    slack = slack_of(block, n_blocks, of, n_tokens, constraints)
    write_manifest(
        draft, training_set, tokenizer, encoded, kind, [LAYOUTS[kind]],
        block_length=block_length,
        n_blocks=n_blocks,
        dtype=np.dtype(encoded.kind).name,
        read_with=_reading(kind, encoded),
        phases=_phases(list(phases), packing),
        n_cut=int(line.starts[-1]) - n_blocks * block_length,
        **count_shares(counted, constraints, names, slack),
    )  # fmt: skip


def _require_blocks(
    name: str, line: TokenLine, packing: Packing, phases: list[str], masks: list[Any], block_length: int
) -> None:
    """Raise `NothingToExport` where all tokens, or those of a phase, do not fill one block."""
    totals = np.diff(line.bases)
    for i, n_blocks in enumerate(packing.n_blocks):
        if not n_blocks:
            of = f"{name}, phase {phases[i]}" if phases else name
            raise NothingToExport(of, int(totals[masks[i]].sum() if phases else totals.sum()), block_length)


def _write_header(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    """Write what `numpy.load` expects in front of the numbers."""
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)


def _reading(kind: str, encoded: Encoded) -> str:
    """Return how the blocks are read, for a person who has only the manifest."""
    name, dtype = LAYOUTS[kind], np.dtype(encoded.kind).name
    if kind == "tokens":
        return f"numpy.load({name!r}, mmap_mode='r')"
    needed = "; nanoGPT's own code says uint16, change that" if kind == "nanogpt" and dtype != "uint16" else ""
    return f"numpy.memmap({name!r}, dtype=numpy.{dtype}, mode='r')" + needed


def _phases(names: list[str], packing: Packing) -> list[dict[str, Any]]:
    described, first = [], 0
    for name, n_blocks in zip(names, packing.n_blocks, strict=False):
        described.append({"phase": name, "first_block": first, "n_blocks": n_blocks})
        first += n_blocks
    return described
