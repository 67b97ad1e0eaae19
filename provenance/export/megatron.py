r"""Export for Megatron-LM and what reads its indexed datasets: tokens in `train.bin`, their places in `train.idx`.

Layout of the index, all little-endian: the 9 bytes `MMIDIDX\0\0`; the version 1 (8 bytes); a code for the type of the
tokens (1 byte: 8 is uint16, 4 is int32); the number of sequences and the length of the list of documents (8 bytes
each); for every sequence its tokens (int32); for every sequence the byte where it begins in `train.bin` (int64); the
first sequence of every document, and behind them the number of sequences (int64). Every draw is one sequence and one
document.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from provenance.export.blocks import read_manifest
from provenance.export.encoding import Encoded, encode
from provenance.export.files import ExportReport, new_folder, settle
from provenance.export.shares import count_shares, slack_of, token_constraints
from provenance.export.tokenized import DOCUMENTS, MANIFEST, tokenizer_of, write_manifest, write_map
from provenance.mix.errors import NothingToExport
from provenance.mix.tokens import StoredTokenizer

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet

TOKENS, INDEX = "train.bin", "train.idx"
_MAGIC, _VERSION = b"MMIDIDX\x00\x00", 1
#: Bytes of a token here -> code of the type; Megatron knows no uint32, and no vocabulary needs its last bit.
_CODES = {2: 8, 4: 4}


def export_megatron(
    training_set: TrainingSet,
    out_dir: str | os.PathLike[str],
    *,
    tokenizer: str | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write a training set as a Megatron indexed dataset, one sequence and document per draw, in order.

    Give Megatron the path of the folder with `/train` as `--data-path`.

    Parameters
    ----------
    tokenizer : name of a stored tokenizer; by default the one that the training set was made with

    Raises
    ------
    QuotaNotMet
        If a quota does not hold in tokens of what would be written.
    TokenizerNotNamed, UnknownName
        If no tokenizer is named, or the named one is not stored.
    NothingToExport
        If there is no token.
    OutputExists, ExportFailed
        If the folder exists, or cannot be written; then nothing is left behind.
    """
    stored, target = tokenizer_of(training_set, tokenizer), Path(out_dir)
    with new_folder(target, overwrite=overwrite) as draft:
        _write(training_set, stored, draft)
    manifest = read_manifest(target)
    size = (target / TOKENS).stat().st_size
    return ExportReport(target, target / MANIFEST, len(training_set), size, manifest["files"][TOKENS])


def _write(training_set: TrainingSet, tokenizer: StoredTokenizer, draft: Path) -> None:
    raw, claims = draft / "tokens.raw", training_set.manifest
    encoded = encode(training_set, tokenizer, raw)
    if not raw.stat().st_size:
        raise NothingToExport(training_set.name, 0, 1)
    with (draft / TOKENS).open("wb") as file:
        encoded.copy_to(file, encoded.begins, encoded.lengths)
        settle(file)
    raw.unlink()
    _write_index(draft / INDEX, encoded)
    names = [stratum["stratum"] for stratum in claims["strata"]]
    constraints, stratum = token_constraints(claims), encoded.strata(names)
    place = np.arange(len(stratum))
    counted = write_map(draft / DOCUMENTS, _map(encoded, stratum), encoded, names)
    slack = slack_of(place, len(place), stratum, encoded.own, constraints)
    write_manifest(
        draft, training_set, tokenizer, encoded, "megatron", [TOKENS, INDEX],
        n_sequences=len(place),
        dtype="uint16" if encoded.kind.itemsize == 2 else "int32",
        read_with="megatron.core.datasets.indexed_dataset.IndexedDataset('train')",
        **count_shares(counted, constraints, names, slack),
    )  # fmt: skip


def _map(encoded: Encoded, stratum: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Table:
    """Return where the own tokens of every draw stand in `train.bin`; a row per draw."""
    ends = np.cumsum(encoded.lengths)
    return pa.table(
        {
            "token_offset": ends - encoded.lengths + len(encoded.marks.before),
            "n_tokens": encoded.own,
            "position": np.arange(len(stratum)),
            "document_offset": np.zeros(len(stratum), dtype=np.int64),
            "stratum": stratum,
        }
    )


def _write_index(path: Path, encoded: Encoded) -> None:
    lengths, size = encoded.lengths, encoded.kind.itemsize
    with path.open("wb") as file:
        file.write(_MAGIC + struct.pack("<QBQQ", _VERSION, _CODES[size], len(lengths), len(lengths) + 1))
        file.write(lengths.astype("<i4").tobytes())
        file.write(((np.cumsum(lengths) - lengths) * size).astype("<i8").tobytes())
        file.write(np.arange(len(lengths) + 1).astype("<i8").tobytes())
        settle(file)
