"""Laws of the allocation, over random candidates and quotas, against brute force where there are few candidates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from provenance.mix.allocate import Allocation, Failure, allocate
from provenance.mix.candidates import Candidates
from provenance.mix.refusal import explain_refusal
from provenance.mix.spec import Budget, MixSpec
from provenance.mix.strata import OUTSIDE, UNKNOWN, QuotaColumn, WeightColumn, largest_document

shares = st.one_of(
    st.integers(0, 20).map(lambda n: Fraction(n, 20)),
    st.fractions(0, 1, max_denominator=50),
    st.floats(0, 1).map(lambda x: Fraction(str(x))),
)


@st.composite
def quota_columns(draw, n):
    columns = []
    for i in range(draw(st.integers(0, 4))):
        low, high = sorted([draw(shares), draw(shares)])
        kind = draw(st.sampled_from(["min", "max", "both"]))
        groups = draw(st.sampled_from([(None,), (None,), ("a", "b"), ("a", "b", "c")]))
        codes = draw(st.lists(st.integers(OUTSIDE, len(groups) - 1), min_size=n, max_size=n))
        columns.append(
            QuotaColumn(
                f"q{i}",
                low if kind != "max" else None,
                high if kind != "min" else None,
                groups,
                np.array(codes, dtype=np.int32),
            )
        )
    return columns


@dataclass(frozen=True)
class Mix:
    """A random mix: candidates and what is asked of them."""

    candidates: Candidates
    spec: MixSpec

    @property
    def budget(self):
        return self.spec.budget.amount

    @property
    def sizes(self):
        return self.candidates.sizes

    def caps(self):
        caps = self.candidates.caps
        n = len(self.sizes)
        return np.full(n, self.spec.repeats.max) if caps is None else np.where(caps == 0, self.spec.repeats.max, caps)


PHASES = ("early", "late")


@st.composite
def mixes(draw, max_documents=8, max_size=30, *, phases=None, repeats=None):
    n = draw(st.integers(1, max_documents))
    sizes = np.array(draw(st.lists(st.integers(1, max_size), min_size=n, max_size=n)), dtype=np.int64)
    ids = np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, 256, (n, 16), dtype=np.uint8)
    columns = draw(quota_columns(n))
    more: dict = {}
    if phases if phases is not None else draw(st.booleans()):
        first = draw(st.integers(1, 9))
        shares = [f"{first}/10", f"{10 - first}/10"]
        columns = [replace(c, phase=draw(st.sampled_from([None, *PHASES]))) for c in columns]
        more["order"] = {"curriculum": [{"name": p, "share": s} for p, s in zip(PHASES, shares, strict=True)]}
    caps = None
    if repeats if repeats is not None else draw(st.booleans()):
        more["repeats"] = {"max": draw(st.integers(1, 3))}
        if draw(st.booleans()):
            caps = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=np.int64)
    weights = []
    for name in draw(st.lists(st.sampled_from(["source", "licence"]), unique=True, max_size=2)):
        codes = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), dtype=np.int32)
        given = draw(st.none() | st.lists(st.integers(0, 5), min_size=2, max_size=2).filter(any))
        weights.append(
            WeightColumn(
                name,
                ("x", "y"),
                None if given is None else np.array(given, dtype=float),
                draw(st.sampled_from([0.5, 1.0, 3.0])),
                codes,
            )
        )
    spec = MixSpec(name="m", budget={"words": draw(st.integers(1, int(sizes.sum()) + 5))}, seed=3, **more)
    return Mix(Candidates(ids, sizes, tuple(columns), tuple(weights), caps, {}, []), spec)


def satisfied(mix, counts, columns=None):
    """Whether a number of draws of every document in every phase is allowed, by the definition alone.

    Shares no code with the sampler. `counts` is (phases, documents), one row where there are no phases.
    """
    sizes, budget = mix.sizes, mix.budget
    if (counts.sum(axis=0) > mix.caps()).any():
        return False
    total = int((counts * sizes).sum())
    fitting = sizes[(sizes <= budget) & (mix.caps() > 0)]
    if not fitting.size or not budget - int(fitting.max()) < total <= budget:
        return False
    if (counts[:, sizes > budget] > 0).any():
        return False
    shares = [phase.share for phase in mix.spec.phases]
    for row, share in zip(counts, shares, strict=False):
        if abs(int((row * sizes).sum()) - share * budget) > int(fitting.max()):
            return False
    for column in mix.candidates.columns if columns is None else columns:
        drawn = counts.sum(axis=0) if column.phase is None else counts[PHASES.index(column.phase)]
        units, codes = drawn * sizes, column.codes
        whole = int(units.sum())
        for code in range(len(column.groups)):
            certain = int(units[codes == code].sum())
            possible = int(units[(codes == code) | (codes == UNKNOWN)].sum())
            if column.min is not None and certain < column.min * whole:
                return False
            if column.max is not None and possible > column.max * whole:
                return False
    return True


def brute_force(mix, columns=None):
    n_phases = max(1, len(mix.spec.phases))
    options = [
        [split for split in product(range(cap + 1), repeat=n_phases) if sum(split) <= cap]
        for cap in mix.caps().tolist()
    ]
    return any(satisfied(mix, np.array(choice).T.reshape(n_phases, -1), columns) for choice in product(*options))


def n_choices(mix):
    n_phases = max(1, len(mix.spec.phases))
    return np.prod([comb(cap + n_phases, n_phases) for cap in mix.caps().tolist()])


def solve(mix):
    return allocate(mix.candidates.strata(mix.spec), budget=mix.budget)


def drawn_rows(answer):
    return np.concatenate([rows[t.places()] for rows, t in zip(answer.strata.rows, answer.taken, strict=True)])


def check(mix, answer):
    strata, n = answer.strata, len(mix.sizes)
    n_phases = max(1, len(mix.spec.phases))
    counts = np.zeros((n_phases, n), dtype=np.int64)
    for k, (rows, taken) in enumerate(zip(strata.rows, answer.taken, strict=True)):
        np.add.at(counts[k * n_phases // len(strata)], rows[taken.places()], 1)
    assert satisfied(mix, counts)
    assert int((counts * mix.sizes).sum()) == answer.total


few = mixes(max_documents=7).filter(lambda mix: n_choices(mix) <= 5_000)


@settings(max_examples=5 * settings.default.max_examples)
@given(few)
def test_finds_a_set_exactly_when_brute_force_does(mix):
    answer = solve(mix)
    possible = brute_force(mix)
    note(f"{answer} {possible}")
    if isinstance(answer, Allocation):
        check(mix, answer)
    assert isinstance(answer, Allocation) == possible
    assert possible or answer.reason in ("budget", "quotas", "whole documents")


@settings(max_examples=2 * settings.default.max_examples)
@given(mixes(max_documents=12, phases=False, repeats=False))
def test_twelve_documents(mix):
    possible = brute_force(mix) if not isinstance(answer := solve(mix), Allocation) else True
    assert isinstance(answer, Allocation) == possible
    if possible:
        check(mix, answer)


@given(mixes(max_documents=120, max_size=500))
def test_what_is_returned_satisfies_every_quota(mix):
    answer = solve(mix)
    if isinstance(answer, Allocation):
        check(mix, answer)


def permuted(mix, p):
    own = mix.candidates
    return Mix(
        Candidates(
            own.ids[p],
            own.sizes[p],
            tuple(replace(c, codes=c.codes[p]) for c in own.columns),
            tuple(replace(w, codes=w.codes[p]) for w in own.weights),
            None if own.caps is None else own.caps[p],
            {},
            [],
        ),
        mix.spec,
    )


@given(mixes(max_documents=40), st.randoms(use_true_random=False))
def test_order_of_input_is_irrelevant(mix, random):
    permutation = list(range(len(mix.sizes)))
    random.shuffle(permutation)
    permutation = np.array(permutation)
    one, two = solve(mix), solve(permuted(mix, permutation))
    assert type(one) is type(two)
    if isinstance(one, Allocation):
        assert one.units == two.units
        assert drawn_rows(one).tolist() == permutation[drawn_rows(two)].tolist()


@given(few)
def test_what_a_refusal_proposes_is_true(mix):
    answer = solve(mix)
    if isinstance(answer, Allocation):
        return
    error = explain_refusal(mix.candidates, mix.candidates.strata(mix.spec), answer, mix.spec)
    note(str(error))
    if error.largest_budget:
        assert brute_force(Mix(mix.candidates, mix.spec.model_copy(update={"budget": words(error.largest_budget)})))
    for change in error.changes:
        if change.bound == "repeats":
            caps = mix.spec.repeats.model_copy(update={"max": int(change.to)})
            more = Mix(mix.candidates, mix.spec.model_copy(update={"repeats": caps}))
            assert not isinstance(solve(more), Failure)
            check(more, solve(more))
            continue
        eased = [
            replace(c, **{change.bound: change.to}) if c.name == change.quota else c for c in mix.candidates.columns
        ]
        assert brute_force(mix, eased)
    if error.reason == "quotas":
        assert error.conflict


def parts_can(strata, budget, constraints):
    """Whether parts of documents could keep these bounds, by a programme written apart from the sampler's."""
    k, rows, limits = len(strata), [], []
    one = max(int(sizes.max()) for sizes in strata.sizes if sizes.size)
    for constraint in constraints:
        base = np.ones(k) if constraint.base is None else constraint.base
        row = constraint.members - float(constraint.share) * base
        rows.append(-row if constraint.bound == "min" else row)
        limits.append(0)
    for members, low, high in [
        (np.ones(k, dtype=bool), budget - one + 1, budget),
        *((extent.members, extent.least, extent.most) for extent in strata.extents),
        *((strata.pool == p, 0, int(strata.available[strata.pool == p][0])) for p in set(strata.pool.tolist())),
    ]:
        rows += [members.astype(float), -members.astype(float)]
        limits += [high, -low]
    bounds = [(0, int(units)) for units in strata.available]
    return linprog(np.zeros(k), A_ub=np.array(rows), b_ub=np.array(limits) + 1e-9, bounds=bounds).status == 0


@given(few)
def test_a_conflict_is_irreducible(mix):
    """What is named cannot hold together, and can without any one of its members: by parts, or by whole documents."""
    answer = solve(mix)
    if isinstance(answer, Allocation) or answer.reason == "budget":
        return
    strata = mix.candidates.strata(mix.spec)
    error = explain_refusal(mix.candidates, strata, answer, mix.spec)
    named = [(shortfall.quota, shortfall.bound) for shortfall in error.conflict]
    kept = [c for c in strata.constraints if (c.title, c.bound) in named]
    assert len(kept) == len(named)

    def can(constraints):
        if answer.reason == "quotas":
            return parts_can(strata, mix.budget, constraints)
        return isinstance(allocate(replace(strata, constraints=tuple(constraints)), budget=mix.budget), Allocation)

    assert not can(kept)
    assert all(can([c for c in kept if c is not constraint]) for constraint in kept)


@given(mixes(max_documents=60), st.integers(1, 40))
def test_a_larger_budget_keeps_what_was_drawn(mix, more):
    """In every stratum that is a prefix of its draw order before and after, and did not get shorter."""
    larger = Mix(mix.candidates, mix.spec.model_copy(update={"budget": words(mix.budget + more)}))
    one, two = solve(mix), solve(larger)
    if mix.spec.phases or not isinstance(one, Allocation) or not isinstance(two, Allocation):
        return
    if (mix.sizes > mix.budget).any():  # the larger budget also has candidates that the smaller one had not
        return
    for rows, before, other_rows, after in zip(one.strata.rows, one.taken, two.strata.rows, two.taken, strict=True):
        is_prefix = not (before.skipped or before.added or after.skipped)
        if is_prefix and after.prefix >= before.prefix:
            assert set(rows[before.places()]) <= set(other_rows[after.places()])


def test_failure_is_reported_for_everything():
    columns = (QuotaColumn("human", Fraction(1, 2), None, (None,), np.array([0, OUTSIDE, OUTSIDE], dtype=np.int32)),)
    ids = np.arange(48, dtype=np.uint8).reshape(3, 16)
    candidates = Candidates(ids, np.array([10, 10, 10]), columns, (), None, {}, [])
    spec = MixSpec(name="m", budget="all")
    strata = candidates.strata(spec)
    assert allocate(strata, budget=None) == Failure("quotas")
    error = explain_refusal(candidates, strata, Failure("quotas"), spec)
    assert (error.conflict[0].needed, error.conflict[0].available, error.largest_budget) == (15, 10, 20)
    assert largest_document(strata) == 10


def words(amount):
    return Budget(unit="words", amount=amount)
