"""Packing tokens into blocks, stratum by stratum, so that blocks can be interleaved like documents.

A block of one stratum is pure; packing a stream that is mixed already could hold no share, because one document nearly
fills a batch. All tokens are packed but fewer than one block's worth, which are cut from ends where no quota needs
them. What is left of every stratum behind its last full block goes into a few mixed blocks at the very end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from provenance.mix.draw import I64
from provenance.mix.order import interleaved, prefix_slack
from provenance.mix.strata import Constraint


@dataclass(frozen=True)
class Streams:
    """The tokens of every stratum, one document after the other.

    Attributes
    ----------
    rows : for every stratum the positions of its documents in the training set
    before, own : for every stratum the special tokens in front of each document, and its tokens
    after : special tokens behind every document
    """

    rows: tuple[I64, ...]
    before: int
    own: tuple[I64, ...]
    after: int

    def lengths(self, k: int) -> I64:
        """Return the tokens of every document of stratum `k`, special ones included."""
        lengths: I64 = self.own[k] + self.before + self.after
        return lengths

    def totals(self) -> I64:
        """Return the tokens of every stratum."""
        return np.array([int(self.lengths(k).sum()) for k in range(len(self.rows))], dtype=np.int64)


@dataclass(frozen=True)
class Packing:
    """Which stretch of which stratum's stream stands where.

    Attributes
    ----------
    n_blocks : blocks altogether
    stratum, source, length, target : pieces: tokens `source` to `source + length` of a stratum's stream stand from
        token `target` on, where block b holds the tokens from b times its length on
    """

    n_blocks: int
    stratum: I64
    source: I64
    length: I64
    target: I64


def pack(streams: Streams, constraints: Sequence[Constraint], *, block_length: int) -> Packing:
    """Return where every stratum's tokens go.

    Parameters
    ----------
    constraints : the quotas over the strata
    """
    kept = _cut(streams, constraints, block_length)
    full = kept // block_length
    owner = np.repeat(np.arange(len(kept)), full)
    first = np.concatenate([np.arange(n) * block_length for n in full]).astype(np.int64)
    own = _own_tokens(streams, owner, first, first + block_length)
    order = interleaved(own, owner.astype(np.int64), constraints, len(kept)).permutation
    tails = _tails(kept - full * block_length, full * block_length, block_length)  # (n, 4)
    return Packing(
        int(kept.sum()) // block_length,
        np.concatenate([owner[order], tails[:, 0]]).astype(np.int64),
        np.concatenate([first[order], tails[:, 1]]).astype(np.int64),
        np.concatenate([np.full(len(owner), block_length), tails[:, 2]]).astype(np.int64),
        np.concatenate([np.arange(len(owner)) * block_length, tails[:, 3] + len(owner) * block_length]).astype(
            np.int64
        ),
    )


def _tails(rest: I64, source: I64, block_length: int) -> I64:
    """Return stratum, source, length and place of the pieces that fill the mixed blocks, none of them in two blocks."""
    ends = np.cumsum(rest)
    starts = ends - rest
    borders = np.arange(0, int(rest.sum()) + 1, block_length)
    cuts = np.unique(np.concatenate([starts, ends, borders]))
    low, high = cuts[:-1], cuts[1:]
    stratum = np.searchsorted(ends, low, side="right")
    return np.column_stack([stratum, source[stratum] + low - starts[stratum], high - low, low]).astype(np.int64)


def segments(streams: Streams, packing: Packing) -> pa.Table:
    """Return which tokens of which draw stand where: one row per stretch, ascending by place; special tokens have none.

    Columns: token_offset (place among all tokens of all blocks), n_tokens, position (of the draw in the training set),
    document_offset (place among the document's own tokens), stratum (its number).
    """
    parts = [_segments_of(streams, packing, k) for k in range(len(streams.rows))]
    columns = [np.concatenate([part[i] for part in parts]) for i in range(5)]
    order = np.argsort(columns[0], kind="stable")
    names = ("token_offset", "n_tokens", "position", "document_offset", "stratum")
    return pa.table({name: column[order] for name, column in zip(names, columns, strict=True)})


def block_slack(found: pa.Table, constraints: Sequence[Constraint], *, n_blocks: int, block_length: int) -> list[int]:
    """Return for every constraint the most tokens by which any prefix of blocks misses it; exact."""
    offset, n_tokens = found["token_offset"].to_numpy(), found["n_tokens"].to_numpy()
    stratum, block = found["stratum"].to_numpy(), offset // block_length  # a piece of a block is in one block only
    sizes = np.bincount(block, weights=n_tokens, minlength=n_blocks).astype(np.int64)
    counted = [
        np.bincount(block, weights=np.where(c.members[stratum], n_tokens, 0), minlength=n_blocks).astype(np.int64)
        for c in constraints
    ]
    return prefix_slack(sizes, np.array(counted, dtype=np.int64).reshape(len(constraints), n_blocks), constraints)


def _cut(streams: Streams, constraints: Sequence[Constraint], block_length: int) -> I64:
    """Return how many tokens of every stratum's stream are kept, so that they fill whole blocks.

    Tokens are cut from the end of one stratum where that leaves every quota met, else one by one where it hurts least.
    """
    totals = streams.totals()
    surplus = int(totals.sum()) % block_length
    for k in np.argsort(-totals, kind="stable"):
        kept = totals.copy()
        kept[k] -= surplus
        if kept[k] >= 0 and _missing(streams, constraints, kept) == 0:
            return kept
    kept = totals.copy()
    for _ in range(surplus):
        options = []
        for k in np.flatnonzero(kept):
            kept[k] -= 1
            options.append((_missing(streams, constraints, kept), int(k)))
            kept[k] += 1
        kept[min(options)[1]] -= 1
    return kept


def _missing(streams: Streams, constraints: Sequence[Constraint], kept: I64) -> int:
    """Return the sum of what quotas lack, times their denominators, when so many tokens of every stream are kept."""
    k = np.arange(len(kept))
    own = _own_tokens(streams, k, np.zeros_like(kept), kept)
    total = int(own.sum())
    return sum(max(0, -c.slack(int(own[c.members].sum()), total)) for c in constraints)


def _own_tokens(streams: Streams, owner: I64, low: I64, high: I64) -> I64:
    """Return how many of the tokens `low` to `high` of streams are documents' own, not special ones."""
    own = np.zeros(len(owner), dtype=np.int64)
    for k in range(len(streams.rows)):
        mine = np.flatnonzero(owner == k)
        if mine.size:
            own[mine] = _own_before(streams, k, high[mine]) - _own_before(streams, k, low[mine])
    return own


def _own_before(streams: Streams, k: int, place: I64) -> I64:
    """Return how many own tokens stand before a place in the stream of stratum `k`."""
    if not len(streams.own[k]):
        return np.zeros_like(place)
    starts = np.concatenate([[0], np.cumsum(streams.lengths(k))])
    owns = np.concatenate([[0], np.cumsum(streams.own[k])])
    document = np.minimum(np.searchsorted(starts, place, side="right") - 1, len(streams.own[k]) - 1)
    inside = np.clip(place - starts[document] - streams.before, 0, streams.own[k][document])
    return np.array(owns[document] + inside, dtype=np.int64)


def _segments_of(streams: Streams, packing: Packing, k: int) -> tuple[I64, I64, I64, I64, I64]:
    """Return token_offset, n_tokens, position, document_offset and stratum of the stretches of one stratum."""
    mine = np.flatnonzero(packing.stratum == k)
    mine = mine[np.argsort(packing.source[mine], kind="stable")]
    source, length, target = packing.source[mine], packing.length[mine], packing.target[mine]
    ends = np.cumsum(streams.lengths(k))
    first = ends - streams.lengths(k) + streams.before  # where a document's own tokens begin in the stream
    last = first + streams.own[k]
    kept = int((source + length).max(initial=0))
    cuts = np.unique(np.concatenate([first, last, source, source + length]))
    cuts = cuts[cuts <= kept]
    low, high = cuts[:-1], cuts[1:]
    document = np.searchsorted(first, low, side="right") - 1
    inside = (document >= 0) & (low < last[document]) if len(first) else np.zeros(len(low), dtype=bool)
    low, high, document = low[inside], high[inside], document[inside]
    piece = np.searchsorted(source, low, side="right") - 1
    offset = target[piece] + low - source[piece]
    rows = streams.rows[k][document]
    return offset, high - low, rows, low - first[document], np.full(len(low), k, dtype=np.int64)
