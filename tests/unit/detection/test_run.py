from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from importlib import metadata
from itertools import permutations
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from provenance.detection import errors, plugins, scoring
from provenance.detection.base import Calibration
from provenance.detection.plugins import load_plugin
from provenance.detection.run import run_detector, stored_detector
from provenance.errors import UnknownName
from provenance.evidence.claims import StatedClaim, state_claims
from provenance.evidence.settle import settle
from provenance.evidence.statements import Statement, state
from provenance.ids import uuid_array
from provenance.records import Claim
from provenance.store.store import Store, utc_now
from tests.conftest import Maker
from tests.factories import count, dump, ingest, prose, provenance, rows, violations
from tests.unit.detection.speakers import Fake

_HERE = "tests.unit.detection.speakers"


def _fill(store: Store) -> None:
    ingest(store, [{"id": f"h{k}", "text": f"people score {k / 10}"} for k in range(10)], source="books")
    ingest(store, [{"id": f"u{k}", "text": f"somebody score {k / 10}"} for k in range(10)], source="crawl",
           origin="unknown")  # fmt: skip
    ingest(store, [{"id": "copy", "text": "people score 0.9"}], source="crawl", origin="unknown")
    ingest(store, [{"id": f"s{k}", "text": f"model score {k / 10}"} for k in range(10)], source="bot",
           origin="synthetic", generation=3, model="gpt")  # fmt: skip


def _resolved(store: Store) -> dict[str, tuple[Any, ...]]:
    found = rows(store, "SELECT external_id, origin, generation, model, evidence_rank FROM documents")
    return {row["external_id"]: tuple(row.values())[1:] for row in found}


def test_what_reaches_the_threshold_is_claimed_once_and_nothing_else(store: Store) -> None:

    _fill(store)
    [h7] = rows(store, "SELECT document_id::VARCHAR AS id FROM documents WHERE external_id = 'h7'")
    with store.transaction() as connection:
        claim = StatedClaim("document", h7["id"], Claim.make("human"), "deal", rank=4, author="lawyer")
        state_claims(connection, [claim], stated_at=utc_now())
        settle(connection, pa.table({"document_id": uuid_array([UUID(h7["id"]).bytes])}))
    before = _resolved(store)
    fake = Fake(calibration=Calibration(2, -1))
    report = run_detector(store, fake, plugin="somewhere:fake")
    assert sorted(fake.asked) == sorted(set(fake.asked))  # every text once, whatever number of documents has it
    assert (report.n_scored, report.n_scored_before) == (30, 0)
    flagged = {*(f"{kind}{k}" for kind in "hu" for k in range(5, 10)), "copy"}
    assert (report.n_flagged, report.n_human_flagged, report.n_kept) == (11, 5, 1)
    synthetic = ("synthetic", None, None, 2)
    assert _resolved(store) == before | dict.fromkeys(flagged - {"h7"}, synthetic)
    # What a model is known to have written keeps its model and generation, and nobody became human.
    assert before["s9"] == ("synthetic", 3, "gpt", 1)
    claims = rows(store, "SELECT * FROM claims WHERE rank = 2")
    assert len(claims) == 11
    assert {(c["origin"], c["method"], c["author"], c["grade"]) for c in claims} == {
        ("synthetic", "detector", "detector fake@1", "detector")
    }
    for c in claims:
        score = float(c["note"].split()[1].rstrip(","))
        assert c["confidence"] == pytest.approx(1 / (1 + np.exp(1 - 2 * score)))
    state = dump(store)
    again = run_detector(store, fake, plugin="somewhere:fake")
    assert (again.n_scored, again.n_scored_before, again.n_flagged) == (0, 30, 0)
    assert dump(store) == state


def test_one_source_and_documents_that_come_later(store: Store) -> None:
    _fill(store)
    fake = Fake()
    report = run_detector(store, fake, plugin="p", source="books")
    assert (report.n_scored, report.n_flagged) == (10, 5)
    assert {row[1] for name, row in _resolved(store).items() if name[0] == "u"} == {None}
    assert _resolved(store)["copy"][0] == "unknown"  # of another source, though its text has a score
    ingest(store, [{"id": "later", "text": "people score 0.8"}], source="letters")
    assert run_detector(store, fake, plugin="p").n_flagged == 7  # u5 to u9, copy and later
    assert _resolved(store)["later"][0] == "synthetic"
    assert len(fake.asked) == 30
    assert rows(store, "SELECT DISTINCT confidence FROM claims WHERE rank = 2") == [{"confidence": None}]
    with pytest.raises(UnknownName, match="Did you mean 'books'"):
        run_detector(store, fake, plugin="p", source="boks")


def test_a_claim_that_was_taken_back_is_not_made_again(store: Store) -> None:
    _fill(store)
    run_detector(store, Fake(), plugin="p", source="books")
    one = rows(store, "SELECT claim_id, document_id FROM claims WHERE rank = 2 ORDER BY claim_id LIMIT 1")[0]
    with store.transaction() as connection:
        back = StatedClaim("document", str(one["document_id"]), Claim("unknown"), "retraction", author="anna",
                           retracts=UUID(one["claim_id"]))  # fmt: skip
        state_claims(connection, [back], stated_at=utc_now())
    n = count(store, "evidence")
    assert run_detector(store, Fake(), plugin="p", source="books").n_flagged == 0
    assert count(store, "evidence") == n


_STEPS: dict[str, Callable[[Store], object]] = {
    "detector": lambda store: run_detector(store, Fake(), plugin="p"),
    "declared": lambda store: state(store, [Statement(kind="source", subject="crawl", origin="synthetic", model="gpt",
                                                      generation=1, author="anna")]),
    "copied": lambda store: ingest(store, [{"id": "copy", "text": _FLAGGED + " and more"}], source="books"),
}  # fmt: skip
_FLAGGED = prose(1, n_words=80) + " score 0.9"


def _after(make_store: Maker, steps: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    store = make_store()
    ingest(store, [{"id": "first", "text": _FLAGGED}], source="crawl", origin="unknown")
    for step in steps:
        _STEPS[step](store)
    assert violations(store) == []
    found = _resolved(store)
    store.close()
    return found


def test_a_detector_never_makes_a_document_human(make_store: Maker) -> None:
    for others in permutations(("declared", "copied")):
        without = _after(make_store, others)
        for place in range(3):
            flagged = _after(make_store, (*others[:place], "detector", *others[place:]))
            assert flagged["first"] == without["first"] == ("synthetic", 1, "gpt", 1)
            assert flagged["copy"][0] in ("synthetic", without["copy"][0])


class _Sorter(Fake):
    """A detector that sorts its texts in place, and so gives scores in another order than it was asked in."""

    def score(self, texts: Sequence[str]) -> np.ndarray:
        own = {text: place for place, text in enumerate(texts)}
        assert isinstance(texts, list)
        texts.sort(reverse=True)
        found = super().score(texts)
        texts.clear()
        return np.array([found[sorted(own, reverse=True).index(text)] for text in own])


def test_a_detector_may_do_with_its_texts_what_it_likes(store: Store) -> None:
    _fill(store)
    report = run_detector(store, _Sorter(), plugin="p")
    assert (report.n_scored, report.n_flagged, report.failures) == (30, 11, {})


@pytest.mark.parametrize("size", [7, 1000])
def test_failures_are_named_and_all_others_are_dealt_with(
    store: Store, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_TEXTS", size)
    _fill(store)
    bad = ["this raises", "a short answer", "nan", "infinite"]
    ingest(store, [{"id": text, "text": text} for text in bad], source="bad")
    names = {str(row["document_id"]): row["external_id"]
             for row in rows(store, "SELECT document_id, external_id FROM documents WHERE source = 'bad'")}  # fmt: skip
    with pytest.raises(errors.DetectorFailed) as caught:
        run_detector(store, Fake(), plugin="p")
    failures = {names[document]: reason for document, reason in caught.value.failures.items()}
    assert failures == {
        "this raises": "it raised RuntimeError: no idea",
        "a short answer": "it gave an array of shape (0,) for 1 texts",
        "nan": "it gave nan",
        "infinite": "it gave inf",
    }
    assert caught.value.report["n_scored"] == 30
    assert count(store, "detector_score") == 30
    assert rows(store, "SELECT count(*) AS n FROM claims WHERE rank = 2")[0]["n"] == 11
    assert pickle.loads(pickle.dumps(caught.value)).failures == caught.value.failures  # noqa: S301
    with pytest.raises(errors.DetectorFailed, match="failed on 4 texts, 0 were scored"):
        run_detector(store, Fake(), plugin="p")  # they are tried again


def test_too_many_failures_stop_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_TEXTS", 5)
    ingest(store, [{"id": f"{k}", "text": f"raises {k}"} for k in range(40)])
    with pytest.raises(errors.DetectorFailed, match=r"failed on 7 texts.*stopped there") as caught:
        run_detector(store, Fake(), plugin="p", max_failures=6)
    assert caught.value.stopped


def test_a_version_never_changes(store: Store) -> None:
    _fill(store)
    run_detector(store, Fake(), plugin="p")
    other = Fake()
    other.threshold = 0.9  # type: ignore[misc]
    with pytest.raises(errors.DetectorChanged, match=r"threshold 0.5, not 0.9"):
        run_detector(store, other, plugin="p")


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        ("nothing", "there is no entry point of that name"),
        ("no_such_module_at_all:x", "ModuleNotFoundError"),
        (f"{_HERE}:nothing", "has no attribute 'nothing'"),
        (f"{_HERE}:no_detector", "object is no detector"),
        (f"{_HERE}:Mute", "Mute has no version, threshold, calibration, score"),
        (f"{_HERE}:Endless", "its threshold is nan"),
        (f"{_HERE}:Wild", r"its calibration gives \[nan\]"),
        (f"{_HERE}:Uncalibrated", "its calibration fails: AttributeError"),
        (f"{_HERE}:_value", "missing 1 required positional argument"),
        (":", "no entry point"),
        (".x:y", "in full"),
    ],
)
def test_what_is_no_detector_is_refused(plugin: str, reason: str) -> None:
    with pytest.raises(errors.NotADetector, match=reason):
        load_plugin(plugin)


def test_plugins_are_objects_classes_and_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:

    assert load_plugin(f"{_HERE}:fake").name == "plug"
    assert load_plugin(f"{_HERE}:Fake").name == "fake"
    point = metadata.EntryPoint("mine", f"{_HERE}:fake", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: metadata.EntryPoints([point]))
    assert load_plugin("mine").name == "plug"
    with pytest.raises(errors.NotADetector, match="Did you mean 'mine'"):
        load_plugin("mien")


def test_the_command_line_runs_a_plugin_and_fails_with_counts(store: Store) -> None:
    _fill(store)
    ingest(store, [{"id": "bad", "text": "nan"}], source="bad")
    path = store.path
    store.close()
    answer = provenance("--store", path, "detector", "run", "--plugin", f"{_HERE}:fake")
    assert answer.code == 1
    assert "30 texts scored" in answer.err
    assert "failed on 1 texts, 30 were scored" in answer.err
    assert "plug" in provenance("--store", path, "detector", "list").out
    assert provenance("--store", path, "detector", "show", "plug").code == 0
    assert "was not trained here" in provenance("--store", path, "detector", "show", "plug", "--plot", "x.svg").err
    with Store.open(path, writable=True) as again:
        assert isinstance(stored_detector(again, "plug@1"), Fake)
    # Under its stored name it runs again as the plug-in that it is.
    assert provenance("--store", path, "detector", "run", "plug", "--source", "books").code == 0
