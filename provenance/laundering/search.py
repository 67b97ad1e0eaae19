"""Which texts are alike: contents that people are said to have written, and outputs of models.

A *hit* is a pair of contents with the kind of their likeness. What it means for documents is decided in `judge`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.bands import count_equal
from provenance.dedup.buckets import Members
from provenance.dedup.edges import load_signed
from provenance.dedup.parameters import DedupParameters
from provenance.dedup.spans import Spans
from provenance.ids import id_values, uuid_array
from provenance.laundering.index import texts_of
from provenance.laundering.overlap import Overlap, overlap
from provenance.laundering.roles import (
    CONTAINMENT,
    IS_CANDIDATE,
    IS_OUTPUT,
    MIN_WORDS,
    NEAR_DUPLICATE,
    SAME_TEXT,
    SHARED_SPAN,
)
from provenance.store.store import registered, staged

#: Which outputs have which of some spans.
Lookup = Callable[[npt.NDArray[np.uint64]], Members]

#: Share of the shorter text that must stand in the other in runs of 13 words and more. What shares find, in percent
#: (`scripts/bench_laundering.py`): of outputs with every tenth word replaced and with every fifth; of people's
#: documents, were half of them a model's; of census articles that people write from a template which a model uses too:
#:
#:     a half 55, 0; 1.8; 0    a quarter 98, 9; 2.0; .1    15 % 99, 41; 2.5; 90    a tenth 99, 56; 3.2; 100
#:
#: Shorter runs do no better. Of runs of five words, outputs with every fifth word replaced keep 30 % in the median, and
#: census articles about two towns have 34 % in common; of runs of three words, 49 and 51. By what two texts share, one
#: with words replaced is no other thing than one from the same template.
CONTAINED = 0.25
#: Outputs with one and the same span that are looked at, and outputs that one text is compared with.
_PER_SPAN = 64
_PER_TEXT = 32
_PER_CLUSTER = 64
_PER_COPY = 8
_PAIRS = 50_000

HIT = pa.schema(
    [("content_id", pa.uuid()), ("output_id", pa.uuid()), ("kind", pa.string()), ("score", pa.float64()),
     ("n_words", pa.uint32())]
)  # fmt: skip

_SAME = f"""
    SELECT DISTINCT content_id::BLOB AS id, n_words FROM document SEMI JOIN focus USING (content_id)
    WHERE {IS_CANDIDATE} AND n_words >= {MIN_WORDS}
      AND content_id IN (SELECT content_id FROM document SEMI JOIN focus USING (content_id) WHERE {IS_OUTPUT})
"""
_HERE = f"""
    CREATE OR REPLACE TEMP TABLE here AS
    SELECT d.content_id, any_value(d.cluster_id) AS cluster_id, bool_or({IS_CANDIDATE}) AS is_candidate,
           bool_or({IS_OUTPUT}) AS is_output, any_value(c.content_no) AS content_no
    FROM document d JOIN content c USING (content_id)
    WHERE d.n_words >= {MIN_WORDS}
      AND d.cluster_id IN (SELECT cluster_id FROM document SEMI JOIN focus USING (content_id))
    GROUP BY d.content_id
"""
# Within a cluster the first outputs are looked at, and those with which an edge was found whichever they are.
_NEIGHBOURS = f"""
    WITH outputs AS (FROM here WHERE is_output),
    pairs AS (
        SELECT h.content_no AS first, o.content_no AS second, h.content_id AS a, o.content_id AS b
        FROM here h JOIN (
            FROM outputs QUALIFY row_number() OVER (PARTITION BY cluster_id ORDER BY content_no) <= {_PER_CLUSTER}
        ) o USING (cluster_id) WHERE h.is_candidate AND h.content_id <> o.content_id
        UNION
        SELECT h.content_no, o.content_no, h.content_id, o.content_id
        FROM (SELECT content_a AS a, content_b AS b FROM near_duplicate
              UNION ALL SELECT content_b, content_a FROM near_duplicate) n
        JOIN here h ON h.content_id = n.a AND h.is_candidate JOIN outputs o ON o.content_id = n.b
    )
    SELECT first, second, a::BLOB AS a, b::BLOB AS b FROM pairs
    WHERE a IN (SELECT content_id FROM focus) OR b IN (SELECT content_id FROM focus)
"""


_COPIES = f"""
    SELECT DISTINCT c.content_no AS first, o.content_no AS second
    FROM alike a JOIN document d ON d.content_id = a.content_id
    JOIN document r ON r.cluster_id = d.cluster_id AND r.content_id <> a.content_id
        AND {IS_CANDIDATE.replace("origin", "r.origin")}
    JOIN content c ON c.content_id = r.content_id JOIN content o ON o.content_id = a.output_id
    QUALIFY dense_rank() OVER (PARTITION BY a.output_id, d.cluster_id ORDER BY c.content_no) <= {_PER_COPY}
    ORDER BY second, first
"""


class Pairs(NamedTuple):
    """Rows of texts and numbers of outputs, (n_pairs,) each, ascending by number."""

    rows: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.uint32]


def similar_hits(connection: Connection, focus: pa.Table, parameters: DedupParameters) -> pa.Table:
    """Return the same texts and near-duplicates among candidates and outputs, of which one at least is in focus.

    Parameters
    ----------
    focus : column content_id
    """
    with staged(connection, focus=focus) as raw:
        rows = raw.execute(_SAME).to_arrow_table()
        raw.execute(_HERE)
        near = raw.execute(_NEIGHBOURS).to_arrow_table()
        raw.execute("DROP TABLE temp.here")
    ids = id_values(rows["id"])
    same = _hits(ids, ids, SAME_TEXT, np.ones(ids.size), rows["n_words"].to_numpy())
    if not near.num_rows:
        return same
    first, second = near["first"].to_numpy(), near["second"].to_numpy()
    signed = load_signed(connection, np.union1d(first, second), n_perm=parameters.n_permutations)
    equal = count_equal(signed.hashvalues, signed.rows(first), signed.rows(second))
    kept = np.flatnonzero(equal >= parameters.min_equal)
    near = near.take(pa.array(kept))
    found = _hits(
        id_values(near["a"]), id_values(near["b"]), NEAR_DUPLICATE, equal[kept] / parameters.n_permutations, None
    )
    return pa.concat_tables([same, found])


def span_hits(connection: Connection, texts: pa.Table, spans: Spans, lookup: Lookup) -> pa.Table:
    """Return in which outputs texts are contained, or which they contain, or share a span of 50 words with.

    Parameters
    ----------
    texts : columns content_id (UUIDs) and text
    spans : picked ones of these texts
    lookup : gives the outputs that have some of them
    """
    pairs = nominate(spans, lookup(spans.hashes), per_span=_PER_SPAN, per_text=_PER_TEXT)
    found = [HIT.empty_table()]
    for begin in range(0, pairs.rows.size, _PAIRS):
        part = Pairs(pairs.rows[begin : begin + _PAIRS], pairs.numbers[begin : begin + _PAIRS])
        found.append(_verified(connection, texts, part))
    return pa.concat_tables(found)


def with_copies(connection: Connection, hits: pa.Table, parameters: DedupParameters) -> pa.Table:
    """Return hits, and those of the first copies of their texts with the same outputs.

    Where somebody repeats what an output repeats, the original is often a copy of what he has; without an index of all
    spans it is found by that alone. With one, copies are found as everything else is.
    """
    if parameters.containment is not None or not hits.num_rows:
        return hits
    with staged(connection, alike=hits.select(["content_id", "output_id"])) as raw:
        pairs = raw.execute(_COPIES).to_arrow_table()
    found = [hits]
    for begin in range(0, pairs.num_rows, _PAIRS):
        part = pairs.slice(begin, _PAIRS)
        texts = texts_of(connection, part["first"].unique())
        rows = np.searchsorted(texts["content_no"].to_numpy(), part["first"].to_numpy())
        found.append(_verified(connection, texts, Pairs(rows, part["second"].to_numpy())))
    return pa.concat_tables(found)


def nominate(spans: Spans, members: Members, *, per_span: int | None = None, per_text: int | None = None) -> Pairs:
    """Return the pairs of texts and outputs that share a picked span.

    Parameters
    ----------
    spans : of the texts
    members : of the outputs
    per_span : outputs that are looked at of those with one span, the first; None for all
    per_text : outputs that are looked at of those that share something with one text, the most, where a span counts
        the less the more outputs have it: nothing can hide behind what all of them say; None for all
    """
    order = np.lexsort((members.numbers, members.keys))
    keys, numbers = members.keys[order], members.numbers[order]
    low, high = (np.searchsorted(keys, spans.hashes, side=side) for side in ("left", "right"))
    counts = high - low if per_span is None else np.minimum(high - low, per_span)
    places = np.arange(counts.sum()) + np.repeat(low - np.r_[0, np.cumsum(counts)[:-1]], counts)
    rows = np.repeat(np.repeat(np.arange(spans.offsets.size - 1), np.diff(spans.offsets)), counts)
    pairs, pair = np.unique(rows.astype(np.uint64) << np.uint64(32) | numbers[places], return_inverse=True)
    shared = np.bincount(pair, weights=np.repeat(1 / np.maximum(1, high - low), counts), minlength=pairs.size)
    rows, numbers = (pairs >> np.uint64(32)).astype(np.int64), pairs.astype(np.uint32)
    if per_text is not None:
        best = np.lexsort((numbers, -shared, rows))
        rows, numbers = rows[best], numbers[best]
        kept = np.arange(rows.size) - np.searchsorted(rows, rows, side="left") < per_text
        rows, numbers = rows[kept], numbers[kept]
    by_output = np.lexsort((rows, numbers))
    return Pairs(rows[by_output], numbers[by_output])


def _verified(connection: Connection, texts: pa.Table, pairs: Pairs) -> pa.Table:
    outputs = texts_of(connection, np.unique(pairs.numbers))
    rows = np.unique(pairs.rows)
    both = joined(texts["text"].take(pa.array(rows)), outputs["text"])
    second = np.searchsorted(outputs["content_no"].to_numpy(), pairs.numbers)
    common = overlap(both, np.searchsorted(rows, pairs.rows), rows.size + second)
    kind, score, n_words = classified(common)
    kept = np.flatnonzero(kind != "")
    ids, output_ids = _ids(texts["content_id"])[pairs.rows[kept]], _ids(outputs["content_id"])[second[kept]]
    is_other = ids != output_ids  # the same text is found without spans
    kept = kept[is_other]
    return _hits(ids[is_other], output_ids[is_other], kind[kept], score[kept], n_words[kept])


def classified(common: Overlap) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return kind (empty for none), score and number of words in common of pairs of texts.

    The score is the share of the shorter text that is contained, or the share of the first text's words in long spans.
    """
    is_contained = (common.contained >= CONTAINED) & (common.n_common >= MIN_WORDS)
    is_long = common.n_long > 0
    kind = np.where(is_contained, CONTAINMENT, np.where(is_long, SHARED_SPAN, ""))
    share = common.n_long / np.maximum(1, common.n_words)
    score = np.where(is_contained, common.contained, share)
    return kind, score, np.where(is_contained, common.n_common, common.n_long)


def joined(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the texts of both."""
    return pa.chunked_array([*first.cast(pa.large_string()).chunks, *second.cast(pa.large_string()).chunks])


def _ids(column: pa.ChunkedArray) -> npt.NDArray[np.bytes_]:
    whole = column.combine_chunks()
    return id_values(whole.storage if isinstance(whole, pa.ExtensionArray) else whole)


def _hits(
    ids: npt.NDArray[np.bytes_],
    output_ids: npt.NDArray[np.bytes_],
    kind: str | npt.NDArray[np.str_],
    score: npt.NDArray[np.float64],
    n_words: npt.NDArray[np.int64] | None,
) -> pa.Table:
    n = ids.size
    kinds = pa.repeat(kind, n) if isinstance(kind, str) else pa.array(kind, pa.string())
    words = pa.nulls(n, pa.uint32()) if n_words is None else pa.array(n_words.astype(np.uint32))
    return pa.table([uuid_array(ids), uuid_array(output_ids), kinds, pa.array(score, pa.float64()), words], schema=HIT)


def candidates_of(connection: Connection, query: str) -> pa.Table:
    """Return content_no and n_bytes of the texts, long enough, of candidates that a query names by content_id."""
    with registered(connection) as raw:
        rows: pa.Table = raw.execute(
            f"""SELECT content_no, n_bytes FROM content
                WHERE content_id IN ({query}) AND n_words >= {MIN_WORDS} ORDER BY content_no"""
        ).to_arrow_table()
    return rows
