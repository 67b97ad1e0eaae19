"""The whole loop on a small corpus: real store, real mixes, real exports."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provenance.export.tokens import TokenBlocks
from provenance.mix.errors import InfeasibleMix
from provenance.store.store import Store
from provenance.takedown.erase import look
from provenance.takedown.select import Selection
from tests.factories import dump, rows, violations
from tests.training.loop_factory import (
    HELDOUT,
    SETTINGS,
    TINY_TRANSFORMER,
    digests,
    experiment,
    fill,
    metrics,
)
from training.errors import ExperimentChanged, LossNotFinite, NotEnoughHumanText, OutputTaken, TrainingDiverged
from training.learners import load_learner
from training.loop import default_jobs, run_experiment


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store that holds the small corpus."""
    path = tmp_path_factory.mktemp("filled") / "filled.duckdb"
    with Store.create(path) as store:
        fill(store)
    return path


@pytest.fixture
def corpus(filled: Path, tmp_path: Path) -> Iterator[Store]:
    """Return a store of its own with the small corpus."""
    shutil.copyfile(filled, tmp_path / "store.duckdb")
    with Store.open(tmp_path / "store.duckdb", writable=True) as store:
        yield store


@pytest.fixture(scope="module")
def done(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path]]:
    """Return a store in which the small experiment has run, and the folder of its files; not to be changed."""
    folder = tmp_path_factory.mktemp("done")
    shutil.copyfile(filled, folder / "store.duckdb")
    with Store.open(folder / "store.duckdb", writable=True) as store:
        report = run_experiment(store, experiment(), out=folder / "out", jobs=1)
        assert (report.n_done, report.n_runs) == (9, 9)
        yield store, folder / "out"


def test_every_run_is_recorded_with_its_metrics(done: tuple[Store, Path]) -> None:
    store, _ = done
    runs = rows(store, "SELECT * FROM training_run")
    assert {run["state"] for run in runs} == {"finished"}
    found = metrics(store)
    assert set(found) == {("shared", 1, 0)} | {(a["name"], 1, g) for a in SETTINGS["arms"] for g in (1, 2)}
    expected = {"heldout_ce", "heldout_tail_ce", "heldout_head_ce", "heldout_perplexity", "fit_tokens", "sample_tokens"}
    for kind in ("arm", "t1"):
        expected |= {
            f"{kind}_{name}"
            for name in (
                "entropy", "tail_mass", "distinct_2", "distinct_3", "repeated_3grams", "zlib_ratio", "js_divergence",
                "zipf_slope", "gen0_nll_mean", "gen0_nll_p5", "gen0_nll_p50", "gen0_nll_p95", "gen0_nll_p99",
            )
        }  # fmt: skip
    for of_run in found.values():
        assert expected <= set(of_run)
        # Tail words cost more than head words, by any model.
        assert of_run["heldout_tail_ce"] > of_run["heldout_head_ce"]
    assert len({of_run["heldout_tokens"] for of_run in found.values()}) == 1


def test_replacing_forgets_and_human_text_does_not(done: tuple[Store, Path]) -> None:
    found = metrics(done[0])
    loss = {arm: found[arm, 1, 2]["heldout_ce"] for arm in ("replace", "quota", "human")}
    assert loss["replace"] > loss["quota"] > loss["human"]


def test_store_is_sound_afterwards(done: tuple[Store, Path]) -> None:
    assert violations(done[0]) == []


def test_shares_hold_in_tokens_of_the_blocks(done: tuple[Store, Path]) -> None:
    _, out = done
    for arm, least, most in [("replace", 0, 0), ("quota", 0.5, 0.6), ("fixed", 0.25, 0.35), ("human", 1, 1)]:
        for generation in (1, 2):
            blocks = TokenBlocks.open(out / "tiny" / "blocks" / f"tiny.{arm}.s1.g{generation}")
            assert least <= blocks.human_share <= most
            assert blocks.blocks.size == pytest.approx(4_000, rel=0.1)
    assert TokenBlocks.open(out / "tiny" / "blocks" / "tiny.shared.s1.g0").human_share == 1


def test_synthetic_text_is_the_previous_models_only(done: tuple[Store, Path]) -> None:
    found = rows(
        done[0],
        "SELECT DISTINCT training_set, source, model, generation FROM training_set_documents WHERE origin <> 'human'",
    )
    assert found
    for row in found:
        _, arm, seed, generation = row["training_set"].split(".")
        g = int(generation[1:]) - 1
        before = f"tiny.{arm if g else 'shared'}.{seed}.g{g}"
        assert (row["source"], row["model"]) == (before, before)
        assert row["generation"] == g + 1


def test_fresh_text_is_never_used_twice_and_fixed_text_is(done: tuple[Store, Path]) -> None:
    def human(name: str) -> set[str]:
        query = "SELECT document_id FROM training_set_documents WHERE training_set = :name AND origin = 'human'"
        return {str(row["document_id"]) for row in rows(done[0], query, name=f"tiny.{name}")}

    first = human("shared.s1.g0")
    for arm in ("quota", "human"):
        one, two = human(f"{arm}.s1.g1"), human(f"{arm}.s1.g2")
        assert one and two and not (one & two) and not (first & (one | two))
    one, two = human("fixed.s1.g1"), human("fixed.s1.g2")
    assert len(one & two) >= len(one) - 1  # whole documents: the last one may differ
    assert not first & (one | two)


def test_heldout_text_is_never_trained_on(done: tuple[Store, Path]) -> None:
    query = """
        SELECT count(*) AS n FROM training_set_documents t JOIN documents d USING (document_id)
        WHERE t.training_set <> 'tiny.heldout' AND (d.metadata->>'address') = :address
    """
    assert rows(done[0], query, address=HELDOUT) == [{"n": 0}]
    [heldout] = rows(done[0], "SELECT n_documents FROM training_sets WHERE name = 'tiny.heldout'")
    assert heldout["n_documents"] > 1


def test_output_is_in_the_store_with_its_lineage(done: tuple[Store, Path]) -> None:
    store, _ = done
    [model] = rows(store, "SELECT * FROM model WHERE name = 'tiny.quota.s1.g2'")
    assert model["training_set"] == "tiny.quota.s1.g2" and model["generation"] == 2 and model["learner"] == "ngram"
    [output] = rows(
        store,
        """SELECT DISTINCT origin, generation, model, metadata->>'arm' AS arm, metadata->>'seed' AS seed,
                  metadata->'decoding'->>'temperature' AS temperature
           FROM documents WHERE source = 'tiny.quota.s1.g2'""",
    )
    assert (output["origin"], output["generation"], output["model"]) == ("synthetic", 3, "tiny.quota.s1.g2")
    assert (output["arm"], output["seed"], float(output["temperature"])) == ("quota", "1", 1.0)


def test_model_of_human_text_is_of_generation_zero_in_every_round(done: tuple[Store, Path]) -> None:
    store, _ = done
    [model] = rows(store, "SELECT generation FROM model WHERE name = 'tiny.human.s1.g2'")
    outputs = rows(store, "SELECT DISTINCT generation FROM documents WHERE source = 'tiny.human.s1.g2'")
    assert model["generation"] == 0 and outputs == [{"generation": 1}]


def test_evaluation_sample_is_kept_apart_and_never_trained_on(done: tuple[Store, Path]) -> None:
    store, _ = done
    [kept] = rows(store, "SELECT count(*) AS n FROM documents WHERE source = 'tiny.replace.s1.g1.t1'")
    [used] = rows(store, "SELECT count(*) AS n FROM training_set_documents WHERE source LIKE '%.t1'")
    assert kept["n"] > 0 and used["n"] == 0


def test_saved_models_are_those_of_the_store(done: tuple[Store, Path]) -> None:
    store, out = done
    for row in rows(store, "SELECT name, digest, path FROM model"):
        assert Path(row["path"]) == out / "tiny" / "models" / row["name"]
        assert load_learner(Path(row["path"])).digest == row["digest"]


def test_takedown_lists_where_the_texts_lie(done: tuple[Store, Path]) -> None:
    """Every file that the loop wrote with texts of the corpus, and each once, though the loop was run again."""
    store, out = done
    run_experiment(store, experiment(), out=out, jobs=1)
    touched = look(store, Selection("source", ("books",)))
    held = {row["training_set"] for row in touched.training_sets}
    blocks = {path for path in (out / "tiny" / "blocks").iterdir() if path.name in held}
    assert len(blocks) == 7, "all sets that models were trained on but those of the arm that replaces human text"
    texts = set((out / "tiny" / "texts").iterdir())
    assert {path.stem for path in texts} == {"tiny.heldout", "tiny.shared.s1.g0"}
    assert all(row["is_there"] for row in touched.exports)
    assert sorted((row["format"], row["path"]) for row in touched.exports) == sorted(
        [("tokens", str(path)) for path in blocks] + [("texts", str(path)) for path in texts]
    )


def test_running_again_changes_nothing(done: tuple[Store, Path]) -> None:
    store, out = done
    before = dump(store)
    report = run_experiment(store, experiment(), out=out, jobs=1)
    assert report.n_done == 0
    assert dump(store) == before


def test_results_do_not_depend_on_the_number_of_jobs(done: tuple[Store, Path], corpus: Store, tmp_path: Path) -> None:
    run_experiment(corpus, experiment(), out=tmp_path / "out", jobs=3)
    assert metrics(corpus) == metrics(done[0])
    assert digests(corpus) == digests(done[0])


def test_changed_settings_need_another_name(done: tuple[Store, Path]) -> None:
    store, out = done
    with pytest.raises(ExperimentChanged, match="has runs in this store with block_length = 32, now it says 64"):
        run_experiment(store, experiment(block_length=64), out=out)
    arms = [*SETTINGS["arms"][1:], {"name": "replace", "regime": "human"}]
    with pytest.raises(ExperimentChanged, match="arm replace"):
        run_experiment(store, experiment(arms=arms), out=out)
    with pytest.raises(OutputTaken):
        (out.parent / "other").mkdir(exist_ok=True)
        (out.parent / "other" / "store.json").write_text('{"store_id": "another"}')
        run_experiment(store, experiment(), out=out.parent / "other")


def test_experiment_can_be_extended_and_lost_files_come_back(
    done: tuple[Store, Path], corpus: Store, tmp_path: Path
) -> None:
    """Generation by generation, with all files lost in between: the same as in one go."""
    for generations in (1, 2):
        fewer = experiment(arms=SETTINGS["arms"][:2], generations=generations)
        report = run_experiment(corpus, fewer, out=tmp_path / "out", jobs=1)
        assert report.n_done == {1: 3, 2: 2}[generations]
        shutil.rmtree(tmp_path / "out" / "tiny")
    every = metrics(done[0])
    assert metrics(corpus) == {run: every[run] for run in every if run[0] in ("shared", "replace", "quota")}
    assert len(metrics(corpus)) == 5
    assert digests(corpus).items() <= digests(done[0]).items()


def test_human_text_that_runs_out_is_said_before_anything_is_trained(corpus: Store, tmp_path: Path) -> None:
    """Four generations of fresh human text are more than the small corpus has."""
    greedy = experiment(
        arms=[{"name": "human", "regime": "human"}], later={"tokens": 17_000}, generations=4, heldout_span=None
    )
    with pytest.raises(NotEnoughHumanText, match="'human' would run out of fresh human text in generation"):
        run_experiment(corpus, greedy, out=tmp_path / "out", jobs=1)
    assert rows(corpus, "SELECT * FROM training_run") == []
    assert not (tmp_path / "out" / "tiny" / "models").exists()
    assert violations(corpus) == []


def test_refused_mix_keeps_what_was_made(corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should text run out all the same, later, for instance because documents were taken out of the store."""
    monkeypatch.setattr("training.loop.check_human_text", lambda *_, **__: [])
    greedy = experiment(
        arms=[{"name": "human", "regime": "human"}], later={"tokens": 17_000}, generations=4, heldout_span=None
    )
    with pytest.raises(InfeasibleMix, match="human"):
        run_experiment(corpus, greedy, out=tmp_path / "out", jobs=1)
    finished = rows(corpus, "SELECT generation FROM training_run WHERE state = 'finished' ORDER BY 1")
    assert finished and finished[0]["generation"] == 0
    assert violations(corpus) == []


def test_small_transformer_goes_on_from_the_previous_model(corpus: Store, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    report = run_experiment(corpus, experiment(**TINY_TRANSFORMER), out=tmp_path / "out", jobs=1)
    assert report.n_done == 3
    found = metrics(corpus)
    assert found["quota", 1, 1]["heldout_ce"] < 6.0 == pytest.approx(6.0)  # log(400): it has learned something
    assert found["quota", 1, 1]["train_loss"] > 0
    models = {row["name"]: row["digest"] for row in rows(corpus, "SELECT name, digest FROM model")}
    assert len(set(models.values())) == 3


def test_diverged_training_stops_and_keeps_the_others(corpus: Store, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    later = {**TINY_TRANSFORMER["later"], "learning_rate": 1e30}
    learner = {**TINY_TRANSFORMER["learner"], "warmup_frac": 0.0, "max_grad_norm": 1e30}
    with pytest.raises(TrainingDiverged, match=r"^Model 'tiny.quota.s1.g1'"):
        run_experiment(
            corpus, experiment(**{**TINY_TRANSFORMER, "later": later, "learner": learner}), out=tmp_path / "o", jobs=1
        )
    states = {row["generation"]: row["state"] for row in rows(corpus, "SELECT generation, state FROM training_run")}
    assert states == {0: "finished", 1: "running"}


def test_failed_arm_does_not_take_the_others_with_it(
    corpus: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import workers

    def fit_and_sample(task: Any, progress: Any) -> dict[str, Any]:
        if ".quota.s1.g1" in task.name:
            raise LossNotFinite(7, float("nan"))
        return original(task, progress)

    original, evaluate = workers.STEPS
    monkeypatch.setattr(workers, "STEPS", (fit_and_sample, evaluate))
    three = experiment(arms=[SETTINGS["arms"][at] for at in (0, 1, 3)])
    with pytest.raises(LossNotFinite):
        run_experiment(corpus, three, out=tmp_path / "out", jobs=1)
    finished = rows(corpus, "SELECT arm FROM training_run WHERE state = 'finished' AND generation = 1")
    assert {row["arm"] for row in finished} == {"replace", "human"}
    monkeypatch.undo()
    assert run_experiment(corpus, three, out=tmp_path / "out", jobs=1).n_done == 4


def test_jobs_follow_arms_seeds_and_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert default_jobs(experiment()) == 4
    assert default_jobs(experiment(seeds=[1, 2, 3])) == 12
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert default_jobs(experiment()) == 2
    pretrained = {"learner": {"name": "transformer", "model": "m"}, "tokenizer": "own", "first": {"tokens": 9}}
    assert default_jobs(experiment(**pretrained)) == 1
