from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from provenance.dedup.parameters import DedupParameters
from provenance.dedup.signatures import SignatureKernel
from provenance.ingest.pipeline import ingest_records
from provenance.mix.make import make_training_set
from provenance.mix.spec import MixSpec
from provenance.records import Claim
from provenance.store.store import Store
from tests.factories import ingest
from training.metrics.near_duplicates import against_rate, near_duplicate_metrics, within_rate

PARAMETERS = DedupParameters()


def texts(n: int, *, seed: int, copies: int = 0) -> list[str]:
    """Return n texts of 80 chance words; the last `copies` are the first ones with one word changed."""
    rng = random.Random(seed)
    made = [[f"w{rng.randrange(5000)}" for _ in range(80)] for _ in range(n)]
    for at in range(copies):
        made[n - 1 - at] = [*made[at][:70], f"other{at}", *made[at][71:]]
    return [" ".join(words) for words in made]


def signatures(found: list[str]) -> np.ndarray:
    return SignatureKernel(PARAMETERS.n_permutations, PARAMETERS.seed).compute(pa.array(found))[0]


def brute(one: np.ndarray, other: np.ndarray, *, same: bool) -> float:
    """Compare every band of every text with every other, one at a time."""
    hits = 0
    for i, mine in enumerate(one):
        for j, theirs in enumerate(other):
            if same and i == j:
                continue
            bands = any((mine[b * 8 : b * 8 + 8] == theirs[b * 8 : b * 8 + 8]).all() for b in range(14))
            if bands and (mine == theirs).mean() >= PARAMETERS.threshold:
                hits += 1
                break
    return hits / len(one)


def test_planted_copies_are_counted() -> None:
    found = signatures(texts(40, seed=1, copies=6))
    assert within_rate(found, PARAMETERS) == 12 / 40  # both of a pair are near-copies
    human = signatures(texts(30, seed=2) + texts(40, seed=1)[:3])
    assert against_rate(found, human, PARAMETERS) == 6 / 40  # three texts and their copies
    assert against_rate(human, signatures(texts(9, seed=7)), PARAMETERS) == 0
    assert against_rate(found, human[:0], PARAMETERS) == 0
    assert within_rate(found[:1], PARAMETERS) == 0


@pytest.mark.parametrize("seed", range(3))
def test_rates_are_those_of_comparing_all_pairs(seed: int) -> None:
    rng = random.Random(seed)
    base = [text.split() for text in texts(12, seed=seed)]
    made = []
    for _ in range(50):  # copies with 0 to 12 changed words: some near, some not
        words = list(rng.choice(base))
        for _ in range(rng.randrange(13)):
            words[rng.randrange(len(words))] = f"new{rng.randrange(10**6)}"
        made.append(" ".join(words))
    one, other = signatures(made), signatures([" ".join(words) for words in base])
    assert within_rate(one, PARAMETERS) == brute(one, one, same=True)
    assert against_rate(one, other, PARAMETERS) == brute(one, other, same=False)
    assert 0 < against_rate(one, other, PARAMETERS) < 1


def test_only_the_evaluated_documents_count(store: Store) -> None:
    human = texts(20, seed=3)
    ingest(store, [{"text": text, "id": str(at)} for at, text in enumerate(human)], source="books")
    spec = MixSpec.from_mapping({"name": "first", "budget": {"documents": 20}, "where": "origin = 'human'"})
    make_training_set(store, spec)
    written = texts(10, seed=4)
    # Texts 1 and 2 are the same, 3 is human; 9 and 10 are the same again, but nobody looked at them.
    written[1] = written[0]
    written[2] = human[5]
    written[9] = written[8]
    _write(store, "m", written)
    _write(store, "other", written[:1] * 3)  # what another model wrote is no copy within this one's text
    found = near_duplicate_metrics(store, sources={"arm": "m"}, n_documents={"arm": 8.0}, human_set="first")
    assert found == {"arm_near_duplicates_within": 2 / 8, "arm_near_duplicates_human": 1 / 8}
    more = near_duplicate_metrics(store, sources={"arm": "m"}, n_documents={"arm": 10}, human_set="first")
    assert more["arm_near_duplicates_within"] == 4 / 10
    assert near_duplicate_metrics(store, sources={"t1": "nobody"}, n_documents={"t1": 8}, human_set="first") == {}


def _write(store: Store, model: str, written: list[str]) -> None:
    records = [{"text": text, "id": f"{at:06d}"} for at, text in enumerate(written, start=1)]
    ingest_records(store, records, name=model, source=model, claim=Claim.make("synthetic", generation=1, model=model))


def test_pairs_are_a_matter_of_the_texts_and_not_of_their_order() -> None:
    found = signatures(texts(30, seed=8, copies=5))
    for order in (np.arange(30)[::-1], np.random.default_rng(1).permutation(30)):
        assert within_rate(found[order], PARAMETERS) == within_rate(found, PARAMETERS)
    assert sum(within_rate(found[[a, b]], PARAMETERS) for a, b in combinations(range(30), 2)) == 5
