"""Detectors in the store: entered once, read by name and version."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from provenance.detection.errors import DetectorDamaged, InvalidDetectorName, UnknownDetector
from provenance.detection.linear import LinearDetector, digest_of
from provenance.store import schema
from provenance.store.store import fetch, utc_now

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_COUNTS = """
    SELECT detector, version, count(*) AS n_scored FROM detector_score GROUP BY ALL
"""
_CLAIMED = """
    SELECT author, count(DISTINCT document_id) AS n_claimed FROM claims
    WHERE rank = 2 AND method = 'detector' AND retracts IS NULL AND NOT is_retracted GROUP BY ALL
"""


def require_name(name: str) -> None:
    """Raise `InvalidDetectorName` unless a detector can have this name."""
    if not _NAME.fullmatch(name):
        raise InvalidDetectorName(name)


def author_of(name: str, version: str) -> str:
    """Return who claims what a detector says."""
    return f"detector {name}@{version}"


def enter(connection: Connection, row: Mapping[str, Any]) -> None:
    """Enter a detector: name, version, digest, threshold, report, weights."""
    connection.execute(insert(schema.detector), [{**row, "created_at": utc_now()}])


def versions_of(connection: Connection, name: str) -> list[Any]:
    """Return the rows of all versions of a detector, the oldest first."""
    table = schema.detector
    order = (table.c.created_at, table.c.version)
    return list(connection.execute(select(table).where(table.c.name == name).order_by(*order)).all())


def find(connection: Connection, wanted: str) -> Any:
    """Return the row of the detector `NAME` (its newest version) or `NAME@VERSION`.

    Raises
    ------
    UnknownDetector
        If there is none.
    """
    name, _, version = wanted.partition("@")
    rows = versions_of(connection, name)
    fitting = [row for row in rows if not version or row.version == version]
    if not fitting:
        table = schema.detector
        known = connection.execute(select(table.c.name, table.c.version).order_by(table.c.name)).all()
        raise UnknownDetector(name, version or None, [(row.name, row.version) for row in known])
    return fitting[-1]


def load(row: Any) -> LinearDetector:
    """Return the trained detector of a row.

    Raises
    ------
    DetectorDamaged
        If its weights cannot be read or do not give its digest.
    """
    try:
        detector = LinearDetector.read(row.name, row.version, row.threshold, bytes(row.weights))
    except ValueError as error:
        raise DetectorDamaged(row.name, row.version, str(error)) from error
    if digest_of(detector.weights, report_of(row)) != row.digest:
        raise DetectorDamaged(row.name, row.version, "its weights and report do not give its digest")
    return detector


def report_of(row: Any) -> dict[str, Any]:
    """Return the report of a row."""
    report: dict[str, Any] = json.loads(row.report) if isinstance(row.report, str) else row.report
    return report


def list_detectors(connection: Connection) -> list[dict[str, Any]]:
    """Return all detectors with what was done with them, by name and age."""
    table = schema.detector
    rows = connection.execute(select(table).order_by(table.c.name, table.c.created_at, table.c.version)).all()
    scored = {(row["detector"], row["version"]): row["n_scored"] for row in fetch(connection, _COUNTS).to_pylist()}
    claimed = {row["author"]: row["n_claimed"] for row in fetch(connection, _CLAIMED).to_pylist()}
    found = []
    for row in rows:
        report = report_of(row)
        found.append(
            {
                "name": row.name, "version": row.version, "kind": report["kind"], "threshold": row.threshold,
                "auc": report.get("auc"), "fpr": report.get("operating", {}).get("fpr"),
                "tpr": report.get("operating", {}).get("tpr"), "n_scored": scored.get((row.name, row.version), 0),
                "n_claimed": claimed.get(author_of(row.name, row.version), 0), "digest": row.digest,
                "created_at": row.created_at,
            }
        )  # fmt: skip
    return found
