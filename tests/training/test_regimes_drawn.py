"""Real mixes of every regime over several generations, with stand-ins for what models write: who draws what."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

import pytest

from provenance.mix.make import make_training_set
from provenance.mix.tokens import add_tokenizer
from provenance.mix.verify import verify
from provenance.store.store import Store
from tests.factories import ingest, rows
from training.curation import Curation
from training.experiment import Experiment
from training.files import Folder
from training.learners.ngram import NgramLearner
from training.mixes import first_mix, heldout_mix, later_mix, model_name, tokenizer_name

GENERATIONS, SIZE = 3, 600
SETTINGS: dict[str, Any] = {
    "name": "Stand-in",
    "corpus": "source IN ('books', 'crawl')",
    "heldout": "title = 'held out'",
    "heldout_span": None,
    "learner": {"name": "ngram"},
    "first": {"words": 500},
    "later": {"tokens": SIZE},
    "arms": [
        {"name": "fresh", "regime": "quota", "share": 0.3},
        {"name": "fixed", "regime": "quota", "share": 0.3, "human": "fixed"},
        {"name": "original", "regime": "quota", "share": 0.3, "human": "original"},
        {"name": "all", "regime": "accumulate"},
        {"name": "some", "regime": "accumulate_subsample"},
        {"name": "crawled", "regime": "quota", "share": 0.5, "unknown": "human"},
    ],
    "generations": GENERATIONS,
}


class Draw(NamedTuple):
    """A training set: tokens of its documents, by kind."""

    human: dict[str, int]
    unknown: dict[str, int]
    synthetic: dict[str, int]

    @property
    def total(self) -> int:
        return sum(sum(kind.values()) for kind in self)


def texts(chance: Random, n_words: int, longest: int) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    while n_words > 0:
        n = chance.randint(4, longest)
        records.append({"id": f"{len(records)}", "text": " ".join(f"w{chance.randrange(300)}" for _ in range(n))})
        n_words -= n
    return records


def write(store: Store, chance: Random, name: str, generation: int) -> None:
    """Ingest what a model may have written, more than is needed."""
    written = texts(chance, 3 * SIZE // 2, 30)
    ingest(store, written, source=name, origin="synthetic", generation=generation, model=name)


def draw(store: Store, name: str) -> Draw:
    query = "SELECT document_id::VARCHAR AS id, origin, n_tokens FROM training_set_documents WHERE training_set = :name"
    kinds: dict[str, dict[str, int]] = {"human": {}, "unknown": {}, "synthetic": {}}
    for row in rows(store, query, name=name):
        kinds[row["origin"]][row["id"]] = row["n_tokens"]
    return Draw(**kinds)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Draw]]]:
    """Return the training sets of every arm, generation by generation; generation 0's at the front of each."""
    folder, chance, found = tmp_path_factory.mktemp("drawn"), Random(5), {}
    experiment = Experiment.from_mapping(SETTINGS)
    with Store.create(folder / "store.duckdb") as store:
        ingest(store, [*texts(chance, 9_000, 50), {"id": "held", "text": "to be held out", "title": "held out"}])
        ingest(store, texts(chance, 3_000, 50), source="crawl", origin="unknown")
        make_training_set(store, heldout_mix(experiment))
        first = make_training_set(store, first_mix(experiment, seed=1))
        tokenizer = NgramLearner.train_tokenizer((document["text"] for document in first), vocab_size=1_000)
        add_tokenizer(store, tokenizer_name(experiment, seed=1), tokenizer.to_str())
        curation = Curation(store, experiment, Folder.claim(folder / "out", experiment="x", store_id="y"))
        name = model_name(experiment, arm="shared", seed=1, generation=0)
        write(store, chance, name, 1)
        for arm in experiment.arms:
            found[arm.name] = [draw(store, name)]
        for generation in range(1, GENERATIONS + 1):
            for arm in experiment.arms:
                curation.before_mix(arm, seed=1, generation=generation)
                spec = later_mix(experiment, arm, seed=1, generation=generation)
                make_training_set(store, spec)
                write(store, chance, spec.name, generation + 1)
                found[arm.name].append(draw(store, spec.name))
        names = [row["name"] for row in rows(store, "SELECT name FROM training_set")]
        assert all(not verify(store, name).violations for name in names), "also after all that was marked since"
    yield found


def test_fresh_is_never_used_twice(drawn: dict[str, list[Draw]]) -> None:
    for arm in ("fresh", "human"):
        parts = [set(one.human) for one in drawn[arm]]
        assert all(not a & b for i, a in enumerate(parts) for b in parts[:i])


def test_fixed_is_never_another_text(drawn: dict[str, list[Draw]]) -> None:
    _, once, *later = (one.human for one in drawn["fixed"])
    assert not set(once) & set(drawn["fixed"][0].human)
    assert all(set(part) <= set(once) and len(once) - len(part) <= 1 for part in later)


def test_original_is_of_generation_0_and_drawn_anew(drawn: dict[str, list[Draw]]) -> None:
    first, *parts = (set(one.human) for one in drawn["original"])
    assert all(part < first for part in parts)
    assert len(set(map(frozenset, parts))) == GENERATIONS


@pytest.mark.parametrize("arm", ["fresh", "original"])
def test_human_only_has_the_very_text_of_its_arm(drawn: dict[str, list[Draw]], arm: str) -> None:
    for own, only in list(zip(drawn[arm], drawn[f"human-only-{arm}"], strict=True))[1:]:
        assert only.human and set(only.human) == set(own.human) and not only.synthetic and not only.unknown


def test_human_only_of_a_fixed_part_is_fixed(drawn: dict[str, list[Draw]]) -> None:
    assert all(set(one.human) == set(drawn["fixed"][1].human) for one in drawn["human-only-fixed"][1:])


@pytest.mark.parametrize(("arm", "share"), [("fresh", 0.3), ("fixed", 0.3), ("original", 0.3), ("crawled", 0.5)])
def test_a_share_is_kept_and_hardly_exceeded(drawn: dict[str, list[Draw]], arm: str, share: float) -> None:
    for one in drawn[arm][1:]:
        counted = sum(one.human.values()) + sum(one.unknown.values())
        assert share * one.total <= counted <= share * SIZE + 2 * 50
        assert SIZE - 50 < one.total <= SIZE


def test_a_crawl_takes_unknown_text_for_human(drawn: dict[str, list[Draw]]) -> None:
    unknown = sum(sum(one.unknown.values()) for one in drawn["crawled"][1:])
    human = sum(sum(one.human.values()) for one in drawn["crawled"][1:])
    assert 0.1 < unknown / (unknown + human) < 0.45, "a quarter of the text is of unknown origin"
    assert not any(one.unknown for arm in drawn if "crawled" not in arm for one in drawn[arm])


def test_everything_so_far_loses_nothing(drawn: dict[str, list[Draw]]) -> None:
    first, *later = drawn["all"]
    for generation, (before, one) in enumerate(zip(drawn["all"], later, strict=False), start=1):
        assert set(one.human) == set(first.human) and set(before.synthetic) < set(one.synthetic)
        assert generation * (SIZE - 30) < sum(one.synthetic.values()) <= generation * SIZE


def test_a_sample_of_everything_so_far_is_drawn_anew(drawn: dict[str, list[Draw]]) -> None:
    first, *later = drawn["some"]
    assert all(set(one.human) < set(first.human) and SIZE - 50 < one.total <= SIZE for one in later)
    assert not set(later[-1].human) <= set(later[0].human), "not always the same first documents"
