from __future__ import annotations

from typing import Any

from provenance.store.store import Store
from training.report.data import read_results
from training.report.headline import Headline, headline
from training.report.wording import typed

REPLACE, QUOTA, HUMAN = (
    {"name": "replace", "regime": "replace"},
    {"name": "quota", "regime": "quota", "share": "1/2"},
    {"name": "human", "regime": "human"},
)


def said(store: Store) -> Headline:
    return headline(read_results(store, "demo"))


def lines(found: Headline, group: str) -> list[str]:
    return [typed(str(each)) for each in found.findings.get(group, ())]


def test_a_quota_that_holds_the_loss_and_not_the_diversity(store: Store, fake: Any) -> None:
    fake().fill(store)
    found = said(store)
    assert typed(found.title) == (
        "After 4 generations, a quota of 50 % human text kept the loss on new human text down, "
        "but hardly kept the diversity of what the model writes at T = 0.8."
    )
    assert list(found.findings) == ["held", "held in part", "did not hold"]
    # 1 - (5.12 - 4.99) / (6.60 - 4.99) = .919; the distance was .11 a generation before
    assert lines(found, "held")[0] == (
        "Loss on held-out human text: 0.13 nats per token above the human control with quota (50 % human), "
        "1.61 nats per token above it without human text. 92 % of the damage is avoided. "
        "In the last generation the distance from the control did not clearly change (+0.02)."
    )
    # 1 - (8.34 - 4.80) / (8.34 - 4.36) = .111
    assert lines(found, "did not hold")[0] == (
        "Entropy of its text, own decoding (T = 0.8): 4.80 bits per word with quota (50 % human), "
        "8.34 in the human control, 4.36 without human text. 11 % of the damage is avoided."
    )
    assert any(caution.startswith("One seed") for caution in found.cautions)


def test_the_title_follows_the_numbers(store: Store, fake: Any) -> None:
    def change(metric: str, arm: str, seed: int, generation: int, value: float) -> float:
        if arm == "quota" and generation == 4:  # the loss as bad as without human text, the diversity of the control
            return {"heldout_ce": 6.60, "arm_entropy": 8.34, "arm_vocabulary": 1321}.get(metric, value)
        return value

    fake(change=change).fill(store)
    found = said(store)
    assert "hardly kept the loss on new human text down, but kept the diversity" in found.title
    assert lines(found, "did not hold")[0].startswith("Loss on held-out human text: 1.61")
    assert "the distance from the control grew by 1.50" in lines(found, "did not hold")[0]


def test_a_quota_that_makes_it_worse_avoids_nothing(store: Store, fake: Any) -> None:
    fake(change=lambda m, arm, s, g, value: value + 3 * (m == "heldout_ce" and arm == "quota" and g > 0)).fill(store)
    assert "None of the damage is avoided." in lines(said(store), "did not hold")[0]


def test_where_nothing_is_lost_there_is_nothing_to_hold(store: Store, fake: Any) -> None:
    fake(change=lambda metric, arm, seed, generation, value: 5.0).fill(store)
    found = said(store)
    assert "had no clear damage to hold" in found.title
    assert list(found.findings) == ["nothing lost"]


def test_a_difference_within_the_interval_is_no_damage(store: Store, fake: Any) -> None:
    # Without human text .3 nats worse in the mean, but the seeds disagree: +1.2, -.6, +.3.
    def change(metric: str, arm: str, seed: int, generation: int, value: float) -> float:
        return 5.0 + (arm == "replace") * {1: 1.2, 2: -0.6, 3: 0.3}[seed]

    fake(seeds=(1, 2, 3), generations=1, change=change).fill(store)
    assert lines(said(store), "nothing lost")[0].endswith("There is no clear damage even without human text.")


def test_without_an_arm_without_human_text_the_distance_is_given(store: Store, fake: Any) -> None:
    fake(arms=[QUOTA, HUMAN]).fill(store)
    found = said(store)
    assert "leaves the loss on new human text 0.13 nats per token above the human control" in found.title
    assert list(found.findings) == ["measured"]


def test_without_a_quota_the_arms_are_measured(store: Store, fake: Any) -> None:
    fake(arms=[REPLACE, HUMAN]).fill(store)
    found = said(store)
    assert found.title == "After 4 generations, replace lost ground against the human control."
    assert lines(found, "measured")[0].startswith(
        "Loss on held-out human text: 1.61 nats per token above the human control with replace (0 % human)."
    )
    assert found.arm is None


def test_without_a_control_nothing_is_claimed(store: Store, fake: Any) -> None:
    fake(arms=[REPLACE, QUOTA]).fill(store)
    found = said(store)
    assert "there is no human control" in found.title
    assert found.findings == {}


def test_text_drawn_differently_is_not_compared(store: Store, fake: Any) -> None:
    fake(arms=[REPLACE, QUOTA, {**HUMAN, "decoding": {"temperature": 1.0}}]).fill(store)
    found = said(store)
    assert not any("own decoding" in line for group in found.findings for line in lines(found, group))
    assert any("draw their text differently" in caution for caution in found.cautions)


def test_several_quotas_get_a_table_and_the_largest_the_words(store: Store, fake: Any) -> None:
    quarter = {"name": "quarter", "regime": "quota", "share": "1/4"}
    fake(arms=[REPLACE, quarter, QUOTA, HUMAN]).fill(store)
    found = said(store)
    assert found.arm == "quota"
    assert list(found.avoided) == ["quota", "quarter"]
    assert found.avoided["quota"][0] == 1 - (5.12 - 4.99) / (6.60 - 4.99)


def test_arms_that_have_not_met_yet_are_not_compared(store: Store, fake: Any) -> None:
    def finished(arm: str, seed: int, generation: int) -> bool:
        return generation == 0 or (arm == "human") == (seed == 1)

    fake(seeds=(1, 2), generations=1, finished=finished).fill(store)
    found = said(store)
    assert found.title.startswith("Not every arm has finished")
    assert any(caution.startswith("The experiment is not finished") for caution in found.cautions)


def test_seeds_are_named_and_their_interval_explained(store: Store, fake: Any) -> None:
    fake(seeds=(1, 2, 3), generations=1).fill(store)
    assert any("95 % t-interval over 3 seeds" in caution for caution in said(store).cautions)
