"""Licence classes: how free a licence is, from its SPDX identifier."""

from __future__ import annotations

import re

#: Classes from the freest to the most restrictive; `unknown` is treated as the most restrictive.
LICENCE_CLASSES = ("public-domain", "permissive", "share-alike", "non-commercial", "proprietary", "unknown")

# Tried in this order: a licence that is both share-alike and non-commercial is non-commercial.
_RULES = (
    (
        "public-domain",
        r"CC0(-\d.*)?|CC-PDM.*|CC-PDDC|PDDL|Unlicense|0BSD|LicenseRef-.*Public-?Domain.*|LicenseRef-PD\b.*|US-.*PD.*|blessing",
    ),
    ("non-commercial", r"CC-BY-NC.*|.*-NC-.*|PolyForm-Noncommercial.*"),
    ("share-alike", r"CC-BY-SA.*|GFDL.*|A?L?GPL-.*|ODbL.*|MPL-.*|EUPL.*|CDLA-Sharing.*"),
    (
        "permissive",
        r"CC-BY(-\d.*)?|MIT(-.*)?|Apache-.*|BSD-.*|ISC|Zlib|ODC-By.*|CDLA-Permissive.*|OGL-.*|BSL-1\.0|PSF-.*",
    ),
    ("proprietary", r"LicenseRef-.*|CC-BY-ND.*|BUSL-.*"),
)
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _RULES)


def licence_class(licence: str | None) -> str:
    """Return the class of one SPDX identifier, or of an expression of several.

    In `A AND B` the most restrictive part counts, in `A OR B` the freest. What is not recognised is `unknown`.
    """
    if licence is None or not licence.strip():
        return "unknown"
    words = licence.replace("(", " ").replace(")", " ")
    either = [_conjunction_class(part) for part in re.split(r"\s+OR\s+", words)]
    return min(either, key=LICENCE_CLASSES.index)


def _conjunction_class(expression: str) -> str:
    parts = re.split(r"\s+AND\s+", expression.strip())
    return max((_identifier_class(part.split(" WITH ")[0].strip()) for part in parts), key=LICENCE_CLASSES.index)


def _identifier_class(identifier: str) -> str:
    return next((name for name, pattern in _COMPILED if pattern.fullmatch(identifier)), "unknown")
