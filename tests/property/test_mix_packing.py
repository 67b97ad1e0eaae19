"""Laws of packing: all tokens but less than a block of each phase, in order, quotas kept in tokens."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from provenance.export.packing import TokenLine, pack, segments, stretches
from provenance.export.shares import Slack, slack_of
from provenance.mix.strata import Constraint, PhaseShare


@st.composite
def cases(draw, max_phases=1):
    """Return a line of tokens, the length of blocks, and the strata of every phase."""
    n_strata = draw(st.integers(1, 4))
    before, after = draw(st.integers(0, 2)), draw(st.integers(0, 1))
    n_draws = draw(st.integers(0, 30))
    own = np.array(draw(st.lists(st.integers(0, 40), min_size=n_draws, max_size=n_draws)), dtype=np.int64)
    stratum = draw(st.lists(st.integers(0, n_strata - 1), min_size=n_draws, max_size=n_draws))
    line = TokenLine.of(own, np.array(stratum, dtype=np.int64), n_strata, before=before, after=after)
    phase = np.array(draw(st.lists(st.integers(0, max_phases - 1), min_size=n_strata, max_size=n_strata)))
    block_length = draw(st.integers(2, 30))
    assume(line.starts[-1] >= block_length)
    return line, block_length, [phase == number for number in range(max_phases)]


def placed(line, packing):
    return segments(line, stretches(line, packing)).to_pylist()


@given(cases(max_phases=3))
def test_every_token_is_packed_once_and_in_order(case):
    line, block_length, phases = case
    packing = pack(line, [], block_length=block_length, phases=phases)
    totals = np.diff(line.bases)
    for members, n_blocks in zip(phases, packing.n_blocks, strict=True):
        assert n_blocks == totals[members].sum() // block_length
    size = sum(packing.n_blocks) * block_length
    found = stretches(line, packing)
    assert (found.target == np.concatenate([[0], np.cumsum(found.length)[:-1]])[: len(found.target)]).all()
    assert found.length.sum() == size
    assert (found.target // block_length == (found.target + found.length - 1) // block_length).all()
    own = np.zeros(size, dtype=int)
    seen = {}
    for row in placed(line, packing):
        own[row["token_offset"] : row["token_offset"] + row["n_tokens"]] += 1
        seen.setdefault((row["stratum"], row["position"]), []).append((row["document_offset"], row["n_tokens"]))
    assert own.max(initial=0) <= 1
    for k in range(len(totals)):
        cut, draws = False, slice(line.borders[k], line.borders[k + 1])
        for position, length in zip(line.rows[draws].tolist(), line.own[draws].tolist(), strict=True):
            reached = 0
            for start, n in sorted(seen.pop((k, position), [])):
                assert start == reached
                reached += n
            assert reached <= length
            assert not (cut and reached)
            cut = cut or reached < length
    assert not seen


@given(cases(max_phases=3))
def test_phases_stand_one_after_the_other(case):
    line, block_length, phases = case
    packing = pack(line, [], block_length=block_length, phases=phases)
    ends = np.cumsum(packing.n_blocks) * block_length
    for row in placed(line, packing):
        phase = next(number for number, members in enumerate(phases) if members[row["stratum"]])
        assert np.searchsorted(ends, row["token_offset"], side="right") == phase


@given(cases(), st.data())
def test_a_minimum_that_holds_before_packing_holds_after(case, data):
    line, block_length, _ = case
    n = len(line.borders) - 1
    members = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    own = np.add.reduceat(np.append(line.own, 0), line.borders[:-1]) * (np.diff(line.borders) > 0)
    others = int(np.diff(line.bases)[~members].sum())
    assume(own.sum() > 0)
    share = Fraction(int(own[members].sum()), int(own.sum()))
    constraint = Constraint("human", None, "min", share, members)
    packing = pack(line, [constraint], block_length=block_length)
    rows = placed(line, packing)
    counted = sum(row["n_tokens"] for row in rows if members[row["stratum"]])
    total = sum(row["n_tokens"] for row in rows)
    if others >= block_length:  # there is enough that can be cut without touching what the quota wants
        assert constraint.slack(counted, total) >= 0
    assert found_slack(line, packing, constraint, block_length) == worst(rows, constraint, packing, block_length)


@given(cases(max_phases=2), st.data())
def test_a_quota_of_a_phase_is_counted_in_its_phase(case, data):
    line, block_length, phases = case
    n, base = len(line.borders) - 1, phases[1]
    members = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n))) & base
    share, bound = data.draw(st.fractions(0, 1)), data.draw(st.sampled_from(["min", "max"]))
    constraint = Constraint("own", None, bound, share, members, PhaseShare("late", Fraction(1, 2)), base)
    packing = pack(line, [constraint], block_length=block_length, phases=phases)
    rows = [row for row in placed(line, packing) if base[row["stratum"]]]
    assert found_slack(line, packing, constraint, block_length) == worst(rows, constraint, packing, block_length)


@st.composite
def quotas_apart(draw):
    """Return a line of many blocks, their length, and for every quota its strata, none of which is in two quotas."""
    n_strata, block_length = draw(st.integers(1, 8)), draw(st.integers(8, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shares = rng.dirichlet(np.full(n_strata, draw(st.sampled_from([0.3, 1.0, 5.0]))))
    own = np.maximum(1, rng.lognormal(3, 1, draw(st.integers(1, 150)))).astype(np.int64)
    stratum = rng.choice(n_strata, len(own), p=shares).astype(np.int64)
    line = TokenLine.of(own, stratum, n_strata, before=draw(st.integers(0, 1)), after=0)
    assume(line.starts[-1] >= block_length)
    quota = np.array(draw(st.lists(st.integers(0, 3), min_size=n_strata, max_size=n_strata)))
    return line, block_length, [quota == number for number in range(3) if (quota == number).any()]


@given(quotas_apart(), st.data())
def test_any_batch_holds_quotas_that_do_not_overlap_within_two_blocks(case, data):
    """Quotas as tight as they can be: each share is exactly what the blocks hold."""
    line, block_length, masks = case
    own = np.add.reduceat(np.append(line.own, 0), line.borders[:-1]) * (np.diff(line.borders) > 0)
    bounds = [data.draw(st.sampled_from(["min", "max"])) for _ in masks]
    before = [Fraction(int(own[mask].sum()), int(own.sum())) for mask in masks]
    constraints = [
        Constraint(str(i), None, bound, share, mask)
        for i, (bound, share, mask) in enumerate(zip(bounds, before, masks, strict=True))
    ]
    packing = pack(line, constraints, block_length=block_length)
    rows = placed(line, packing)
    total = sum(row["n_tokens"] for row in rows)
    for constraint in constraints:
        held = sum(row["n_tokens"] for row in rows if constraint.members[row["stratum"]])
        exactly = replace(constraint, share=Fraction(held, total)) if total else constraint
        slack = found_slack(line, packing, exactly, block_length)
        assert slack.batch <= 2 * block_length
        assert slack == worst(rows, exactly, packing, block_length)


def found_slack(line, packing, constraint, block_length):
    table = segments(line, stretches(line, packing))
    block, stratum = table["token_offset"].to_numpy() // block_length, table["stratum"].to_numpy()
    [slack] = slack_of(block, sum(packing.n_blocks), stratum, table["n_tokens"].to_numpy(), [constraint])
    return slack


def worst(rows, constraint, packing, block_length):
    """Count by hand by how many tokens the worst prefix, and the worst stretch, of blocks misses a quota."""
    missing = [Fraction(0)]
    for b in range(sum(packing.n_blocks)):
        block = [row for row in rows if row["token_offset"] // block_length == b]
        total = sum(row["n_tokens"] for row in block)
        counted = sum(row["n_tokens"] for row in block if constraint.members[row["stratum"]])
        lacking = constraint.share * total - counted
        missing.append(missing[-1] + (lacking if constraint.bound == "min" else -lacking))
    stretch = max(later - min(missing[: i + 1]) for i, later in enumerate(missing))
    return Slack(*(-(-most.numerator // most.denominator) for most in (max(missing), stretch)))
