"""Laws of packing: all tokens but less than a block, in order, quotas kept in tokens."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from provenance.export.packing import Streams, block_slack, pack, segments
from provenance.mix.strata import Constraint


@st.composite
def cases(draw):
    n_strata = draw(st.integers(1, 4))
    before, after = draw(st.integers(0, 2)), draw(st.integers(0, 1))
    lengths = [draw(st.lists(st.integers(0, 40), max_size=12)) for _ in range(n_strata)]
    positions = iter(draw(st.permutations(range(sum(map(len, lengths))))))
    rows = tuple(np.array(sorted(next(positions) for _ in one), dtype=np.int64) for one in lengths)
    streams = Streams(rows, before, tuple(np.array(one, dtype=np.int64) for one in lengths), after)
    block_length = draw(st.integers(2, 30))
    assume(streams.totals().sum() >= block_length)
    return streams, block_length


@given(cases())
def test_every_token_is_packed_once_and_in_order(case):
    streams, block_length = case
    packing = pack(streams, [], block_length=block_length)
    size = packing.n_blocks * block_length
    assert 0 <= streams.totals().sum() - size < block_length
    filled = np.zeros(size, dtype=int)
    for target, length in zip(packing.target, packing.length, strict=True):
        filled[target : target + length] += 1
        assert target // block_length == (target + length - 1) // block_length
    assert (filled == 1).all()
    table = segments(streams, packing)
    own = np.zeros(size, dtype=int)
    seen = {}
    for row in table.to_pylist():
        own[row["token_offset"] : row["token_offset"] + row["n_tokens"]] += 1
        seen.setdefault((row["stratum"], row["position"]), []).append((row["document_offset"], row["n_tokens"]))
    assert own.max(initial=0) <= 1
    for k, (rows, lengths) in enumerate(zip(streams.rows, streams.own, strict=True)):
        cut = False
        for position, length in zip(rows.tolist(), lengths.tolist(), strict=True):
            parts = sorted(seen.get((k, position), []))
            reached = 0
            for start, n in parts:
                assert start == reached
                reached += n
            assert reached <= length
            assert not (cut and reached)
            cut = cut or reached < length


@given(cases(), st.data())
def test_a_minimum_that_holds_before_packing_holds_after(case, data):
    streams, block_length = case
    n = len(streams.rows)
    members = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    own = np.array([int(one.sum()) for one in streams.own])
    others = int(streams.totals()[~members].sum())
    assume(own.sum() > 0)
    share = Fraction(int(own[members].sum()), int(own.sum()))
    constraint = Constraint("human", None, "min", share, members)
    packing = pack(streams, [constraint], block_length=block_length)
    table = segments(streams, packing)
    counted = sum(row["n_tokens"] for row in table.to_pylist() if members[row["stratum"]])
    total = sum(row["n_tokens"] for row in table.to_pylist())
    if others >= block_length:  # there is enough that can be cut without touching what the quota wants
        assert constraint.slack(counted, total) >= 0
    [slack] = block_slack(table, [constraint], n_blocks=packing.n_blocks, block_length=block_length)
    missing = [
        share * sum(r["n_tokens"] for r in table.to_pylist() if r["token_offset"] < b * block_length)
        - sum(
            r["n_tokens"] for r in table.to_pylist() if r["token_offset"] < b * block_length and members[r["stratum"]]
        )
        for b in range(1, packing.n_blocks + 1)
    ]
    assert slack == max(0, max(-(-m.numerator // m.denominator) for m in missing))
