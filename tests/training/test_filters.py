"""Filters: a band of perplexity, and a classifier between human text and a model's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.demo.corpus import read_corpus
from training.arms import PerplexityBand
from training.filters.classifier import Classifier
from training.filters.judging import Detector, in_band


def texts(n: int) -> list[str]:
    return [record["text"] for record, _ in zip(read_corpus(), range(n), strict=False)]


def shuffled(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)


def test_words_in_another_order_are_told_from_human_text() -> None:
    rng = np.random.default_rng(1)
    human = texts(240)
    mixed = [shuffled(text, rng) for text in human]
    classifier = Classifier.fit(human[:120], mixed[:120])
    found = np.concatenate([classifier.probability(human[120:]), 1 - classifier.probability(mixed[120:])])
    assert (found > 0.5).mean() > 0.8


def test_kinds_that_do_not_differ_are_not_told_apart() -> None:
    human = texts(200)
    found = Classifier.fit(human[:50], human[50:100]).probability(human[100:])
    assert 0.2 < (found > 0.5).mean() < 0.8
    assert np.abs(found - 0.5).mean() < 0.2


def test_a_word_that_only_one_kind_has_decides() -> None:
    classifier = Classifier.fit(["so it was", "it was so"], ["zebra zebra", "a zebra"])
    likely, unlikely, nothing = classifier.probability(["so it was", "one zebra", ""])
    assert likely > 0.5 > unlikely
    assert likely > nothing > unlikely
    assert len(classifier.probability([])) == 0


def test_it_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        Classifier.fit(["a"], [])


def test_the_numbers_of_texts_do_not_tilt_it() -> None:
    few, many = ["alpha beta"] * 2, ["gamma delta"] * 40
    even = Classifier.fit(few, many).probability(["nothing known here"])
    assert even[0] == pytest.approx(0.5, abs=0.1)


@given(st.lists(st.floats(0, 10), min_size=20, max_size=60), st.floats(0, 0.4), st.floats(0.6, 1))
def test_a_band_keeps_its_share_of_the_reference(values: list[float], low: float, high: float) -> None:
    nats = np.array([*values, np.inf])
    kept = in_band(nats, nats, PerplexityBand(low=low, high=high))
    assert not kept[-1]
    assert kept[:-1].sum() >= (high - low) * len(values) - 2
    inside, outside = nats[:-1][kept[:-1]], nats[:-1][~kept[:-1]]
    if inside.size and outside.size:
        assert all(value < inside.min() or value > inside.max() for value in outside)


def test_nobody_is_judged_by_what_has_seen_it() -> None:
    rng = np.random.default_rng(2)
    kinds = [{f"{kind}{i:03d}": shuffled(text, rng) for i, text in enumerate(texts(80))} for kind in "hs"]
    detector = Detector(*kinds)
    found = [detector.probability(list(kind), list(kind.values())) for kind in kinds]
    assert abs(float((found[0] > 0.5).mean() - (found[1] > 0.5).mean())) < 0.25, "two kinds that do not differ"
    seen = [Classifier.fit(*(list(kind.values()) for kind in kinds)).probability(list(kind.values())) for kind in kinds]
    assert (seen[0] > 0.5).mean() - (seen[1] > 0.5).mean() > 0.9, "one that has seen them tells them apart"


def test_a_detector_keeps_nearly_all_human_text() -> None:
    rng = np.random.default_rng(3)
    human = {f"h{i:03d}": text for i, text in enumerate(texts(240))}
    old, new = (dict(list(human.items())[half::2]) for half in (0, 1))
    detector = Detector(old, {f"s{i:03d}": shuffled(text, rng) for i, text in enumerate(old.values())})
    kept = detector.probability(list(new), list(new.values())) >= detector.threshold
    assert kept.mean() > 0.85
    other = [shuffled(text, rng) for text in new.values()]
    assert (detector.probability([""] * len(other), other) >= detector.threshold).mean() < kept.mean() - 0.2
