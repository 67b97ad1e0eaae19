"""Refused records that hold what is to be erased.

By source every refused record of it goes. From other sources, and otherwise, those go that share a run of 13 tokens
with an erased text (also the parts of a record that was too large, and lines that are cut off), or hold the whole of a
shorter one; that name the author or an address asked for, or the address of an erased document, in capitals or not; or
that are the same record of the same source by its id. What goes leaves an empty row, so that the same record of the
same file is known when it comes again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson
import pyarrow as pa
from sqlalchemy import Connection

from provenance.dedup.spans import KnownRuns
from provenance.ids import uuid_array
from provenance.ingest.readers.base import TAKEN_DOWN
from provenance.store.store import registered, staged
from provenance.takedown.patterns import inside, plain
from provenance.takedown.select import Selection
from provenance.takedown.words import Words, folded

#: Bytes of refused records, and texts, that are held at a time.
_GROUP_BYTES = 32 << 20
_ROWS = 5_000
#: Shorter texts than this, such as "Yes", stand in too much to say anything; only a field that is such a text does.
_SHORTEST = 8

_OF_SOURCES = (
    "SELECT quarantine_id::BLOB AS id FROM quarantine WHERE list_contains($values, source) AND reason <> $gone"
)
_ANY_LEFT = "SELECT 1 FROM quarantine WHERE NOT list_contains($values, source) AND reason <> $gone LIMIT 1"
_LEFT = """
    SELECT q.quarantine_id::BLOB AS id, q.source, q.file, q.place, q.raw,
           coalesce(i.options->'mapping'->>'id', 'id') AS id_field
    FROM quarantine q LEFT JOIN ingest i USING (ingest_id)
    WHERE q.reason <> $gone AND NOT list_contains($values, q.source)
"""
_TEXTS = """
    SELECT text FROM content WHERE content_id IN (
        SELECT content_id FROM document SEMI JOIN doomed USING (document_id)
        EXCEPT SELECT content_id FROM document ANTI JOIN doomed USING (document_id)
    )
"""
_RECORDS = """
    SELECT source, external_id FROM document SEMI JOIN doomed USING (document_id) WHERE external_id IS NOT NULL
"""
# An address that a source gives to all its documents says nothing of one of them.
_ADDRESSES = """
    SELECT DISTINCT d.uri FROM document d SEMI JOIN doomed USING (document_id) JOIN source s ON s.name = d.source
    WHERE d.uri IS NOT NULL AND d.uri IS DISTINCT FROM s.uri
"""
_BLANK = """
    UPDATE quarantine SET reason = $gone, detail = NULL, raw = ''::BLOB, context = NULL, n_bytes = 0
    WHERE quarantine_id IN (SELECT quarantine_id FROM blanked)
"""
#: Pairs of surrogates stand for one character.
_ESCAPE = re.compile(r'(?:\\u[0-9a-fA-F]{4})+|\\[nrtbf"\\/]')


@dataclass(frozen=True)
class Refused:
    """Refused records whose bytes go.

    Attributes
    ----------
    ids : 16 bytes each
    named : authors and addresses asked for that stand in any of them
    """

    ids: list[bytes]
    named: frozenset[str]


def find_refused(connection: Connection, selection: Selection) -> Refused:
    """Return the refused records that go with the documents of the temporary table `doomed`."""
    sources = selection.values if selection.kind == "source" else ()
    bound = {"values": list(sources), "gone": TAKEN_DOWN}
    with registered(connection) as raw:
        found: list[bytes] = raw.execute(_OF_SOURCES, bound).to_arrow_table()["id"].to_pylist()
        if not raw.execute(_ANY_LEFT, bound).fetchone():
            return Refused(found, frozenset())
        traces = _Traces(raw, selection)
        found.extend(_records_that_tell(raw, traces, sources))
    return Refused(found, frozenset(traces.named))


def blank_refused(connection: Connection, ids: Sequence[bytes]) -> None:
    """Take the bytes of refused records away; what is left says where they stood, and why they are empty."""
    with staged(connection, blanked=pa.table({"quarantine_id": uuid_array(ids)})) as raw:
        raw.execute(_BLANK, {"gone": TAKEN_DOWN})


class _Traces:
    """What a refused record must not hold."""

    def __init__(self, raw: Any, selection: Selection) -> None:
        self.named: set[str] = set()
        self._asked = _asked_for(selection)
        words = [form for (uri,) in raw.execute(_ADDRESSES).fetchall() for form in {uri, plain(uri)}]
        self._records = set(raw.execute(_RECORDS).fetchall())
        self._short: set[str] = set()
        self._runs: list[KnownRuns] = []
        for batch in raw.execute(_TEXTS).to_arrow_reader(_ROWS):
            texts = batch.column(0)
            self._runs.append(KnownRuns(texts))
            # What has no run of its own, a short text, is looked for as it stands.
            for text in texts.filter(pa.array(~self._runs[-1].shared_by(texts))).to_pylist():
                if len(text) < _SHORTEST:
                    self._short.add(text)
                else:
                    words.append(text)
        self._words = Words(words)

    def in_records(self, rows: Sequence[dict[str, Any]]) -> list[bool]:
        """Return for some refused records whether they hold any of it."""
        texts = [readable(row["raw"]) for row in rows]
        found = [
            self._is_told(folded(text)) or self._is_same_record(row) for row, text in zip(rows, texts, strict=True)
        ]
        for runs in self._runs:
            shared = runs.shared_by(pa.array(texts, pa.large_string()))
            found = [one or bool(other) for one, other in zip(found, shared, strict=True)]
        return found

    def _is_told(self, text: str) -> bool:
        if "%" in text:
            text = f"{text}\n{folded(unquote(text))}"
        named = {value for value, expression in self._asked.items() if expression.search(text)}
        self.named |= named
        return bool(named) or self._words.are_in(text)

    def _is_same_record(self, row: dict[str, Any]) -> bool:
        try:
            record = orjson.loads(row["raw"])
        except orjson.JSONDecodeError:
            return False
        if not isinstance(record, dict):
            return False
        is_same = (row["source"], str(record.get(row["id_field"]))) in self._records
        return is_same or any(isinstance(one, str) and one in self._short for one in record.values())


def _asked_for(selection: Selection) -> dict[str, re.Pattern[str]]:
    """Return what finds the authors or addresses asked for in a text as `folded` gives it."""
    if selection.kind == "author":
        return {one: re.compile(re.escape(folded(one.strip()))) for one in selection.values}
    if selection.kind == "url":
        return {one: found for one in selection.values if (found := inside(folded(one)))}
    return {}


def _records_that_tell(raw: Any, traces: _Traces, sources: Sequence[str]) -> Iterator[bytes]:
    """Yield the ids of refused records of other sources that hold what must not stay; of a record all its parts."""
    told: set[tuple[str, str, str]] = set()
    parts: list[tuple[bytes, tuple[str, str, str]]] = []
    for rows in _groups(raw, sources):
        for row, tells in zip(rows, traces.in_records(rows), strict=True):
            record = (row["source"], row["file"], row["place"])
            parts.append((row["id"], record))
            if tells:
                told.add(record)
    yield from (one for one, record in parts if record in told)


def _groups(raw: Any, sources: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the refused records that have bytes, but for those of some sources, some at a time."""
    rows: list[dict[str, Any]] = []
    n_bytes = 0
    for batch in raw.execute(_LEFT, {"gone": TAKEN_DOWN, "values": list(sources)}).to_arrow_reader(_ROWS):
        for row in batch.to_pylist():
            rows.append(row)
            n_bytes += len(row["raw"])
            if n_bytes > _GROUP_BYTES:
                yield rows
                rows, n_bytes = [], 0
    if rows:
        yield rows


def readable(raw: bytes) -> str:
    """Return the words in the bytes of a record, whatever way they were written: JSON, UTF-8, UTF-16."""
    try:
        return "\n".join(_strings(orjson.loads(raw)))
    except orjson.JSONDecodeError:
        pass
    text = raw.decode("utf-8", "replace")
    if 3 * raw.count(b"\0") > len(raw):  # every other byte: another encoding
        text += "".join("\n" + raw[at:].decode(name, "replace") for name in ("utf-16-le", "utf-16-be") for at in (0, 1))
    return text if "\\" not in text else f"{text}\n{_ESCAPE.sub(_unescaped, text)}"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _unescaped(found: re.Match[str]) -> str:
    text: str = json.loads(f'"{found[0]}"')
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
