"""People and a model that talk differently, and detectors that misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from provenance.detection.base import Calibration
from provenance.store.store import Store
from tests.factories import ingest


def speech(seed: int, *, n_vocabulary: int, n_words: int = 40) -> str:
    """Return words out of a vocabulary: people know more of them."""
    chance = Random(seed)
    return " ".join(f"v{chance.randrange(n_vocabulary)}" for _ in range(n_words))


def fill(store: Store, *, n: int = 60, start: int = 0) -> None:
    """Enter n human texts of two sources and n of a model, which are easily told apart."""
    for i, source in enumerate(("books", "letters")):
        records = [{"id": f"h{k}", "text": speech(k, n_vocabulary=900)} for k in range(start + i, start + n, 2)]
        ingest(store, records, source=source)
    output = [{"id": f"s{k}", "text": speech(10_000 + k, n_vocabulary=90)} for k in range(start, start + n)]
    ingest(store, output, source="bot", origin="synthetic", generation=1, model="gpt")


class Fake:
    """A detector that scores the number after `score`, and fails as a text tells it to."""

    version, threshold = "1", 0.5

    def __init__(self, name: str = "fake", calibration: Calibration | None = None) -> None:
        self.name, self.calibration = name, calibration
        self.asked: list[str] = []

    def score(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        if any("raises" in text for text in texts):
            raise RuntimeError("no\nidea")
        if any("short" in text for text in texts):
            return np.zeros(len(texts) - 1)
        return np.array([_value(text) for text in texts])


def _value(text: str) -> float:
    if "nan" in text or "infinite" in text:
        return float("nan") if "nan" in text else float("inf")
    return float(text.split("score ")[1].split()[0]) if "score " in text else 0.0


fake = Fake("plug")
no_detector = object()


class Endless(Fake):
    """A detector whose threshold is no number."""

    threshold = float("nan")


class Mute:
    """Nothing but a name."""

    name = "mute"


class Wild(Fake):
    """A detector whose calibration gives no probability."""

    def __init__(self) -> None:
        super().__init__(calibration=Calibration(float("nan"), 0))


class Uncalibrated(Fake):
    """A detector with something else for a calibration."""

    def __init__(self) -> None:
        super().__init__(calibration={"slope": 1})  # type: ignore[arg-type]
