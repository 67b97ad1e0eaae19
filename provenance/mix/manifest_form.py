"""The layout of manifests: that of today, and how an older one reads in it."""

from __future__ import annotations

from typing import Any

from provenance.mix.spec import MixSpec

#: Version of the manifest's layout.
FORMAT = 2


def current_form(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest in today's layout; what is no manifest of a known older layout is returned as it is.

    Layout 1, of release 0.1.0, knew neither repeats nor phases nor decontamination, and named skipped and added
    documents by their ids where layout 2 has their places.
    """
    if manifest.get("format") != 1:
        return manifest
    return manifest | {
        "format": FORMAT,
        "spec": full_spec(manifest["spec"]),
        "store": {**manifest["store"], "snapshot": "not recorded"},
        "distinct_documents": manifest["totals"]["documents"],
        "candidates": {
            **manifest["candidates"],
            "left_out": {**manifest["candidates"]["left_out"], "contaminated": 0},
        },
        "phases": [],
        "decontaminate": None,
        "quotas": [{"phase": None, **claim} for claim in manifest["quotas"]],
        "strata": [{"phase": None, "first": 0, **stratum} for stratum in manifest["strata"]],
    }


def full_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a specification as plain data with the fields that came after it was written."""
    return MixSpec.from_mapping(spec).as_mapping()
