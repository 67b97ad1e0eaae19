from __future__ import annotations

import pytest

from training.metrics.generated import generated_metrics
from training.metrics.registry import METRICS, chosen, members, metric_of, profile_metrics
from training.metrics.words import Lexicon

#: The table of metrics in the specification, by when they move.
MOVES = {
    "early": ["heldout_tail_ce", "heldout_head_ce", "arm_tail_mass", "arm_js_divergence", "t1_gen0_nll_mean",
              "arm_gen0_nll_p5", "arm_gen0_nll_p50", "arm_gen0_nll_p95", "arm_gen0_nll_p99"],
    "middle": ["heldout_ce", "heldout_perplexity", "arm_entropy", "arm_distinct_1", "arm_distinct_3",
               "arm_repeated_3grams", "t1_zlib_ratio", "arm_zipf_slope", "arm_near_duplicates_within",
               "arm_near_duplicates_human"],
    "late": ["arm_vocabulary", "t1_vocabulary"],
}  # fmt: skip


@pytest.mark.parametrize(("when", "name"), [(when, name) for when, names in MOVES.items() for name in names])
def test_every_metric_of_the_specification_is_there(when: str, name: str) -> None:
    assert METRICS[name].moves == when


def test_names_are_keys_and_everything_is_said() -> None:
    for name, metric in METRICS.items():
        assert name == metric.name
        assert metric.unit and metric.meaning.endswith(".") and metric.title
        assert metric.of == (name.split("_")[0] if name.split("_")[0] in ("heldout", "arm", "t1") else "run")
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)


def test_both_samples_have_the_same_metrics() -> None:
    of = {
        kind: [name.removeprefix(f"{kind}_") for name, m in METRICS.items() if m.of == kind] for kind in ("arm", "t1")
    }
    assert of["arm"] == of["t1"]


def test_what_is_computed_is_registered() -> None:
    text = " ".join(f"w{i % 97}" for i in range(12_000))
    found = generated_metrics([text], lexicon=Lexicon.of([text]))
    assert {f"arm_{name}" for name in found} <= set(METRICS)


def test_members_of_families_are_known_by_their_number() -> None:
    assert metric_of("arm_gen0_nll_bin_12") is METRICS["arm_gen0_nll_bin"]
    assert metric_of("arm_distinct_2") is METRICS["arm_distinct_2"]
    assert metric_of("arm_distinct_9") is None
    assert metric_of("heldout_ce_1") is None
    assert metric_of("arm_gen0_nll_bin_x") is None
    values = {"arm_gen0_nll_bin_12": 0.5, "t1_gen0_nll_bin_12": 0.1, "arm_gen0_nll_bin_3": 0.5, "heldout_ce": 1.0}
    assert members(values, "arm_gen0_nll_bin") == {3: 0.5, 12: 0.5}


def test_chosen_metrics_keep_their_families_and_names_of_ones_own() -> None:
    values = {"arm_gen0_nll_bin_12": 0.5, "t1_gen0_nll_bin_12": 0.1, "heldout_ce": 1.0, "arm_entropy": 2.0}
    assert chosen(values, None) == values
    assert chosen(values, ["arm_gen0_nll_bin", "heldout_ce"]) == {"arm_gen0_nll_bin_12": 0.5, "heldout_ce": 1.0}
    assert chosen(values, []) == {}


def test_the_profile_goes_from_early_to_late() -> None:
    signs = [metric.sign for metric in profile_metrics()]
    assert signs == sorted(signs, key=["early", "middle", "late"].index)
    names = {metric.name for metric in profile_metrics()}
    assert {"heldout_tail_ce", "arm_tail_mass", "arm_entropy", "arm_vocabulary", "arm_gen0_nll_mean"} <= names
