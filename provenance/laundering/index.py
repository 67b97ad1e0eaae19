"""The spans of outputs, by which other texts find them: kept in the table `span`, or picked for a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.buckets import Members, unique
from provenance.dedup.incremental import SPANS
from provenance.dedup.parameters import SAMPLED_FRAC
from provenance.dedup.spans import Spans, winnow
from provenance.dedup.token_hashes import TokenHasher
from provenance.ids import id_values, uuid_array
from provenance.laundering.roles import IS_OUTPUT, MIN_WORDS
from provenance.store.store import fetch, registered, staged

#: Texts that are held in memory at a time.
_BATCH_BYTES = 64 << 20
_BATCH_TEXTS = 50_000

_HAS_SPANS = "SELECT 1 FROM span LIMIT 1"
_OF_OUTPUTS = f"""
    SELECT content_no FROM content SEMI JOIN wanted USING (content_no)
    WHERE content_id IN (SELECT content_id FROM document WHERE {IS_OUTPUT})
"""
_TEXTS = """
    SELECT content_no, content_id::BLOB AS content_id, text FROM content SEMI JOIN wanted USING (content_no)
    ORDER BY content_no
"""
_UNINDEXED = f"""
    SELECT content_no, n_bytes FROM content c SEMI JOIN looked_at USING (content_id)
    ANTI JOIN span USING (content_no) WHERE n_words >= {MIN_WORDS} ORDER BY content_no
"""
_NO_OUTPUTS = f"""
    SELECT content_no FROM content SEMI JOIN looked_at USING (content_id)
    WHERE content_id NOT IN (SELECT content_id FROM document WHERE {IS_OUTPUT})
"""
_OUTPUTS = f"CREATE OR REPLACE TEMP TABLE looked_at AS SELECT DISTINCT content_id FROM document WHERE {IS_OUTPUT}"


def pick_spans(texts: pa.Array | pa.ChunkedArray, *, sampled_frac: float) -> Spans:
    """Return the picked spans of texts; texts find one another by them when both are picked with the same share."""
    return winnow(TokenHasher().compute(texts), sampled_frac=sampled_frac)


def members_of(numbers: npt.NDArray[np.uint32], spans: Spans) -> Members:
    """Return the spans of contents as memberships in buckets."""
    return Members(spans.hashes, np.repeat(numbers, np.diff(spans.offsets)))


def is_indexed(connection: Connection) -> bool:
    """Return whether the index holds anything."""
    with registered(connection) as raw:
        return raw.execute(_HAS_SPANS).fetchone() is not None


def outputs_with(connection: Connection, hashes: npt.NDArray[np.uint64]) -> Members:
    """Return which outputs of the index have which of some spans."""
    members = SPANS.in_buckets(connection, unique(hashes))
    with staged(connection, wanted=pa.table({"content_no": unique(members.numbers)})) as raw:
        numbers = raw.execute(_OF_OUTPUTS).to_arrow_table()["content_no"].to_numpy()
    kept = np.isin(members.numbers, numbers)
    return Members(members.keys[kept], members.numbers[kept])


def index_outputs(connection: Connection, contents: pa.Table | None = None) -> int:
    """Put outputs that the index lacks into it, where it is one of outputs alone; return how many there were.

    Parameters
    ----------
    contents : table with the ids of those to look at as `content_id`; None for all outputs
    """
    given = {} if contents is None else {"given": contents}
    with registered(connection, **given) as raw:
        raw.execute(_OUTPUTS if contents is None else "CREATE OR REPLACE TEMP TABLE looked_at AS FROM given")
    missing = fetch(connection, _UNINDEXED)
    with registered(connection) as raw:
        raw.execute("DROP TABLE temp.looked_at")
    for rows in text_batches(connection, missing):
        numbers = rows["content_no"].to_numpy()
        SPANS.insert(connection, members_of(numbers, pick_spans(rows["text"], sampled_frac=SAMPLED_FRAC)))
    return int(missing.num_rows)


def unindex(connection: Connection, contents: pa.Table) -> None:
    """Take out of the index, where it holds models' texts alone, which of some contents are none.

    Parameters
    ----------
    contents : column content_id
    """
    if not contents.num_rows:
        return
    with staged(connection, looked_at=contents):
        numbers = fetch(connection, _NO_OUTPUTS)["content_no"]
    if len(numbers):
        SPANS.delete(connection, numbers.to_numpy())


def text_batches(connection: Connection, contents: pa.Table) -> Iterator[pa.Table]:
    """Yield content_no, content_id and text of contents, in batches of bounded size.

    Parameters
    ----------
    contents : columns content_no and n_bytes
    """
    ends = np.cumsum(contents["n_bytes"].to_numpy())
    begin = 0
    while begin < ends.size:
        limit = (ends[begin - 1] if begin else 0) + _BATCH_BYTES
        end = min(max(begin + 1, int(np.searchsorted(ends, limit, side="right"))), begin + _BATCH_TEXTS)
        yield texts_of(connection, contents["content_no"].slice(begin, end - begin))
        begin = end


def texts_of(connection: Connection, numbers: Any) -> pa.Table:
    """Return content_no, content_id and text of some contents, in ascending order of their numbers."""
    with staged(connection, wanted=pa.table({"content_no": numbers})) as raw:
        rows: pa.Table = raw.execute(_TEXTS).to_arrow_table()
    return rows.set_column(1, "content_id", uuid_array(id_values(rows["content_id"])))
