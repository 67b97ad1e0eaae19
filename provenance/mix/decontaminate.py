"""Decontamination: the texts of evaluation sets that no training set may share a run of tokens with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from provenance.dedup.spans import KnownRuns
from provenance.dedup.token_hashes import TokenHasher
from provenance.errors import ProvenanceError
from provenance.ingest.inputs import Input, find_inputs
from provenance.ingest.readers import reader_for
from provenance.ingest.readers.base import ReadOptions
from provenance.ingest.readers.whole import WholeFileReader
from provenance.mix.errors import EvaluationSetUnreadable
from provenance.mix.spec import Decontaminate

#: Texts whose runs are compared at a time.
_BATCH = 50_000


@dataclass(frozen=True)
class Against:
    """What drawn documents are compared with.

    Attributes
    ----------
    texts : every text of every record
    files : for every file its name (file), sha256, n_texts, and n_short: texts of fewer tokens than a run, which can be
        found nowhere
    tokens : length of a run
    """

    texts: pa.Array
    files: list[dict[str, Any]]
    tokens: int

    def runs(self) -> KnownRuns:
        """Return what tells which texts share a run with any of these."""
        return KnownRuns(self.texts, n_tokens=self.tokens)


def read_against(spec: Decontaminate) -> Against:
    """Read the files of a specification.

    Raises
    ------
    EvaluationSetUnreadable
        If a file is missing or cannot be read to its end, or a record in it cannot be read: then nobody would know
        whether its text is in the training set.
    """
    texts: list[str] = []
    files = []
    try:
        for file in find_inputs(spec.against):
            own = list(_texts_of(file))
            n_short = int((_n_tokens(own) < spec.tokens).sum())
            texts += own
            files.append({"file": file.name, "sha256": file.digest(), "n_texts": len(own), "n_short": n_short})
    except EvaluationSetUnreadable:
        raise
    except ProvenanceError as error:
        reason = getattr(error, "reason", None)
        raise EvaluationSetUnreadable(getattr(error, "file", ", ".join(spec.against)), reason or str(error)) from error
    return Against(pa.array(texts, pa.string()), files, spec.tokens)


def _texts_of(file: Input) -> Iterator[str]:
    reader = reader_for(file)
    options = ReadOptions(fields=())
    for block in reader.blocks(file, options):
        chunk = reader.parse(block, options)
        for refused in chunk.refused:
            raise EvaluationSetUnreadable(file.name, f"{refused.place} cannot be read ({refused.reason})")
        for record in chunk.records:
            # What a file that is one document brings beside its text is the path it stands at.
            yield from _strings(record["text"] if isinstance(reader, WholeFileReader) else record)


def _strings(value: Any) -> Iterator[str]:
    """Yield every text in a record, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def _n_tokens(texts: list[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    hasher = TokenHasher()
    counts = [np.zeros(0, dtype=np.int64)]
    for low in range(0, len(texts), _BATCH):
        counts.append(
            np.diff(hasher.compute(pa.array(texts[low : low + _BATCH], pa.string())).offsets).astype(np.int64)
        )
    return np.concatenate(counts)
