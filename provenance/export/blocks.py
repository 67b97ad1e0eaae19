"""Reading packed token blocks: checked against their manifest before a trainer sees them, and traced to documents."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.export.files import file_sha256
from provenance.export.shares import count_shares, slack_of, token_constraints
from provenance.export.tokenized import DOCUMENTS, MANIFEST, TOKENIZER
from provenance.mix.digest import mapping_digest
from provenance.mix.errors import ExportDamaged, QuotaNotMet

if TYPE_CHECKING:
    from provenance.export.stream import Stream

#: Kind of an export -> the file with its blocks.
LAYOUTS = {"tokens": "blocks.npy", "nanogpt": "train.bin", "olmo": "tokens.npy"}


@dataclass(frozen=True)
class TokenBlocks:
    """Exported blocks whose files are what their manifest says.

    Attributes
    ----------
    path : the folder
    manifest : what it holds, the training set's manifest included
    blocks : (n_blocks, block_length) uint16 or uint32, mapped from the file
    tokenizer_json : definition of the tokenizer
    """

    path: Path
    manifest: dict[str, Any]
    blocks: npt.NDArray[np.uint16] | npt.NDArray[np.uint32]
    tokenizer_json: str

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TokenBlocks:
        """Check a folder of any of the `LAYOUTS` against its manifest and open it.

        Raises
        ------
        ExportDamaged
            If a file is missing or changed, or the map does not hold the shares that the manifest claims.
        """
        folder = Path(path)
        try:
            manifest = read_manifest(folder)
            blocks = map_blocks(folder, manifest)
            _check_claims(folder, manifest)
            definition = (folder / TOKENIZER).read_text("utf-8")
        except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, ExportDamaged):
                raise
            raise ExportDamaged(folder, f"{type(error).__name__}: {error}") from error
        return cls(folder, manifest, blocks, definition)

    def __len__(self) -> int:
        return int(self.blocks.shape[0])

    @property
    def human_share(self) -> float:
        """Share of human tokens among the documents' tokens in all blocks."""
        return float(self.manifest["human"]["share"])

    def torch(
        self, *, rank: int = 0, world_size: int = 1, batch_size: int | None = None, drop_last: bool = False
    ) -> Stream:
        """Return the blocks in their order as a `torch.utils.data.IterableDataset`; see `Stream`.

        A sample has `input_ids` and `labels` (the same tokens, int64) and `block`, the number of the block.

        Raises
        ------
        MissingExtra
            If torch is not installed.
        """
        from provenance.export.sources import BlockSource, stream_of

        return stream_of(
            BlockSource(self), rank=rank, world_size=world_size, batch_size=batch_size, drop_last=drop_last
        )

    def documents(self) -> pa.Table:
        """Return the map: token_offset, n_tokens, position, document_offset, stratum and labels of every stretch."""
        return self._map

    def trace(self, block: int | Sequence[int] | Any, offset: int | None = None) -> list[dict[str, Any]]:
        """Return the stretches of documents that stand in a block, or in those of a batch, in their order.

        Parameters
        ----------
        block : number of a block, or several (a list, array or tensor, such as `batch["block"]`)
        offset : only the stretch that holds this token of the block; nothing where that is a special token
        """
        length = int(self.blocks.shape[1])
        blocks = np.atleast_1d(np.asarray(block, dtype=np.int64))
        if blocks.size and not 0 <= blocks.min() <= blocks.max() < len(self):
            raise IndexError(f"there is no block {blocks.min()} to {blocks.max()}, there are {len(self)}")
        low = np.searchsorted(self._offsets, blocks * length)
        high = np.searchsorted(self._offsets, (blocks + 1) * length)  # a stretch is in one block only
        rows: list[dict[str, Any]] = []
        for number, first, last in zip(blocks.tolist(), low.tolist(), high.tolist(), strict=True):
            rows += [{"block": number, **row} for row in self._map.slice(first, last - first).to_pylist()]
        if offset is None:
            return rows
        return [row for row in rows if 0 <= row["block"] * length + offset - row["token_offset"] < row["n_tokens"]]

    @cached_property
    def _map(self) -> pa.Table:
        return pq.read_table(self.path / DOCUMENTS, read_dictionary=["stratum", "source", "origin"])

    @cached_property
    def _offsets(self) -> npt.NDArray[np.int64]:
        offsets: npt.NDArray[np.int64] = self._map["token_offset"].to_numpy()
        return offsets


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of an exported folder whose files are those that were written.

    Raises
    ------
    ExportDamaged
        If the manifest or another file was changed.
    """
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    claimed = manifest["digest"]
    if mapping_digest({key: value for key, value in manifest.items() if key != "digest"}) != claimed:
        raise ExportDamaged(folder, f"{MANIFEST} was changed")
    for name, digest in manifest["files"].items():
        if file_sha256(folder / name) != digest:
            raise ExportDamaged(folder, f"{name} is not the file that was written")
    return manifest


def map_blocks(folder: Path, manifest: dict[str, Any]) -> Any:
    """Return the blocks of a folder, mapped into memory.

    Raises
    ------
    ExportDamaged
        If they have another shape than the manifest says.
    """
    name, shape = LAYOUTS[manifest["kind"]], (manifest["n_blocks"], manifest["block_length"])
    if manifest["kind"] == "tokens":
        blocks = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    else:
        blocks = np.memmap(folder / name, dtype=np.dtype(manifest["dtype"]).newbyteorder("<"), mode="r")
        blocks = blocks.reshape(-1, shape[1])
    if blocks.shape != shape:
        raise ExportDamaged(folder, f"{name} has shape {blocks.shape}")
    return blocks


def _check_claims(folder: Path, manifest: dict[str, Any]) -> None:
    """Count the shares again from the map and compare them with what the manifest claims."""
    names = [stratum["stratum"] for stratum in manifest["training_set"]["strata"]]
    constraints = token_constraints(manifest["training_set"])
    columns = ["token_offset", "n_tokens", "stratum", "origin"]
    written = pq.read_table(folder / DOCUMENTS, columns=columns)
    stratum = pc.index_in(written["stratum"], pa.array(names, pa.string()))
    block = written["token_offset"].to_numpy() // manifest["block_length"]
    slack = slack_of(block, manifest["n_blocks"], stratum.to_numpy(), written["n_tokens"].to_numpy(), constraints)
    try:
        found = count_shares(written, constraints, names, slack)
    except QuotaNotMet as error:
        raise ExportDamaged(folder, str(error)) from error
    for claim, value in found.items():
        if manifest[claim] != value:
            raise ExportDamaged(folder, f"the manifest claims {claim} {manifest[claim]}, the files hold {value}")
