"""The built-in detector: logistic regression over hashed words, pairs of words and runs of characters."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from provenance.detection.base import Calibration, Floats
from provenance.detection.features import FEATURE_VERSION, N_FEATURES, Featurizer
from provenance.errors import MissingExtra

#: Inverse strength of the penalty on weights. Of .3, 1, 3, 30 and 300 the best in `scripts/bench_detector.py`.
_INVERSE_PENALTY = 1.0
_MOST_STEPS = 500


@dataclass(frozen=True)
class LinearDetector:
    """A trained detector.

    Attributes
    ----------
    name, version, threshold, calibration : see `Detector`
    weights : (N_FEATURES + 1,) float32, of every feature, and of none
    """

    name: str
    version: str
    threshold: float
    calibration: Calibration | None
    weights: npt.NDArray[np.float32]

    @classmethod
    def read(cls, name: str, version: str, threshold: float, data: bytes) -> Self:
        """Return the detector of stored weights.

        Raises
        ------
        ValueError
            If the bytes are no weights.
        """
        weights, calibration = unpack(data)
        return cls(name, version, threshold, calibration, weights)

    def score(self, texts: Sequence[str]) -> Floats:
        """Return (n_texts,) log-odds that a model wrote the text."""
        return scores_of(self.weights, Featurizer().rows(texts))


def fit_weights(
    rows: Any, is_synthetic: npt.NDArray[np.bool_], *, chosen: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float32]:
    """Return (n_columns + 1,) weights that a logistic regression gives, the last one that of no column.

    Parameters
    ----------
    rows : (n, n_columns) sparse
    chosen : (n,) which rows count; None for all. So no fold needs a copy of its rows
    """
    require_sklearn()
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    counting = None if chosen is None else chosen.astype(np.float32)
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MOST_STEPS, tol=1e-3)
    with threadpool_limits(1):  # sums over several threads differ in their last bits from machine to machine
        fitted = model.fit(rows, is_synthetic, sample_weight=counting)
    return np.append(fitted.coef_[0], fitted.intercept_[0]).astype(np.float32)


def scores_of(weights: npt.NDArray[np.float32], rows: Any) -> Floats:
    """Return (n,) scores of rows of features."""
    return np.asarray(rows @ weights[:-1].astype(np.float64) + np.float64(weights[-1]), np.float64)


def spread(weights: npt.NDArray[np.float32], columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return (N_FEATURES + 1,) weights from those of some columns and of none."""
    whole = np.zeros(N_FEATURES + 1, np.float32)
    whole[columns] = weights[:-1]
    whole[-1] = weights[-1]
    return whole


def require_sklearn() -> None:
    """Raise `MissingExtra` unless scikit-learn is installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingExtra("scikit-learn", "detect") from error


def pack(weights: npt.NDArray[np.float32], calibration: Calibration) -> bytes:
    """Return weights and calibration as the bytes of an npz file without pickles."""
    occupied = np.flatnonzero(weights).astype(np.uint32)
    about = {"features": FEATURE_VERSION, "slope": calibration.slope, "intercept": calibration.intercept}
    file = io.BytesIO()
    np.savez_compressed(
        file,
        about=np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8),
        columns=occupied,
        weights=weights[occupied],
    )
    return file.getvalue()


def unpack(data: bytes) -> tuple[npt.NDArray[np.float32], Calibration]:
    """Return what `pack` was given.

    Raises
    ------
    ValueError
        If the bytes are something else.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            about = json.loads(found["about"].tobytes())
            columns, values = found["columns"], found["weights"]
        if about["features"] != FEATURE_VERSION:
            raise ValueError(f"it was trained on features of version {about['features']}, not {FEATURE_VERSION}")
        weights = np.zeros(N_FEATURES + 1, np.float32)
        weights[columns] = values
        return weights, Calibration(float(about["slope"]), float(about["intercept"]))
    except ValueError:
        raise
    except Exception as error:  # whatever zip files, arrays and JSON can be wrong in
        raise ValueError(f"{type(error).__name__}: {error}") from error


def digest_of(weights: npt.NDArray[np.float32], report: dict[str, Any]) -> str:
    """Return SHA-256 over the weights and what the report says."""
    whole = sha256(weights.astype("<f4").tobytes())
    whole.update(json.dumps(report, sort_keys=True).encode())
    return whole.hexdigest()
