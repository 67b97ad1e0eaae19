"""The views as documentation, from the comments in the store itself."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.store.store import Store

_VIEWS = "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' ORDER BY view_name"
_COLUMNS = """
    SELECT table_name, column_name, data_type, comment FROM duckdb_columns()
    WHERE schema_name = 'main' ORDER BY table_name, column_index
"""


@dataclass(frozen=True)
class Column:
    """A column of a view."""

    name: str
    kind: str
    meaning: str


@dataclass(frozen=True)
class View:
    """A view with its columns."""

    name: str
    meaning: str
    columns: tuple[Column, ...]


def describe_views(store: Store) -> list[View]:
    """Return every view with its comment and those of its columns."""
    columns = store.fetch(_COLUMNS).to_pylist()
    return [
        View(
            row["view_name"],
            row["comment"] or "",
            tuple(
                Column(c["column_name"], c["data_type"], c["comment"] or "")
                for c in columns
                if c["table_name"] == row["view_name"]
            ),
        )
        for row in store.fetch(_VIEWS).to_pylist()
    ]
