"""SQL from people: one reading query, on a transaction that cannot write, in a database that reaches nothing else."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from provenance.errors import QueryFailed, QueryRefused

if TYPE_CHECKING:
    import pandas as pd

_READING = ("SELECT", "WITH", "FROM", "VALUES", "DESCRIBE", "DESC", "SUMMARIZE", "SHOW", "EXPLAIN")
_COMMENT_OR_SPACE = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*", re.DOTALL)
_EXPLAIN_PREFIX = re.compile(r"EXPLAIN\b(?:\s+ANALYZE\b)?(?:\s*\([^)]*\))?", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z_]+")

#: Functions that change the running database or run text as SQL; everything else that a query can call only computes.
_ACTING = frozenset(
    ("arrow_scan", "arrow_scan_dumb", "checkpoint", "disable_logging", "disable_profile", "disable_profiling",
     "enable_logging", "enable_profile", "enable_profiling", "force_checkpoint", "json_execute_serialized_sql",
     "pandas_scan", "python_map_function", "query", "setseed", "truncate_duckdb_logs", "write_log")
)  # fmt: skip


@dataclass(frozen=True)
class QueryResult:
    """Rows of a query."""

    table: pa.Table

    def arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table

    def pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas data frame; needs pandas."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows as tuples of Python values."""
        columns = [column.to_pylist() for column in self.table.columns]
        return list(zip(*columns, strict=True))


def run_query(raw: Any, query: str) -> QueryResult:
    """Run one reading query on DuckDB's connection `raw`, which must have no open transaction.

    Raises
    ------
    QueryRefused
        If it is anything but one reading query.
    QueryFailed
        If the database reports an error.
    """
    require_reading(raw, query)
    raw.execute("BEGIN TRANSACTION READ ONLY")
    try:
        return QueryResult(raw.execute(query).to_arrow_table())
    except duckdb.Error as error:
        raise QueryFailed(_in_short(error)) from error
    finally:
        with suppress(duckdb.Error):  # what went wrong before is the news
            raw.execute("ROLLBACK")


def require_reading(raw: Any, query: str) -> None:
    """Raise `QueryRefused` unless the text is exactly one statement that only reads.

    Parsed on the store's own connection `raw`: parsing IMPORT DATABASE reads files, which that one cannot.
    """
    try:
        encoded = query.encode("utf-8")
    except UnicodeEncodeError as error:
        raise QueryRefused("the text is no valid Unicode") from error
    try:
        statements = raw.extract_statements(query)
    except duckdb.Error as error:
        raise QueryFailed(_in_short(error)) from error
    if len(statements) != 1:
        raise QueryRefused(f"{len(statements)} statements" if statements else "no statement")
    word = _first_word(query)
    if word == "EXPLAIN":
        bare = query[_skip(query, 0) :]
        word = _first_word(_EXPLAIN_PREFIX.sub("", bare, count=1)) or "EXPLAIN"
    kinds = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    if word not in _READING or statements[0].type not in kinds:
        raise QueryRefused(f"{word or 'this'} is no reading query")
    acting = _ACTING & _called_functions(encoded)
    if acting:
        raise QueryRefused(f"{min(acting)}() does more than reading")


def _called_functions(query: bytes) -> frozenset[str]:
    """Return the names that stand before an opening bracket, in lower case and without quotes."""
    starts = [start for start, _ in duckdb.tokenize(query.decode("utf-8"))] + [len(query)]
    tokens = [query[start:end].decode("utf-8", "replace") for start, end in pairwise(starts)]
    before = (name for name, following in pairwise(tokens) if following.startswith("("))
    return frozenset(_bare(name) for name in before)


def _bare(token: str) -> str:
    if token.startswith('"'):
        return token[1 : token.find('"', 1)].lower()
    found = _WORD.match(token)
    return found[0].lower() if found else ""


def _first_word(query: str) -> str:
    found = _WORD.match(query, _skip(query, 0))
    return found[0].upper() if found else ""


def _skip(query: str, start: int) -> int:
    found = _COMMENT_OR_SPACE.match(query, start)
    return found.end() if found else start


def _in_short(error: duckdb.Error) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    shown = [line for line in lines if not line.startswith("LINE ") and line.strip() != "^"]
    return " ".join(line.strip() for line in shown[:2])
