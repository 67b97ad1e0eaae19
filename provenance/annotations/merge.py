"""From the files' rows to the store's: keys become documents, values are compared with those that are there.

Everything is a few statements over temporary tables, however many rows there are. They are made inside the caller's
transaction; when that is rolled back they go with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection

from provenance.annotations.errors import AmbiguousKeys, AnnotationRefused, ConflictingValues, UnknownKeys
from provenance.annotations.values import arrow_type
from provenance.store.store import registered

#: The column of `document` by which a key finds its documents.
KEYS = {"document_id": "UUID", "external_id": "VARCHAR", "content_id": "UUID"}
_SQL_TYPES = {"number": "DOUBLE", "text": "VARCHAR", "boolean": "BOOLEAN"}

_NO_ID = "SELECT place, file, key FROM arrived WHERE TRY_CAST(key AS UUID) IS NULL LIMIT 1"
_UNKNOWN = "SELECT key::VARCHAR FROM stated ANTI JOIN (SELECT key FROM matched) USING (key) ORDER BY first"
_AMBIGUOUS = """
    SELECT key, min(source), max(source), count(*) OVER () FROM matched
    GROUP BY key HAVING min(source) <> max(source) ORDER BY key LIMIT 3
"""
_SEVERAL = "SELECT count(*) FROM (SELECT key FROM matched GROUP BY key HAVING count(*) > 1)"


class Staging:
    """What the files say, in temporary tables.

    Parameters
    ----------
    connection : inside a transaction
    key : which id of a document the keys are
    """

    def __init__(self, connection: Connection, key: str) -> None:
        self._connection = connection
        self._key = key
        self._kinds: dict[str, str] = {}  # attribute -> kind; its column has the same name, prefixed
        with registered(connection) as raw:
            raw.execute(f"CREATE TEMP TABLE given (key {KEYS[key]}, file VARCHAR, place VARCHAR)")

    def add(self, rows: pa.Table) -> None:
        """Add rows of `AnnotationReader.tables`.

        Raises
        ------
        AnnotationRefused
            If a key is no id.
        """
        names = [name for name in rows.column_names if name not in ("key", "file", "place")]
        arrived = rows.rename_columns(["key", "file", "place", *map(_column, names)])
        with registered(self._connection, arrived=arrived) as raw:
            for name in names:
                if name not in self._kinds:
                    self._kinds[name] = _kind_of(rows[name].type)
                    raw.execute(f'ALTER TABLE given ADD COLUMN "{_column(name)}" {_SQL_TYPES[self._kinds[name]]}')
            if KEYS[self._key] == "UUID":
                for place, file, key in raw.execute(_NO_ID).fetchall():
                    raise AnnotationRefused(file, place, f"the key {key!r} is no id of the form 01234567-89ab-…")
            raw.execute(f"INSERT INTO given BY NAME SELECT * REPLACE (key::{KEYS[self._key]} AS key) FROM arrived")

    def match(self, source: str | None, *, ignore_missing: bool) -> tuple[int, int]:
        """Find the documents; return how many keys have none, and how many stand for several.

        Raises
        ------
        ConflictingValues
            If a key has two values of one attribute.
        AmbiguousKeys
            If an external id occurs in two sources and `source` names none.
        UnknownKeys
            If a key stands for no document and `ignore_missing` is false.
        """
        with registered(self._connection) as raw:
            self._gather(raw)
            raw.execute(
                f"""CREATE TEMP TABLE matched AS
                    SELECT d.document_id, d.source, s.* EXCLUDE (first, conflicts)
                    FROM stated s JOIN document d ON d.{self._key} = s.key WHERE coalesce(d.source = ?, true)""",
                [source],
            )
            if self._key == "external_id" and (ambiguous := raw.execute(_AMBIGUOUS).fetchall()):
                raise AmbiguousKeys(ambiguous[0][3], [row[0] for row in ambiguous], ambiguous[0][1:3])
            (n_missing,) = raw.execute(f"SELECT count(*) FROM ({_UNKNOWN})").fetchone()
            if n_missing and not ignore_missing:
                examples = [key for (key,) in raw.execute(f"{_UNKNOWN} LIMIT 3").fetchall()]
                raise UnknownKeys(n_missing, examples, self._key, source)
            (n_several,) = raw.execute(_SEVERAL).fetchone()
            raw.execute("DROP TABLE temp.stated")
        return n_missing, n_several

    def merge(self, attribute: str, *, now: datetime) -> tuple[int, int, int]:
        """Write the values of one attribute; return how many were new, changed, and the same as before."""
        column, kind = _column(attribute), self._kinds[attribute]
        with registered(self._connection) as raw:
            raw.execute(
                f"""CREATE TEMP TABLE compared AS
                    SELECT m.document_id, m."{column}" AS value, n.was
                    FROM (SELECT document_id, "{column}" FROM matched WHERE "{column}" IS NOT NULL) m
                    LEFT JOIN (SELECT document_id, {kind} AS was FROM annotation WHERE attribute = ?) n
                    USING (document_id)""",
                [attribute],
            )
            counts: tuple[int, int, int] = raw.execute(
                """SELECT count(*) FILTER (was IS NULL), count(*) FILTER (was <> value), count(*) FILTER (was = value)
                   FROM compared"""
            ).fetchone()
            if counts[1]:
                raw.execute(
                    f"""UPDATE annotation SET {kind} = c.value, annotated_at = $now
                        FROM (SELECT document_id, value FROM compared WHERE was <> value) c
                        WHERE annotation.attribute = $attribute AND annotation.document_id = c.document_id""",
                    {"now": now, "attribute": attribute},
                )
            if counts[0]:
                raw.execute(
                    f"""INSERT INTO annotation BY NAME
                        SELECT document_id, $attribute AS attribute, value AS {kind}, $now AS annotated_at
                        FROM compared WHERE was IS NULL""",
                    {"now": now, "attribute": attribute},
                )
            raw.execute("DROP TABLE temp.compared")
        return counts

    def close(self) -> None:
        """Drop what `match` has left."""
        with registered(self._connection) as raw:
            raw.execute("DROP TABLE temp.matched")

    def _gather(self, raw: Any) -> None:
        """Make one row of every key; refuse a key with two values."""
        columns = [f'"{_column(name)}"' for name in self._kinds]
        conflicts = " OR ".join(f"coalesce(min({one}) <> max({one}), false)" for one in columns) or "false"
        values = "".join(f", min({one}) AS {one}" for one in columns)
        raw.execute(
            f"""CREATE TEMP TABLE stated AS
                SELECT key, min(rowid) AS first, {conflicts} AS conflicts{values} FROM given GROUP BY key"""
        )
        conflicting = raw.execute("SELECT key FROM stated WHERE conflicts ORDER BY first LIMIT 1").fetchone()
        if conflicting is not None:
            raise self._conflict(raw, conflicting[0])
        raw.execute("DROP TABLE temp.given")

    def _conflict(self, raw: Any, key: Any) -> ConflictingValues:
        for name in self._kinds:
            rows = raw.execute(
                f"""SELECT "{_column(name)}", file, place FROM given
                    WHERE key = ? AND "{_column(name)}" IS NOT NULL ORDER BY rowid""",
                [key],
            ).fetchall()
            other = next((row for row in rows if row[0] != rows[0][0]), None)
            if other is not None:
                first, second = (f"{value!r} ({file}, {place})" for value, file, place in (rows[0], other))
                return ConflictingValues(name, str(key), first, second)
        raise AssertionError(f"no two values of {key}")


def _column(attribute: str) -> str:
    return f"a_{attribute}"


def _kind_of(column_type: pa.DataType) -> str:
    return next(kind for kind in _SQL_TYPES if arrow_type(kind) == column_type)
