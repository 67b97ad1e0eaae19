"""Real text, taken for a model's, in every disguise that the benchmark knows."""

from __future__ import annotations

from itertools import islice

import bench_laundering as bench

from provenance.demo.corpus import read_corpus

N_OUTPUTS = 20


def test_disguises_are_seen_through_and_other_text_is_left_alone() -> None:
    texts = [document["text"] for document in islice(read_corpus(), 300)]
    texts = [text for text in texts if len(text.split()) >= 150]
    outputs, human = texts[:N_OUTPUTS], texts[N_OUTPUTS : 5 * N_OUTPUTS]
    found = bench.detection(outputs, human, human)
    for disguise in ("copied", "first half", "two joined", "case and punctuation", "5% of words replaced"):
        assert found[disguise] == 1, disguise
    assert found["80 words quoted"] == 1
    assert found["10% of words replaced"] >= 0.95
    assert found["40% of words replaced"] <= 0.1
    assert found["people's text"] <= 0.05
    assert found["outputs"] == 0


def test_what_people_write_from_a_template_is_theirs_unless_most_of_it_is_fixed() -> None:
    """A text from a template with other names and numbers is as like a model's as if every fifth word was replaced."""
    made = bench.templated(10)
    assert (made["census articles"], made["court notices"]) == (0, 1)


def test_a_model_that_copies_takes_nothing_from_people() -> None:
    texts = [document["text"] for document in islice(read_corpus(), 60)]
    done = bench.copying(
        texts[:40], [bench.quoting(one, other, bench.Random(0)) for one, other in zip(texts[40:], texts, strict=False)]
    )
    assert (done["training text"], done["later copies"]) == (0, 0)
    assert done["repeated"] >= 0.25
