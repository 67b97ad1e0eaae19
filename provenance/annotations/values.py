"""What kind a value is of, and values as the store keeps them.

A value of JSON or Parquet has its kind by itself. A cell of CSV is text that may be written as a number or as true or
false. Nothing is turned into another kind unless somebody said which kind is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

#: An annotation is a label; longer texts are documents.
MAX_CHARACTERS = 10_000
#: Whole numbers up to here are kept exactly: a number is stored in double precision.
_EXACT = 2**53

_NUMBER = re.compile(
    r"[-+]?(?:(\d+)|\d+\.\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|\d+e[-+]?\d+)", re.IGNORECASE | re.ASCII
)
_NO_FINITE_NUMBER = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False}

_ARROW = {"number": pa.float64(), "text": pa.string(), "boolean": pa.bool_()}
#: Python types of values that are what they are, by kind; the rest is looked at one by one.
_PLAIN: dict[str, set[type]] = {"number": {float, int}, "text": {str}, "boolean": {bool}}


class Unfit(Exception):
    """A value cannot be taken; says why."""


class UnfitAt(Exception):
    """The value at one place of a column cannot be taken."""

    def __init__(self, i: int, reason: str) -> None:
        self.i = i
        self.reason = reason
        super().__init__(reason)


def arrow_type(kind: str) -> pa.DataType:
    """Return the type of a column of values."""
    return _ARROW[kind]


def kind_of(value: Any, *, is_cell: bool) -> str:
    """Return the kind that a value has by itself.

    Parameters
    ----------
    is_cell : the value is text that may stand for something else, as in CSV

    Raises
    ------
    Unfit
        If it is of no kind that can be kept.
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    if not isinstance(value, str):
        raise Unfit(f"it is {_name(value)}, expected a number, a text or true or false")
    if not is_cell:
        return "text"
    bare = value.strip()
    if _NUMBER.fullmatch(bare) or _NO_FINITE_NUMBER.fullmatch(bare):
        return "number"
    return "boolean" if bare.lower() in _BOOLEANS else "text"


def column(values: Sequence[Any], kind: str, *, is_cell: bool, is_meant: bool) -> pa.Array:
    """Return values as the store keeps them; None stays NULL.

    Parameters
    ----------
    is_cell : text may stand for something else, as in CSV
    is_meant : the kind was stated, so that a value of another kind is read as one of this

    Raises
    ------
    UnfitAt
        If a value is not of this kind, no finite number, or a text too long.
    """
    if not is_cell and {type(value) for value in values} - {type(None)} <= _PLAIN[kind]:
        found = _plain_column(values, kind)
        if found is not None:
            return found
    kept = []
    for i, value in enumerate(values):
        try:
            kept.append(None if value is None else _kept(value, kind, is_cell=is_cell, is_meant=is_meant))
        except Unfit as unfit:
            raise UnfitAt(i, str(unfit)) from unfit
    return pa.array(kept, _ARROW[kind])


def _plain_column(values: Sequence[Any], kind: str) -> pa.Array | None:
    """Return the column, or None where something is wrong with a value."""
    try:
        found = pa.array(values, _ARROW[kind])
    except (pa.ArrowInvalid, UnicodeEncodeError, OverflowError):
        return None
    if kind == "number" and not _all(pc.is_finite(found)):
        return None
    if kind == "text":
        fits = pc.less_equal(pc.utf8_length(found), MAX_CHARACTERS)
        if not _all(pc.and_not(fits, pc.match_substring(found, "\0"))):
            return None
    return found


def _all(mask: pa.Array) -> bool:
    return pc.all(mask).as_py() is not False  # NULL where there is no value at all


def _kept(value: Any, kind: str, *, is_cell: bool, is_meant: bool) -> Any:
    own = kind_of(value, is_cell=is_cell) if not is_meant else None
    if own is not None and own != kind:
        raise Unfit(f"{shown(value)} is {_WITH_ARTICLE[own]}, expected {_WITH_ARTICLE[kind]}")
    return _KEPT[kind](value)


def _number(value: Any) -> float:
    if isinstance(value, str):
        bare = value.strip()
        written = _NUMBER.fullmatch(bare)
        if written is None:
            raise Unfit(f"{shown(value)} is no finite number")
        value = int(bare) if written[1] is not None and len(bare) < 400 else float(bare)
    elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Unfit(f"{shown(value)} is no number")
    if isinstance(value, int) and abs(value) > _EXACT:
        raise Unfit(f"{shown(value)} cannot be kept exactly as a number; state --kind NAME=text to keep it as text")
    number = float(value)
    if not isfinite(number):
        raise Unfit(f"{shown(value)} is no finite number")
    return number


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray | list | tuple | dict | set):
        raise Unfit(f"it is {_name(value)}, expected a text")
    text = str(value)
    if len(text) > MAX_CHARACTERS:
        raise Unfit(f"the text has {len(text):,} characters, at most {MAX_CHARACTERS:,} are taken")
    if "\0" in text:
        raise Unfit("the text holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unfit("the text holds a lone surrogate") from error
    return text


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        found = {**_BOOLEANS, "1": True, "0": False}.get(value.strip().lower())
    else:
        found = bool(value) if isinstance(value, int | float | Decimal) and value in (0, 1) else None
    if found is None:
        raise Unfit(f"{shown(value)} is neither true nor false")
    return found


_KEPT: dict[str, Callable[[Any], Any]] = {"number": _number, "text": _text, "boolean": _boolean}
_WITH_ARTICLE = {"number": "a number", "text": "a text", "boolean": "a boolean"}


def shown(value: Any) -> str:
    """Return a value for a message, shortened."""
    whole = repr(value) if isinstance(value, str) else str(value)
    return whole if len(whole) <= 60 else whole[:57] + "..."


def _name(value: Any) -> str:
    for kind, name in ((list, "a list"), (tuple, "a list"), (dict, "an object"), (bytes, "binary")):
        if isinstance(value, kind):
            return name
    return f"of type {type(value).__name__}"
