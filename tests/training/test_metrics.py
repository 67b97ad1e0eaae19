from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest

from training.learners.base import TokenNll
from training.metrics.generated import (
    distinct,
    entropy_bits,
    generated_metrics,
    js_divergence_bits,
    repeated,
    vocabulary_in_use,
    zipf_slope,
    zlib_ratio,
)
from training.metrics.heldout import heldout_metrics
from training.metrics.registry import members
from training.metrics.resemblance import LAST_BIN, STRETCH_TOKENS, resemblance_metrics
from training.metrics.words import Lexicon


def _score(*tokens: tuple[float, int, int]) -> TokenNll:
    return TokenNll(
        np.array([nats for nats, _, _ in tokens], dtype=np.float64),
        np.array([[start, end] for _, start, end in tokens], dtype=np.int64).reshape(-1, 2),
    )


def test_heldout_costs_add_up_to_words() -> None:
    lexicon = Lexicon({"the": 8, "of": 6, "tax": 3, "levy": 1, "duty": 2})
    assert lexicon.tail == {"duty", "levy"}
    # "the" one token; "levy" in two; the full stop in none of the words; "zeal" unknown to generation 0.
    text = "the levy. zeal"
    score = _score((1.0, 0, 3), (4.0, 3, 6), (2.5, 6, 8), (0.5, 8, 9), (7.0, 9, 14))
    found = heldout_metrics([text], [score], lexicon=lexicon)
    assert found["heldout_ce"] == pytest.approx(15 / 5)
    assert found["heldout_perplexity"] == pytest.approx(math.exp(3))
    assert found["heldout_head_ce"] == pytest.approx(1.0)
    assert found["heldout_tail_ce"] == pytest.approx(6.5)
    assert found["heldout_tokens"] == 5


def test_words_that_the_model_could_not_score_count_nowhere() -> None:
    lexicon = Lexicon({"a": 9, "b": 1})
    found = heldout_metrics(["a b", ""], [_score((2.0, 0, 1)), _score()], lexicon=lexicon)
    assert {name: value for name, value in found.items() if "_group_" not in name} == {
        "heldout_ce": 2.0,
        "heldout_perplexity": pytest.approx(math.exp(2)),
        "heldout_head_ce": 2.0,
        "heldout_tokens": 1.0,
    }


def test_leading_space_of_a_token_belongs_to_the_word_behind_it() -> None:
    lexicon = Lexicon({"a": 99, "b": 1})
    found = heldout_metrics(["a b"], [_score((1.0, 0, 1), (3.0, 1, 3))], lexicon=lexicon)
    assert (found["heldout_head_ce"], found["heldout_tail_ce"]) == (1.0, 3.0)


def test_entropy_of_known_distributions() -> None:
    assert entropy_bits({"a": 1, "b": 1, "c": 1, "d": 1}) == pytest.approx(2)
    assert entropy_bits({"a": 2, "b": 1, "c": 1}) == pytest.approx(1.5)
    assert entropy_bits({"a": 7}) == 0
    assert math.isnan(entropy_bits({}))


def test_vocabulary_counts_human_words_in_a_window_of_equal_size() -> None:
    lexicon = Lexicon({"a": 1, "b": 1, "c": 1})
    assert vocabulary_in_use(["a", "x", "b", "a", "c"], lexicon, window=4) == 2
    assert math.isnan(vocabulary_in_use(["a"], lexicon, window=2))


def test_ngrams_do_not_span_documents() -> None:
    documents = [["a", "b", "c"], ["a", "b", "c", "d"]]
    assert distinct(documents, 1) == pytest.approx(4 / 7)
    assert distinct(documents, 3) == pytest.approx(2 / 3)  # abc, abc, bcd
    assert repeated(documents, 3) == pytest.approx(2 / 3)
    assert math.isnan(distinct([["a"]], 2))


def test_js_divergence_between_its_bounds() -> None:
    assert js_divergence_bits({"a": 3, "b": 1}, {"a": 6, "b": 2}) == pytest.approx(0, abs=1e-12)
    assert js_divergence_bits({"a": 1}, {"b": 1}) == pytest.approx(1)
    # p = (1, 0), q = (1/2, 1/2): H(3/4, 1/4) - H(q)/2
    middle = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert js_divergence_bits({"a": 5}, {"a": 1, "b": 1}) == pytest.approx(middle - 0.5)


def test_zipf_slope_of_an_exact_power_law() -> None:
    counts = {f"w{rank}": round(1e9 / rank) for rank in range(1, 500)}
    assert zipf_slope(counts) == pytest.approx(-1, abs=1e-6)


def test_zlib_ratio_sees_repetition() -> None:
    assert zlib_ratio(["the state of the union " * 200]) < 0.05
    assert zlib_ratio([" ".join(str(i * 7919 % 10007) for i in range(2000))]) > 0.3


def test_tail_mass_of_generation_zero_itself_is_a_fifth() -> None:
    text = " ".join(f"w{i}" for i in range(50) for _ in range(1 + i % 5))
    lexicon = Lexicon.of([text])
    mass = generated_metrics([text], lexicon=lexicon)["tail_mass"]
    assert mass == pytest.approx(0.2, abs=5 / lexicon.n_words)


def test_undefined_metrics_are_absent_and_no_number() -> None:
    found = generated_metrics(["one two"], lexicon=Lexicon({"one": 1}))
    assert "vocabulary" not in found and "distinct_3" not in found
    assert found["words"] == 2
    assert generated_metrics([], lexicon=Lexicon({"one": 1})) == {"words": 0.0}


def test_resemblance_counts_every_token_once() -> None:
    scores = [_score((float(i), 0, 1), (float(i), 1, 2)) for i in range(101)] + [_score()]
    found = resemblance_metrics(scores)
    assert found["gen0_nll_mean"] == pytest.approx(50)
    assert [found[f"gen0_nll_p{p}"] for p in (5, 50, 95, 99)] == pytest.approx([5, 50, 95, 99])
    assert resemblance_metrics([]) == {}


def test_a_short_rest_of_a_document_counts_little() -> None:
    # 640 tokens of 2 nats in ten stretches, and a document of one token that costs 30 nats.
    found = resemblance_metrics([_score(*[(2.0, 0, 1)] * 640), _score((30.0, 0, 1))])
    assert found["gen0_nll_mean"] == pytest.approx((640 * 2 + 30) / 641)
    assert found["gen0_nll_p99"] == 2.0
    assert members(found, "gen0_nll_bin") == pytest.approx({10: 640 / 641, LAST_BIN: 1 / 641})


def test_the_histogram_is_of_stretches_and_adds_up_to_one() -> None:
    rng = np.random.default_rng(3)
    nats = [rng.gamma(3, 2, size=n) for n in (1, 63, 64, 65, 200)]
    found = resemblance_metrics([TokenNll(each, np.zeros((len(each), 2), np.int64)) for each in nats])
    expected: Counter[int] = Counter()
    for each in nats:
        for start in range(0, len(each), STRETCH_TOKENS):
            part = each[start : start + STRETCH_TOKENS]
            expected[int(part.mean() / 0.2)] += len(part)
    assert members(found, "gen0_nll_bin") == pytest.approx({n: k / 393 for n, k in expected.items()})
    assert sum(members(found, "gen0_nll_bin").values()) == pytest.approx(1)


def test_groups_of_documents_add_up_to_the_whole() -> None:
    rng = random.Random(5)
    lexicon = Lexicon({"a": 99, "b": 1})
    texts = ["a b"] * 47
    scores = [_score((rng.random(), 0, 1), (rng.random(), 1, 3)) for _ in texts]
    found = heldout_metrics(texts, scores, lexicon=lexicon)
    nats, tokens = members(found, "heldout_group_nats"), members(found, "heldout_group_tokens")
    assert list(nats) == list(tokens) == list(range(20))
    assert sum(nats.values()) / sum(tokens.values()) == pytest.approx(found["heldout_ce"])
    assert tokens[0] == 6 and tokens[19] == 4  # documents 0, 20, 40; 19, 39
    tail = sum(members(found, "heldout_group_tail_nats").values())
    assert tail / sum(members(found, "heldout_group_tail_words").values()) == pytest.approx(found["heldout_tail_ce"])
    assert nats[7] == pytest.approx(sum(scores[at].nats.sum() for at in (7, 27)))


def test_support_after_one_generation_is_as_predicted() -> None:
    """Prediction 2: M draws keep Σ 1-(1-p)^M types; the vocabulary metric counts exactly them."""
    rng = np.random.default_rng(0)
    p = 1 / np.arange(1, 401)
    p /= p.sum()
    m, replicates = 1000, 60
    lexicon = Lexicon({f"w{i}": 1 for i in range(400)})
    seen = [
        vocabulary_in_use([f"w{i}" for i in rng.choice(400, size=m, p=p)], lexicon, window=m) for _ in range(replicates)
    ]
    expected = (1 - (1 - p) ** m).sum()
    assert abs(np.mean(seen) - expected) / (np.std(seen, ddof=1) / math.sqrt(replicates)) < 4


def test_plug_in_entropy_falls_with_the_sample_as_predicted() -> None:
    """The plug-in entropy of M draws from K equal types lies (K-1)/(2M ln 2) bits low (Miller 1955)."""
    rng = np.random.default_rng(1)
    k, m, replicates = 100, 5000, 200
    found = [entropy_bits(Counter(map(str, rng.integers(k, size=m)))) for _ in range(replicates)]
    expected = math.log2(k) - (k - 1) / (2 * m * math.log(2))
    assert abs(np.mean(found) - expected) / (np.std(found, ddof=1) / math.sqrt(replicates)) < 4
