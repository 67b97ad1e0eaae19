"""Refused records as people look at them: counted, listed, and written out to be repaired."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import orjson
import pyarrow as pa
from sqlalchemy import Connection, select

from provenance.errors import UnknownName
from provenance.ids import uuid_array
from provenance.ingest.history import find_run
from provenance.ingest.readers.base import REASONS
from provenance.store import schema
from provenance.store.store import Store, fetch, staged

#: Records are fetched in groups of about this size; a single one may be larger.
GROUP_BYTES = 32 << 20
GROUP_RECORDS = 65_536
#: How much of a record is shown.
_SHOWN_BYTES = 240
_SHOWN_CHARACTERS = 60

_CHOSEN = """
    (:ingest IS NULL OR ingest_id::VARCHAR = :ingest) AND (:source IS NULL OR source = :source)
    AND (:reason IS NULL OR reason = :reason)
"""
# In the order in which the records stand: places are such as "line 17".
_ORDER = "source, file, try_cast(regexp_extract(place, '[0-9]+') AS BIGINT) NULLS FIRST, place, part, quarantine_id"
_BY_REASON = f"""
    SELECT reason, count(*) FILTER (part = 0) AS n_records, sum(n_bytes)::BIGINT AS n_bytes,
           count(DISTINCT file) AS n_files, list_sort(list(DISTINCT source)) AS sources
    FROM quarantine WHERE {_CHOSEN} GROUP BY reason ORDER BY n_records DESC, reason
"""
_FIRST = f"""
    SELECT ingest_id AS ingest, source, file, place, reason, detail, n_bytes,
           array_slice(raw, 1, {_SHOWN_BYTES}) AS begins
    FROM quarantine WHERE part = 0 AND {_CHOSEN} ORDER BY {_ORDER} LIMIT :limit
"""
_PARTS = f"""
    SELECT quarantine_id::BLOB AS id, ingest_id::VARCHAR AS ingest, source, file, place, reason, detail, format, part,
           n_bytes
    FROM quarantine WHERE {_CHOSEN} ORDER BY {_ORDER}
"""
_RAW = """
    SELECT quarantine_id::BLOB AS id, raw, context FROM quarantine SEMI JOIN wanted USING (quarantine_id)
"""


@dataclass(frozen=True)
class Selection:
    """Which refused records; None stands for all.

    Attributes
    ----------
    ingest : id of the run that refused them
    source : name of a source
    reason : one of `readers.base.REASONS`
    """

    ingest: str | None = None
    source: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Summary:
    """What is in quarantine.

    Attributes
    ----------
    reasons : reason, n_records, n_bytes, n_files, sources; the most frequent reason first
    records : the first records: ingest, source, file, place, reason, detail, n_bytes, and how the raw bytes begin
    """

    reasons: list[dict[str, Any]]
    records: list[dict[str, Any]]

    @property
    def n_records(self) -> int:
        """How many records there are in all."""
        return sum(row["n_records"] for row in self.reasons)


@dataclass(frozen=True)
class KeptRecord:
    """A refused record without its bytes.

    Attributes
    ----------
    ids : 16 bytes each; several where the record was too large and kept in parts
    sizes : bytes of each part
    first_part : 0, or the number of the part where the parts before it are not there
    """

    ids: tuple[bytes, ...]
    sizes: tuple[int, ...]
    first_part: int
    ingest: str
    source: str
    file: str
    place: str
    reason: str
    detail: str | None
    format: str

    @property
    def n_bytes(self) -> int:
        """Size of the whole record."""
        return sum(self.sizes)


def choose(
    connection: Connection, *, ingest: str | None = None, source: str | None = None, reason: str | None = None
) -> Selection:
    """Return a selection whose names are there.

    Parameters
    ----------
    ingest : id of a run or the beginning of it

    Raises
    ------
    UnknownName, AmbiguousRun
        If there is no such run, source or reason.
    """
    if reason is not None and reason not in REASONS:
        raise UnknownName("reason", reason, REASONS, hint=f"Expected one of: {', '.join(REASONS)}.")
    if source is not None:
        known = connection.execute(select(schema.source.c.name)).scalars().all()
        if source not in known:
            raise UnknownName("source", source, known, hint="See: provenance stats")
    return Selection(None if ingest is None else str(find_run(connection, ingest).ingest_id), source, reason)


def summarise(connection: Connection, selection: Selection, *, limit: int = 20) -> Summary:
    """Return the chosen records counted by reason, and the first of them."""
    wanted = dict(selection.__dict__)
    reasons = fetch(connection, _BY_REASON, wanted).to_pylist()
    return Summary(reasons, fetch(connection, _FIRST, {**wanted, "limit": limit}).to_pylist())


def kept_records(connection: Connection, selection: Selection) -> list[KeptRecord]:
    """Return the chosen records in the order in which they stand, parts of one put together."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in fetch(connection, _PARTS, dict(selection.__dict__)).to_pylist():
        groups.setdefault((row["ingest"], row["source"], row["file"], row["place"], row["reason"]), []).append(row)
    records: list[KeptRecord] = []
    for parts in groups.values():
        ordered = sorted(parts, key=lambda row: int(row["part"]))
        is_one = [row["part"] for row in ordered] == list(range(len(ordered)))
        records.extend(_record(some) for some in ([ordered] if is_one else [[row] for row in ordered]))
    return records


def groups(records: Sequence[KeptRecord]) -> Iterator[Sequence[KeptRecord]]:
    """Cut records into groups of a limited size."""
    first = n_bytes = 0
    for i, one in enumerate(records):
        if i > first and (n_bytes + one.n_bytes > GROUP_BYTES or i - first >= GROUP_RECORDS):
            yield records[first:i]
            first, n_bytes = i, 0
        n_bytes += one.n_bytes
    if first < len(records):
        yield records[first:]


def load_raw(connection: Connection, records: Sequence[KeptRecord]) -> dict[bytes, tuple[bytes, bytes | None]]:
    """Return id -> (bytes, context) of all parts of some records that are still there."""
    ids = [one for record in records for one in record.ids]
    with staged(connection, wanted=pa.table({"quarantine_id": uuid_array(ids)})):
        found = fetch(connection, _RAW)
    return {
        one: (raw, context)
        for one, raw, context in zip(*(found[name].to_pylist() for name in ("id", "raw", "context")), strict=True)
    }


def export(
    store: Store, selection: Selection, *, as_json: IO[bytes] | None = None, as_raw: IO[bytes] | None = None
) -> int:
    """Write the chosen records with their bytes and return how many there were.

    Parameters
    ----------
    as_json : takes one JSON object a line: ingest, source, file, place, reason, detail, format, n_bytes, and the bytes
        as `raw` where they are UTF-8, else as `raw_base64`
    as_raw : takes the bytes alone, each record on a line (or lines) of its own
    """
    with store.read() as connection:
        records = kept_records(connection, selection)
        for group in groups(records):
            raws = load_raw(connection, group)
            for record in group:
                raw = b"".join(raws[one][0] for one in record.ids)
                if as_json is not None:
                    as_json.write(_json_line(record, raw))
                if as_raw is not None:
                    as_raw.write(raw + b"\n")
    return len(records)


def visible(value: bytes | str | None, *, limit: int = _SHOWN_CHARACTERS) -> str | None:
    """Return the beginning of anything so that a terminal only shows it: what cannot be printed is escaped."""
    if value is None:
        return None
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    begin = text[: limit + 1]
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in begin)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _record(parts: Sequence[dict[str, Any]]) -> KeptRecord:
    first = parts[0]
    return KeptRecord(
        tuple(row["id"] for row in parts),
        tuple(row["n_bytes"] for row in parts),
        first["part"],
        *(first[name] for name in ("ingest", "source", "file", "place", "reason", "detail", "format")),
    )


def _json_line(record: KeptRecord, raw: bytes) -> bytes:
    shown: dict[str, Any] = {
        name: getattr(record, name)
        for name in ("ingest", "source", "file", "place", "reason", "detail", "format", "n_bytes")
    }
    if record.first_part:
        shown["part"] = record.first_part
    try:
        shown["raw"] = raw.decode("utf-8")
    except UnicodeDecodeError:
        shown["raw_base64"] = base64.b64encode(raw).decode("ascii")
    return orjson.dumps(shown) + b"\n"
