"""Names of attributes: what they look like, and which a field gets."""

from __future__ import annotations

import re
from collections.abc import Mapping

from provenance.annotations.errors import AttributeNameTaken, InvalidAttribute
from provenance.errors import did_you_mean
from provenance.store.attributes import KINDS
from provenance.store.views import VIEW_COLUMNS

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)


def require_name(attribute: str, field: str) -> None:
    """Raise unless a field's values can be an attribute of that name.

    Raises
    ------
    InvalidAttribute
        If it is no name: small letters, digits and _, no digit first, at most 63 characters.
    AttributeNameTaken
        If a column of the documents view has the name.
    """
    if attribute.lower() in VIEW_COLUMNS["documents"]:
        raise AttributeNameTaken(attribute, field, f"{attribute.lower()}_label")
    if not _NAME.fullmatch(attribute):
        raise InvalidAttribute(
            attribute,
            "a name has small letters, digits and _ only, begins with no digit and has at most 63 characters. "
            f"Name it otherwise, for example with --rename {field}={suggested_name(attribute)}",
        )


def suggested_name(attribute: str) -> str:
    """Return the valid name that is nearest to one that is not."""
    made = re.sub(r"[^a-z0-9_]+", "_", attribute.lower(), flags=re.ASCII)[:55]
    made = f"_{made}" if made[:1].isdigit() or not made else made
    return f"{made}_label" if made in VIEW_COLUMNS["documents"] else made


def require_kinds(kinds: Mapping[str, str]) -> None:
    """Raise `InvalidAttribute` unless every kind that was stated is one."""
    for attribute, kind in kinds.items():
        if kind not in KINDS:
            hint = did_you_mean(kind, KINDS)
            raise InvalidAttribute(attribute, f"{kind!r} is no kind.{hint} Expected one of: {', '.join(KINDS)}.")
