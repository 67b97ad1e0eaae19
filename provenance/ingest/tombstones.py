"""What was taken down and must not come in again: documents by their ids, texts by theirs.

Only the very same text is known again; a copy that differs by a comma is another text.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from provenance.store.store import registered

_ALL = "SELECT DISTINCT document_id::BLOB, content_id::BLOB, with_text FROM tombstone"
_COUNT = "SELECT count(*) FROM tombstone"


@dataclass(frozen=True)
class Tombstones:
    """Ids of 16 bytes.

    Attributes
    ----------
    documents : documents that were erased
    texts : texts that no document may have any more
    n : how many tombstones the store had when they were read
    """

    documents: frozenset[bytes] = frozenset()
    texts: frozenset[bytes] = frozenset()
    n: int = 0

    def __bool__(self) -> bool:
        return self.n > 0


def read_tombstones(connection: Connection) -> Tombstones:
    """Return the tombstones of a store."""
    if not count_tombstones(connection):
        return Tombstones()
    with registered(connection) as raw:
        rows = raw.execute(_ALL).fetchall()
    texts = frozenset(bytes(content) for _, content, with_text in rows if with_text)
    return Tombstones(frozenset(bytes(document) for document, _, _ in rows), texts, len(rows))


def count_tombstones(connection: Connection) -> int:
    """Return how many tombstones a store has."""
    with registered(connection) as raw:
        return int(raw.execute(_COUNT).fetchone()[0])
