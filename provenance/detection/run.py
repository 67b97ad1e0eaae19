"""Running a detector over the store: scores, and claims about what reaches the threshold.

A detector claims `synthetic` or nothing. It claims nothing of what is known to be a model's already; where that comes
to be declared later, the declaration counts, which names the model and the generation (see `provenance.evidence`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection

from provenance.detection.base import Detector, Floats
from provenance.detection.errors import DetectorChanged, DetectorFailed
from provenance.detection.plugins import load_plugin
from provenance.detection.scoring import batch_sizes, score_texts
from provenance.detection.stored import author_of, enter, find, load, report_of, versions_of
from provenance.detection.train import store_scores
from provenance.errors import UnknownName
from provenance.evidence.claims import StatedClaim, state_claims
from provenance.evidence.grades import DETECTED
from provenance.evidence.settle import settle
from provenance.ids import id_bytes, id_values, uuid_array
from provenance.records import RANK_DETECTOR, Claim
from provenance.store.store import Store, fetch, staged, utc_now

_OUTSTANDING = """
    SELECT c.content_id::BLOB AS id, c.n_bytes
    FROM content c
    ANTI JOIN (
        SELECT content_id FROM detector_score WHERE detector = :name AND version = :version
    ) USING (content_id)
    SEMI JOIN (SELECT content_id FROM document WHERE :source IS NULL OR source = :source) USING (content_id)
    ORDER BY c.content_id
"""
_N_CONTENTS = "SELECT count(DISTINCT content_id) AS n FROM document WHERE :source IS NULL OR source = :source"
_BATCH = (
    "SELECT c.content_id::BLOB AS id, c.text FROM content c SEMI JOIN batch USING (content_id) ORDER BY c.content_id"
)
_FIRST_DOCUMENTS = """
    SELECT content_id::BLOB AS id, min(document_id::VARCHAR) AS document
    FROM document SEMI JOIN batch USING (content_id)
    WHERE :source IS NULL OR source = :source GROUP BY content_id
"""
#: Documents at or above the threshold of which this detector has claimed nothing so far, not even what was taken back.
_FLAGGED = """
    SELECT d.document_id::VARCHAR AS id, d.origin, d.evidence_rank, s.score
    FROM document d
    JOIN detector_score s ON s.content_id = d.content_id
    WHERE s.detector = :name AND s.version = :version AND s.score >= :threshold
        AND (:source IS NULL OR d.source = :source) AND d.origin IN ('human', 'unknown'){batch}
        AND d.document_id NOT IN (
            SELECT document_id FROM evidence
            WHERE subject_kind = 'document' AND document_id IS NOT NULL AND author = :author AND retracts IS NULL
        )
    ORDER BY d.document_id
"""
_ALL = _FLAGGED.format(batch="")
_OF_BATCH = _FLAGGED.format(batch=" AND d.content_id IN (SELECT content_id FROM batch)")
_SOURCES = "SELECT name FROM source ORDER BY name"


@dataclass
class RunReport:
    """What a run did.

    Attributes
    ----------
    detector : name@version
    n_scored : texts that were scored
    n_scored_before : texts of the source that had a score already
    n_flagged : documents that a claim was stated of
    n_human_flagged : those of them that counted as human
    n_kept : those of them that stay human, on evidence of a higher grade
    failures : document -> why the detector has no score for its text
    """

    detector: str
    n_scored: int = 0
    n_scored_before: int = 0
    n_flagged: int = 0
    n_human_flagged: int = 0
    n_kept: int = 0
    failures: dict[str, str] = field(default_factory=dict)


def stored_detector(store: Store, wanted: str) -> Detector:
    """Return a trained detector, or the plug-in that ran under this name, of the store.

    Raises
    ------
    UnknownDetector, DetectorDamaged, NotADetector
        If there is none, or it cannot be loaded.
    """
    with store.read() as connection:
        row = find(connection, wanted)
    report = report_of(row)
    return load(row) if report["kind"] == "linear" else load_plugin(report["plugin"])


def run_detector(
    store: Store,
    detector: Detector,
    *,
    plugin: str | None = None,
    source: str | None = None,
    max_failures: int = 100,
    progress: Callable[[int, int], None] | None = None,
) -> RunReport:
    """Score every text that has no score of this detector yet, and claim what its scores say.

    Parameters
    ----------
    plugin : how the detector was named, where it is none of the store's
    source : only documents of this source
    max_failures : stop when the detector fails on more texts
    progress : called with the texts done and their number

    Raises
    ------
    UnknownName
        If there is no such source.
    DetectorChanged
        If a detector of that name and version is in the store and differs.
    DetectorFailed
        If it failed on some texts; everything else was done first. Its attribute `report` says what.
    """
    run = _Run(store, detector, source)
    run.require_source()
    if plugin is not None:
        run.enter_plugin(plugin)
    run.catch_up()
    run.score_outstanding(max_failures, progress)
    if run.report.failures:
        raise DetectorFailed(asdict(run.report), stopped=run.is_stopped)
    return run.report


class _Run:
    def __init__(self, store: Store, detector: Detector, source: str | None) -> None:
        self._store, self._detector, self._source = store, detector, source
        self._threshold = float(detector.threshold)
        self._author = author_of(detector.name, detector.version)
        self._given = {"name": detector.name, "version": detector.version, "source": source}
        self.report = RunReport(f"{detector.name}@{detector.version}")
        self.is_stopped = False

    def require_source(self) -> None:
        names = self._store.fetch(_SOURCES)["name"].to_pylist()
        if self._source is not None and self._source not in names:
            raise UnknownName("source", self._source, names)

    def enter_plugin(self, plugin: str) -> None:
        """Enter the detector, or make sure that it is the one that ran before."""
        one = self._detector
        with self._store.transaction() as connection:
            same = [row for row in versions_of(connection, one.name) if row.version == one.version]
            if not same:
                report = {"kind": "plugin", "plugin": plugin}
                enter(connection, {"name": one.name, "version": one.version, "digest": "", "report": report,
                                   "threshold": self._threshold})  # fmt: skip
                return
        stored = report_of(same[0])
        for what, before, now in (
            ("kind", stored["kind"], "plugin"), ("threshold", same[0].threshold, self._threshold),
        ):  # fmt: skip
            if before != now:
                raise DetectorChanged(one.name, one.version, what, before, now)

    def catch_up(self) -> None:
        """Claim what earlier scores say of documents that came later."""
        with self._store.transaction() as connection:
            self._claim(connection, _ALL)

    def score_outstanding(self, max_failures: int, progress: Callable[[int, int], None] | None) -> None:
        with self._store.read() as connection:
            todo = fetch(connection, _OUTSTANDING, self._given)
            n_all = fetch(connection, _N_CONTENTS, {"source": self._source})["n"][0].as_py()
        self.report.n_scored_before = n_all - todo.num_rows
        ids, n_done = id_bytes(id_values(todo["id"])), 0
        for size in batch_sizes(todo["n_bytes"].to_pylist()):
            self._score_batch(ids[n_done : n_done + size], max_failures)
            n_done += size
            if progress is not None:
                progress(n_done, len(ids))
            if self.is_stopped:
                return
            self._store.yield_to_waiting()

    def _score_batch(self, ids: list[bytes], max_failures: int) -> None:
        """Score some contents and claim what follows, all in one transaction."""
        batch = pa.table({"content_id": uuid_array(ids)})
        # Not inside the transaction: a detector may take its time, or ask another machine.
        with self._store.read() as connection, staged(connection, batch=batch):
            rows = fetch(connection, _BATCH)
            owners = fetch(connection, _FIRST_DOCUMENTS, {"source": self._source})
        documents = dict(zip(id_bytes(id_values(owners["id"])), owners["document"].to_pylist(), strict=True))
        present = id_bytes(id_values(rows["id"]))
        n_left = max_failures - len(self.report.failures)
        scores, reasons = score_texts(self._detector, rows["text"].to_pylist(), max_failures=n_left)
        for place, reason in reasons.items():
            self.report.failures[documents[present[place]]] = reason
        self.is_stopped = len(reasons) > n_left
        good = np.flatnonzero(np.isfinite(scores))
        done = [present[i] for i in good]
        if not done:
            return
        with self._store.transaction() as connection:
            store_scores(connection, self._detector.name, self._detector.version, done, scores[good])
            with staged(connection, batch=pa.table({"content_id": uuid_array(done)})):
                self._claim(connection, _OF_BATCH)
        self.report.n_scored += len(done)

    def _claim(self, connection: Connection, query: str) -> None:
        """State the claims that a query finds to be due, and settle what follows from them."""
        given = {**self._given, "threshold": self._threshold, "author": self._author}
        rows = fetch(connection, query, given)
        if not rows.num_rows:
            return
        ids = rows["id"].to_pylist()
        state_claims(connection, self._claims(ids, rows["score"].to_numpy()), stated_at=utc_now())
        settle(connection, pa.table({"document_id": uuid_array([UUID(one).bytes for one in ids])}))
        human = [origin == "human" for origin in rows["origin"].to_pylist()]
        kept = [rank > RANK_DETECTOR for rank in rows["evidence_rank"].to_pylist()]
        self.report.n_flagged += len(ids)
        self.report.n_human_flagged += sum(human)
        self.report.n_kept += sum(h and k for h, k in zip(human, kept, strict=True))

    def _claims(self, ids: Sequence[str], scores: Floats) -> list[StatedClaim]:
        calibration = self._detector.calibration
        sure: list[Any] = [None] * len(ids) if calibration is None else calibration.probability(scores).tolist()
        claim = Claim.make("synthetic")
        return [
            StatedClaim(
                "document", one, claim, DETECTED, note=f"score {score:.6g}, threshold {self._threshold:.6g}",
                rank=RANK_DETECTOR, author=self._author, confidence=confidence,
            )
            for one, score, confidence in zip(ids, scores.tolist(), sure, strict=True)
        ]  # fmt: skip
