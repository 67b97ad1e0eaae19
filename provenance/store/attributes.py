"""Attributes: scores and labels that tools gave documents after they were ingested, and the view that shows them wide.

A value stands in one row of `annotation`, in the column that is named as the attribute's kind. The view `attributes`
has one column an attribute, so it is made anew whenever an attribute comes or its description changes.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from provenance.store import schema
from provenance.store.store import fetch

#: Kinds of values, and at the same time the columns of `annotation` that hold them.
KINDS = ("number", "text", "boolean")

_MEANING = (
    "One row per annotated document, one column per attribute; the columns grow with every new attribute (see the view "
    "annotations for who gave a value and when)."
)
_DOCUMENT_ID = "the document"


def stored_attributes(connection: Connection) -> dict[str, str]:
    """Return the kind of every attribute of the store, by name."""
    a = schema.attribute.c
    rows = fetch(connection, select(a.name, a.kind).order_by(a.name)).to_pylist()
    return {row["name"]: row["kind"] for row in rows}


def write_attributes_view(connection: Connection) -> None:
    """Make the view `attributes` anew from the attributes that the store has."""
    a = schema.attribute.c
    described = fetch(connection, select(a.name, a.kind, a.tool, a.note).order_by(a.name)).to_pylist()
    columns = [
        f"any_value({row['kind']}) FILTER (attribute = {_literal(row['name'])}) AS {_quoted(row['name'])}"
        for row in described
    ]
    listed = ", ".join(["document_id", *columns])
    statements = [
        f"CREATE OR REPLACE VIEW attributes AS SELECT {listed} FROM annotation GROUP BY document_id",
        f"COMMENT ON VIEW attributes IS {_literal(_MEANING)}",
        f"COMMENT ON COLUMN attributes.document_id IS {_literal(_DOCUMENT_ID)}",
    ]
    for row in described:
        meaning = _meaning(row["kind"], row["tool"], row["note"])
        statements.append(f"COMMENT ON COLUMN attributes.{_quoted(row['name'])} IS {_literal(meaning)}")
    for statement in statements:
        connection.exec_driver_sql(statement)


def _meaning(kind: str, tool: str | None, note: str | None) -> str:
    begin = kind if tool is None else f"{kind} by {tool}"
    return begin if note is None else f"{begin}: {note}"


# No statement that makes or describes a view takes bound values.


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
