"""A batch of valid documents made ready for the store: ids, signatures and Arrow tables; the store is not touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from provenance.dedup.signatures import SignatureKernel
from provenance.ids import as_uuid, uuid_array
from provenance.ingest.readers.base import Refused
from provenance.ingest.validate import Documents
from provenance.records import Claim


@dataclass(frozen=True)
class Batch:
    """What one transaction writes.

    Attributes
    ----------
    documents : one row a distinct document: the columns of `document` that records decide, `n_bytes`, `n_words`
    contents : one row a distinct content: content_id, n_bytes, n_words, text
    content_ids : the ids of `contents` as bytes, in the same order
    signatures : (n_contents, n_perm) uint32, in the same order
    own_claims : (document id as text, claim) of records that say themselves where they come from
    parents : (document id, parent id, relation)
    refused : (file, record)
    n_read : records read, refused ones included
    n_input_bytes : uncompressed bytes of input
    """

    documents: pa.Table
    contents: pa.Table
    content_ids: list[bytes]
    signatures: npt.NDArray[np.uint32]
    own_claims: list[tuple[str, Claim]]
    parents: list[tuple[bytes, bytes, str]]
    refused: list[tuple[str, Refused]]
    n_read: int
    n_input_bytes: int


def prepare(
    documents: Documents,
    refused: list[tuple[str, Refused]],
    n_input_bytes: int,
    *,
    source: str,
    kernel: SignatureKernel,
) -> Batch:
    """Return the batch of the documents and refused records read."""
    content_rows = unique_rows(documents.content_ids)
    contents, n_words, signatures, content_row = _contents(documents, content_rows, kernel)
    rows = unique_rows(documents.document_ids)
    table = documents.table(source=source)
    n_bytes = np.fromiter((len(text) for text in documents.texts), np.int64, len(documents))
    table = table.append_column("n_bytes", pa.array(n_bytes)).append_column("n_words", pa.array(n_words[content_row]))
    n_refused = sum(one.part == 0 for _, one in refused)
    return Batch(
        documents=table.take(pa.array(rows, pa.int64())),
        contents=contents,
        content_ids=[documents.content_ids[row] for row in content_rows],
        signatures=signatures,
        own_claims=_own_claims(documents, rows),
        parents=documents.parents,
        refused=refused,
        n_read=len(documents) + n_refused,
        n_input_bytes=n_input_bytes,
    )


def unique_rows(ids: list[bytes]) -> list[int]:
    """Return the row of the first occurrence of every id, in order."""
    first: dict[bytes, int] = {}
    for row, one in enumerate(ids):
        first.setdefault(one, row)
    return list(first.values())


def _contents(documents: Documents, rows: list[int], kernel: SignatureKernel) -> tuple[pa.Table, Any, Any, Any]:
    """Return the contents of `rows`, their word counts and signatures, and for each document the row of its content."""
    place = {documents.content_ids[row]: i for i, row in enumerate(rows)}
    content_row = np.fromiter((place[one] for one in documents.content_ids), np.int64, len(documents))
    # Encoded from str, so the bytes are UTF-8: a view saves checking them again.
    texts = pa.array([documents.texts[row] for row in rows], pa.large_binary()).view(pa.large_string())
    signatures, n_words = kernel.compute(texts)
    table = pa.table(
        {
            "content_id": uuid_array([documents.content_ids[row] for row in rows]),
            "n_bytes": np.fromiter((len(documents.texts[row]) for row in rows), np.int64, len(rows)),
            "n_words": n_words,
            "text": texts,
        }
    )
    return table, n_words, signatures, content_row


def _own_claims(documents: Documents, rows: list[int]) -> list[tuple[str, Claim]]:
    columns = documents.columns
    return [
        (
            str(as_uuid(documents.document_ids[row])),
            Claim(columns["origin"][row], columns["generation"][row], columns["model"][row]),
        )
        for row in rows
        if documents.own_claim[row]
    ]
