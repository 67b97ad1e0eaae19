"""Every regime as a mix specification, and what real loops then trained on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from provenance.mix.verify import verify
from provenance.store.store import Store
from tests.factories import rows
from tests.training.loop_factory import experiment as small
from tests.training.loop_factory import fill
from tests.training.test_experiment import BASE
from training.experiment import Experiment
from training.loop import run_experiment
from training.mixes import first_mix, golden_weight, heldout_mix, later_mix, passed_attribute


def test_heldout_is_all_human_text_of_its_condition() -> None:
    spec = heldout_mix(Experiment.from_mapping(BASE))
    assert spec.budget.amount is None and spec.duplicates == "all"
    assert spec.where == "(source = 'books') AND (title = 'a') AND origin = 'human'"


def test_nothing_that_resembles_heldout_text_is_trained_on() -> None:
    experiment = Experiment.from_mapping(BASE)
    specs = [first_mix(experiment, seed=1)]
    specs += [later_mix(experiment, arm, seed=1, generation=2) for arm in experiment.arms]
    for spec in specs:
        assert spec.exclude.training_sets == ("x.heldout",) and spec.exclude.clusters and spec.exclude.spans == 13


def test_each_regime_says_what_it_is_in_its_mix() -> None:
    experiment = Experiment.from_mapping(BASE)
    replace, seventh, _, human = (later_mix(experiment, arm, seed=4, generation=2) for arm in experiment.arms)
    assert replace.where == "source = 'x.replace.s4.g1' AND model = 'x.replace.s4.g1'" and not replace.quotas
    assert human.where == "(source = 'books') AND (origin = 'human')"
    assert [quota.min for quota in human.quotas] == [1]
    [quota] = seventh.quotas
    assert quota.where == "origin = 'human'" and quota.min == Fraction(7, 100)
    assert quota.not_used_by == ("x.shared.s4.g0", "x.seventh.s4.g1")
    assert seventh.weights.columns == {"origin": {"human": Fraction(7, 100), "synthetic": Fraction(93, 100)}}
    assert "model = 'x.seventh.s4.g1'" in str(seventh.where)
    assert later_mix(experiment, experiment.arms[0], seed=4, generation=1).where == (
        "source = 'x.shared.s4.g0' AND model = 'x.shared.s4.g0'"
    )


def test_fresh_draws_anew_and_fixed_draws_the_same() -> None:
    experiment = Experiment.from_mapping(BASE)
    fresh = [later_mix(experiment, experiment.arms[1], seed=1, generation=g) for g in (1, 2)]
    fixed = [later_mix(experiment, experiment.arms[2], seed=1, generation=g) for g in (1, 2)]
    assert fresh[0].seed != fresh[1].seed and fixed[0].seed == fixed[1].seed
    assert fixed[0].quotas == fixed[1].quotas


def test_the_golden_weight_is_that_of_the_paper() -> None:
    assert golden_weight(100, 900) == pytest.approx(3.5, abs=0.05)
    for n, m in ((1, 1), (3, 7), (200, 10)):
        k = n / m
        weight = (
            golden_weight(n, m) * n / (golden_weight(n, m) * n + m)
        )  # the share that the human part has of the loss
        assert weight**2 + k * weight == pytest.approx(k)  # the root of w² + k w - k = 0


CURATED: dict[str, Any] = {"name": "curated", "regime": "curated", "filter": {"perplexity": {"low": 0.1}}}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a store in which an experiment with the regimes that need the past ran for three generations."""
    folder: Path = tmp_path_factory.mktemp("regimes")
    arms = [
        {"name": "all", "regime": "accumulate"},
        {"name": "part", "regime": "accumulate_subsample"},
        {"name": "quota", "regime": "quota", "share": 0.25},
        {"name": "fixed", "regime": "quota", "share": 0.25, "human": "fixed"},
        {"name": "curated", "regime": "curated", "filter": {"perplexity": {"high": 1}}},
    ]
    with Store.create(folder / "store.duckdb") as store:
        fill(store)
        settings = small(arms=arms, controls=True, generations=3, later={"tokens": 2_500})
        run_experiment(store, settings, out=folder / "out", jobs=1)
        yield store


def drawn(store: Store, name: str, where: str = "TRUE") -> dict[str, int]:
    """Return the documents of a training set with their tokens."""
    query = "SELECT document_id::VARCHAR AS id, n_tokens AS n FROM training_set_documents WHERE training_set = :name"
    return {row["id"]: row["n"] for row in rows(store, f"{query} AND {where}", name=name)}


def sources(store: Store, name: str) -> set[str]:
    query = "SELECT DISTINCT source FROM training_set_documents WHERE training_set = :name"
    return {row["source"] for row in rows(store, query, name=name)}


HUMAN = "origin = 'human'"
TOKENS_OF_FIRST = """
SELECT c.n_tokens AS n FROM training_set_documents d JOIN document USING (document_id)
JOIN token_count c ON c.content_id = document.content_id AND c.tokenizer = 'tiny.s1'
WHERE d.training_set = 'tiny.shared.s1.g0'
"""


def test_everything_so_far(ran: Store) -> None:
    first = drawn(ran, "tiny.shared.s1.g0")
    before: set[str] = set()
    for generation in (1, 2, 3):
        everything = drawn(ran, f"tiny.all.s1.g{generation}")
        written = [f"tiny.{arm}.s1.g{g}" for g, arm in enumerate(["shared", "all", "all"][:generation])]
        assert sources(ran, f"tiny.all.s1.g{generation}") == {"books", *written}
        assert set(drawn(ran, f"tiny.all.s1.g{generation}", HUMAN)) == set(first), "generation 0's and no other"
        assert before < set(everything), "nothing of what it had is lost"
        for name in written:
            part = drawn(ran, f"tiny.all.s1.g{generation}", f"source = '{name}'")
            assert sum(part.values()) == pytest.approx(2_500, rel=0.05)
        before = set(everything)


def test_a_sample_of_everything_so_far(ran: Store) -> None:
    first = drawn(ran, "tiny.shared.s1.g0")
    n_first = sum(row["n"] for row in rows(ran, TOKENS_OF_FIRST))
    parts = [drawn(ran, f"tiny.part.s1.g{generation}") for generation in (1, 2, 3)]
    for generation, part in enumerate(parts, start=1):
        written = [f"tiny.{arm}.s1.g{g}" for g, arm in enumerate(["shared", "part", "part"][:generation])]
        assert sources(ran, f"tiny.part.s1.g{generation}") <= {"books", *written}
        assert sum(part.values()) == pytest.approx(2_500, rel=0.05)
        human = drawn(ran, f"tiny.part.s1.g{generation}", HUMAN)
        assert set(human) < set(first)
        wanted = sum(part.values()) * n_first / (n_first + generation * 2_500)
        assert sum(human.values()) == pytest.approx(wanted, abs=max(part.values())), "its share, within a document"
    humans = [frozenset(part) & set(first) for part in parts]
    assert not humans[2] <= humans[1] <= humans[0], "drawn anew, not always the same first documents"


def test_the_human_text_of_a_quota_and_nothing_else(ran: Store) -> None:
    for generation in (1, 2, 3):
        quota = drawn(ran, f"tiny.quota.s1.g{generation}", HUMAN)
        assert drawn(ran, f"tiny.human-only-quota.s1.g{generation}") == quota
        fixed, once = (drawn(ran, f"tiny.fixed.s1.g{g}", HUMAN) for g in (generation, 1))
        assert set(fixed) <= set(once) and len(once) - len(fixed) <= 1, "the same text, but for one that does not fit"
        assert drawn(ran, f"tiny.human-only-fixed.s1.g{generation}") == once
    fresh = [
        set(drawn(ran, f"tiny.{arm}.s1.g{g}", HUMAN)) for g, arm in enumerate(["shared", "quota", "quota", "quota"])
    ]
    assert all(not a & b for i, a in enumerate(fresh) for b in fresh[:i])


def test_only_what_passed_is_trained_on(ran: Store) -> None:
    settings = small(arms=[CURATED])
    passed = passed_attribute(settings, settings.arms[0])
    for generation, source in ((1, "tiny.shared.s1.g0"), (2, "tiny.curated.s1.g1")):
        judged = {
            row["id"]: row["passed"]
            for row in rows(
                ran,
                f"SELECT d.document_id::VARCHAR AS id, a.{passed} AS passed FROM documents d "
                "JOIN attributes a USING (document_id) WHERE d.source = :source",
                source=source,
            )
        }
        used = set(drawn(ran, f"tiny.curated.s1.g{generation}"))
        assert used and all(judged[one] for one in used)
        assert 0.2 < sum(judged.values()) / len(judged) < 1


def test_all_sets_of_all_regimes_hold(ran: Store) -> None:
    names = [row["name"] for row in rows(ran, "SELECT name FROM training_set")]
    assert len(names) == 2 + 3 * 8 + 3 * 2, "and what the two that accumulate add"
    assert all(not verify(ran, name).violations for name in names)
