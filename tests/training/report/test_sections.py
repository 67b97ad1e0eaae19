"""The sections that need more than the main metrics: profile, histograms, ancestry, doses, a followed prompt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provenance.ingest.pipeline import ingest_records
from provenance.records import Claim
from provenance.store.store import Store
from training.profile.collapse import collapse_profiles
from training.profile.dose import dose_curves, needed_shares
from training.report.data import read_results
from training.report.distances import UNKNOWN, all_distances, read_distances
from training.report.doses import doses
from training.report.followed import followed_source, read_followed
from training.report.headline import headline
from training.report.histograms import read_histograms, shown_generations
from training.report.make import write_report
from training.report.measures import HELDOUT, MEASURES, further_measures
from training.report.profiles import profile_table
from training.report.wording import typed

ARMS = ("replace", "quota", "human")


def with_bins(values: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, list[float]]]:
    """Return metrics with a histogram that walks: bin 4 + generation in one arm, 4 in all others."""
    bins = {
        f"arm_gen0_nll_bin_{n}": {
            arm: [float(n == 4 + (g if arm == "replace" else 0)) for g in range(5)] for arm in ARMS
        }
        for n in range(4, 9)
    }
    return {**values, **bins}


# ---------------------------------------------------------------- profile


def test_the_profile_says_when_every_sign_left(store: Store, fake: Any) -> None:
    experiment = fake(seeds=(1, 2, 3), change=lambda m, a, seed, g, v: v + seed * (1 + (seed * g) % 3 / 1000)).fill(
        store
    )
    results = read_results(store, experiment.name)
    table = profile_table(results, collapse_profiles(results))
    assert table is not None
    assert [heading for heading, _ in table.groups] == ["early signs", "loss", "late signs"]
    cells = {arm: dict(zip([m.name for m in table.metrics], cells, strict=True)) for arm, _, cells in table.rows}
    assert list(cells) == ["replace", "quota"]
    # Held-out loss: replace is .14, .50, 1.02, 1.61 above; entropy is below.
    assert typed(cells["replace"]["heldout_ce"].when) == "1 ↑"
    assert typed(cells["replace"]["heldout_ce"].by) == "+1.61"
    assert typed(cells["replace"]["heldout_ce"].half_width).startswith("± 0.0")
    assert typed(cells["replace"]["arm_entropy"].when) == "1 ↓"
    assert any("Intervals are over 3 seeds" in note for note in table.notes)
    assert table.heading(table.metrics[0]) == ("tail loss", "", "nats per word")


def test_one_seed_without_documents_says_that_nothing_is_known(store: Store, fake: Any) -> None:
    fake().fill(store)
    results = read_results(store, "demo")
    table = profile_table(results, collapse_profiles(results))
    assert table is not None
    assert {cell.state for _, _, cells in table.rows for cell in cells} == {"held"}
    assert any("nothing is said to have left" in note for note in table.notes)


def test_without_a_control_there_is_no_table(store: Store, fake: Any) -> None:
    fake(arms=[{"name": "replace", "regime": "replace"}], generations=1).fill(store)
    results = read_results(store, "demo")
    assert profile_table(results, collapse_profiles(results)) is None


def test_the_opposite_of_damage_is_no_damage(store: Store, fake: Any) -> None:
    """A drifting model can write with more entropy than the control; no quota can save that from it."""

    def change(metric: str, arm: str, seed: int, generation: int, value: float) -> float:
        return {"replace": 9.0, "quota": 8.8, "human": 8.5}.get(arm, 8.5) if "entropy" in metric else 5.0

    fake(change=change, values={"t1_entropy": {"replace": [0.0] * 5}, "heldout_ce": {"replace": [0.0] * 5}}).fill(store)
    found = headline(read_results(store, "demo"))
    assert list(found.findings) == ["nothing lost"]


# ---------------------------------------------------------------- histograms


def test_histograms_are_means_over_seeds(store: Store, fake: Any) -> None:
    values = with_bins({"heldout_ce": {arm: [5.0] * 5 for arm in ARMS}})

    def change(metric: str, arm: str, seed: int, generation: int, value: float) -> float | None:
        return (value if seed == 1 else float(metric == "arm_gen0_nll_bin_8")) if "bin" in metric else value

    fake(values=values, seeds=(1, 2), change=change).fill(store)
    replace_, quota, _ = read_histograms(read_results(store, "demo"))
    assert (replace_.arm, quota.arm) == ("replace", "quota")
    assert {n: s for n, s in replace_.shares[2].items() if s} == {6: 0.5, 8: 0.5}
    assert {n: s for n, s in quota.shares[2].items() if s} == {4: 0.5, 8: 0.5}
    assert {n: s for n, s in replace_.shares[4].items() if s} == {8: 1.0}


def test_few_of_many_generations_are_shown(store: Store, fake: Any) -> None:
    values = with_bins({"heldout_ce": {arm: [5.0] * 5 for arm in ARMS}})
    fake(values=values).fill(store)
    (one, *_) = read_histograms(read_results(store, "demo"))
    assert shown_generations([one]) == [0, 1, 2, 3, 4]
    many = replace(one, shares={g: {4: 1.0} for g in range(10)})
    assert shown_generations([many]) == [0, 2, 4, 7, 9]


def test_runs_without_bins_have_no_histograms(store: Store, fake: Any) -> None:
    fake(generations=1).fill(store)
    assert read_histograms(read_results(store, "demo")) == []


# ---------------------------------------------------------------- ancestry


def test_every_generation_moves_generated_text_one_model_further(store: Store, fake: Any) -> None:
    fake(generations=4).fill(store)
    found = {each.arm: each.shares for each in read_distances(store, read_results(store, "demo"))}
    assert [found["replace"][g] for g in range(5)] == [{g: 1.0} for g in range(5)]
    assert found["quota"][3] == pytest.approx({0: 0.5, 1: 0.25, 2: 0.125, 3: 0.125})
    assert found["quota"][4] == pytest.approx({0: 0.5, 1: 0.25, 2: 0.125, 3: 0.0625, 4: 0.0625})
    assert found["human"][4] == {0: 1.0}


def test_text_of_models_that_nobody_knows_comes_last(store: Store, fake: Any) -> None:
    fake(generations=1).fill(store)
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE training_set_item SET model = 'bought' WHERE origin = 'synthetic'")
    distances = read_distances(store, read_results(store, "demo"))
    assert {each.arm: each.shares[1] for each in distances}["quota"] == {UNKNOWN: 0.5, 0: 0.5}
    assert all_distances(distances) == [0, UNKNOWN]


# ---------------------------------------------------------------- doses

LADDER = [
    {"name": "none", "regime": "replace"},
    {"name": "ten", "regime": "quota", "share": "1/10"},
    {"name": "half", "regime": "quota", "share": "1/2"},
    {"name": "kept", "regime": "quota", "share": "1/4", "human": "fixed"},
    {"name": "kept-more", "regime": "quota", "share": "3/4", "human": "fixed"},
    {"name": "weighted", "regime": "quota", "share": "1/4", "human_loss_weight": "optimal"},
    {"name": "human", "regime": "human"},
]
LOSS = {"none": 1.0, "ten": 0.4, "kept": 0.3, "kept-more": 0.02, "weighted": 0.2, "half": 0.08, "human": 0.0}


def ladder(store: Store, fake: Any, **settings: Any) -> None:
    def change(metric: str, arm: str, seed: int, generation: int, value: float) -> float:
        return 5.0 + seed + LOSS.get(arm, 0.0)

    values = {"heldout_ce": {"human": [0.0] * 5}}
    fake(**{"arms": LADDER, "generations": 1, "values": values, "change": change, **settings}).fill(store)


def test_curves_join_arms_that_differ_by_share_alone(store: Store, fake: Any) -> None:
    ladder(store, fake)
    results = read_results(store, "demo")
    fresh, fixed = dose_curves(results)
    assert [(dose.share, dose.arm.name) for dose in fresh.doses] == [
        (0.0, "none"), (0.1, "ten"), (0.5, "half"), (1.0, "human"),
    ]  # fmt: skip
    assert [dose.arm.name for dose in fixed.doses] == ["none", "kept", "kept-more", "human"]
    found = doses(results)
    assert found is not None
    assert [name for name, _ in found.keys] == ["fresh human text", "fixed human text"]
    assert [measure for measure, _ in found.panels] == [HELDOUT]
    assert "6.00 at 0 %, 6.08 at 50 %, 6.40 at 90 %, 7.00 at 100 %" in typed(found.panels[0][1])


def test_the_smallest_share_within_a_distance(store: Store, fake: Any) -> None:
    ladder(store, fake)
    results = read_results(store, "demo")
    fresh, fixed = dose_curves(results)
    (needed,) = needed_shares(results, fresh)
    assert needed.shares == pytest.approx({0.1: 0.5, 0.25: 0.5, 0.5: 0.1})
    (needed,) = needed_shares(results, fixed)
    assert needed.shares == pytest.approx({0.1: 0.75, 0.25: 0.75, 0.5: 0.25})


def test_a_share_that_only_happens_to_be_near_does_not_keep(store: Store, fake: Any) -> None:
    # Seeds disagree about the half: .08 ± .25 reaches beyond .1 and .25, not beyond .5.
    def change(metric: str, arm: str, seed: int, generation: int, value: float) -> float:
        return 5.0 + LOSS.get(arm, 0.0) + (arm == "half") * (seed - 2) / 10

    ladder(store, fake, change=change, seeds=(1, 2, 3))
    results = read_results(store, "demo")
    (needed,) = needed_shares(results, dose_curves(results)[0])
    assert needed.shares == pytest.approx({0.1: None, 0.25: None, 0.5: 0.1})


def test_two_decodings_are_two_curves(store: Store, fake: Any) -> None:
    arms = [{**arm, "name": f"{arm['name']}-plain", "decoding": {"temperature": 1.0}} for arm in LADDER]
    ladder(store, fake, arms=[*LADDER[:3], LADDER[-1], *arms[:3], arms[-1]])
    results = read_results(store, "demo")
    found = doses(results)
    assert found is not None
    assert [typed(name) for name, _ in found.keys] == ["T = 0.8", "T = 1"]
    # Each is compared with the control that draws as it does.
    by_arm = {arm.name: results.control_of(arm) for arm in results.arms}
    assert {name: control.name for name, control in by_arm.items() if control} == {
        name: "human-plain" if name.endswith("plain") else "human" for name in by_arm
    }


def test_without_shares_there_are_no_doses(store: Store, fake: Any) -> None:
    ladder(store, fake, arms=[LADDER[0], LADDER[2], LADDER[-1]])  # one quota makes no curve
    assert doses(read_results(store, "demo")) is None


# ---------------------------------------------------------------- a followed prompt, and the page


def follow(store: Store, model: str, prompts: dict[str, str]) -> None:
    records = [
        {"id": f"{at:06d}", "text": text, "metadata": {"sample": "followed", "prompt": prompt}}
        for at, (prompt, text) in enumerate(prompts.items(), start=1)
    ]
    source = followed_source(model)
    ingest_records(store, records, name=source, source=source, claim=Claim.make("synthetic", generation=1, model=model))


def test_a_prompt_is_followed_through_the_generations(store: Store, fake: Any, tmp_path: Path) -> None:
    fake(generations=2).fill(store)
    follow(store, "demo.shared.s1.g0", {"The church was built": "of stone", "A second": "one"})
    for arm in ARMS:
        for generation in (1, 2):
            follow(store, f"demo.{arm}.s1.g{generation}", {"The church was built": f"{arm} {generation} <b>"})
    church, second = read_followed(store, read_results(store, "demo"))
    assert (church.prompt, second.prompt) == ("The church was built", "A second")
    assert [(generation, [arm for arm, _ in cards]) for generation, cards in church.rows] == [
        (0, ["shared"]), (1, list(ARMS)), (2, list(ARMS)),
    ]  # fmt: skip
    assert [text.text for _, text in church.rows[2][1] if text] == [f"{arm} 2 <b>" for arm in ARMS]
    page = write_report(store, "demo", tmp_path / "page.html").path.read_text("utf-8")
    assert "One prompt through the generations" in page
    assert "quota 2 &lt;b&gt;" in page


def test_the_page_has_every_section_that_has_numbers(store: Store, fake: Any, tmp_path: Path) -> None:
    main = {measure.metric: {arm: [5.0] * 5 for arm in ARMS} for measure in MEASURES}
    more = {measure.metric: {arm: [0.5] * 5 for arm in ARMS} for measure in further_measures(plain=False)[:5]}
    quota = {"name": "more", "regime": "quota", "share": "3/4"}
    arms = [*fake().arms, quota]
    fake(arms=arms, values=with_bins({**main, **more}), seeds=(1, 2, 3), change=lambda m, a, s, g, v: v + s / 100).fill(
        store
    )
    page = write_report(store, "demo", tmp_path / "page.html").path.read_text("utf-8")
    for heading in (
        "Collapse profile",
        "Generation by generation",
        "How much human text is enough",
        "How the first model sees what later ones write",
        "How many models stand between people and the text",
    ):
        assert heading in page
    assert f"{len(more)} more metrics" in page


def test_further_measures_are_said_once_where_both_samples_are_alike() -> None:
    plain, both = further_measures(plain=True), further_measures(plain=False)
    names = {measure.metric for measure in plain}
    assert "arm_js_divergence" in names and "t1_js_divergence" not in names
    assert all(", own decoding" not in measure.title for measure in plain)
    assert len(both) > len(plain)
    assert not {measure.metric for measure in both} & {measure.metric for measure in MEASURES}
