from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from provenance.detection import errors
from provenance.detection.evaluation import threshold_for
from provenance.detection.known import draw_known
from provenance.detection.run import run_detector, stored_detector
from provenance.detection.stored import find, load
from provenance.detection.train import train_detector
from provenance.errors import MissingExtra
from provenance.store.store import Store
from tests.factories import count, ingest, provenance, rows
from tests.unit.detection.speakers import fill, speech


def test_the_same_store_and_seed_give_the_same_detector_once(store: Store) -> None:
    fill(store)
    one = train_detector(store, "lin", n=55, fpr=0.05)
    assert (one.version, one.is_new) == ("1", True)
    again = train_detector(store, "lin", n=55, fpr=0.05)
    assert (again.version, again.is_new, again.digest, again.report) == ("1", False, one.digest, one.report)
    other = train_detector(store, "lin", n=55, fpr=0.05, seed=1)
    assert (other.version, other.is_new) == ("2", True)
    assert other.digest != one.digest
    assert count(store, "detector") == 2
    scored = rows(store, "SELECT version, count(*) AS n FROM detector_score GROUP BY ALL ORDER BY ALL")
    assert scored == [{"version": "1", "n": 110}, {"version": "2", "n": 110}]
    report = one.report
    assert report["trained_on"]["n_human"] == report["trained_on"]["n_synthetic"] == 55
    assert report["trained_on"]["n_human_available"] == 60
    assert report["auc"] > 0.95
    # The scores that are kept are those that the report is about, of models that had not seen the text.
    human = rows(
        store,
        """SELECT DISTINCT content_id, score FROM detector_score JOIN document USING (content_id)
           WHERE version = '1' AND origin = 'human'""",
    )
    assert threshold_for(np.array([row["score"] for row in human]), 0.05) == one.threshold
    # A run that flagged documents leaves what is known as it was: a detector's word is no knowledge.
    run_detector(store, stored_detector(store, "lin@1"))
    assert rows(store, "SELECT count(*) AS n FROM documents WHERE evidence_rank = 2")[0]["n"] > 0
    assert train_detector(store, "lin", n=55, fpr=0.05).digest == one.digest


def test_copies_are_drawn_once_and_never_lie_in_two_folds(store: Store) -> None:
    fill(store)
    common = speech(77, n_vocabulary=900, n_words=200)
    near = [{"id": f"n{k}", "text": f"{common} more{k}"} for k in range(20)]
    ingest(store, near, source="books")
    ingest(store, [{"id": f"m{k}", "text": f"{common} other{k}"} for k in range(20)], source="bot", origin="synthetic",
           generation=1)  # fmt: skip
    # The same text as people's and as a model's is known as neither.
    ingest(store, [{"id": "both", "text": speech(2, n_vocabulary=900)}], source="bot", origin="synthetic", generation=1)
    with store.read() as connection:
        known = draw_known(connection, n=1000, min_rank=1, seed=3)
        again = draw_known(connection, n=1000, min_rank=1, seed=3)
        other = draw_known(connection, n=1000, min_rank=1, seed=4)
    assert known.n_available == {"n_human": 60, "n_synthetic": 61}
    assert known.ids == again.ids
    assert known.digest == again.digest != other.digest
    assert sum("more" in text for text in known.texts) == 1
    assert speech(2, n_vocabulary=900) not in known.texts
    folds = known.folds(5)
    by_cluster: dict[bytes, set[int]] = {}
    for cluster, fold in zip(known.clusters.tolist(), folds.tolist(), strict=True):
        by_cluster.setdefault(cluster, set()).add(fold)
    assert all(len(one) == 1 for one in by_cluster.values())
    assert len(by_cluster) in (len(folds), len(folds) - 1)  # one cluster may have both kinds in it
    for kind in (True, False):
        sizes = np.bincount(folds[known.is_synthetic == kind], minlength=5)
        assert sizes.max() - sizes.min() <= 2


@pytest.mark.parametrize(("origin", "n_human", "n_synthetic"), [("human", 70, 0), ("synthetic", 0, 70)])
def test_one_kind_alone_is_refused_with_the_numbers(store: Store, origin: str, n_human: int, n_synthetic: int) -> None:
    ingest(store, [{"id": f"{k}", "text": speech(k, n_vocabulary=900)} for k in range(70)], origin=origin)
    with pytest.raises(errors.TooFewKnown, match="expected 50 of each") as caught:
        train_detector(store, "lin")
    assert (caught.value.n_human, caught.value.n_synthetic) == (n_human, n_synthetic)


def test_a_rank_that_nobody_reaches_is_refused(store: Store) -> None:
    fill(store)
    with pytest.raises(errors.TooFewKnown, match=r"0 human and 0 synthetic.*lower --min-rank"):
        train_detector(store, "lin", min_rank=4)


def test_without_scikit_learn_the_extra_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtra, match=r"corpus-provenance\[detect\]"):
        train_detector(store, "lin")


def test_a_name_that_cannot_be_named_again_is_refused(store: Store) -> None:
    for name in ("", "a@b", "-x", "a b", "x" * 101, "ü"):
        with pytest.raises(errors.InvalidDetectorName):
            train_detector(store, name)


def test_damaged_weights_are_found(store: Store) -> None:
    fill(store)
    train_detector(store, "lin")
    with store.read() as connection:
        row = find(connection, "lin")
    assert load(row).score(["v1 v2", ""]).shape == (2,)
    for weights in (b"", b"PK nonsense", bytes(row.weights)[:-10]):
        with pytest.raises(errors.DetectorDamaged):
            load(_with(row, weights=weights))
    with pytest.raises(errors.DetectorDamaged, match="digest"):
        load(_with(row, digest="0" * 64))
    with pytest.raises(errors.UnknownDetector, match="Did you mean 'lin'"):
        stored_detector(store, "line")
    with pytest.raises(errors.UnknownDetector, match="no version '9', but: 1"):
        stored_detector(store, "lin@9")


def test_the_command_line_shows_what_was_measured(store: Store) -> None:
    fill(store)
    path = store.path
    store.close()
    made = provenance("--store", path, "detector", "train", "lin", "--fpr", 0.05)
    assert made.code == 0, made.err
    assert "0 of 60" in made.out or "of 60; 95 %" in made.out
    shown = provenance("--store", path, "detector", "show", "lin", "--json")
    assert '"roc": [' in shown.out
    picture = path.with_name("lin.svg")
    assert provenance("--store", path, "detector", "show", "lin@1", "--plot", picture).code == 0
    assert picture.read_text().startswith("<svg")
    ran = provenance("--store", path, "detector", "run", "lin", "--json")
    assert '"n_scored": 0' in ran.out
    assert "lin" in provenance("--store", path, "detector", "list").out
    assert provenance("--store", path, "detector", "run").code == 2


def _with(row: object, **changed: object) -> object:

    return SimpleNamespace(**{**row._asdict(), **changed})  # type: ignore[attr-defined]
