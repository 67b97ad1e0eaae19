"""Training the built-in detector on what the store knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from provenance.detection.evaluation import (
    Scored,
    false_positives_by_source,
    fit_calibration,
    operating_point,
    reliability,
    roc,
    threshold_for,
)  # fmt: skip
from provenance.detection.features import FEATURE_VERSION, MOST_CHARACTERS, N_COLUMNS, Featurizer, occupied
from provenance.detection.known import Known, count_by_source, draw_known
from provenance.detection.linear import digest_of, fit_weights, pack, require_sklearn, scores_of, spread
from provenance.detection.stored import enter, require_name, versions_of
from provenance.ids import uuid_array
from provenance.store.store import Store, registered

N_FOLDS = 5


@dataclass(frozen=True)
class TrainedDetector:
    """What training gave.

    Attributes
    ----------
    is_new : False if exactly this detector was in the store already, under `version`
    """

    name: str
    version: str
    digest: str
    threshold: float
    report: dict[str, Any]
    is_new: bool


def train_detector(
    store: Store, name: str, *, n: int = 20_000, min_rank: int = 1, fpr: float = 0.01, seed: int = 0
) -> TrainedDetector:
    """Train a detector on texts of known origin, judge it by cross-validation and store it.

    Parameters
    ----------
    name : of the detector; its versions are numbered
    n : most texts of each kind
    min_rank : least rank of the evidence for their origin
    fpr : wanted share, 0..1, of human texts that reach the threshold

    Notes
    -----
    The texts that it is trained on keep the scores that the cross-validation gave them: those of a model that has not
    seen them. A wrongly labelled text would otherwise be scored by a model that has learnt its label.

    Raises
    ------
    MissingExtra
        If scikit-learn is not installed.
    TooFewKnown
        If there are too few texts of a kind.
    InvalidDetectorName
        If it cannot have that name.
    """
    require_name(name)
    require_sklearn()
    with store.read() as connection:
        known = draw_known(connection, n=n, min_rank=min_rank, seed=seed)
    rows = Featurizer().rows(known.texts)
    columns = occupied(rows)
    scored, mean_weights = _cross_validated(known, rows)
    threshold = threshold_for(scored.scores[~scored.is_synthetic], fpr)
    calibration = fit_calibration(scored)
    settings = {"n": n, "min_rank": min_rank, "fpr": fpr, "seed": seed, "n_folds": N_FOLDS}
    report = _report(known, scored, threshold, settings)
    report["calibration"] |= {"slope": calibration.slope, "intercept": calibration.intercept}
    weights = spread(mean_weights, columns)
    digest = digest_of(weights, report)
    with store.transaction() as connection:
        before = versions_of(connection, name)
        same = next((row for row in before if row.digest == digest), None)
        if same is not None:
            return TrainedDetector(name, same.version, digest, threshold, report, is_new=False)
        version = _next_version([row.version for row in before])
        enter(connection, {"name": name, "version": version, "digest": digest, "threshold": threshold,
                           "report": report, "weights": pack(weights, calibration)})  # fmt: skip
        store_scores(connection, name, version, known.ids, scored.scores)
    return TrainedDetector(name, version, digest, threshold, report, is_new=True)


def store_scores(
    connection: Connection, name: str, version: str, contents: list[bytes], scores: npt.NDArray[np.float64]
) -> None:
    """Enter what a detector gave to contents that it had not scored before."""
    table = pa.table(
        {
            "detector": pa.array([name] * len(contents), pa.string()),
            "version": pa.array([version] * len(contents), pa.string()),
            "content_id": uuid_array(contents),
            "score": pa.array(scores, pa.float64()),
        }
    )
    with registered(connection, scored_contents=table) as raw:
        raw.execute("INSERT INTO detector_score BY NAME SELECT * FROM scored_contents")


def _cross_validated(known: Known, rows: Any) -> tuple[Scored, npt.NDArray[np.float32]]:
    """Return every text with the score of a model that has not seen it nor anything of its cluster; and their mean.

    The mean of the models is what the detector becomes: its scores are on the scale that the threshold was found on,
    while those of a model of all texts would not be.
    """
    folds = known.folds(N_FOLDS)
    scores = np.zeros(len(folds))
    weights = []
    for fold in range(N_FOLDS):
        here = folds == fold
        weights.append(fit_weights(rows, known.is_synthetic, chosen=~here))
        scores[here] = scores_of(weights[-1], rows[here])
    mean = np.asarray(np.mean(weights, axis=0, dtype=np.float64), np.float32)
    return Scored(scores, known.is_synthetic, folds), mean


def _report(known: Known, scored: Scored, threshold: float, settings: dict[str, Any]) -> dict[str, Any]:
    auc, points = roc(scored)
    return {
        "kind": "linear",
        "settings": settings,
        "features": {
            "version": FEATURE_VERSION,
            "n_columns": N_COLUMNS,
            "words": [1, 2],
            "characters": [2, 4],
            "most_characters": MOST_CHARACTERS,
        },
        "trained_on": {
            "n_human": int((~scored.is_synthetic).sum()),
            "n_synthetic": int(scored.is_synthetic.sum()),
            "n_human_available": known.n_available["n_human"],
            "n_synthetic_available": known.n_available["n_synthetic"],
            "by_source": count_by_source(known),
            "digest": known.digest,
        },
        "auc": auc,
        "roc": points,
        "threshold": threshold,
        "operating": operating_point(scored, settings["fpr"]),
        "calibration": reliability(scored),
        "sources": false_positives_by_source(scored, known.sources, threshold),
    }


def _next_version(versions: list[str]) -> str:
    return str(max([int(one) for one in versions if one.isdigit()], default=0) + 1)
