"""The answer before generation 0 against real mixes of all generations, with stand-ins for what models write."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from provenance.mix.errors import InfeasibleMix
from provenance.mix.make import make_training_set
from provenance.mix.tokens import add_tokenizer
from provenance.store.store import Store
from tests.factories import ingest
from training.errors import NotEnoughHumanText
from training.experiment import Experiment
from training.learners.ngram import NgramLearner
from training.mixes import first_mix, heldout_mix, later_mix, model_name, tokenizer_name
from training.preflight import check_human_text

LONGEST_WRITTEN = 30
SEED = 1


class Case:
    """A store with as much human text as an arm may just need, drawn by chance, and the arm's experiment."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.regime, self.share = chance.choice([("quota", 0.25), ("quota", 0.5), ("quota", 0.85), ("human", 1.0)])
        self.size = chance.choice([200, 400])
        self.longest = chance.choice([12, 40, 90])
        self.generations = chance.randint(2, 4)
        needed = self.generations * self.share * self.size
        self.n_human = round(needed * chance.uniform(0.8, 1.35)) + 100

    def experiment(self) -> Experiment:
        arm: dict[str, Any] = {"name": "a", "regime": self.regime}
        settings = {
            "name": "x",
            "corpus": "source = 'books'",
            "heldout": "title = 'held out'",
            "heldout_span": None,
            "learner": {"name": "ngram", "sample_length": LONGEST_WRITTEN},
            "first": {"words": 100},
            "later": {"tokens": self.size},
            "arms": [arm if self.regime == "human" else arm | {"share": self.share}],
            "controls": False,
            "generations": self.generations,
        }
        return Experiment.from_mapping(settings)

    def texts(self, n_words: int, longest: int) -> list[str]:
        texts = []
        while n_words > 0:
            n = self.chance.randint(1, longest)
            texts.append(" ".join(f"w{self.chance.randrange(300)}" for _ in range(n)))
            n_words -= n
        return texts

    def fill(self, store: Store, experiment: Experiment) -> None:
        human = [{"id": f"{i}", "text": text} for i, text in enumerate(self.texts(self.n_human, self.longest))]
        ingest(store, [*human, {"id": "held", "text": "to be held out", "title": "held out"}])
        make_training_set(store, heldout_mix(experiment))
        first = make_training_set(store, first_mix(experiment, seed=SEED))
        tokenizer = NgramLearner.train_tokenizer((document["text"] for document in first), vocab_size=1_000)
        add_tokenizer(store, tokenizer_name(experiment, seed=SEED), tokenizer.to_str())

    def fails_in(self, store: Store, experiment: Experiment) -> int | None:
        """Return the first generation that cannot be made; None if all of the experiment can."""
        for generation in count(1):
            arm = "shared" if generation == 1 else "a"
            name = model_name(experiment, arm=arm, seed=SEED, generation=generation - 1)
            written = self.texts(round(1.3 * self.size), LONGEST_WRITTEN)
            records = [{"id": f"{i}", "text": text} for i, text in enumerate(written)]
            ingest(store, records, source=name, origin="synthetic", generation=generation, model=name)
            try:
                make_training_set(store, later_mix(experiment, experiment.arms[0], seed=SEED, generation=generation))
            except InfeasibleMix:
                return generation
            if generation == experiment.generations:
                return None
        raise AssertionError


@pytest.mark.parametrize("number", [0, 6, 9, 10, 11, 17, 24, 31, 34, 36])
def test_what_passes_never_runs_out_and_what_is_refused_always_does(tmp_path: Path, number: int) -> None:
    case = Case(Random(number))
    experiment = case.experiment()
    with Store.create(tmp_path / "store.duckdb") as store:
        case.fill(store, experiment)
        try:
            said = check_human_text(store, experiment, seed=SEED)
        except NotEnoughHumanText as error:
            fails_in = case.fails_in(store, experiment)
            assert fails_in is not None and error.affordable < fails_in <= error.generation
            return
        if not said:
            assert case.fails_in(store, experiment) is None
            return
        spare = case.generations * (case.longest + LONGEST_WRITTEN) + case.longest
        assert "may run out" in said[0]
        assert abs(case.n_human - 100 - case.generations * case.share * case.size) <= 2 * spare, "a narrow strip"
