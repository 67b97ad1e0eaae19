"""The queue as a file, for judging elsewhere, and the judgements back from it: all of a file or nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from provenance.curation.errors import JudgementRefused, JudgementsUnreadable
from provenance.curation.judging import WORDS, Judgement, require_judge, state_judgements
from provenance.curation.known import Claims, Standing, claims_on, ids_of, judgements_in, present
from provenance.curation.queue import Queued
from provenance.errors import did_you_mean
from provenance.store.files import draft_of
from provenance.store.store import Store, fetch, staged

FIELDS = (
    "document_id", "reason", "score", "source", "external_id", "uri", "title", "author", "origin", "conflict",
    "n_words", "claims", "judgement", "judge", "note", "text",
)  # fmt: skip
_FORMATS = (".jsonl", ".csv")

_DOCUMENTS = """
    SELECT document_id::VARCHAR AS document_id, external_id, uri, title, author, text
    FROM documents SEMI JOIN chosen USING (document_id)
"""


class Imported(NamedTuple):
    """What an import did.

    Attributes
    ----------
    n_judged : judgements stated
    n_present : judgements that the same judge had stated before
    n_empty : lines without a judgement
    """

    n_judged: int
    n_present: int
    n_empty: int


class _Line(NamedTuple):
    place: int
    judgement: Judgement
    seen: frozenset[str]  # claims that the file was written with


def export_queue(store: Store, queue: Sequence[Queued], file: Path) -> int:
    """Write the queue with texts, claims and empty fields for judgement, judge and note; return how many documents.

    Raises
    ------
    JudgementsUnreadable
        If the file cannot be written, or is neither .jsonl nor .csv.
    """
    kind = _format_of(file)
    rows = list(_rows(store, queue))
    text = io.StringIO(newline="")
    if kind == ".jsonl":
        for row in rows:
            text.write(json.dumps(row, ensure_ascii=False) + "\n")
    else:
        writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "claims": json.dumps(row["claims"], ensure_ascii=False)} for row in rows)
    try:
        with draft_of(file, purpose="export") as draft:
            draft.write_text(text.getvalue(), encoding="utf-8", newline="")
            draft.replace(file)
    except OSError as error:
        raise JudgementsUnreadable(str(file), f"it cannot be written ({error.strerror}).") from error
    return len(rows)


def import_judgements(store: Store, file: Path, *, judge: str) -> Imported:
    """State the judgements of a file, all of them or none.

    Parameters
    ----------
    judge : who judged where a line does not say

    Raises
    ------
    JudgementsUnreadable
        If the file cannot be read.
    JudgementRefused
        If a line cannot be read, names no document or no judgement, contradicts another, or if somebody has judged
        its document since the file was written.
    """
    lines: list[_Line] = []
    n_empty = 0
    for place, row in _read(file):
        line = _line(str(file), place, row, judge)
        if line is None:
            n_empty += 1
        else:
            lines.append(line)
    _refuse_contradictions(str(file), lines)
    with store.transaction() as connection:
        claims = claims_on(connection, [line.judgement.document_id for line in lines])
        due = _due(connection, str(file), lines, claims)
        state_judgements(connection, due, claims)
    return Imported(len(due), len(lines) - len(due), n_empty)


def _rows(store: Store, queue: Sequence[Queued]) -> Iterator[dict[str, Any]]:
    documents = [one.document_id for one in queue]
    with store.read() as connection:
        claims = claims_on(connection, documents)
        with staged(connection, chosen=ids_of(documents)):
            found = {row["document_id"]: row for row in fetch(connection, _DOCUMENTS).to_pylist()}
    for one in queue:
        row = {**one.__dict__, **found[one.document_id]}
        row |= {
            "claims": [_plain(claim) for claim in claims[one.document_id]],
            "judgement": "",
            "judge": "",
            "note": "",
        }
        yield {name: row[name] for name in FIELDS}


def _plain(claim: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if name == "stated_at" else value for name, value in claim.items() if value is not None}


def _read(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line on which each record begins, and the record."""
    kind = _format_of(file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield from _json_lines(file, stream) if kind == ".jsonl" else _csv_rows(file, stream)
    except OSError as error:
        raise JudgementsUnreadable(str(file), f"it cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise JudgementsUnreadable(str(file), f"it is no UTF-8 ({error.reason}, byte {error.start:,}).") from error


def _json_lines(file: Path, stream: io.TextIOWrapper) -> Iterator[tuple[int, dict[str, Any]]]:
    for place, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise JudgementRefused(str(file), place, f"it is no JSON ({error}).") from error
        if not isinstance(row, dict):
            raise JudgementRefused(str(file), place, "it is no JSON object.")
        yield place, row


def _csv_rows(file: Path, stream: io.TextIOWrapper) -> Iterator[tuple[int, dict[str, Any]]]:
    before = csv.field_size_limit(2**31 - 1)  # a text is one field
    try:
        reader = csv.DictReader(stream, strict=True)
        place = reader.line_num + 1
        for name in ("document_id", "judgement"):
            if name not in (reader.fieldnames or ()):
                raise JudgementRefused(str(file), 1, f"there is no column {name!r}.")
        place = reader.line_num + 1
        for row in reader:
            if None in row or None in row.values():
                raise JudgementRefused(str(file), place, "it has another number of fields than the first line.")
            yield place, row
            place = reader.line_num + 1
    except csv.Error as error:
        raise JudgementRefused(str(file), place, f"it is no CSV ({error}).") from error
    finally:
        csv.field_size_limit(before)


def _line(file: str, place: int, row: dict[str, Any], judge: str) -> _Line | None:
    """Return what a record says, or None where it says nothing."""
    word = _word(file, place, row, "judgement").lower()
    if not word:
        return None
    if word not in WORDS:
        known = ", ".join(WORDS)
        reason = f"{word[:40]!r} is no judgement.{did_you_mean(word, WORDS)} Expected one of: {known}."
        raise JudgementRefused(file, place, reason)
    document = _word(file, place, row, "document_id")
    try:
        document = str(UUID(document))
    except ValueError as error:
        raise JudgementRefused(file, place, f"{document[:40]!r} is no id of a document.") from error
    name = require_judge(_word(file, place, row, "judge") or judge)
    note = _word(file, place, row, "note") or None
    return _Line(place, Judgement(document, WORDS[word], name, note), _seen(file, place, row.get("claims")))


def _word(file: str, place: int, row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise JudgementRefused(file, place, f"{name} is {json.dumps(value)[:40]}, expected text.")
    return (value or "").strip()


def _seen(file: str, place: int, claims: Any) -> frozenset[str]:
    """Return the ids of the claims that a record was written with."""
    try:
        rows = json.loads(claims) if isinstance(claims, str) and claims.strip() else claims or []
        return frozenset(str(one["claim_id"]) for one in rows)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = "its field claims is not what was exported; leave it as it was, or empty."
        raise JudgementRefused(file, place, reason) from error


def _refuse_contradictions(file: str, lines: Sequence[_Line]) -> None:
    first: dict[str, _Line] = {}
    for line in lines:
        one, other = line.judgement, first.setdefault(line.judgement.document_id, line)
        if other.judgement.origin != one.origin:
            reason = f"document {one.document_id} is judged otherwise on line {other.place}."
            raise JudgementRefused(file, line.place, reason)


def _due(connection: Connection, file: str, lines: Sequence[_Line], claims: Mapping[str, Claims]) -> list[Judgement]:
    """Return the judgements that are not in the store yet, one a document."""
    there = present(connection, claims)
    due: dict[str, Judgement] = {}
    for line in lines:
        one = line.judgement
        if one.document_id not in there:
            raise JudgementRefused(file, line.place, f"there is no document {one.document_id} in the store.")
        since = [s for s in judgements_in(claims[one.document_id]) if str(s.claim_id) not in line.seen]
        if any(s.judge == one.judge and s.origin == one.origin for s in since):
            continue
        if since:
            raise JudgementRefused(file, line.place, _meanwhile(one, since[-1]))
        due.setdefault(one.document_id, one)
    return list(due.values())


def _meanwhile(one: Judgement, other: Standing) -> str:
    said = "cannot tell" if other.origin == "unknown" else other.origin
    return (
        f"document {one.document_id} was judged {said} by {other.judge} on {other.stated_at:%Y-%m-%d %H:%M} UTC. "
        "Empty the judgement of that line, or agree with the other judge."
    )


def _format_of(file: Path) -> str:
    if file.suffix.lower() not in _FORMATS:
        raise JudgementsUnreadable(str(file), f"expected a name that ends in {' or '.join(_FORMATS)}.")
    return file.suffix.lower()
