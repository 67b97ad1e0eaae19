"""Sources: where documents come from, and what is claimed of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from provenance.errors import SourceExists, UnknownSource
from provenance.evidence.claims import BY_SOURCE, StatedClaim, state_claims
from provenance.licences import licence_class
from provenance.lineage.models import ensure_models
from provenance.records import Claim
from provenance.store import schema
from provenance.store.store import Store, utc_now


@dataclass(frozen=True)
class Source:
    """A source as it stands in the store."""

    name: str
    claim: Claim
    licence: str | None = None
    uri: str | None = None
    note: str | None = None


def add_source(store: Store, source: Source) -> bool:
    """Enter a source; return False if it is there already with the same properties.

    Raises
    ------
    SourceExists
        If a source of that name has other properties.
    """
    with store.transaction() as connection:
        return add_source_in(connection, source)


def add_source_in(connection: Connection, source: Source) -> bool:
    """Do what `add_source` does inside a transaction that is open already."""
    stored = find_source(connection, source.name)
    if stored is not None:
        for field in ("claim", "licence", "uri", "note"):
            if getattr(stored, field) != getattr(source, field):
                raise SourceExists(source.name, field, _words(getattr(stored, field)), _words(getattr(source, field)))
        return False
    now = utc_now()
    row = {
        "name": source.name,
        "origin": source.claim.origin,
        "generation": source.claim.generation,
        "model": source.claim.model,
        "licence": source.licence,
        "licence_class": licence_class(source.licence),
        "uri": source.uri,
        "note": source.note,
        "created_at": now,
    }
    connection.execute(insert(schema.source), [row])
    ensure_models(connection, [source.claim.model])
    stated = StatedClaim("source", source.name, source.claim, BY_SOURCE)
    state_claims(connection, [stated], stated_at=now)
    return True


def find_source(connection: Connection, name: str) -> Source | None:
    """Return the source of that name, or None."""
    row: Any = connection.execute(select(schema.source).where(schema.source.c.name == name)).first()
    if row is None:
        return None
    return Source(row.name, Claim(row.origin, row.generation, row.model), row.licence, row.uri, row.note)


def require_source(connection: Connection, name: str) -> Source:
    """Return the source of that name.

    Raises
    ------
    UnknownSource
        If there is none.
    """
    found = find_source(connection, name)
    if found is None:
        raise UnknownSource(name, connection.execute(select(schema.source.c.name)).scalars().all())
    return found


def _words(value: object) -> object:
    if isinstance(value, Claim):
        return f"{value.origin}, generation {value.generation}, model {value.model}"
    return value
