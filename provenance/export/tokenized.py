"""What all exports of tokens share: which tokenizer, what their manifests say, and the order in which it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from provenance import __version__
from provenance.export.encoding import LABELS, Encoded
from provenance.export.files import FORMAT, file_sha256, settle, write_json
from provenance.mix.digest import mapping_digest
from provenance.mix.errors import TokenizerNotNamed
from provenance.mix.tokens import StoredTokenizer, get_tokenizer

if TYPE_CHECKING:
    from provenance.mix.training_set import TrainingSet

#: Files that every export of tokens has: the map from tokens to documents, the tokenizer, the manifest.
DOCUMENTS, TOKENIZER, MANIFEST = "documents.parquet", "tokenizer.json", "manifest.json"
#: Rows of the map that are written at a time.
_ROWS = 1_000_000


def tokenizer_of(training_set: TrainingSet, name: str | None) -> StoredTokenizer:
    """Return the tokenizer of that name, by default the one that the training set was made with.

    Raises
    ------
    TokenizerNotNamed, UnknownName
        If no tokenizer is named, or the named one is not stored.
    """
    name = name or training_set.spec.tokenizer
    if name is None:
        raise TokenizerNotNamed(training_set.name)
    return get_tokenizer(training_set.store, name)


def write_map(path: Path, found: pa.Table, encoded: Encoded, strata: Sequence[str]) -> pa.Table:
    """Write which tokens stand where, with the labels of their documents; return columns to count shares from.

    Parameters
    ----------
    found : token_offset, n_tokens, position, document_offset, stratum (its number) of every stretch
    strata : their names
    """
    names = pa.array(list(strata), pa.string())
    counted = []
    with path.open("wb") as file:
        writer: pq.ParquetWriter | None = None
        for low in range(0, max(1, found.num_rows), _ROWS):
            part = found.slice(low, _ROWS)
            labels = encoded.labels.select(list(LABELS)).take(part["position"])
            part = part.set_column(4, "stratum", names.take(part["stratum"].combine_chunks()))
            for name in LABELS:
                part = part.append_column(name, labels[name])
            writer = writer or pq.ParquetWriter(file, part.schema, compression="zstd")
            writer.write_table(part)
            counted.append(part.select(["stratum", "origin", "n_tokens"]))
        if writer is not None:
            writer.close()
        settle(file)
    return pa.concat_tables(counted)


def write_manifest(
    draft: Path,
    training_set: TrainingSet,
    tokenizer: StoredTokenizer,
    encoded: Encoded,
    kind: str,
    files: Sequence[str],
    **claims: Any,
) -> None:
    """Write the tokenizer and the manifest of an export whose other files are written."""
    with (draft / TOKENIZER).open("w", encoding="utf-8") as file:
        file.write(tokenizer.definition)
        settle(file)
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "code_version": __version__,
        "training_set": training_set.manifest,
        "tokenizer": {"name": tokenizer.name, "digest": tokenizer.digest, "vocab_size": tokenizer.vocab_size},
        "marks": {"before": list(encoded.marks.before), "after": list(encoded.marks.after)},
        **claims,
        "files": {name: file_sha256(draft / name) for name in (*files, DOCUMENTS, TOKENIZER)},
    }
    write_json(draft / MANIFEST, manifest | {"digest": mapping_digest(manifest)})
