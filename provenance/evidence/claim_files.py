"""Files of claims: JSON Lines, one claim a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from provenance.errors import ProvenanceError, did_you_mean
from provenance.evidence.claims import SubjectKind
from provenance.evidence.errors import InvalidLine, InvalidStatement, SupportUnreadable
from provenance.evidence.statements import Stated, Statement, check_all, enter
from provenance.evidence.support import is_address
from provenance.store.store import Store

#: Field -> type of its value.
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "origin": str, "generation": int, "model": str, "method": str, "grade": str, "confidence": (int, float),
    "author": str, "at": str, "note": str, "support": str,
}  # fmt: skip
_SUBJECTS = get_args(SubjectKind)


def state_file(store: Store, path: Path, *, author: str) -> Stated:
    """State every claim of a file in one transaction.

    Every line is an object with one of `document`, `source`, `ingest`, with `origin`, and with any of the other fields
    of a `Statement`; `support` is an address or a path relative to the file.

    Parameters
    ----------
    author : of the lines that name none

    Raises
    ------
    InvalidLine
        If a line cannot be read or stated: nothing is then.
    SupportUnreadable
        If the file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise SupportUnreadable(path, error.strerror or str(error)) from error
    statements: list[Statement] = []
    numbers: list[int] = []
    wrong: dict[int, ProvenanceError] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            statements.append(_statement(line, author=author, folder=path.parent))
            numbers.append(number)
        except ProvenanceError as error:
            wrong[number] = error
    if not (statements or wrong):
        raise InvalidStatement(f"{path} holds no claim. Expected one JSON object a line.")
    with store.transaction() as connection:
        claims, refused = check_all(connection, statements)
        wrong |= {numbers[place]: error for place, error in refused.items()}
        if wrong:
            first = min(wrong)
            raise InvalidLine(str(path), first, str(wrong[first]), len(wrong)) from wrong[first]
        return enter(connection, claims)


def parse_time(text: str) -> datetime:
    """Return a date or time of ISO 8601 as UTC without a zone; without a zone it is UTC.

    Raises
    ------
    InvalidStatement
        If it is none.
    """
    try:
        when = datetime.fromisoformat(text)
        return when if when.tzinfo is None else when.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:  # the latter: in UTC it is before the year 1, or after 9999
        raise InvalidStatement(f"{text!r} is no date. Expected one such as 2026-03-31 or 2026-03-31T12:00.") from error


def _statement(line: bytes, *, author: str, folder: Path) -> Statement:
    try:
        said: Any = json.loads(line)
    except ValueError as error:
        raise InvalidStatement(f"It is no JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidStatement("It is nested too deep.") from error
    if not isinstance(said, dict):
        raise InvalidStatement("Expected a JSON object.")
    for name, value in said.items():
        _require(name, value)
    subjects = [name for name in _SUBJECTS if said.get(name) is not None]
    if len(subjects) != 1 or said.get("origin") is None:
        raise InvalidStatement(f"Expected an origin and one of {', '.join(_SUBJECTS)}.")
    fields = {name: said[name] for name in _FIELDS if said.get(name) is not None}
    fields["at"] = parse_time(fields["at"]) if "at" in fields else None
    one = Statement(kind=subjects[0], subject=said[subjects[0]], **{"author": author, **fields})
    is_file = one.support is not None and not is_address(one.support)
    return replace(one, support=str(folder / str(one.support))) if is_file else one


def _require(name: str, value: Any) -> None:
    known: Sequence[str] = (*_SUBJECTS, *_FIELDS)
    if name not in known:
        raise InvalidStatement(f"There is no field {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
    expected = _FIELDS.get(name, str)
    if value is not None and (not isinstance(value, expected) or isinstance(value, bool)):
        kind = "a whole number" if expected is int else "text" if expected is str else "a number"
        raise InvalidStatement(f"Field {name!r} is {value!r}. Expected {kind}.")
