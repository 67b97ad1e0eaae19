from __future__ import annotations

from typing import Any

from provenance.store.store import Store
from training.report.data import read_results
from training.report.samples import LENGTH, printable, read_samples

LONG = "word " * 200


def test_every_model_of_the_first_seed_shows_one_text(store: Store, fake: Any) -> None:
    fake(seeds=(4, 7), generations=1, texts=lambda arm, seed, g: [f"{arm} seed{seed} {LONG}"]).fill(store)
    samples = read_samples(store, read_results(store, "demo"))
    assert set(samples) == {"demo.shared.s4.g0", *(f"demo.{arm}.s4.g1" for arm in ("replace", "quota", "human"))}
    assert samples["demo.quota.s4.g1"].text.startswith("quota seed4 word")


def test_short_texts_are_shown_only_where_there_are_no_longer_ones(store: Store, fake: Any) -> None:
    def texts(arm: str, seed: int, generation: int) -> list[str]:
        short = [f"short {at}" for at in range(20)]
        return short if arm == "replace" else [*short, LONG]

    fake(generations=1, texts=texts).fill(store)
    samples = read_samples(store, read_results(store, "demo"))
    assert samples["demo.quota.s1.g1"].n_words == 200
    assert samples["demo.replace.s1.g1"].n_words == 2


def test_the_text_is_chosen_by_id_and_the_same_every_time(store: Store, fake: Any) -> None:
    fake(generations=1, texts=lambda arm, seed, g: [f"{at} {LONG}" for at in range(30)]).fill(store)
    results = read_results(store, "demo")
    chosen = read_samples(store, results)
    assert chosen == read_samples(store, results)
    wanted = store.fetch(
        "SELECT text FROM documents WHERE source = :source ORDER BY document_id LIMIT 1", {"source": "demo.quota.s1.g1"}
    )
    assert chosen["demo.quota.s1.g1"].text.split()[0] == wanted[0][0].as_py().split()[0]


def test_long_texts_end_at_a_word(store: Store, fake: Any) -> None:
    fake(generations=1, texts=lambda arm, seed, g: [LONG]).fill(store)
    sample = read_samples(store, read_results(store, "demo"))["demo.quota.s1.g1"]
    assert sample.shortened
    assert len(sample.text) <= LENGTH + 2
    assert sample.text.endswith("word\u00a0…")


def test_a_text_without_spaces_is_cut(store: Store, fake: Any) -> None:
    fake(generations=1, texts=lambda arm, seed, g: ["字" * 5_000]).fill(store)
    sample = read_samples(store, read_results(store, "demo"))["demo.quota.s1.g1"]
    assert len(sample.text) == LENGTH + 2


def test_a_model_without_texts_shows_none(store: Store, fake: Any) -> None:
    fake(generations=1, texts=lambda arm, seed, g: []).fill(store)
    assert read_samples(store, read_results(store, "demo")) == {}


def test_what_a_page_cannot_show_is_made_visible() -> None:
    assert printable("a\x00b\x1bc\u202ed\ufeff") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert printable("line\nline\ttab é 字 👩\u200d🚀") == "line\nline\ttab é 字 👩\u200d🚀"
