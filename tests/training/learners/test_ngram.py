from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.errors import BeamsUnusable, BlocksUnusable, CheckpointDamaged, PromptsUnusable
from training.learners import Decoding, FitData, Prompts, learner_type, load_learner
from training.learners.bigram import BigramSampler, BigramTable
from training.learners.configs import NgramConfig
from training.learners.decoding import decode_rows
from training.learners.ngram import NgramLearner
from training.learners.tokenizers import UNKNOWN_WORD

TEXTS = ["a b a c . a b", "b b c a b c", "c a d a b ."]


def _blocks(learner: NgramLearner, texts: list[str], length: int = 4) -> np.ndarray:
    ids = [i for encoding in learner.tokenizer.encode_batch(texts) for i in encoding.ids]
    return np.array(ids[: len(ids) // length * length]).reshape(-1, length)


def _learner(texts: list[str] = TEXTS, vocab_size: int = 50) -> NgramLearner:
    tokenizer = NgramLearner.train_tokenizer(texts, vocab_size=vocab_size)
    return NgramLearner.create(NgramConfig(), tokenizer_json=tokenizer.to_str(), block_length=4, seed=0)


def _fitted(texts: list[str] = TEXTS) -> NgramLearner:
    learner = _learner(texts)
    learner.fit(FitData(_blocks(learner, texts)), epochs=1, learning_rate=1, batch_size=1, seed=0)
    return learner


def test_probabilities_are_those_of_the_definition() -> None:
    table = BigramTable.count(NgramConfig(), np.array([[0, 1, 0, 2], [0, 1, 1, 2]]), size=4, excluded=None)
    # After 0: twice 1, once 2. Unigram counts 3, 3, 2, 0.
    p = table.probability(np.array([0, 0, 0, 3]), np.array([1, 2, 3, 0]))
    assert p == pytest.approx(
        [
            0.8 * 2 / 3 + 0.199 * 3 / 8 + 0.001 / 4,
            0.8 * 1 / 3 + 0.199 * 2 / 8 + 0.001 / 4,
            0.001 / 4,
            0.999 * 3 / 8 + 0.001 / 4,  # 3 was never followed: its bigram weight goes to the unigram
        ]
    )


def test_every_row_is_a_distribution_and_excludes_the_unknown_word() -> None:
    learner = _fitted()
    rows = learner.table.rows(np.arange(learner.table.size))
    assert rows.sum(axis=1) == pytest.approx(np.ones(learner.table.size))
    assert learner.unknown is not None
    assert (rows[:, learner.unknown] == 0).all()
    before, after = np.divmod(np.arange(learner.table.size**2), learner.table.size)
    assert rows.ravel() == pytest.approx(learner.table.probability(before, after))


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.5])
def test_fast_sampler_draws_from_the_whole_row(temperature: float) -> None:
    table = _fitted().table
    decoding = Decoding(temperature=temperature)
    rng = np.random.default_rng(5)
    n = 40_000
    for word in range(table.size):
        expected = decode_rows(table.rows(np.array([word])), decoding)[0]
        drawn = np.bincount(BigramSampler(table, decoding).draw(np.full(n, word), rng), minlength=table.size) / n
        assert np.abs(drawn - expected).max() < 5 * np.sqrt(0.25 / n)


def test_top_k_draws_only_the_most_probable_words() -> None:
    learner = _fitted()
    a = learner.tokenizer.token_to_id("a")
    drawn = BigramSampler(learner.table, Decoding(top_k=1)).draw(np.full(50, a), np.random.default_rng(0))
    assert set(drawn.tolist()) == {int(learner.table.rows(np.array([a])).argmax())}


def test_scores_sum_to_the_likelihood_and_know_their_place() -> None:
    learner = _fitted()
    text = "a b  zzz c"
    [score] = learner.nll([text])
    ids = [learner.tokenizer.token_to_id(word) for word in ("a", "b", "c")]
    # The unknown word is left out: c is scored after b.
    p = learner.table.probability(np.array([learner.end, *ids[:-1]]), np.array(ids))
    assert score.nats == pytest.approx(-np.log(p))
    assert [text[a:b] for a, b in score.spans] == ["a", "b", "c"]


def test_unknown_words_are_never_counted_or_written() -> None:
    learner = _learner(vocab_size=4)  # end of text, unknown, and the two most frequent words
    learner.fit(FitData(_blocks(learner, TEXTS)), epochs=1, learning_rate=1, batch_size=1, seed=0)
    assert learner.unknown is not None
    assert learner.table.unigram[learner.unknown] == 0
    assert UNKNOWN_WORD not in " ".join(s.text for s in learner.sample(500, decoding=Decoding(), seed=0))


def test_sample_is_repeatable_large_enough_and_tokenises_to_itself() -> None:
    learner = _fitted()
    first = learner.sample(300, decoding=Decoding(temperature=0.9), seed=3)
    assert first == learner.sample(300, decoding=Decoding(temperature=0.9), seed=3)
    assert first != learner.sample(300, decoding=Decoding(temperature=0.9), seed=4)
    for sample in first:
        assert sample.n_tokens == len(sample.text.split())
        assert len(learner.tokenizer.encode(sample.text).ids) == sample.n_tokens + 1  # the token in front


def test_tokenizer_is_the_same_for_the_same_text() -> None:
    texts = ["one two three four five six", "seven eight nine ten eleven"]
    definitions = {NgramLearner.train_tokenizer(texts, vocab_size=8).to_str() for _ in range(5)}
    assert len(definitions) == 1


def test_saved_and_loaded_model_is_the_same(tmp_path: Path) -> None:
    learner = _fitted()
    learner.save(tmp_path / "model")
    loaded = load_learner(tmp_path / "model")
    assert loaded.digest == learner.digest
    assert loaded.nll(TEXTS)[0].nats == pytest.approx(learner.nll(TEXTS)[0].nats, abs=0)
    assert not list(tmp_path.glob("*.partial"))


def test_changed_model_is_refused(tmp_path: Path) -> None:
    _fitted().save(tmp_path / "model")
    other = _fitted([*TEXTS, "d d d d"])
    counts = other.table
    np.savez(tmp_path / "model" / "counts.npz", unigram=counts.unigram, keys=counts.keys, bigram=counts.bigram)
    with pytest.raises(CheckpointDamaged, match="damaged"):
        load_learner(tmp_path / "model")
    (tmp_path / "model" / "counts.npz").unlink()
    with pytest.raises(CheckpointDamaged):
        load_learner(tmp_path / "model")
    with pytest.raises(CheckpointDamaged):
        load_learner(tmp_path / "nothing")


def test_blocks_of_another_tokenizer_are_refused() -> None:
    learner = _learner()
    with pytest.raises(BlocksUnusable):
        learner.fit(FitData(np.array([[1, 999]])), epochs=1, learning_rate=1, batch_size=1, seed=0)
    with pytest.raises(BlocksUnusable):
        learner.fit(FitData(np.zeros((0, 4), int)), epochs=1, learning_rate=1, batch_size=1, seed=0)


def test_words_are_lost_as_theory_predicts() -> None:
    """Prediction 3: a word seen k « M times is lost by generation t with probability q_t^k, q_{t+1} = exp(q_t - 1).

    The learner is the unigram model here (no bigram weight, hardly any uniform part), M words a generation.
    """
    config = NgramConfig(bigram=0, unigram=1 - 1e-9)
    size, m, rng = 4000, 40_000, np.random.default_rng(11)
    lost = {1: 0, 2: 0, 3: 0}
    n_rare = 600
    counts = np.zeros(size, np.int64)
    for k in (1, 2, 3):
        counts[1 + (k - 1) * n_rare : 1 + k * n_rare] = k
    rest = slice(1 + 3 * n_rare, size)
    counts[rest] = (m - counts.sum()) // (size - rest.start)
    nothing = np.zeros(0, np.int64)
    table = BigramTable(config, counts, nothing, nothing, excluded=None)
    q, generations = 0.0, 3
    for _ in range(generations):
        drawn = BigramSampler(table, Decoding()).draw(np.zeros(m, np.int64), rng)
        table = BigramTable(config, np.bincount(drawn, minlength=size), nothing, nothing, excluded=None)
        q = np.exp(q - 1)
    for k in (1, 2, 3):
        lost[k] = int((table.unigram[1 + (k - 1) * n_rare : 1 + k * n_rare] == 0).sum())
        expected, sd = n_rare * q**k, np.sqrt(n_rare * q**k * (1 - q**k))
        assert abs(lost[k] - expected) / sd < 4


def test_learner_is_found_by_name() -> None:
    assert learner_type("ngram") is NgramLearner


def _prompts(learner: NgramLearner, *texts: str, new_tokens: int = 4) -> Prompts:
    rows = [learner.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    return Prompts(np.array(rows, np.int64), new_tokens)


def test_prompted_chains_begin_after_the_last_known_word() -> None:
    learner = _fitted()
    a, b, unknown = (learner.tokenizer.token_to_id(word) for word in ("a", "b", UNKNOWN_WORD))
    prompts = Prompts(np.array([[b, a], [a, unknown], [unknown, unknown]]), 1)
    n = 30_000
    samples = learner.sample(n, decoding=Decoding(), seed=0, prompts=prompts)
    for prompt, before in enumerate([a, a, learner.end]):
        words = [sample.text for sample in samples if sample.prompt == prompt]
        [row] = learner.table.rows(np.array([before]))
        assert len(words) == pytest.approx(n / 3 * (1 - row[learner.end]), rel=0.05)
        for word in ("a", "b", "c", "d"):
            p = row[learner.tokenizer.token_to_id(word)]
            assert abs(words.count(word) - n / 3 * p) < 5 * np.sqrt(n / 3 * p)


def test_prompts_are_used_in_their_order_and_again() -> None:
    learner = _fitted()
    samples = learner.sample(18, decoding=Decoding(), seed=0, prompts=_prompts(learner, "a b", "c a", new_tokens=4))
    order = [sample.prompt for sample in samples]
    assert [prompt for i, prompt in enumerate(order) if i == 0 or prompt != order[i - 1]] == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("penalty", [0.5, 3.0])
def test_penalty_counts_the_words_of_the_text(penalty: float) -> None:
    """The second word's distribution, given prompt and first word, against its definition."""
    learner = _fitted()
    prompts = _prompts(learner, "b a", new_tokens=2)
    n = 20_000
    samples = learner.sample(2 * n, decoding=Decoding(repetition_penalty=penalty), seed=0, prompts=prompts)
    [row] = learner.table.rows(np.array([learner.tokenizer.token_to_id("b")]))
    for word in ("a", "b"):
        row[learner.tokenizer.token_to_id(word)] **= penalty
    expected = row / row.sum()
    # Texts of two words that begin with "b", which stood in the prompt already.
    words = [sample.text.split() for sample in samples]
    after_b = [pair[1] for pair in words if len(pair) == 2 and pair[0] == "b"]
    known = [word for word in ("a", "b", "c", "d", ".")]
    share = {word: expected[learner.tokenizer.token_to_id(word)] for word in known}
    for word in known:
        p = share[word] / sum(share.values())
        assert abs(after_b.count(word) / len(after_b) - p) < 5 * np.sqrt(p / len(after_b))


def test_an_end_lifts_the_penalty() -> None:
    """A penalty that forbids repeats lets a word stand once in each text of a chain."""
    learner = _fitted(["a b"] * 50)
    samples = learner.sample(4000, decoding=Decoding(repetition_penalty=60.0), seed=0)
    assert [sample.text for sample in samples].count("a b") > 0.8 * len(samples)
    assert len(samples) > 1000


def test_chains_looked_at_in_turn_are_drawn_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = _fitted()
    monkeypatch.setattr("training.learners.ngram.ROWS_AT_ONCE", 3 * learner.table.size)
    prompts = _prompts(learner, "a", "b", new_tokens=1)
    samples = learner.sample(20_000, decoding=Decoding(top_k=2), seed=0, prompts=prompts)
    [row] = decode_rows(learner.table.rows(prompts.tokens[:1, 0]), Decoding(top_k=2))
    found = [sample.text for sample in samples if sample.prompt == 0]
    for word in found[:50]:
        p = row[learner.tokenizer.token_to_id(word)]
        assert abs(found.count(word) / 10_000 - p) < 5 * np.sqrt(p / 10_000)


def test_beams_and_unusable_prompts_are_refused() -> None:
    learner = _fitted()
    with pytest.raises(BeamsUnusable, match="ngram"):
        learner.sample(10, decoding=Decoding(beams=2), seed=0)
    with pytest.raises(PromptsUnusable, match="vocabulary"):
        learner.sample(10, decoding=Decoding(), seed=0, prompts=Prompts(np.full((1, 1), 999), 4))
