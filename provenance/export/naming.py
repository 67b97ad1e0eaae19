"""Names that stand outside of a store for what is in it: URNs that no two stores share."""

from __future__ import annotations

from urllib.parse import quote

#: Where the terms of our own are named that no vocabulary has.
TERMS = "urn:corpus-provenance:terms:"
#: What marks a description as written by this program; the number counts its layouts.
LAYOUT = "urn:corpus-provenance:export:1"


def namespace(store_id: str, kind: str) -> str:
    """Return what the names of all things of a kind in a store begin with."""
    return f"urn:corpus-provenance:{store_id}:{kind}:"


def local_name(name: object) -> str:
    """Return a name of any characters as one that can stand in a URN."""
    return quote(str(name), safe="")


def urn(store_id: str, kind: str, name: object) -> str:
    """Return the URN of a thing in a store.

    Examples
    --------
    >>> urn("s1", "source", "the books")
    'urn:corpus-provenance:s1:source:the%20books'
    """
    return namespace(store_id, kind) + local_name(name)
