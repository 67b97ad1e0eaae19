"""Reading packed token blocks: checked against their manifest before a trainer sees them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.export.files import file_sha256
from provenance.mix.digest import mapping_digest
from provenance.mix.errors import ExportDamaged, QuotaNotMet, share_text
from provenance.mix.spec_fields import exact
from provenance.mix.strata import Constraint

BLOCKS, DOCUMENTS, TOKENIZER, MANIFEST = "blocks.npy", "documents.parquet", "tokenizer.json", "manifest.json"


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
        """Check a folder against its manifest and open it.

        Raises
        ------
        ExportDamaged
            If a file is missing or changed, or the map does not hold the shares that the manifest claims.
        """
        folder = Path(path)
        try:
            manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
            claimed = manifest.pop("digest")
            if mapping_digest(manifest) != claimed:
                raise ExportDamaged(folder, f"{MANIFEST} was changed")
            for name, digest in manifest["files"].items():
                if file_sha256(folder / name) != digest:
                    raise ExportDamaged(folder, f"{name} is not the file that was written")
            blocks = np.load(folder / BLOCKS, mmap_mode="r", allow_pickle=False)
            if blocks.shape != (manifest["n_blocks"], manifest["block_length"]):
                raise ExportDamaged(folder, f"{BLOCKS} has shape {blocks.shape}")
            _check_claims(folder, manifest)
            definition = (folder / TOKENIZER).read_text("utf-8")
        except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, ExportDamaged):
                raise
            raise ExportDamaged(folder, f"{type(error).__name__}: {error}") from error
        return cls(folder, manifest | {"digest": claimed}, blocks, definition)

    def __len__(self) -> int:
        return int(self.blocks.shape[0])

    @property
    def human_share(self) -> float:
        """Share of human tokens among the documents' tokens in all blocks."""
        return float(self.manifest["human"]["share"])

    def documents(self) -> pa.Table:
        """Return the map: token_offset, n_tokens, position, document_offset, stratum and labels of every stretch."""
        return pq.read_table(self.path / DOCUMENTS)

    def trace(self, block: int) -> list[dict[str, Any]]:
        """Return the stretches of documents that stand in a block, in their order."""
        length = int(self.blocks.shape[1])
        table, low = self.documents(), block * length
        offset = table["token_offset"]
        inside = pc.and_(pc.greater_equal(offset, low), pc.less(offset, low + length))
        rows: list[dict[str, Any]] = table.filter(inside).to_pylist()
        return rows


def token_constraints(manifest: dict[str, Any]) -> list[Constraint]:
    """Return the quotas of a training set over its strata, from its verified manifest."""
    constraints = []
    for claim in manifest["quotas"]:
        name, group, bound = claim["quota"], claim["group"], claim["bound"]
        counted = [stratum["counts"].get(name, False) for stratum in manifest["strata"]]
        members = [c is not False and c == (True if group is None else group) for c in counted]
        if bound == "max":
            members = [m or c is None for m, c in zip(members, counted, strict=True)]
        constraints.append(Constraint(name, group, bound, exact(claim["share"]), np.array(members, dtype=bool)))
    return constraints


def count_shares(
    written: pa.Table, constraints: Sequence[Constraint], names: Sequence[str], slack: Sequence[int | None]
) -> dict[str, Any]:
    """Return shares counted in tokens from the written map.

    Raises
    ------
    QuotaNotMet
        If a quota misses, if only by one token.
    """
    per_stratum = {
        row["stratum"]: row["n_tokens_sum"]
        for row in written.group_by("stratum").aggregate([("n_tokens", "sum")]).to_pylist()
    }
    units = np.array([per_stratum.get(name, 0) for name in names], dtype=np.int64)
    total, quotas = int(units.sum()), []
    for constraint, worst in zip(constraints, slack, strict=True):
        counted = int(units[constraint.members].sum())
        if constraint.slack(counted, total) < 0:
            raise QuotaNotMet(constraint.title, constraint.bound, constraint.share, counted, total, "tokens")
        quotas.append(
            {
                "quota": constraint.quota,
                "group": constraint.group,
                "bound": constraint.bound,
                "share": share_text(constraint.share),
                "units": counted,
                "total": total,
                "prefix_slack": worst,
            }
        )
    human = int(pc.sum(written.filter(pc.equal(written["origin"], "human"))["n_tokens"]).as_py() or 0)
    shares = {"human": human, "total": total, "share": human / total if total else 0.0}
    return {"n_tokens": total, "human": shares, "quotas": quotas}


def _check_claims(folder: Path, manifest: dict[str, Any]) -> None:
    """Count the shares again from the map and compare them with what the manifest claims."""
    names = [stratum["stratum"] for stratum in manifest["training_set"]["strata"]]
    constraints = token_constraints(manifest["training_set"])
    slack = [claim["prefix_slack"] for claim in manifest["quotas"]]
    try:
        found = count_shares(pq.read_table(folder / DOCUMENTS), constraints, names, slack)
    except QuotaNotMet as error:
        raise ExportDamaged(folder, str(error)) from error
    for claim, value in found.items():
        if manifest[claim] != value:
            raise ExportDamaged(folder, f"the manifest claims {claim} {manifest[claim]}, the files hold {value}")
