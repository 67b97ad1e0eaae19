"""Prompts, loss weights and what is kept, through the whole loop on a small corpus."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.export.tokens import TokenBlocks
from provenance.store.store import Store
from tests.factories import rows, violations
from tests.training.loop_factory import experiment, fill
from training.ancestry import ancestry
from training.learners.ngram import NgramLearner
from training.loop import run_experiment
from training.mixes import golden_weight
from training.plan import Plan
from training.records import Run
from training.work import loss_weights

QUOTA = {"name": "quota", "regime": "quota", "share": 0.5}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store that holds the small corpus."""
    path = tmp_path_factory.mktemp("filled") / "filled.duckdb"
    with Store.create(path) as store:
        fill(store)
    return path


@pytest.fixture
def corpus(filled: Path, tmp_path: Path) -> Iterator[Store]:
    """Return a store of its own with the small corpus."""
    shutil.copyfile(filled, tmp_path / "store.duckdb")
    with Store.open(tmp_path / "store.duckdb", writable=True) as store:
        yield store


_PARENTS = """
SELECT d.document_id::VARCHAR AS id, count(p.parent_id) AS n,
       count(*) FILTER (
           p.parent_id IN (SELECT document_id FROM training_set_item WHERE training_set = :within)
       ) AS n_in,
       any_value(p.relation) AS relation, any_value(d.metadata) AS metadata
FROM documents d LEFT JOIN parent p USING (document_id) WHERE d.source = :source GROUP BY ALL
"""


@pytest.mark.parametrize("source", ["human", "previous"])
def test_every_text_has_the_documents_of_its_prompt_as_parents(corpus: Store, tmp_path: Path, source: str) -> None:
    settings = experiment(prompt_source=source, prompt_tokens=8, new_tokens=24, arms=[QUOTA])
    run_experiment(corpus, settings, out=tmp_path / "out", jobs=1)
    for generation in (0, 1, 2):
        model = f"tiny.{'quota' if generation else 'shared'}.s1.g{generation}"
        for written in (model, f"{model}.t1"):
            within = "tiny.shared.s1.g0" if source == "human" else model
            found = rows(corpus, _PARENTS, source=written, within=within)
            assert len(found) > 20
            assert all(row["n"] == row["n_in"] >= 1 and row["relation"] == "prompt" for row in found)
    assert violations(corpus) == []
    one = rows(corpus, "SELECT document_id::VARCHAR AS id FROM documents WHERE source = 'tiny.quota.s1.g2' LIMIT 1")
    behind = ancestry(corpus, one[0]["id"])
    assert behind.prompts and behind.human_share == 1 and len(behind.levels) == 3


@pytest.mark.parametrize(("given", "expected"), [(2.5, 2.5), ("optimal", None), (None, 1.0)])
def test_learners_are_given_the_weights_of_human_tokens(
    corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, expected: float | None
) -> None:
    seen: list[Any] = []
    original = NgramLearner.fit

    def fit(self: NgramLearner, data: Any, **options: Any) -> Any:
        seen.append(data.weights)
        return original(self, data, **options)

    monkeypatch.setattr(NgramLearner, "fit", fit)
    settings = experiment(arms=[{**QUOTA, "human_loss_weight": given}], generations=1)
    run_experiment(corpus, settings, out=tmp_path / "out", jobs=1)
    assert seen[0] is None  # generation 0 is human throughout
    blocks = TokenBlocks.open(tmp_path / "out" / "tiny" / "blocks" / "tiny.quota.s1.g1")
    n_tokens = {"human": 0, "synthetic": 0}
    for row in blocks.documents().to_pylist():
        n_tokens[row["origin"]] += row["n_tokens"]
    if expected is None:
        expected = golden_weight(n_tokens["human"], n_tokens["synthetic"])
        assert 1 < expected < 2
    if expected == 1:
        assert seen[1] is None
        return
    np.testing.assert_array_equal(seen[1], loss_weights(blocks, human=expected))
    assert float(np.count_nonzero(seen[1] == np.float32(expected))) == n_tokens["human"]


def _models(out: Path) -> set[str]:
    return {path.name for path in (out / "tiny" / "models").iterdir() if path.is_dir()}


def test_models_that_are_kept(corpus: Store, tmp_path: Path) -> None:
    """None at the end; what further generations read comes back, and `last` keeps generation 0 and the newest."""
    run_experiment(corpus, experiment(arms=[QUOTA], generations=1, keep="none"), out=tmp_path / "out", jobs=1)
    assert _models(tmp_path / "out") == set()
    assert rows(corpus, "SELECT name FROM model WHERE path IS NOT NULL") == []
    report = run_experiment(corpus, experiment(arms=[QUOTA], keep="last"), out=tmp_path / "out", jobs=1)
    assert report.n_done == 1
    kept = {"tiny.shared.s1.g0", "tiny.quota.s1.g2"}
    assert _models(tmp_path / "out") == kept
    assert {row["name"] for row in rows(corpus, "SELECT name FROM model WHERE path IS NOT NULL")} == kept


def _plan(finished: set[str], models: set[str], **settings: Any) -> Plan:
    changed = {"arms": [QUOTA, {"name": "human", "regime": "human"}], "generations": 3, **settings}

    def is_finished(run: Run) -> bool:
        return run.model.removeprefix("tiny.") in finished

    return Plan(
        experiment(**changed), is_finished=is_finished, has_model=lambda name: name.removeprefix("tiny.") in models
    )


def _names(steps: Any) -> list[str]:
    return [getattr(step, "run", step).model.removeprefix("tiny.") for step in steps]


def test_lost_models_are_made_again_only_where_they_are_read() -> None:
    done = {"shared.s1.g0", "quota.s1.g1", "human.s1.g1", "quota.s1.g2", "human.s1.g2", "human.s1.g3"}
    scratch = _plan(done, set())
    assert [_names(scratch.todo(g)) for g in range(4)] == [["shared.s1.g0"], [], [], ["quota.s1.g3"]]
    transformer = {
        "learner": {"name": "transformer"}, "tokenizer": {"vocab_size": 99}, "later": {"tokens": 9, "init": "previous"}
    }  # fmt: skip
    chain = _plan(done, set(), **transformer)
    assert [_names(chain.todo(g)) for g in range(4)] == [
        ["shared.s1.g0"], ["quota.s1.g1"], ["quota.s1.g2"], ["quota.s1.g3"],
    ]  # fmt: skip
    there = _plan(done, {"quota.s1.g2", "shared.s1.g0"}, **transformer)
    assert [_names(there.todo(g)) for g in range(4)] == [[], [], [], ["quota.s1.g3"]]
    assert _plan({*done, "quota.s1.g3"}, set()).todo(0) == []


def test_nothing_is_removed_that_is_still_read() -> None:
    done = {"shared.s1.g0", "quota.s1.g1", "human.s1.g1", "quota.s1.g2"}
    transformer = {
        "learner": {"name": "transformer"}, "tokenizer": {"vocab_size": 99}, "later": {"tokens": 9, "init": "previous"}
    }  # fmt: skip
    assert _names(_plan(done, set(), keep="all").removable(2)) == []
    assert _names(_plan(done, set(), keep="none").removable(2)) == ["quota.s1.g1", "human.s1.g1", "quota.s1.g2"]
    assert _names(_plan(done, set(), keep="last").removable(2)) == ["quota.s1.g1", "human.s1.g1"]
    assert _names(_plan(done, set(), keep="none", **transformer).removable(2)) == ["quota.s1.g1"]


def test_followed_prompts_are_continued_by_every_model_and_never_trained_on(corpus: Store, tmp_path: Path) -> None:
    prompts = ["the people of the", "our commerce"]
    run_experiment(corpus, experiment(follow=prompts, arms=[QUOTA]), out=tmp_path / "out", jobs=1)
    for model in ("tiny.shared.s1.g0", "tiny.quota.s1.g1", "tiny.quota.s1.g2"):
        found = rows(
            corpus,
            "SELECT text, model, metadata->>'prompt' AS prompt, metadata->>'sample' AS sample FROM documents "
            "WHERE source = :source ORDER BY external_id",
            source=f"{model}.followed",
        )
        assert [(row["model"], row["prompt"], row["sample"]) for row in found] == [
            (model, p, "followed") for p in prompts
        ]
        assert all(row["text"].strip() for row in found)
    used = rows(corpus, "SELECT DISTINCT source FROM training_set_item")
    assert not [row for row in used if row["source"].endswith(".followed")]
