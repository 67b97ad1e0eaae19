"""The search for copies made anew over the whole store, with other parameters or after a change of the rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, update

from provenance.dedup.documents import SETTLE_CLUSTERS
from provenance.dedup.incremental import Contents, add_contents
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import SignatureKernel
from provenance.laundering.rescan import rescan_in
from provenance.store import schema
from provenance.store.store import Store, fetch, staged

_BATCH_BYTES = 64 << 20
_BATCH_TEXTS = 100_000

_EMPTIED = ("band", "span", "signature", "near_duplicate", "cluster")
_SIZES = "SELECT content_no, n_bytes FROM content ORDER BY content_no"
_TEXTS = """
    SELECT content_no, content_id::BLOB AS content_id, text FROM content
    WHERE content_no BETWEEN :first AND :last ORDER BY content_no
"""
_PLACE_DOCUMENTS = """
    UPDATE document SET cluster_id = p.cluster_id FROM (
        SELECT d.document_id, coalesce(c.cluster_id, d.content_id) AS cluster_id
        FROM document d LEFT JOIN cluster c USING (content_id)
    ) p
    WHERE document.document_id = p.document_id AND document.cluster_id <> p.cluster_id
"""
_ALL_CLUSTERS = "CREATE OR REPLACE TEMP TABLE affected AS SELECT DISTINCT cluster_id FROM document"
_COUNTS = """
    SELECT (SELECT count(*) FROM content) AS n_contents, (SELECT count(*) FROM near_duplicate) AS n_edges,
           (SELECT count(DISTINCT cluster_id) FROM cluster) AS n_clusters
"""


@dataclass(frozen=True)
class Found:
    """How many texts there are, verified pairs among them, and clusters of two texts or more."""

    n_contents: int
    n_edges: int
    n_clusters: int


def rebuild(
    store: Store, parameters: DedupParameters, *, progress: Callable[[int, int], None] | None = None
) -> tuple[Found, Found]:
    """Search the whole store for copies with these parameters, as if it had had them from the start.

    All in one transaction: a kill leaves everything as it was.

    Parameters
    ----------
    progress : is told how many texts of how many are done

    Returns
    -------
    what was found before and now
    """
    with store.transaction() as connection:
        before = _found(connection)
        for table in _EMPTIED:
            connection.execute(schema.metadata.tables[table].delete())
        setting = schema.setting
        connection.execute(update(setting).where(setting.c.name == "dedup").values(value=asdict(parameters)))
        kernel = SignatureKernel(parameters.n_permutations, parameters.seed, shingle_tokens=parameters.shingle_tokens)
        n_done = 0
        for first, last in _ranges(fetch(connection, _SIZES)):
            rows = fetch(connection, _TEXTS, {"first": first, "last": last})
            features = kernel.features(rows["text"], with_spans=parameters.containment is not None)
            numbers = rows["content_no"].to_numpy().astype(np.uint32)
            add_contents(connection, Contents(numbers, rows["content_id"].to_pylist(), features), parameters)
            n_done += rows.num_rows
            if progress is not None:
                progress(n_done, before.n_contents)
        _settle_documents(connection)
        rescan_in(connection, parameters)
        return before, _found(connection)


def _ranges(sizes: pa.Table) -> Iterator[tuple[int, int]]:
    """Yield (first, last) content numbers of batches of bounded size."""
    numbers, n_bytes = sizes["content_no"].to_numpy(), sizes["n_bytes"].to_numpy()
    begin = 0
    ends = np.cumsum(n_bytes)
    while begin < numbers.size:
        limit = (ends[begin - 1] if begin else 0) + _BATCH_BYTES
        end = min(max(begin + 1, int(np.searchsorted(ends, limit, side="right"))), begin + _BATCH_TEXTS, numbers.size)
        yield int(numbers[begin]), int(numbers[end - 1])
        begin = end


def _settle_documents(connection: Connection) -> None:
    with staged(connection) as raw:
        raw.execute(_PLACE_DOCUMENTS)
        raw.execute(_ALL_CLUSTERS)
        raw.execute(SETTLE_CLUSTERS)
        raw.execute("DROP TABLE temp.affected")


def _found(connection: Connection) -> Found:
    return Found(**fetch(connection, _COUNTS).to_pylist()[0])
