"""Printing: tables for people, JSON, CSV and Parquet for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.errors import QueryFailed

if TYPE_CHECKING:
    import pyarrow as pa

    from provenance.store.store import Store

#: Width of tables where standard output is no terminal.
_PLAIN_WIDTH = 160


def say(message: str) -> None:
    """Print a message for people on standard error."""
    print(message, file=sys.stderr)


def counted(n: int, noun: str) -> str:
    """Return a number with what it counts: `1 claim`, `2 claims`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def say_progress(n_done: int, n_all: int) -> None:
    """Say how far something is with its texts, unless it is at its end."""
    if n_done < n_all:
        say(f"{n_done / n_all:4.0%}  {n_done:,} of {n_all:,} texts")


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output; what JSON lacks (dates, ids) as text."""
    print(json.dumps(_finite(value), indent=2, default=plain, ensure_ascii=False))


def warn_of_uncompared(store: Store) -> None:
    """Say where there are texts of models with which not everything was compared."""
    from provenance.laundering.follow import is_pending

    with store.read() as connection:
        if is_pending(connection):
            say(
                "Some texts became known as models', and not everything was compared with them. "
                "Do: provenance laundering --rescan"
            )


#: Characters that steer a terminal, and so must not reach one out of somebody's text; line ends and tabs may.
_STEERING = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def printable(text: str) -> str:
    """Return a text without what could steer a terminal."""
    return text.translate(_STEERING)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print a table on standard output; numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    data = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for i, name in enumerate(columns):
        numeric = any(isinstance(row[i], int | float | Decimal) and not isinstance(row[i], bool) for row in data)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in data:
        table.add_row(*(Text(printable(cell(value))) for value in row))
    terminal = sys.stdout.isatty()
    Console(file=sys.stdout, width=None if terminal else _PLAIN_WIDTH, highlight=False).print(table)


def plain(value: Any) -> Any:
    """Return a value that JSON lacks as one that it has: sums as whole numbers, dates and ids as text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _finite(value: Any) -> Any:
    """Return a value with null for the numbers that JSON lacks: infinities and what is no number."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def cell(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return "–"
    value = plain(value) if isinstance(value, Decimal | bytes) else value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, list | dict):
        return json.dumps(value, default=plain, ensure_ascii=False)
    return str(value)


def percent(share: float | None) -> str:
    """Return a share 0..1 in percent with two decimals."""
    return "–" if share is None else f"{share:.2%}"


def write_result(table: pa.Table, *, kind: str, out: Path | None) -> None:
    """Write rows as table, csv, json or parquet to a file or to standard output."""
    if kind == "parquet":
        _write_parquet(table, out)
        return
    if out is not None:
        with out.open("w", encoding="utf-8", newline="") as file:
            _write_text(table, kind, file)
        return
    if kind == "table":
        print_table(table.column_names, _rows(table))
    else:
        _write_text(table, kind, sys.stdout)


def _rows(table: pa.Table) -> Iterable[tuple[Any, ...]]:
    try:
        columns = [column.to_pylist() for column in table.columns]
    except (OverflowError, ValueError) as error:  # times that Python lacks: infinity, the year 20000
        raise QueryFailed(f"a value cannot be printed ({error}); cast its column to VARCHAR") from error
    return zip(*columns, strict=True)


def _write_text(table: pa.Table, kind: str, file: Any) -> None:
    if kind == "json":
        names = _distinct(table.column_names)
        rows = [_finite(dict(zip(names, row, strict=True))) for row in _rows(table)]
        json.dump(rows, file, indent=2, default=plain, ensure_ascii=False)
        file.write("\n")
        return
    writer = csv.writer(file, lineterminator="\n", delimiter="," if kind == "csv" else "\t")
    writer.writerow(table.column_names)
    for row in _rows(table):
        writer.writerow(_field(value) for value in row)


def _field(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(_finite(value), default=plain, ensure_ascii=False)
    return plain(value) if isinstance(value, bytes) else value


def _distinct(names: Sequence[str]) -> list[str]:
    """Return the names of columns, with a number behind those that occurred before."""
    known: list[str] = []
    for name in names:
        n = 1
        while (candidate := name if n == 1 else f"{name}_{n}") in known:
            n += 1
        known.append(candidate)
    return known


def _write_parquet(table: pa.Table, out: Path | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if out is None and sys.stdout.isatty():
        import typer

        raise typer.BadParameter("Parquet is no text for a terminal: give --out FILE or redirect the output.")
    table = table.rename_columns(_distinct(table.column_names))
    try:
        pq.write_table(table, out if out is not None else sys.stdout.buffer)
    except pa.ArrowNotImplementedError as error:
        raise QueryFailed(f"Parquet cannot hold the result ({error}); cast the column to VARCHAR") from error
