"""Packing tokens into blocks, stratum by stratum, so that blocks can be interleaved like documents.

A block of one stratum is pure; packing a stream that is mixed already could hold no share, because one document nearly
fills a batch. All tokens are packed but fewer than one block's worth, which are cut from ends where no quota needs
them. What is left of every stratum behind its last full block goes in equal parts into a few mixed blocks, which stand
at even distances among the others. The phases of a curriculum are packed each for itself and stand one after the other,
so every phase may lose a part of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa

from provenance.export.cutting import cut
from provenance.export.sequence import block_order
from provenance.mix.draw import I64
from provenance.mix.strata import Constraint, Mask


@dataclass(frozen=True)
class TokenLine:
    """The tokens of all draws in one line: stratum after stratum, and in each of them draw after draw.

    Attributes
    ----------
    rows : (n,) positions of the draws in the training set, in the order of the line
    own : (n,) tokens of each, special ones not counted
    borders : (K + 1,) where the draws of every stratum begin and end in `rows`
    before, after : special tokens in front of and behind every draw
    """

    rows: I64
    own: I64
    borders: I64
    before: int
    after: int

    @classmethod
    def of(cls, own: I64, stratum: I64, n_strata: int, *, before: int, after: int) -> Self:
        """Return the line of draws whose tokens and strata are given by position."""
        rows = np.argsort(stratum, kind="stable").astype(np.int64)
        borders = np.concatenate([[0], np.cumsum(np.bincount(stratum, minlength=n_strata))]).astype(np.int64)
        return cls(rows, own[rows], borders, before, after)

    @cached_property
    def starts(self) -> I64:
        """(n + 1,) where every draw begins and ends in the line, special tokens included."""
        return _sums(self.own + (self.before + self.after))

    @cached_property
    def bases(self) -> I64:
        """(K + 1,) where every stratum begins and ends in the line."""
        bases: I64 = self.starts[self.borders]
        return bases

    @cached_property
    def _owned(self) -> I64:
        return _sums(self.own)

    def own_before(self, place: I64) -> I64:
        """Return how many tokens that are not special stand before a place in the line."""
        if not len(self.own):
            return np.zeros_like(place)
        draw = np.minimum(np.searchsorted(self.starts, place, side="right") - 1, len(self.own) - 1)
        inside = np.clip(place - self.starts[draw] - self.before, 0, self.own[draw])
        return np.array(self._owned[draw] + inside, dtype=np.int64)


@dataclass(frozen=True)
class Packing:
    """Which stretch of the line stands where in the blocks.

    Attributes
    ----------
    n_blocks : blocks of every phase; without phases there is one number
    source, length, target : pieces, ascending by target: the tokens `source` to `source + length` of the line stand
        from token `target` on, where block b holds the tokens from b times its length on
    """

    n_blocks: tuple[int, ...]
    source: I64
    length: I64
    target: I64


@dataclass(frozen=True)
class Stretches:
    """The pieces divided by draws, ascending by target: what is copied from where.

    Attributes
    ----------
    target, length : place among all tokens of all blocks, and tokens, special ones included
    draw, offset : which draw of the line they come from, and the place in it, special ones included
    """

    target: I64
    length: I64
    draw: I64
    offset: I64


def pack(
    line: TokenLine, constraints: Sequence[Constraint], *, block_length: int, phases: Sequence[Mask] = ()
) -> Packing:
    """Return where every stratum's tokens go.

    Parameters
    ----------
    constraints : the quotas over the strata
    phases : for every phase of a curriculum its strata, (K,)
    """
    n_strata = len(line.borders) - 1
    masks = list(phases) or [np.ones(n_strata, dtype=bool)]
    kept = cut(line, constraints, masks, block_length)
    parts: list[tuple[I64, I64, I64]] = []
    counts: list[int] = []
    for members in masks:
        within = _within(constraints, members)
        parts.append(_pack_phase(line, within, np.where(members, kept, 0), block_length, sum(counts) * block_length))
        counts.append(int(kept[members].sum()) // block_length)
    source, length, target = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Packing(tuple(counts), source, length, target)


def stretches(line: TokenLine, packing: Packing) -> Stretches:
    """Return the pieces divided where a draw ends and another begins."""
    ends = packing.source + packing.length
    first = np.searchsorted(line.starts, packing.source, side="right") - 1
    count = np.searchsorted(line.starts, ends - 1, side="right") - first
    piece = np.repeat(np.arange(len(first)), count)
    draw = first[piece] + np.arange(len(piece)) - np.repeat(_sums(count)[:-1], count)
    low = np.maximum(packing.source[piece], line.starts[draw])
    length = np.minimum(ends[piece], line.starts[draw + 1]) - low
    target = packing.target[piece] + low - packing.source[piece]
    there = length > 0
    return Stretches(target[there], length[there], draw[there], (low - line.starts[draw])[there])


def segments(line: TokenLine, found: Stretches) -> pa.Table:
    """Return which tokens of which draw stand where: one row per stretch, ascending by place; special tokens have none.

    Columns: token_offset (place among all tokens of all blocks), n_tokens, position (of the draw in the training set),
    document_offset (place among the document's own tokens), stratum (its number).
    """
    low = np.maximum(found.offset, line.before)
    high = np.minimum(found.offset + found.length, line.before + line.own[found.draw])
    own = high > low
    draw, low = found.draw[own], low[own]
    return pa.table(
        {
            "token_offset": found.target[own] + low - found.offset[own],
            "n_tokens": high[own] - low,
            "position": line.rows[draw],
            "document_offset": low - line.before,
            "stratum": np.searchsorted(line.borders, draw, side="right") - 1,
        }
    )


def _within(constraints: Sequence[Constraint], members: Mask) -> list[Constraint]:
    """Return the quotas by which the blocks of a phase are interleaved: its own, or else those of the whole."""
    own = [c for c in constraints if c.base is not None and (c.base == members).all()]
    return [replace(c, base=None) for c in own or [c for c in constraints if c.base is None]]


def _pack_phase(
    line: TokenLine, constraints: Sequence[Constraint], kept: I64, block_length: int, start: int
) -> tuple[I64, I64, I64]:
    """Return source, length and target of the pieces of one phase, which begins at token `start` of all blocks."""
    full = kept // block_length
    owner = np.repeat(np.arange(len(kept)), full)
    number = np.arange(len(owner)) - np.repeat(_sums(full)[:-1], full)
    source = line.bases[owner] + number * block_length
    own = line.own_before(source + block_length) - line.own_before(source)
    behind = full * block_length
    mixed = _mixed(kept - behind, block_length)  # (m, K)
    ends = (line.bases[:-1] + behind) + np.cumsum(mixed, axis=0)
    mixed_own = line.own_before(ends) - line.own_before(ends - mixed)
    order = block_order(own, owner, mixed_own, constraints)
    block, stratum = np.nonzero(mixed)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    inside = (np.cumsum(mixed, axis=1) - mixed)[block, stratum]
    targets = np.concatenate([place[: len(owner)] * block_length, place[len(owner) + block] * block_length + inside])
    sources = np.concatenate([source, (ends - mixed)[block, stratum]])
    lengths = np.concatenate([np.full(len(owner), block_length), mixed[block, stratum]])
    ascending = np.argsort(targets)
    return sources[ascending], lengths[ascending], targets[ascending] + start


def _mixed(rest: I64, block_length: int) -> I64:
    """Return how many tokens of every stratum stand in every mixed block: as equal parts of each as can be."""
    n_blocks, left = int(rest.sum()) // block_length, rest.copy()
    parts = np.zeros((n_blocks, len(rest)), dtype=np.int64)
    for number in range(n_blocks):
        remaining = n_blocks - number
        parts[number] = left // remaining
        more = left % remaining  # those with the largest remainder give one token more
        short = block_length - int(parts[number].sum())
        parts[number, np.argsort(-more, kind="stable")[:short]] += 1
        left -= parts[number]
    return parts


def _sums(parts: I64) -> I64:
    return np.concatenate([[0], np.cumsum(parts)]).astype(np.int64)
