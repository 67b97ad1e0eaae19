"""The rows of a training set: labels as drawn, and texts in one pass over the store.

A draw is anywhere in the store, so that to look up the texts of one batch takes as long as to read all of them. Hence
they are read once, in the order in which they lie, and where the draws' order is wanted they go through temporary
files, one for every stretch of draws that fits into memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Select, select, text

from provenance.mix.draw import I64
from provenance.records import GRADES
from provenance.store import schema

if TYPE_CHECKING:
    from provenance.store.store import Store

#: Texts that are put in order at a time, in bytes, and what a draw costs beside its text.
_WINDOW_BYTES, _DRAW_BYTES = 64 << 20, 500
#: Temporary files at most.
_MOST_WINDOWS = 256
#: Texts that the database gives at a time.
_BATCH = 4096

_WANTED = """
    CREATE OR REPLACE TEMP TABLE wanted AS SELECT i.position, d.content_id
    FROM training_set_item i JOIN document d ON d.document_id = i.document_id
    WHERE i.training_set = :name AND i.position >= :low AND i.position < :high
"""
_FIRSTS = """
    CREATE OR REPLACE TEMP TABLE wanted AS SELECT min(i.position) AS position, d.content_id
    FROM training_set_item i JOIN document d ON d.document_id = i.document_id
    WHERE i.training_set = :name AND i.position >= :low AND i.position < :high GROUP BY d.content_id
"""
#: The wanted ones are the smaller side of the join, whatever their number: texts are never kept in memory.
_TEXTS = "SELECT w.position, c.text FROM content c JOIN wanted w ON w.content_id = c.content_id"


def labels(store: Store, name: str, columns: tuple[str, ...], *, low: int, high: int) -> pa.Table:
    """Return columns of the draws from position `low` to `high`, in order.

    Parameters
    ----------
    columns : of the draws, of their documents, or `evidence_grade`, which is the grade as drawn
    """
    item, document = schema.training_set_item, schema.document
    named = [c for c in columns if c != "evidence_grade"]
    query: Select[Any] = (
        select(item.c.evidence_rank.label("_rank"), *(item.c[c] if c in item.c else document.c[c] for c in named))
        .join_from(item, document, document.c.document_id == item.c.document_id)
        .where(item.c.training_set == name, item.c.position >= low, item.c.position < high)
        .order_by(item.c.position)
    )
    found = store.fetch(query)
    if "evidence_grade" in columns:
        grades = pa.array(GRADES).take(found["_rank"].combine_chunks().cast(pa.int64()))
        found = found.append_column("evidence_grade", grades)
    return found.select(list(columns))


def texts(store: Store, name: str, *, low: int, high: int, distinct: bool = False) -> Iterator[tuple[I64, pa.Array]]:
    """Yield positions of draws and their texts, in any order.

    Parameters
    ----------
    low, high : only draws from this position on, and before that one
    distinct : every text once, with the first position that has it
    """
    with store.read() as connection:
        bounds = {"name": name, "low": low, "high": high}
        connection.execute(text(_FIRSTS if distinct else _WANTED), bounds)
        raw: Any = connection.connection.driver_connection
        for batch in raw.execute(_TEXTS).to_arrow_reader(_BATCH):
            yield batch.column(0).to_numpy(), batch.column(1).cast(pa.large_string())


def texts_in_order(store: Store, name: str, *, low: int, high: int) -> Iterator[tuple[int, int, pa.Array]]:
    """Yield stretches of the draws from position `low` to `high`, in order: where they begin and end, and their texts.

    A stretch fits into memory.
    """
    borders = _windows(labels(store, name, ("n_bytes",), low=low, high=high)["n_bytes"].to_numpy(), low)
    if len(borders) == 2:
        yield low, high, _sorted(list(texts(store, name, low=low, high=high)))
        return
    with tempfile.TemporaryDirectory(prefix="provenance-") as folder:
        files = [Path(folder) / f"{number}.arrow" for number in range(len(borders) - 1)]
        with ExitStack() as opened:
            writers = [opened.enter_context(_writer(file)) for file in files]
            for positions, found in texts(store, name, low=low, high=high):
                _distribute(positions, found, borders, writers)
        for number, file in enumerate(files):
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
                parts = [(batch.column(0).to_numpy(), batch.column(1)) for batch in reader]
            yield int(borders[number]), int(borders[number + 1]), _sorted(parts)
            file.unlink()


def _windows(n_bytes: I64, low: int) -> I64:
    """Return positions where one stretch of draws ends and another begins, the first and last included."""
    cost = np.cumsum(n_bytes.astype(np.int64) + _DRAW_BYTES)
    if not len(cost):
        return np.array([low, low], dtype=np.int64)
    size = max(_WINDOW_BYTES, int(cost[-1]) // _MOST_WINDOWS + 1)
    inner = np.flatnonzero(np.diff(cost // size)) + 1
    return np.concatenate([[0], inner, [len(cost)]]).astype(np.int64) + low


def _distribute(positions: I64, found: pa.Array, borders: I64, writers: list[Any]) -> None:
    order = np.argsort(positions)
    ordered, batch = positions[order], found.take(pa.array(order))
    cuts = np.searchsorted(ordered, borders)
    for number in np.flatnonzero(np.diff(cuts)):
        part = slice(int(cuts[number]), int(cuts[number + 1]))
        columns = [pa.array(ordered[part]), batch.slice(part.start, part.stop - part.start)]
        writers[number].write_batch(pa.record_batch(columns, schema=_SPOOLED))


_SPOOLED = pa.schema([("position", pa.int64()), ("text", pa.large_string())])


def _writer(path: Path) -> Any:
    return pa.ipc.new_stream(str(path), _SPOOLED, options=pa.ipc.IpcWriteOptions(compression="lz4"))


def _sorted(parts: list[tuple[I64, pa.Array]]) -> pa.Array:
    """Return the texts in the order of their positions."""
    if not parts:
        return pa.array([], pa.large_string())
    positions = np.concatenate([where for where, _ in parts])
    return pc.take(pa.chunked_array([found for _, found in parts]), pa.array(np.argsort(positions))).combine_chunks()
