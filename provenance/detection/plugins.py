"""Detectors that others wrote: found by entry point or by `module:attribute`."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from math import isfinite

import numpy as np

from provenance.detection.base import Detector
from provenance.detection.errors import NotADetector
from provenance.detection.stored import require_name

GROUP = "provenance.detectors"


def load_plugin(plugin: str) -> Detector:
    """Return the detector that an entry point of `provenance.detectors`, or `module:attribute`, names.

    What is named may be a detector, or a class or function that gives one when called without arguments.

    Raises
    ------
    NotADetector
        If it cannot be loaded or lacks something that a detector has.
    InvalidDetectorName
        If its name or version cannot be one.
    """
    try:
        found = _imported(plugin)
        if isinstance(found, type) or not isinstance(found, Detector):
            if not callable(found):
                raise NotADetector(plugin, f"{type(found).__name__} is no detector")
            found = found()
    except NotADetector:
        raise
    except Exception as error:  # a plug-in is somebody else's program
        raise NotADetector(plugin, f"{type(error).__name__}: {error}") from error
    return _checked(plugin, found)


def _imported(plugin: str) -> object:
    points = entry_points(group=GROUP)
    if plugin in points.names:
        return points[plugin].load()
    module, colon, attribute = plugin.partition(":")
    if not (colon and module and attribute):
        raise NotADetector(plugin, "there is no entry point of that name", sorted(points.names))
    if module.startswith("."):
        raise NotADetector(plugin, "the module has to be named in full")
    importlib.import_module(module)
    return EntryPoint(plugin, plugin, GROUP).load()


def _checked(plugin: str, found: object) -> Detector:
    if not isinstance(found, Detector):
        wanting = [one for one in ("name", "version", "threshold", "calibration", "score") if not hasattr(found, one)]
        raise NotADetector(plugin, f"{type(found).__name__} has no {', '.join(wanting)}")
    for word in (found.name, found.version):
        if not isinstance(word, str):
            raise NotADetector(plugin, f"its name or version is {word!r}, no text")
        require_name(word)
    threshold = found.threshold
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not isfinite(threshold):
        raise NotADetector(plugin, f"its threshold is {threshold!r}, no finite number")
    _require_calibration(plugin, found)
    return found


def _require_calibration(plugin: str, found: Detector) -> None:
    """Refuse a calibration that gives no probability for the threshold, before anything is scored."""
    if found.calibration is None:
        return
    try:
        given = np.asarray(found.calibration.probability(np.array([found.threshold], np.float64)), np.float64)
    except Exception as error:  # somebody else's program
        raise NotADetector(plugin, f"its calibration fails: {type(error).__name__}: {error}") from error
    if given.shape != (1,) or not 0 <= given[0] <= 1:
        raise NotADetector(plugin, f"its calibration gives {given} for its threshold, no probability")
