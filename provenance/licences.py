"""Licences: their classes, from the freest to the most restrictive.

The library `license-expression` knows what kind of licence each identifier of SPDX is; how those kinds become our six
classes, and where we see it otherwise, stands here. Expressions are read in `spdx`, what people write instead of SPDX
in `licence_words`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from provenance.licence_words import in_spdx, plain
from provenance.spdx import (
    MOST_CHARACTERS,
    Identifier,
    NotParsed,
    canonical,
    find,
    identifiers,
    is_own,
    parse,
    problem,
    valid_licence,
)

__all__ = ["LICENCE_CLASSES", "canonical", "licence_class", "problem", "valid_licence"]

#: Classes from the freest to the most restrictive; `unknown` is treated as the most restrictive.
LICENCE_CLASSES = ("public-domain", "permissive", "share-alike", "non-commercial", "proprietary", "unknown")

# Tried in this order on identifiers, known ones and others of these families: a licence that is both share-alike and
# non-commercial is non-commercial. A known identifier that no rule matches has the class of its category; the rules
# name the families where a category says too little (CC-BY-NC is "Source-available") or errs.
_RULES = (
    ("public-domain", r"CC0(-[\d.]+)?|CC-PDM.*|CC-PDDC|PDDL(-[\d.]+)?|Unlicense(-.*)?|0BSD|DL-DE-ZERO.*|blessing"),
    ("public-domain", r"LicenseRef-(.*Public-?Domain.*|PD\b.*)|US-(.*-)?PD(-.*)?|(ANTLR|NIST)-PD(-fallback)?"),
    ("non-commercial", r"CC-BY-NC.*|.*-NC(-.*)?|.*Non-?Commercial.*|NCGL.*|PPL|Aladdin|ASWF-Digital-Assets.*"),
    ("share-alike", r"CC-BY-SA.*|[AL]?GPL(-.*)?|GFDL.*|ODbL.*|MPL(-.*)?|EUPL(-.*)?|EPL(-.*)?|CDLA-Sharing.*|OFL.*"),
    ("share-alike", r"CERN-OHL-1.*|Artistic.*|SISSL.*|Watcom-1\.0|BSD-Protection|any-OSI.*"),
    ("proprietary", r"CC-BY-ND.*|BUSL-.*|SSPL-.*|Elastic-.*|BSD-3-Clause-No-Military-License"),
    ("permissive", r"CC-BY(-[\d.]+(-[A-Z]{2,4})?)?|MIT|Apache(-[\d.]+)?|BSD(-\d-Clause.*)?|HPND-.*|OGL(-.*)?"),
    ("permissive", r"ODC-By(-[\d.]+)?|CDLA-Permissive.*"),
)
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _RULES)

#: What a category of the library is to us. Field-of-use restrictions ("Free Restricted") are no attribution licence.
_CATEGORIES = {
    "Public Domain": "public-domain",
    "Permissive": "permissive",
    **dict.fromkeys(("Copyleft Limited", "Copyleft"), "share-alike"),
    **dict.fromkeys(("Source-available", "Free Restricted", "Proprietary Free", "Commercial"), "proprietary"),
    **dict.fromkeys(("CLA", "Patent License"), "proprietary"),
    "Unstated License": "unknown",
}


def licence_class(licence: str | None) -> str:
    """Return the class of a licence: an SPDX expression, or what people write instead of one.

    In `A AND B` the most restrictive part counts, in `A OR B` the freest; an exception that is known leaves the class
    of its licence. What is not recognised is `unknown`; own licences (`LicenseRef-…`) are proprietary unless their
    name says public domain or non-commercial.

    References
    ----------
    SPDX Specification 2.3, annex D (licence expressions).
    """
    if not licence or len(licence) > MOST_CHARACTERS:
        return "unknown"
    return _class_of(licence)


@lru_cache(maxsize=4096)
def _class_of(licence: str) -> str:
    if licence.lower() in identifiers():  # nearly always; the parser is a hundred times slower
        return _identifier_class(licence)
    try:
        parsed = parse(licence)
    except NotParsed:
        return _identifier_class(licence)
    return LICENCE_CLASSES[_evaluated(parsed)]


def _evaluated(part: Any) -> int:
    """Return the number of the class of a parsed expression."""
    if hasattr(part, "exception_symbol"):
        found = LICENCE_CLASSES.index(_identifier_class(part.license_symbol.key))
        return max(found, LICENCE_CLASSES.index(_exception_class(part.exception_symbol.key)))
    if part.isliteral:
        return LICENCE_CLASSES.index(_identifier_class(part.key))
    classes = [_evaluated(one) for one in part.args]
    return max(classes) if part.operator.strip() == "AND" else min(classes)


def _identifier_class(words: str) -> str:
    """Return the class of one licence, whether SPDX knows it or not."""
    known = find(words)
    if known is not None or is_own(words):
        return _class_by_rule(known.key if known else words.rpartition(":")[2], known)
    meant = in_spdx(words)
    if meant in LICENCE_CLASSES:
        return meant
    known = find(meant or plain(words))
    # A family is recognised by how one word begins; of several words the others may say something else.
    name = known.key if known else meant or (words if len(words.split()) == 1 else "")
    return _class_by_rule(name, known)


def _class_by_rule(name: str, known: Identifier | None) -> str:
    if known is not None and known.is_exception:
        return "unknown"
    by_rule = next((kind for kind, rule in _COMPILED if rule.fullmatch(name)), None)
    if by_rule is not None:
        return by_rule
    if known is not None:
        return _CATEGORIES.get(known.category, "unknown")
    return "proprietary" if is_own(name) else "unknown"


def _exception_class(identifier: str) -> str:
    """Return the least that an exception makes of its licence: most add permissions, a few take some away."""
    known = find(identifier)
    if known is None or not known.is_exception:
        return "unknown"
    restricts = known.category in ("Source-available", "Proprietary Free", "Commercial")
    return "proprietary" if restricts else "public-domain"
